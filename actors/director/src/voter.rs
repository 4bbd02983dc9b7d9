//! One voter: TiKV's `raft` with its log, and the journal that has to keep what Raft promises.
//!
//! What must not be said before it is on disk waits here until the journal says `Kept`. One write is at the journal at a
//! time; what comes meanwhile goes with the next.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use fabric::hash::hash64;
use fabric::letters::cluster::JournalEntry;
use fabric::{Instant, NodeId, Thread};
use prost::Message as _;
use raft::eraftpb::{Entry, Message, MessageType};
use raft::{Config, RawNode, StateRole};

use crate::log::{Log, written_entry, written_hard};

pub(crate) struct Voter {
    me: NodeId,
    voters: Vec<NodeId>,
    secret: [u8; 16],
    raw: RawNode<Log>,
    queue: VecDeque<Batch>,
    flight: Option<Flight>,
    threads: u64,
    journal: Duration,
    entries_max: u64,
    /// May vote: its journal was not empty, or a leader has brought it up to date, or all voters are new.
    joined: bool,
    /// Highest commit index that a leader has spoken of.
    spoken: u64,
    /// Other voters whose journals are empty too.
    fresh: BTreeSet<NodeId>,
    /// The other one of two voters was declared dead by an operator.
    alone: bool,
    /// Election timeout of a term, ticks.
    drawn: (u64, usize),
}

/// What one Ready wants kept, and the messages that wait for it.
struct Batch {
    number: u64,
    /// A state in the place of the log: Raft may count it as applied once it is on disk.
    restores: bool,
    write: Vec<JournalEntry>,
    messages: Vec<Message>,
}

/// A write that the journal has.
struct Flight {
    thread: Thread,
    deadline: Instant,
    batches: Vec<Batch>,
}

/// What came out of Raft.
#[derive(Default)]
pub(crate) struct Out {
    pub messages: Vec<(NodeId, bytes::Bytes)>,
    pub write: Option<(Thread, Vec<JournalEntry>)>,
    pub decided: Vec<Decision>,
}

/// What the voters have agreed on, in their order.
pub(crate) enum Decision {
    /// A proposal and the term it was made in.
    Entry { term: u64, data: Vec<u8> },
    /// The whole state.
    State(Vec<u8>),
}

impl Voter {
    /// The voter that this journal describes, and the state it had.
    pub fn new(
        me: NodeId,
        voters: &[NodeId],
        secret: [u8; 16],
        first: Thread,
        journal: Vec<JournalEntry>,
        wait: Duration,
        entries_max: u32,
    ) -> (Voter, Vec<Decision>) {
        let ids: Vec<u64> = voters.iter().map(|voter| id(*voter)).collect();
        let log = Log::read(&ids, journal);
        let joined = !log.is_empty() || log.hard.term > 0 || voters == [me] || fabric::mutant!(JournalTrusted);
        let state = log.snapshot.data.clone();
        let decisions = if state.is_empty() { Vec::new() } else { vec![Decision::State(state)] };
        let mut voter = Voter {
            me,
            voters: voters.to_vec(),
            secret,
            raw: start(me, log),
            queue: VecDeque::new(),
            flight: None,
            threads: first.0,
            journal: wait,
            entries_max: u64::from(entries_max),
            joined,
            spoken: 0,
            fresh: BTreeSet::new(),
            alone: false,
            drawn: (0, 0),
        };
        voter.draw();
        (voter, decisions)
    }

    pub fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// Leads, and has decided something in its own term: so it knows all that was decided before.
    pub fn is_settled(&self) -> bool {
        let raft = &self.raw.raft;
        if fabric::mutant!(ProposalStale) {
            return self.is_leader();
        }
        self.is_leader() && raft.raft_log.term(raft.raft_log.applied).is_ok_and(|term| term == raft.term)
    }

    pub fn leader(&self) -> Option<NodeId> {
        let leader = self.raw.raft.leader_id;
        self.voters.iter().copied().find(|voter| id(*voter) == leader)
    }

    pub fn term(&self) -> u64 {
        self.raw.raft.term
    }

    /// Has never known anything, and nobody has told it yet.
    pub fn is_fresh(&self) -> bool {
        self.raw.raft.raft_log.last_index() == 0
    }

    /// How many voters a decision takes.
    pub fn majority(&self) -> usize {
        if self.alone { 1 } else { self.voters.len() / 2 + 1 }
    }

