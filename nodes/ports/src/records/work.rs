//! The thread of the records port: journal first, then answer, then export.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric::letters::record::{Record, RecordId};
use fabric::{Clock, Envelope, Fault, FaultKind, Letter, NodeId, Post, Thread};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::doubt::Doubts;
use super::export::Export;
use super::journal::{Entry, Journal};
use super::ledger::{Applied, Finished, Ledger, Lose, Origin, id_of};
use super::mirror::Copies;
use super::{Counters, Settings, cdr};
use crate::store::CdrSink;
use crate::worker::Groups;

pub(super) enum Command {
    Record(Box<Envelope>),
    /// The other chassis has answered.
    Copied(Thread, Copy),
    /// Look for copies that nobody has answered.
    Sweep,
    /// Tell other nodes what they lack, and say how much that is.
    Tell(oneshot::Sender<usize>),
    Stop(oneshot::Sender<()>),
}

/// What became of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    /// This node has it.
    At(NodeId),
    /// This node has recorded the end as its own.
    Owned(NodeId),
    /// It went nowhere.
    None,
}

pub(super) struct Recorder {
    settings: Settings,
    post: Arc<dyn Post>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    journal: Journal,
    ledger: Ledger,
    export: Export,
    copies: Copies,
    doubts: Doubts,
    /// Where the next look for what the standby lacks begins.
    owed_from: Option<RecordId>,
    starts_from: Option<RecordId>,
    /// Older journal files are needed until so many records are confirmed.
    older_until: Option<u64>,
    /// Last confirmation and sign of life.
    chores_at: Instant,
    /// Day of the last look for old files.
    day: String,
}

impl Recorder {
    /// Reads the journal, ends as lost what has no stop (outside a cluster), and begins a new file.
    pub fn open(
        settings: &Settings,
        post: Arc<dyn Post>,
        clock: Arc<dyn Clock>,
        sink: Option<CdrSink>,
        copies: Copies,
        counters: Arc<Counters>,
    ) -> io::Result<Recorder> {
        let found = Journal::read(&settings.journal_dir)?;
        if found.damaged_bytes > 0 {
            warn!(bytes = found.damaged_bytes, "unreadable places in the journal of call records");
        }
        let mut ledger = Ledger::new(settings.open_max, settings.remembered_max);
        let mut export = Export::new(&settings.cdr_dir, settings.csv, sink)?;
        let mut finished = Vec::new();
        let mut exported = std::collections::BTreeSet::new();
        let mut alive_ms = 0;
        let mut apply = |ledger: &mut Ledger, record: Record, origin: Origin| {
            if let Applied::Finished(done) = ledger.apply(record, origin) {
                finished.push(done);
            }
        };
        for entry in found.entries {
            match entry {
                Entry::Record(record) => {
                    alive_ms = alive_ms.max(moment(&record));
                    apply(&mut ledger, *record, Origin::default());
                }
                Entry::Taken(record, origin) => {
                    if origin.copy_of.is_none() {
                        alive_ms = alive_ms.max(moment(&record));
                    }
                    apply(&mut ledger, *record, origin);
                }
                Entry::Exported(ids) => {
                    exported.extend(ids.iter().copied());
                    ids.into_iter().for_each(|id| ledger.remember(id));
                }
                Entry::Alive(unix_ms) => alive_ms = alive_ms.max(unix_ms),
                Entry::Untold(id, stop) => ledger.owe(id, *stop),
            }
        }
        finished.retain(|done| !exported.contains(&done.id));
        counters.cdrs.add(finished.len() as u64);
        // The next owner of a call may have recorded its end too, if the copy did not get there.
        let mut doubts = Doubts::default();
        if copies.in_cluster() {
            let own;
            (own, finished) = finished.into_iter().partition(|done| !done.copy);
            own.into_iter().for_each(|done: Finished| doubts.add(done, true));
        }
        // In a cluster a call goes on at the other node: its stop is recorded there and told here.
        let lost = match copies.in_cluster() {
            true => {
                ledger.stale(alive_ms);
                Vec::new()
            }
            false => ledger.lose(Lose::All, alive_ms),
        };
        if !lost.is_empty() {
            info!(count = lost.len(), "calls that a restart ended");
        }
        counters.lost.add(lost.len() as u64);
        counters.open.set(ledger.open() as u64);
        counters.cdrs.add(lost.len() as u64);
        export.add(finished);
        export.add(lost);
        let journal = Journal::begin(&settings.journal_dir, &carried(&ledger, &export, &doubts))?;
        let older_until = Some(export.taken());
        let mut recorder = Recorder {
            journal,
            older_until,
            settings: settings.clone(),
            post,
            clock,
            counters,
            ledger,
            export,
            copies,
            doubts,
            owed_from: None,
            starts_from: None,
            chores_at: Instant::now(),
            day: String::new(),
        };
        recorder.chores();
        Ok(recorder)
    }

