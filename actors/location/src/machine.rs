//! The machine of one shard: loading, changing, keeping, telling, ending.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fabric::letter::undeliverable;
use fabric::letters::control::{Control, ControlAnswer, Description};
use fabric::letters::location::{Binding, Bound, StoredBindings};
use fabric::{
    Address, Asks, Envelope, Fault, FaultKind, Home, Instant, Letter, Machine, Now, Outbox, Part, Reject, Thread,
};
use sip::Status;
use tracing::{debug, warn};

use save::Unsaved;

use crate::Settings;
use crate::change::{Effect, Rules, apply};
use crate::record::{Contents, Entry, Record, now_ms};
use crate::shelf::Shelf;

/// One shard of addresses-of-record.
pub struct Location {
    home: Home,
    shard: u16,
    settings: Arc<Settings>,
    phase: Phase,
    shelf: Shelf,
    asks: Asks<Ask>,
    counts: Counts,
    /// What a replica does not have yet; `None` where there is no replica.
    unsaved: Option<Box<Unsaved>>,
}

enum Phase {
    /// Nothing was asked yet.
    New,
    /// The store was asked, or will be asked again at `retry`; letters wait.
    Loading {
        retry: Option<Instant>,
        queue: VecDeque<Envelope>,
    },
    Open,
}

/// What the store was asked for.
enum Ask {
    Load,
    Keep(Box<Write>),
}

/// A change on its way to the store; it takes effect when it is durable.
struct Write {
    record: Record,
    asker: Address,
    thread: Thread,
    /// Later demands on the same address-of-record.
    waiting: VecDeque<Envelope>,
}

/// What happened since the start.
#[derive(Default)]
struct Counts {
    changed: u64,
    refused: u64,
    located: u64,
    expired: u64,
    faults: u64,
}

impl Location {
    pub fn new(home: &Home, shard: u16, settings: Arc<Settings>) -> Location {
        let counts = Counts::default();
        Location {
            home: *home,
            shard,
            settings,
            phase: Phase::New,
            shelf: Shelf::new(),
            asks: Asks::new(),
            counts,
            unsaved: None,
        }
    }

    /// The same, of which `save` will be asked for what has changed.
    pub fn replicated(self) -> Location {
        Location { unsaved: Some(Box::default()), ..self }
    }

    fn start(&mut self, now: Now, out: &mut Outbox) {
        if matches!(self.phase, Phase::New) {
            self.phase = Phase::Loading { retry: None, queue: VecDeque::new() };
            self.ask_load(now, out);
        }
    }

    fn ask_load(&mut self, now: Now, out: &mut Outbox) {
        let thread = self.asks.open(Ask::Load, now.instant, millis(self.settings.load_timeout_ms));
        out.ask(self.home.store(), thread, Letter::LoadBindings(self.shard, self.home.shards));
    }

    fn on_loaded(&mut self, stored: &[StoredBindings], now: Now, out: &mut Outbox) {
        let Phase::Loading { queue, .. } = &mut self.phase else {
            return;
        };
        let queue = std::mem::take(queue);
        for one in stored {
            let entries: Vec<_> = one.bindings.iter().filter_map(|binding| Entry::of(binding, now)).collect();
            let contents = Contents { entries, tombstones: Vec::new() };
            if !contents.is_empty() && self.has_room(&one.aor) {
                self.touch(&one.aor);
                self.shelf.put(Record::pack(&one.aor, &contents), contents.earliest_ms());
            }
        }
        debug!(shard = self.shard, records = self.shelf.len(), "location open");
        self.phase = Phase::Open;
        for mail in queue {
            self.serve(mail, now, out);
        }
    }

    fn load_failed(&mut self, now: Now) {
        self.counts.faults += 1;
        warn!(shard = self.shard, "bindings could not be loaded");
        let again = now.instant + millis(self.settings.load_retry_ms);
        if let Phase::Loading { retry, .. } = &mut self.phase {
            *retry = Some(again);
        }
    }

    fn serve(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        match &mail.letter {
            Letter::Bind(_) => self.on_bind(mail, now, out),
            Letter::Locate(aor) => {
                self.counts.located += 1;
                let found = self.bindings(aor, now);
                out.answer(&mail, Letter::Located(found));
            }
            Letter::Control(control) if **control == Control::Bindings => {
                let all = self.all(now);
                out.answer(&mail, Letter::ControlAnswer(Box::new(ControlAnswer::Bindings(all))));
            }
            _ => debug!(letter = mail.letter.kind(), "not for a location"),
        }
    }

    /// Unexpired bindings, highest q first.
    fn bindings(&self, aor: &str, now: Now) -> Vec<Binding> {
        let Some(record) = self.shelf.get(aor) else {
            return Vec::new();
        };
        let mut found = record.contents().bindings(now);
        found.sort_by_key(|binding| std::cmp::Reverse(binding.q));
        found
    }

    fn all(&self, now: Now) -> Vec<(String, Vec<Binding>)> {
        let records = self.shelf.records().map(|record| (record.aor().to_owned(), record.contents().bindings(now)));
        let mut all: Vec<_> = records.filter(|(_, bindings)| !bindings.is_empty()).collect();
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        all
    }