    pub fn role(&self) -> &'static str {
        match self.raw.raft.state {
            _ if !self.joined => "joining",
            _ if self.alone => "alone",
            StateRole::Leader => "leader",
            StateRole::Follower => "follower",
            StateRole::Candidate => "candidate",
            StateRole::PreCandidate => "pre-candidate",
        }
    }

    pub fn tick(&mut self) {
        // Who does not know what it promised before its journal was lost asks nobody for a vote.
        if self.joined {
            self.raw.tick();
            self.draw();
        }
    }

    /// A message of another voter. What Raft would not survive is left out: peers are trusted, their disks are not.
    pub fn step(&mut self, from: NodeId, bytes: &[u8]) {
        let Ok(mut message) = Message::decode(bytes) else { return };
        if message.from != id(from) || message.to != id(self.me) || !self.voters.contains(&from) || from == self.me {
            return;
        }
        match message.get_msg_type() {
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote if !self.joined => return,
            MessageType::MsgHeartbeat => message.commit = message.commit.min(self.raw.raft.raft_log.last_index()),
            MessageType::MsgAppend => self.spoken = self.spoken.max(message.commit),
            MessageType::MsgSnapshot => self.spoken = self.spoken.max(message.get_snapshot().get_metadata().index),
            MessageType::MsgPropose | MessageType::MsgTransferLeader | MessageType::MsgTimeoutNow => return,
            _ => {}
        }
        // An error says that the message came too late to matter.
        let _ = self.raw.step(message);
        self.draw();
    }

    /// Another voter says that it has lost (or never had) its journal, or that it has one.
    pub fn on_fresh(&mut self, from: NodeId, fresh: bool) {
        if !fresh {
            self.fresh.remove(&from);
            return;
        }
        self.fresh.insert(from);
        if !self.joined && self.is_fresh() && self.fresh.len() + 1 == self.voters.len() {
            self.joined = true;
        }
        // What it had acknowledged is gone: begin with it again.
        if let Some(progress) = self.raw.raft.mut_prs().get_mut(id(from))
            && progress.matched > 0
        {
            progress.matched = 0;
            progress.become_probe();
        }
    }

    /// Proposes a new state; `false` when this voter cannot.
    pub fn propose(&mut self, data: Vec<u8>) -> bool {
        self.is_leader() && self.raw.propose(Vec::new(), data).is_ok()
    }

    /// The journal has it.
    pub fn on_kept(&mut self, thread: Thread, out: &mut Out) {
        if self.flight.as_ref().is_none_or(|flight| flight.thread != thread) {
            return;
        }
        for batch in self.flight.take().into_iter().flat_map(|flight| flight.batches) {
            self.raw.on_persist_ready(batch.number);
            if batch.restores {
                self.raw.advance_apply();
            }
            send(&self.voters, batch.messages, out);
        }
    }

    /// The journal could not; it is asked again when the deadline comes.
    pub fn on_refused(&mut self, thread: Thread, now: Instant) {
        if let Some(flight) = self.flight.as_mut().filter(|flight| flight.thread == thread) {
            flight.deadline = flight.deadline.min(now + REFUSED);
        }
    }

    /// Takes everything out of Raft that is ready.
    pub fn drive(&mut self, now: Instant, out: &mut Out) {
        loop {
            while self.raw.has_ready() {
                self.take_ready(out);
            }
            if !self.write(now, out) {
                break;
            }
        }
        self.draw();
        let log = &self.raw.raft.raft_log;
        if self.spoken > 0 && log.committed >= self.spoken && log.persisted >= self.spoken {
            self.joined = true;
        }
    }

    fn take_ready(&mut self, out: &mut Out) {
        let mut ready = self.raw.ready();
        send(&self.voters, ready.take_messages(), out);
        let mut write = Vec::new();
        let restores = !ready.snapshot().is_empty();
        if restores {
            let snapshot = ready.snapshot().clone();
            out.decided.push(Decision::State(snapshot.data.clone()));
            self.raw.mut_store().restore(snapshot);
            write = self.raw.store().written();
        }
        write.extend(ready.entries().iter().map(written_entry));
        self.raw.mut_store().append(ready.take_entries());
        if let Some(hard) = ready.hs() {
            self.raw.mut_store().hard = hard.clone();
            write.push(written_hard(hard));
        }
        out.decided.extend(ready.take_committed_entries().into_iter().filter_map(decision));
        let (number, must_sync) = (ready.number(), ready.must_sync());
        let mut messages = ready.take_persisted_messages();
        if fabric::mutant!(SaidBeforeKept) {
            send(&self.voters, std::mem::take(&mut messages), out);
        }
        self.raw.advance_append_async(ready);
        if !restores && !self.is_restoring() {
            self.raw.advance_apply();
        }
        if must_sync || !self.queue.is_empty() || self.flight.is_some() {
            self.queue.push_back(Batch { number, restores, write, messages });
            return;
        }
        // A commit index alone need not be on disk before anything is said.
        self.raw.on_persist_ready(number);
        send(&self.voters, messages, out);
        if !write.is_empty() {
            self.queue.push_back(Batch { number: 0, restores: false, write, messages: Vec::new() });
        }
    }

    /// Whether a state that came in the place of the log is on its way to the disk: until it is there nothing counts as applied.
    fn is_restoring(&self) -> bool {
        let flying = self.flight.iter().flat_map(|flight| &flight.batches);
        self.queue.iter().chain(flying).any(|batch| batch.restores)
    }

    /// Forgets log entries when there are many: `state` is what they led to.
    pub fn compact(&mut self, state: impl FnOnce() -> Vec<u8>) {
        let applied = self.raw.raft.raft_log.applied;
        if applied - self.raw.store().snapshot_index() <= self.entries_max || applied > self.raw.store().last() {
            return;
        }
        let store = self.raw.mut_store();
        store.compact(applied, state());
        let write = store.written();
        // Number 0: no Ready waits for it.
        self.queue.push_back(Batch { number: 0, restores: false, write, messages: Vec::new() });
    }

    /// Gives the journal what waits for it; `true` when Raft may have more to say now.
    fn write(&mut self, now: Instant, out: &mut Out) -> bool {
        if let Some(flight) = &mut self.flight {
            if flight.deadline <= now {
                flight.deadline = now + self.journal;
                let again = flight.batches.iter().flat_map(|batch| batch.write.iter().cloned()).collect();
                out.write = Some((flight.thread, again));
            }
            return false;
        }
        if self.queue.is_empty() {
            return false;
        }
        if self.queue.iter().all(|batch| batch.write.is_empty()) {
            for batch in self.queue.drain(..) {
                self.raw.on_persist_ready(batch.number);
                send(&self.voters, batch.messages, out);
            }
            return true;
        }
        let batches: Vec<Batch> = self.queue.drain(..).collect();
        self.threads += 1;
        let thread = Thread(self.threads);
        out.write = Some((thread, batches.iter().flat_map(|batch| batch.write.iter().cloned()).collect()));
        self.flight = Some(Flight { thread, deadline: now + self.journal, batches });
        false
    }

    /// The other one of two voters is dead, says an operator: goes on alone. Everything in the log counts as decided, so
    /// that nothing is lost that the other one may have seen decided.
    pub fn go_alone(&mut self) {
        let mut log = self.raw.store().clone();
        log.set_voters(&[id(self.me)]);
        log.hard.commit = log.last();
        self.restart(log);
        self.alone = true;
        // Nobody else is asked, so this cannot fail.
        let _ = self.raw.campaign();
    }

    /// The other one of two voters speaks again.
    pub fn on_company(&mut self) {
        if self.alone {
            let mut log = self.raw.store().clone();
            log.set_voters(&self.voters.iter().map(|voter| id(*voter)).collect::<Vec<_>>());
            self.restart(log);
            self.alone = false;
        }
    }

    fn restart(&mut self, log: Log) {
        let write = log.written();
        self.raw = start(self.me, log);
        self.flight = None;
        self.queue.clear();
        self.queue.push_back(Batch { number: 0, restores: false, write, messages: Vec::new() });
        self.joined = true;
        self.draw();
    }

    /// The election timeout of this term. Raft draws it from the system's random source; ours depends on who votes and
    /// on the term only, and no two voters of a term have the same.
    fn draw(&mut self) {
        let term = self.raw.raft.term;
        if self.drawn.0 != term || self.drawn.1 == 0 {
            let weight =
                |voter: NodeId| hash64(&self.secret, &[b"election", &term.to_be_bytes(), &voter.0.to_be_bytes()]);
            let mine = (weight(self.me), self.me);
            let rank = self.voters.iter().filter(|voter| (weight(**voter), **voter) < mine).count();
            let step = if self.voters.len() > 3 { 2 } else { 4 };
            self.drawn = (term, (ELECTION_MIN + rank * step).min(ELECTION_MAX - 1));
        }
        self.raw.raft.set_randomized_election_timeout(self.drawn.1);
    }
}