    fn record(&mut self, envelopes: Vec<Envelope>) {
        let mut origins = Vec::with_capacity(envelopes.len());
        for envelope in &envelopes {
            let Letter::Record(record) = &envelope.letter else { continue };
            let origin = Origin { copy_of: self.copies.copied_from(envelope), epoch: envelope.epoch.0 };
            self.journal.append_record(record, &origin);
            // Both chassis write at the same time.
            let thread = match origin.copy_of {
                None => self.copies.send(record, envelope.epoch, envelope.trace),
                Some(_) => None,
            };
            origins.push((origin, thread));
        }
        let written = self.journal.commit();
        if let Err(error) = &written {
            self.counters.failures.one();
            error!(%error, "journal of call records");
        }
        for (mut envelope, (origin, thread)) in envelopes.into_iter().zip(origins) {
            let Letter::Record(record) = std::mem::replace(&mut envelope.letter, Letter::Kept) else { continue };
            if written.is_err() {
                thread.and_then(|thread| self.copies.take(thread));
                let fault = Fault::new(FaultKind::Refused, "journal write").retry(true);
                self.answer(&envelope, Letter::Returned(fault));
                continue;
            }
            if !self.apply(*record, origin, thread.is_some()) {
                // The other node exports a record only if this one does not.
                self.answer(&envelope, Letter::Returned(Fault::new(FaultKind::Refused, "recorded here")));
                continue;
            }
            match (thread, origin.copy_of) {
                (Some(thread), _) => self.copies.hold(thread, envelope),
                (None, None) if self.copies.in_cluster() => {
                    self.counters.alone.one();
                    self.answer(&envelope, Letter::Kept);
                }
                (None, _) => self.answer(&envelope, Letter::Kept),
            }
        }
        let now_ms = self.clock.now().unix_ms;
        let lost = self.ledger.lose(Lose::Surplus, now_ms);
        self.lost(lost);
        self.write_export();
    }

    fn answer(&self, question: &Envelope, letter: Letter) {
        if question.thread != Thread::NONE {
            self.post.post(question.answer(letter));
        }
    }

    /// `false` when it is a copy of what is recorded here already.
    fn apply(&mut self, record: Record, origin: Origin, is_sent: bool) -> bool {
        self.counters.records.one();
        if origin.copy_of.is_some() {
            self.counters.copies.one();
        }
        match self.ledger.apply(record, origin) {
            Applied::Open => {}
            Applied::Repeated => self.counters.repeated.one(),
            Applied::Owned => {
                self.counters.repeated.one();
                return false;
            }
            Applied::Finished(done) => {
                if !done.copy {
                    self.counters.cdrs.one();
                    match (done.cdr.call_status.as_str(), done.cdr.call_code) {
                        ("ok", _) => self.counters.answered.one(),
                        (_, 408 | 500 | 503 | 504) => self.counters.ineffective.one(),
                        _ => {}
                    }
                }
                match is_sent {
                    true => self.doubts.add(done, false),
                    false => self.export.add([done]),
                }
            }
        }
        self.counters.open.set(self.ledger.open() as u64);
        true
    }

    fn lost(&mut self, lost: Vec<Finished>) {
        self.counters.lost.add(lost.len() as u64);
        self.export.add(lost);
    }

    /// The other chassis has a copy, or will not have one: whoever asked is answered.
    fn copied(&mut self, thread: Thread, copy: Copy) {
        let Some(waiting) = self.copies.take(thread) else { return };
        let settled = match copy {
            Copy::At(node) => {
                self.ledger.told(waiting.id, Some(node));
                if waiting.is_end { self.doubts.settle(&waiting.id) } else { None }
            }
            Copy::Owned(node) => {
                self.ledger.told(waiting.id, Some(node));
                self.doubts.concede(&waiting.id)
            }
            Copy::None => None,
        };
        self.export.add(settled);
        if let Some(question) = waiting.question {
            if copy == Copy::None {
                self.counters.alone.one();
            }
            self.answer(&question, Letter::Kept);
        }
    }

    fn sweep(&mut self) {
        for waiting in self.copies.overdue() {
            if let Some(question) = waiting.question {
                self.counters.alone.one();
                self.answer(&question, Letter::Kept);
            }
        }
    }

    fn write_export(&mut self) {
        if let Err(error) = self.export.write() {
            self.counters.failures.one();
            error!(%error, "call record files");
        }
    }

    /// What is due once a second: export again what failed, confirm, tell that we live, tell the standby what it lacks,
    /// rotate, delete old files.
    fn chores(&mut self) {
        self.chores_at = Instant::now();
        let now_ms = self.clock.now().unix_ms;
        if self.copies.in_cluster() {
            let old = self.ledger.lose_old(now_ms.saturating_sub(u64::from(self.settings.lost_after_s) * 1000));
            self.lost(old);
            let late = self.doubts.overdue(|id| self.copies.standby(id).is_none());
            self.export.add(late);
            self.tell();
        }
        self.write_export();
        if let Err(error) = self.keep_house(now_ms) {
            self.counters.failures.one();
            error!(%error, "journal of call records");
        }
    }