    fn on_bind(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        let Letter::Bind(bind) = &mail.letter else {
            return;
        };
        if self.write_of(&bind.aor).is_some() {
            self.touch(&bind.aor);
        }
        if let Some(write) = self.write_of(&bind.aor) {
            match write.waiting.len() < WAITING_MAX {
                true => write.waiting.push_back(mail),
                false => undeliverable(mail, Fault::new(FaultKind::Overload, "bindings in change"), out),
            }
            return;
        }
        let rules = self.rules(now);
        let mut contents = self.shelf.get(&bind.aor).map(Record::contents).unwrap_or_default();
        let effect = match apply(&mut contents, bind, &rules) {
            Err(reject) => return self.refuse(&mail, reject, out),
            Ok(effect) => effect,
        };
        if effect != Effect::Bindings {
            let bound = Bound::Bindings(contents.bindings(now));
            if effect == Effect::Tombstones && self.has_room(&bind.aor) {
                let (record, due_ms) = (Record::pack(&bind.aor, &contents), contents.earliest_ms());
                self.shelf.put(record, due_ms);
                self.touch(&bind.aor);
            }
            out.answer(&mail, Letter::Bound(Box::new(bound)));
            return;
        }
        let record = Record::pack(&bind.aor, &contents);
        if !self.has_room(&bind.aor) {
            return self.refuse(&mail, Reject::new(Status::SERVICE_UNAVAILABLE), out);
        }
        if self.asks.len() >= self.settings.writes_max as usize {
            undeliverable(mail, Fault::new(FaultKind::Overload, "bindings to keep").retry(true), out);
            return;
        }
        let stored = StoredBindings { aor: bind.aor.clone(), bindings: contents.bindings(now) };
        self.touch(&bind.aor);
        if self.settings.durable_before_answer {
            let write = Write { record, asker: mail.from, thread: mail.thread, waiting: VecDeque::new() };
            let thread = self.asks.open(Ask::Keep(Box::new(write)), now.instant, millis(self.settings.keep_timeout_ms));
            out.ask(self.home.store(), thread, Letter::KeepBindings(Box::new(stored)));
        } else {
            let bound = Bound::Bindings(stored.bindings.clone());
            out.post(self.home.store(), Letter::KeepBindings(Box::new(stored)));
            self.put(record, now);
            self.counts.changed += 1;
            out.answer(&mail, Letter::Bound(Box::new(bound)));
        }
    }

    fn refuse(&mut self, mail: &Envelope, reject: Reject, out: &mut Outbox) {
        self.counts.refused += 1;
        out.answer(mail, Letter::Bound(Box::new(Bound::Refused(reject))));
    }

    fn on_kept(&mut self, thread: Thread, now: Now, out: &mut Outbox) {
        let Some(Ask::Keep(write)) = self.asks.close(thread) else {
            return;
        };
        self.touch(write.record.aor());
        let bindings = write.record.contents().bindings(now);
        self.put(write.record, now);
        self.counts.changed += 1;
        out.ask(write.asker, write.thread, Letter::Bound(Box::new(Bound::Bindings(bindings))));
        self.serve_waiting(write.waiting, now, out);
    }

    /// The change did not become durable: it never happened, and its asker learns why.
    fn keep_failed(&mut self, write: Write, fault: Fault, now: Now, out: &mut Outbox) {
        self.counts.faults += 1;
        self.touch(write.record.aor());
        debug!(shard = self.shard, what = %fault.what, "bindings not kept");
        if write.thread != Thread::NONE {
            out.ask(write.asker, write.thread, Letter::Returned(fault));
        }
        self.serve_waiting(write.waiting, now, out);
    }

    fn serve_waiting(&mut self, waiting: VecDeque<Envelope>, now: Now, out: &mut Outbox) {
        for mail in waiting {
            self.serve(mail, now, out);
        }
    }

    fn on_returned(&mut self, thread: Thread, fault: Fault, now: Now, out: &mut Outbox) {
        match self.asks.close(thread) {
            Some(ask) => self.failed(ask, fault, now, out),
            None => debug!(what = %fault.what, "late fault"),
        }
    }

    fn failed(&mut self, ask: Ask, fault: Fault, now: Now, out: &mut Outbox) {
        match ask {
            Ask::Load => self.load_failed(now),
            Ask::Keep(write) => self.keep_failed(*write, fault, now, out),
        }
    }

