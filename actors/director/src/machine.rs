//! The director as a machine: letters and ticks in, decisions out.

mod lead;
mod reload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fabric::letters::cluster::{Beat, Divides, Grant, Hearing, Order, Silences};
use fabric::letters::control::{Control, ControlAnswer, Description};
use fabric::{Address, Envelope, GroupId, Home, Instant, Letter, Machine, NodeId, Now, Outbox, Table, Thread};
use tracing::{debug, info, warn};

use crate::council::Council;
use crate::history::History;
use crate::orders::Pending;
use crate::settings::Settings;
use crate::state::{Decided, Plan};
use crate::voter::{Decision, Out, Voter};
use crate::watch::Watch;
use lead::Counters;

/// One voter of the group that decides who owns what.
pub struct Director {
    me: NodeId,
    secret: [u8; 16],
    boot: u64,
    settings: Arc<Settings>,
    plan: Plan,
    /// `None` until the journal has been read.
    voter: Option<Voter>,
    read_again: Instant,
    decided: Decided,
    table: Arc<Table>,
    watch: Watch,
    history: History,
    /// Where the nodes' beats come from.
    offices: BTreeMap<NodeId, Address>,
    next_tick: Instant,
    next_report: Instant,
    awake: Instant,
    started: bool,

    // Only while this voter leads.
    council: Council,
    leading: Option<Leading>,
    /// Term of a proposal that is not decided yet.
    proposed: Option<u64>,
    /// Something has changed that a decision may depend on.
    dirty: bool,
    orders: Vec<Pending>,
    /// Successors that active nodes were asked to yield to, and since when.
    asked: BTreeMap<GroupId, (NodeId, Instant)>,
    cancelled: BTreeSet<GroupId>,
    paused: BTreeMap<GroupId, Instant>,
    /// When each node that is down was last seen without a way that it needs.
    unfit: BTreeMap<NodeId, Instant>,
    /// Since when nodes that need each other are apart.
    divided: Option<Instant>,
    counters: Counters,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Leading {
    term: u64,
    since: Instant,
}

impl Director {
    /// The director of this node; `boot` differs after each start of the process. Reads its journal first.
    pub fn new(home: &Home, settings: Arc<Settings>, boot: u64) -> Director {
        Director {
            me: home.node,
            secret: *home.secret(),
            boot,
            plan: Plan::of(&settings),
            voter: None,
            read_again: Instant(0),
            decided: Decided::default(),
            table: Arc::default(),
            watch: Watch::new(Instant(0), settings.silence()),
            history: History::default(),
            offices: BTreeMap::new(),
            next_tick: Instant(0),
            next_report: Instant(0),
            awake: Instant(0),
            started: false,
            council: Council::default(),
            leading: None,
            proposed: None,
            dirty: false,
            orders: Vec::new(),
            asked: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            paused: BTreeMap::new(),
            unfit: BTreeMap::new(),
            divided: None,
            counters: Counters::default(),
            settings,
        }
    }

    /// What has been decided, as this director knows it.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Whether this director leads and knows all that was decided.
    pub fn is_leader(&self) -> bool {
        self.voter.as_ref().is_some_and(Voter::is_settled)
    }

    /// A director that slept cannot tell who was silent meanwhile.
    fn notice_gap(&mut self, now: Instant) {
        if !self.started || now.since(self.awake) > ms(self.settings.gap_ms) {
            self.watch.on_gap(now);
            self.council.forget();
            if let Some(leading) = &mut self.leading {
                leading.since = now;
            }
            (self.next_tick, self.next_report, self.started) = (now, now, true);
        }
        self.awake = now;
    }

    fn on_journal(&mut self, entries: Vec<fabric::letters::cluster::JournalEntry>) {
        if self.voter.is_some() {
            return;
        }
        let (wait, entries_max) = (ms(self.settings.journal_ms), self.settings.log_entries_max);
        let first = Thread(self.boot << 20);
        let (voter, decisions) =
            Voter::new(self.me, &self.settings.voters, self.secret, first, entries, wait, entries_max);
        self.voter = Some(voter);
        for decision in decisions {
            self.apply(decision);
        }
        self.table = Arc::new(self.decided.table.clone());
        info!(version = self.decided.version(), "the directors' journal is read");
    }

