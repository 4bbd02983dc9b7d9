//! The store's two threads: the one that writes in groups, and the one that reads for listings.

use std::collections::BTreeSet;
use std::sync::Arc;

use fabric::letters::control::ControlAnswer;
use fabric::{Clock, Envelope, Fault, FaultKind, Home, Letter, Post, Thread};
use rusqlite::Connection;
use tokio::sync::oneshot;
use tracing::{error, info};

use super::bindings::Bindings;
use super::change::{Change, Kind};
use super::cql::Behind;
use super::directory::SharedDirectory;
use super::{Counters, ProvisionError, Settings, cdrs, stamp};
use crate::worker::Groups;

/// What the writing thread can be told.
pub(crate) enum Command {
    /// `KeepBindings`, answered by `Kept` after the commit.
    Keep(Envelope),
    /// `LoadBindings`, answered by `LoadedBindings`; with what the central store has: address-of-record, bytes, stamp.
    Load(Envelope, Vec<(String, Vec<u8>, i64)>),
    /// `Control::Reload`.
    Reload(Envelope),
    /// A provisioning function.
    Job(Job),
    /// Commit, fold the log away and end.
    Stop(oneshot::Sender<()>),
}

/// A provisioning function: works inside a savepoint of the group's transaction and says whether its changes stay; what
/// it returns is told the outcome of the commit.
pub(crate) type Job = Box<dyn FnOnce(&mut Work<'_>) -> (bool, Outcome) + Send>;
pub(crate) type Outcome = Box<dyn FnOnce(Option<ProvisionError>) + Send>;

/// What a job works with.
pub(crate) struct Work<'a> {
    pub db: &'a Connection,
    /// Milliseconds since 1970.
    pub now_ms: u64,
    touched: Vec<Touched>,
    changed: BTreeSet<(Kind, u64)>,
}

/// What the directory must read anew after the commit.
pub(super) enum Touched {
    Domain(u64),
    DomainGone(String),
    Subscriber(u64),
    /// An address-of-record has lost its bindings with the row of this number.
    Unbound(String, i64),
}

impl<'a> Work<'a> {
    pub(super) fn new(db: &'a Connection, now_ms: u64) -> Work<'a> {
        Work { db, now_ms, touched: Vec::new(), changed: BTreeSet::new() }
    }

    pub(super) fn touch(&mut self, touched: Touched) {
        self.touched.push(touched);
    }

    /// Notes what the central store must learn.
    pub(super) fn changed(&mut self, kind: Kind, id: u64) {
        self.changed.insert((kind, id));
    }

    /// What has changed so far.
    pub(super) fn change(&self) -> rusqlite::Result<Change> {
        Change::read(self.db, &self.changed)
    }
}

pub(super) struct Writer {
    db: Connection,
    directory: SharedDirectory,
    bindings: Bindings,
    post: Arc<dyn Post>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    cdr_days_max: u32,
    central: Option<Arc<Behind>>,
    /// Next look for call records that are too old, milliseconds since 1970.
    prune_ms: u64,
}

impl Writer {
    pub fn new(
        db: Connection,
        settings: &Settings,
        directory: SharedDirectory,
        post: Arc<dyn Post>,
        home: Home,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        central: Option<Arc<Behind>>,
    ) -> rusqlite::Result<Writer> {
        let bindings = Bindings::open(&db, home, settings.queue_max)?;
        let cdr_days_max = settings.cdr_days_max;
        Ok(Writer { db, directory, bindings, post, clock, counters, cdr_days_max, central, prune_ms: 0 })
    }