    /// Ends what is due. An address-of-record with a change on its way is stored by that change.
    fn expire(&mut self, now: Now, out: &mut Outbox) {
        while let Some(aor) = self.shelf.pop_due(now_ms(now)) {
            let Some(record) = self.shelf.get(&aor) else {
                continue;
            };
            let mut contents = record.contents();
            // The alarm of a binding that was refreshed since says nothing: what has ended ends with its own.
            let due_ms = contents.earliest_ms();
            if due_ms.is_none_or(|due_ms| due_ms.div_ceil(1_000).saturating_mul(1_000) > now_ms(now)) {
                let record = record.clone();
                self.shelf.put(record, due_ms);
                continue;
            }
            let ended = contents.prune(now);
            let bindings = if ended { contents.bindings(now) } else { Vec::new() };
            let packed = (!contents.is_empty()).then(|| (Record::pack(&aor, &contents), contents.earliest_ms()));
            self.touch(&aor);
            match packed {
                Some((record, due_ms)) => self.shelf.put(record, due_ms),
                None => self.shelf.remove(&aor),
            }
            if ended {
                self.counts.expired += 1;
                if self.write_of(&aor).is_none() {
                    let stored = StoredBindings { aor, bindings };
                    out.post(self.home.store(), Letter::KeepBindings(Box::new(stored)));
                }
            }
        }
    }

    fn put(&mut self, record: Record, now: Now) {
        let mut contents = record.contents();
        // What has ended meanwhile is ended by its alarm, which tells the store.
        let due_ms = contents.earliest_ms();
        contents.prune(now);
        match contents.is_empty() {
            true => self.shelf.remove(record.aor()),
            false => self.shelf.put(record, due_ms),
        }
    }

    fn has_room(&self, aor: &str) -> bool {
        self.shelf.len() < self.settings.records_max as usize || self.shelf.get(aor).is_some()
    }

    fn write_of(&mut self, aor: &str) -> Option<&mut Write> {
        self.asks.purposes_mut().find_map(|ask| match ask {
            Ask::Keep(write) if write.record.aor() == aor => Some(write.as_mut()),
            _ => None,
        })
    }

    fn rules(&self, now: Now) -> Rules {
        Rules {
            now,
            contacts_max: self.settings.contacts_max,
            evict_oldest: self.settings.evict_oldest,
            tombstone_ms: u64::from(self.settings.tombstone_s) * 1_000,
            secret: *self.home.secret(),
        }
    }

    fn describe(&self, now: Now) -> Description {
        let bindings: usize = self.shelf.records().map(|record| record.contents().bindings(now).len()).sum();
        let phase = match &self.phase {
            Phase::New => "new".to_owned(),
            Phase::Loading { queue, .. } => format!("loading, {} waiting", queue.len()),
            Phase::Open => "open".to_owned(),
        };
        let facts = [
            ("phase", phase),
            ("records", self.shelf.len().to_string()),
            ("bindings", bindings.to_string()),
            ("bytes", self.shelf.records().map(Record::bytes).sum::<usize>().to_string()),
            ("writes", self.asks.len().to_string()),
            ("changed", self.counts.changed.to_string()),
            ("refused", self.counts.refused.to_string()),
            ("located", self.counts.located.to_string()),
            ("expired", self.counts.expired.to_string()),
            ("faults", self.counts.faults.to_string()),
        ];
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Description::Machine { name: format!("location {}", self.shard), facts }
    }
}

impl Machine for Location {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        self.start(now, out);
        match &mail.letter {
            Letter::LoadedBindings(stored) => {
                let stored = Arc::clone(stored);
                if self.asks.close(mail.thread).is_some() {
                    self.on_loaded(&stored, now, out);
                }
            }
            Letter::Kept => self.on_kept(mail.thread, now, out),
            Letter::Returned(fault) => self.on_returned(mail.thread, fault.clone(), now, out),
            Letter::Describe => out.answer(&mail, Letter::Described(Box::new(self.describe(now)))),
            _ => match &mut self.phase {
                Phase::Open => self.serve(mail, now, out),
                Phase::Loading { queue, .. } if queue.len() < self.settings.queue_max as usize => queue.push_back(mail),
                _ => undeliverable(mail, Fault::new(FaultKind::Overload, "location is loading").retry(true), out),
            },
        }
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        self.start(now, out);
        while let Some((_, ask)) = self.asks.overdue(now.instant) {
            self.failed(ask, Fault::timeout("bindings store"), now, out);
        }
        let due = |retry: &Option<Instant>| retry.is_some_and(|at| at <= now.instant);
        if let Phase::Loading { retry, .. } = &mut self.phase
            && due(retry)
        {
            *retry = None;
            self.ask_load(now, out);
        }
        self.expire(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::New => Some(Instant::default()),
            Phase::Loading { retry, .. } => *retry,
            Phase::Open => None,
        };
        let ends = self.shelf.earliest_ms().map(|at_ms| Instant(at_ms * 1_000));
        [phase, self.asks.earliest(), ends].into_iter().flatten().min()
    }

    fn is_idle(&self) -> bool {
        false
    }

    fn waits_for(&self, thread: Thread) -> bool {
        self.asks.is_open(thread)
    }

    fn save(&mut self, all: bool, parts: &mut Vec<Part>) {
        self.write(all, parts);
    }
}

/// Most demands on one address-of-record that wait for a change of it to become durable, count.
const WAITING_MAX: usize = 16;

fn millis(milliseconds: u32) -> Duration {
    Duration::from_millis(u64::from(milliseconds))
}

mod save;

#[cfg(test)]
mod tests;