    fn on_beat(&mut self, mail: &Envelope, beat: Beat, now: Instant, out: &mut Outbox) {
        let node = beat.node;
        if mail.from.node() != Some(node) || !(self.decided.is_member(node) || self.settings.chassis(node).is_some()) {
            return;
        }
        self.offices.insert(node, mail.from);
        let grant = |granted| Grant { director: self.me, boot: beat.boot, sent: beat.sent, granted };
        let is_old = beat.version < self.decided.version();
        let grants = self.watch.grants(&beat, &self.decided);
        let answer = Letter::Grant(Box::new(grant(grants)));
        self.counters.beats += 1;
        self.counters.granted += u64::from(grants);
        if grants {
            self.watch.on_granted(&beat, now);
        }
        let news = self.watch.on_beat(beat, &self.decided, now);
        self.dirty |= news.any;
        if news.for_leader {
            self.next_report = now;
        }
        // First the table: a node that is granted a lease knows what for.
        if is_old {
            self.send_table(node, out);
        }
        out.post(mail.from, answer);
    }

    fn on_hearing(&mut self, mail: &Envelope, hearing: Hearing) {
        if mail.from.node() == Some(hearing.node) && self.settings.chassis(hearing.node).is_some() {
            self.watch.on_hearing(hearing);
        }
    }

    fn on_divides(&mut self, mail: &Envelope, divides: Divides) {
        let from = divides.director;
        if mail.from == Address::Director(from) && from != self.me && self.settings.voters.contains(&from) {
            self.council.on_divides(divides);
        }
    }

    /// Tells a node who owns what.
    fn send_table(&self, node: NodeId, out: &mut Outbox) {
        if let Some(office) = self.offices.get(&node).filter(|_| self.decided.version() > 0) {
            out.post(*office, Letter::Table(Arc::clone(&self.table)));
        }
    }

    fn on_silences(&mut self, mail: &Envelope, silences: Silences, now: Instant) {
        let from = silences.director;
        let Some(voter) = self.voter.as_mut() else { return };
        if mail.from != Address::Director(from) || from == self.me || !self.settings.voters.contains(&from) {
            return;
        }
        voter.on_company();
        match silences.answer {
            Some(version) => {
                if voter.leader() == Some(from) && silences.term == voter.term() && silences.boot == self.boot {
                    self.watch.on_pardon(&silences, version);
                }
            }
            None => {
                voter.on_fresh(from, silences.fresh);
                if silences.term == voter.term() && voter.is_leader() {
                    self.dirty |= self.council.on_report(silences, now);
                }
            }
        }
    }