    fn work(&mut self, group: Vec<Command>) -> Option<oneshot::Sender<()>> {
        let now_ms = self.clock.now().unix_ms;
        let (mut keeps, mut loads, mut reloads, mut jobs, mut stop) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), None);
        for command in group {
            match command {
                Command::Keep(mut envelope) => {
                    let letter = std::mem::replace(&mut envelope.letter, Letter::Kept);
                    if let Letter::KeepBindings(state) = letter {
                        let stamp = stamp::of(envelope.epoch.0, now_ms);
                        if let Some(central) = &self.central {
                            central.keep(&state, envelope.epoch);
                        }
                        self.bindings.keep(*state, stamp);
                        keeps.push(envelope);
                    }
                }
                Command::Load(envelope, central) => loads.push((envelope, central)),
                Command::Reload(envelope) => reloads.push(envelope),
                Command::Job(job) => jobs.push(job),
                Command::Stop(done) => stop = Some(done),
            }
        }
        if !self.bindings.is_clean() || !jobs.is_empty() {
            self.commit(keeps, jobs, now_ms);
        }
        for (envelope, central) in loads {
            self.load(envelope, central, now_ms);
        }
        for envelope in reloads {
            let answer = match self.directory.load(&self.db) {
                Ok(()) => ControlAnswer::Done,
                Err(error) => ControlAnswer::Refused(error.to_string()),
            };
            self.post.post(envelope.answer(Letter::ControlAnswer(Box::new(answer))));
        }
        stop
    }

    /// One transaction for everything; bindings that could not be written stay for the next.
    fn commit(&mut self, keeps: Vec<Envelope>, jobs: Vec<Job>, now_ms: u64) {
        let mut outcomes = Vec::with_capacity(jobs.len());
        let mut touched = Vec::new();
        let written = self.transact(jobs, now_ms, &mut outcomes, &mut touched);
        match &written {
            Ok(count) => {
                self.counters.commits.one();
                self.counters.bindings_written.add(*count as u64);
                self.bindings.written();
                self.refresh(touched);
            }
            Err(error) => {
                self.counters.failures.one();
                error!(%error, "store commit");
            }
        }
        for envelope in keeps {
            if envelope.thread == Thread::NONE {
                continue;
            }
            let letter = match &written {
                Ok(_) => Letter::Kept,
                Err(_) => Letter::Returned(Fault::new(FaultKind::Refused, "store commit").retry(true)),
            };
            self.post.post(envelope.answer(letter));
        }
        let failure = written.err().map(ProvisionError::from);
        for outcome in outcomes {
            outcome(failure.clone());
        }
    }

    fn transact(
        &mut self,
        jobs: Vec<Job>,
        now_ms: u64,
        outcomes: &mut Vec<Outcome>,
        touched: &mut Vec<Touched>,
    ) -> rusqlite::Result<usize> {
        let mut group = self.db.transaction()?;
        let count = self.bindings.write(&group, now_ms)?;
        for job in jobs {
            let step = group.savepoint()?;
            let mut work = Work::new(&step, now_ms);
            let (stays, outcome) = job(&mut work);
            let Work { touched: mut more, .. } = work;
            outcomes.push(outcome);
            // Dropping a savepoint rolls it back.
            if stays {
                step.commit()?;
                touched.append(&mut more);
            }
        }
        group.commit()?;
        Ok(count)
    }

    fn refresh(&mut self, touched: Vec<Touched>) {
        for thing in touched {
            let refreshed = match thing {
                Touched::Domain(id) => self.directory.refresh_domain(&self.db, id),
                Touched::Subscriber(id) => self.directory.refresh_subscriber(&self.db, id),
                Touched::Unbound(aor, seq) => {
                    self.bindings.added(&aor, seq);
                    Ok(())
                }
                Touched::DomainGone(domain) => {
                    self.directory.remove_domain(&domain);
                    Ok(())
                }
            };
            if let Err(error) = refreshed {
                self.counters.failures.one();
                error!(%error, "directory");
            }
        }
    }

    fn load(&mut self, envelope: Envelope, central: Vec<(String, Vec<u8>, i64)>, now_ms: u64) {
        let Letter::LoadBindings(shard, shards) = envelope.letter else { return };
        let letter = match self.bindings.merge(&self.db, (shard, shards), central, now_ms) {
            Ok(loaded) => Letter::LoadedBindings(loaded),
            Err(error) => {
                error!(%error, "load bindings");
                Letter::Returned(Fault::new(FaultKind::Refused, "load bindings").retry(true))
            }
        };
        self.post.post(envelope.answer(letter));
    }

    /// Deletes call records that are too old, some at a time.
    fn prune(&mut self) {
        let now_ms = self.clock.now().unix_ms;
        if self.cdr_days_max == 0 || now_ms < self.prune_ms {
            return;
        }
        self.prune_ms = now_ms + PRUNE_EVERY_MS;
        let before_ms = now_ms.saturating_sub(u64::from(self.cdr_days_max) * 86_400_000);
        match cdrs::prune(&self.db, before_ms) {
            Ok(0) => {}
            Ok(count) => info!(count, "old call records left the database"),
            Err(error) => error!(%error, "prune call records"),
        }
    }
}

impl Groups<Command> for Writer {
    fn group(&mut self, group: Vec<Command>) -> bool {
        match self.work(group) {
            None => true,
            Some(stopped) => {
                let folded = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
                if let Err(error) = folded {
                    error!(%error, "checkpoint");
                }
                let _ = stopped.send(());
                false
            }
        }
    }

    fn tick(&mut self) {
        if !self.bindings.is_clean() {
            let now_ms = self.clock.now().unix_ms;
            self.commit(Vec::new(), Vec::new(), now_ms);
        }
        self.bindings.forget_old_load();
        self.prune();
    }
}

/// What the reading thread can be told.
pub(crate) enum Reading {
    Job(Box<dyn FnOnce(&Connection) + Send>),
    Stop,
}

pub(super) struct Reader {
    db: Connection,
}

impl Reader {
    pub fn new(db: Connection) -> Reader {
        Reader { db }
    }
}

impl Groups<Reading> for Reader {
    fn group(&mut self, group: Vec<Reading>) -> bool {
        for reading in group {
            match reading {
                Reading::Job(job) => job(&self.db),
                Reading::Stop => return false,
            }
        }
        true
    }
}

/// Time between two looks for old call records, milliseconds.
const PRUNE_EVERY_MS: u64 = 60_000;