    /// Sends to the standby what it lacks: starts that it never saw, and ends of calls that were its own.
    fn tell(&mut self) {
        let owed = self.ledger.owed(self.owed_from, TOLD_MAX);
        self.owed_from = owed.last().filter(|_| owed.len() == TOLD_MAX).map(id_of);
        for record in &owed {
            self.copies.tell(record, 0);
        }
        for (record, epoch) in self.doubts.again(TOLD_MAX) {
            self.copies.tell(&record, epoch);
        }
        let standby = |id: &RecordId| self.copies.standby(id);
        let (starts, next) = self.ledger.unknown_starts(self.starts_from, TOLD_MAX, LOOKED_MAX, standby);
        self.starts_from = next;
        for (record, origin) in &starts {
            self.copies.tell(record, origin.epoch);
        }
    }

    /// What other nodes have yet to be told of, count: starts and ends of calls that they have now, and copies on their way.
    fn owes(&self) -> usize {
        let standby = |id: &RecordId| self.copies.standby(id);
        let ends = self.ledger.owed(None, usize::MAX).into_iter().map(|record| id_of(&record)).chain(self.doubts.ids());
        let ends = ends.filter(|id| standby(id).is_some()).count();
        ends + self.ledger.unknown_starts(None, usize::MAX, usize::MAX, standby).0.len()
    }

    fn keep_house(&mut self, now_ms: u64) -> io::Result<()> {
        for entry in self.export.confirm()? {
            self.journal.append(&entry);
        }
        if self.ledger.open() > 0 {
            self.journal.append(&Entry::Alive(now_ms));
        }
        self.journal.write()?;
        if self.older_until.is_some_and(|taken| self.export.confirmed() >= taken) && !self.doubts.is_found() {
            self.journal.drop_older()?;
            self.older_until = None;
        }
        if self.older_until.is_none() && self.journal.length() > self.settings.journal_bytes_max {
            let carried = carried(&self.ledger, &self.export, &self.doubts);
            self.journal = Journal::begin(&self.settings.journal_dir, &carried)?;
            self.older_until = Some(self.export.taken());
        }
        let day = cdr::day_of(now_ms);
        if self.settings.file_days_max > 0 && self.day != day {
            let kept_ms = u64::from(self.settings.file_days_max) * 86_400_000;
            let removed = self.export.files().remove_before(&cdr::day_of(now_ms.saturating_sub(kept_ms)))?;
            info!(removed, "old call record files");
            self.day = day;
        }
        Ok(())
    }
}

impl Groups<Command> for Recorder {
    fn group(&mut self, group: Vec<Command>) -> bool {
        let mut envelopes = Vec::with_capacity(group.len());
        let mut copied = Vec::new();
        let (mut stop, mut asked) = (None, Vec::new());
        for command in group {
            match command {
                Command::Record(envelope) => envelopes.push(*envelope),
                Command::Copied(thread, copy) => copied.push((thread, copy)),
                Command::Sweep => {}
                Command::Tell(asker) => asked.push(asker),
                Command::Stop(done) => stop = Some(done),
            }
        }
        let is_copied = !copied.is_empty();
        for (thread, copy) in copied {
            self.copied(thread, copy);
        }
        if is_copied && envelopes.is_empty() {
            self.write_export();
        }
        if !envelopes.is_empty() {
            self.record(envelopes);
        }
        self.sweep();
        if !asked.is_empty() {
            self.tell();
        }
        for asker in asked {
            let _ = asker.send(self.owes());
        }
        if stop.is_some() || self.chores_at.elapsed() >= CHORES_EVERY {
            self.chores();
        }
        match stop {
            Some(done) => {
                let _ = done.send(());
                false
            }
            None => true,
        }
    }

    fn tick(&mut self) {
        self.sweep();
        self.chores();
    }
}

/// What a new journal file begins with.
fn carried(ledger: &Ledger, export: &Export, doubts: &Doubts) -> Vec<Entry> {
    let mut pending = export.pending();
    pending.extend(doubts.ids());
    let mut entries = ledger.carried(&pending);
    entries.extend(doubts.carried());
    entries
}

/// The latest moment that a record speaks of.
fn moment(record: &Record) -> u64 {
    match record {
        Record::Start(parties) => parties.start_ms,
        Record::Stop { stop, .. } | Record::Attempt { stop, .. } => stop.end_ms,
    }
}

const CHORES_EVERY: Duration = Duration::from_secs(1);

/// Records that are told to the standby again a second, count; and open calls that are looked at for it.
const TOLD_MAX: usize = 1000;
const LOOKED_MAX: usize = 20_000;