fn start(me: NodeId, log: Log) -> RawNode<Log> {
    let config = Config {
        id: id(me),
        election_tick: ELECTION,
        heartbeat_tick: HEARTBEAT,
        min_election_tick: ELECTION_MIN,
        max_election_tick: ELECTION_MAX,
        applied: log.snapshot_index(),
        max_size_per_msg: MESSAGE_BYTES_MAX,
        max_inflight_msgs: 64,
        check_quorum: true,
        pre_vote: true,
        ..Config::default()
    };
    let quiet = slog::Logger::root(slog::Discard, slog::o!());
    RawNode::new(&config, log, &quiet).expect("the log was mended")
}

fn decision(entry: Entry) -> Option<Decision> {
    match entry.data.is_empty() {
        true => None,
        false => Some(Decision::Entry { term: entry.term, data: entry.data }),
    }
}

fn send(voters: &[NodeId], messages: Vec<Message>, out: &mut Out) {
    for message in messages {
        if let Some(to) = voters.iter().copied().find(|voter| id(*voter) == message.to) {
            out.messages.push((to, message.encode_to_vec().into()));
        }
    }
}

/// Raft's name of a voter; 0 means nobody there.
fn id(node: NodeId) -> u64 {
    u64::from(node.0) + 1
}

/// A leader says that it lives every so many ticks, and steps down after `ELECTION` without a majority.
const HEARTBEAT: usize = 2;
const ELECTION: usize = 10;

/// Ticks without a leader after which a voter asks for votes, from and below.
const ELECTION_MIN: usize = 12;
const ELECTION_MAX: usize = 25;

/// Entries sent in one message, bytes; a single larger one goes alone.
const MESSAGE_BYTES_MAX: u64 = 256 << 10;

/// Pause after a write that the journal refused.
const REFUSED: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