    fn report(&mut self, now: Instant, out: &mut Outbox) {
        self.next_report = now + ms(self.settings.beat_ms);
        let Some(voter) = &self.voter else { return };
        let report = Silences {
            director: self.me,
            boot: self.boot,
            term: voter.term(),
            fresh: voter.is_fresh(),
            settings: self.plan.sum,
            ..self.watch.report(&self.decided, now)
        };
        let divides =
            Divides { director: self.me, boot: self.boot, term: report.term, ..self.watch.divides(&self.decided, now) };
        if voter.is_leader() {
            self.council.on_divides(divides);
            self.council.on_report(report, now);
            self.dirty = true;
            return;
        }
        let leader = voter.leader().filter(|_| !report.fresh);
        for other in self.settings.voters.iter().filter(|other| **other != self.me) {
            if leader.is_none_or(|leader| leader == *other) {
                if !(divides.apart.is_empty() && divides.resting.is_empty() && divides.idle.is_empty()) {
                    out.post(Address::Director(*other), Letter::Divides(Box::new(divides.clone())));
                }
                out.post(Address::Director(*other), Letter::Silences(Box::new(report.clone())));
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        let tick = ms(self.settings.tick_ms);
        self.next_tick = match self.next_tick + tick > now {
            true => self.next_tick + tick,
            false => now + tick,
        };
        // A division waits for its moment.
        self.dirty |= self.divided.is_some();
        if self.watch.on_time(&self.decided, now) {
            self.next_report = now;
        }
        if let Some(voter) = &mut self.voter {
            voter.tick();
        }
    }

    fn apply(&mut self, decision: Decision) {
        let next = match decision {
            Decision::Entry { term, data } => {
                if self.proposed == Some(term) {
                    self.proposed = None;
                }
                self.decided.after(&data)
            }
            // An older one than is known comes from a log that is read again.
            Decision::State(data) => {
                postcard::from_bytes(&data).ok().filter(|state: &Decided| state.version() > self.decided.version())
            }
        };
        let Some(next) = next else { return };
        let watch = &self.watch;
        let leaving = |node| watch.node(node).is_some_and(|heard| heard.leaving);
        self.history.on_decided(&self.decided, &next, leaving, self.awake);
        self.decided = next;
    }

    /// Takes what Raft has ready, decides if this voter leads, and again, until nothing more follows.
    fn run(&mut self, now: Instant, out: &mut Outbox) {
        let version = self.decided.version();
        let Some(voter) = self.voter.as_ref() else { return };
        let before = (voter.leader(), voter.term());
        loop {
            let mut raft = Out::default();
            let Some(voter) = self.voter.as_mut() else { return };
            voter.drive(now, &mut raft);
            self.send(raft, out);
            self.follow_leadership(now);
            if !self.lead(now) {
                break;
            }
        }
        self.compact();
        if self.voter.as_ref().is_some_and(|voter| (voter.leader(), voter.term()) != before) {
            self.next_report = now;
        }
        self.answer_reports(out);
        if self.decided.version() != version {
            self.on_decided(now, out);
        }
        self.answer_orders(now, out);
    }

    fn send(&mut self, raft: Out, out: &mut Outbox) {
        for (to, bytes) in raft.messages {
            out.post(Address::Director(to), Letter::Raft(bytes));
        }
        if let Some((thread, entries)) = raft.write {
            out.ask(Address::Journal(self.me), thread, Letter::JournalWrite(entries));
        }
        for decision in raft.decided {
            self.apply(decision);
        }
    }

    fn compact(&mut self) {
        let decided = &self.decided;
        if let Some(voter) = &mut self.voter {
            voter.compact(|| postcard::to_allocvec(decided).expect("the state has no unserialisable part"));
        }
    }

    fn on_decided(&mut self, now: Instant, out: &mut Outbox) {
        if self.table.warning != self.decided.table.warning {
            warn!(warning = self.decided.table.warning, "what operators are told has changed");
        }
        self.table = Arc::new(self.decided.table.clone());
        debug!(version = self.decided.version(), "decided");
        self.watch.trim(&self.decided);
        let nodes: Vec<NodeId> = self.offices.keys().copied().collect();
        for node in nodes {
            if !self.decided.is_member(node) {
                self.offices.remove(&node);
            } else if self.watch.unheard(node, now) < self.settings.silence() {
                self.send_table(node, out);
            }
        }
        self.follow_hand_overs(now);
        self.dirty = true;
    }

    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let fact = |name: &str, value: String| (name.to_owned(), value);
        let voter = self.voter.as_ref();
        let silent = self.decided.table.members.iter().map(|member| member.node);
        let silent = silent.filter(|node| self.watch.unheard(*node, self.awake) >= self.settings.silence());
        let members = self.decided.table.members.iter().filter(|member| !member.up);
        vec![
            fact("role", voter.map_or("reading its journal", Voter::role).to_owned()),
            fact("leader", voter.and_then(Voter::leader).map_or("none".to_owned(), |node| node.0.to_string())),
            fact("term", voter.map_or(0, Voter::term).to_string()),
            fact("version", self.decided.version().to_string()),
            fact("voters", names(self.settings.voters.iter().copied())),
            fact("silent here", names(silent)),
            fact("down", names(members.map(|member| member.node))),
            fact("warning", self.decided.table.warning.clone()),
            fact("beats", self.counters.beats.to_string()),
            fact("granted", self.counters.granted.to_string()),
            fact("take-overs", self.counters.take_overs.to_string()),
            fact("cold starts", self.counters.cold_starts.to_string()),
            fact("hand-overs", self.counters.hand_overs.to_string()),
            fact("shut-outs", self.counters.shut_outs.to_string()),
        ]
    }
}

impl Machine for Director {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        let now = now.instant;
        self.notice_gap(now);
        // A companion of the letter that follows: nothing is decided between the two.
        match &mail.letter {
            Letter::Hearing(hearing) => return self.on_hearing(&mail, (**hearing).clone()),
            Letter::Divides(divides) => return self.on_divides(&mail, (**divides).clone()),
            _ => {}
        }
        match (&mail.letter, mail.from) {
            (Letter::JournalEntries(entries), Address::Journal(_)) => self.on_journal(entries.clone()),
            (Letter::Kept, Address::Journal(_)) => {
                let mut raft = Out::default();
                if let Some(voter) = &mut self.voter {
                    voter.on_kept(mail.thread, &mut raft);
                }
                self.send(raft, out);
            }
            (Letter::Returned(_), _) => {
                if let Some(voter) = &mut self.voter {
                    voter.on_refused(mail.thread, now);
                }
            }
            (Letter::Raft(bytes), Address::Director(from)) => {
                if let Some(voter) = &mut self.voter {
                    voter.on_company();
                    voter.step(from, bytes);
                }
            }
            (Letter::Beat(beat), _) => self.on_beat(&mail, (**beat).clone(), now, out),
            (Letter::Silences(silences), _) => self.on_silences(&mail, (**silences).clone(), now),
            (Letter::Order(order), _) => self.on_order(&mail, (**order).clone(), now, out),
            (Letter::Control(control), _) => match &**control {
                Control::Members(members) => self.on_members(&mail, members, now, out),
                _ => out.answer(&mail, refused("a director does not do that")),
            },
            (Letter::Describe, _) => {
                let described = Description::Machine { name: "director".to_owned(), facts: self.facts() };
                out.answer(&mail, Letter::Described(Box::new(described)));
            }
            _ => debug!(kind = mail.letter.kind(), "a letter that is not for a director"),
        }
        self.run(now, out);
        if self.voter.is_some() && self.next_report <= now {
            self.report(now, out);
            self.run(now, out);
        }
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        let now = now.instant;
        self.notice_gap(now);
        if self.voter.is_none() && self.read_again <= now {
            self.read_again = now + ms(self.settings.journal_ms);
            out.ask(Address::Journal(self.me), READ, Letter::JournalRead);
        }
        if self.next_tick <= now {
            self.tick(now);
        }
        self.run(now, out);
        if self.next_report <= now {
            self.report(now, out);
            self.run(now, out);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(match &self.voter {
            None => self.read_again,
            Some(_) => self.next_tick.min(self.next_report),
        })
    }

    fn is_idle(&self) -> bool {
        false
    }
}

fn names(nodes: impl Iterator<Item = NodeId>) -> String {
    nodes.map(|node| node.0.to_string()).collect::<Vec<_>>().join(" ")
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

fn refused(why: impl Into<String>) -> Letter {
    Letter::ControlAnswer(Box::new(ControlAnswer::Refused(why.into())))
}

/// Whether an order may be passed on once more: two directors that hold each other for the leader end here.
fn may_forward(mail: &Envelope) -> bool {
    mail.hops < 8
}

fn is_force(order: &Order) -> bool {
    matches!(order, Order::Force { .. })
}

/// The thread of the first reading.
const READ: Thread = Thread(1);
