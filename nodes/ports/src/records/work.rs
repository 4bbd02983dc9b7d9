//! The thread of the records port: journal first, then answer, then export.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric::letters::record::Record;
use fabric::{Clock, Envelope, Fault, FaultKind, Letter, Post, Thread};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::export::Export;
use super::journal::{Entry, Journal};
use super::ledger::{Applied, Ledger};
use super::{Counters, Settings, cdr};
use crate::store::CdrSink;
use crate::worker::Groups;

pub(super) enum Command {
    Record(Box<Envelope>),
    Stop(oneshot::Sender<()>),
}

pub(super) struct Recorder {
    settings: Settings,
    post: Arc<dyn Post>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    journal: Journal,
    ledger: Ledger,
    export: Export,
    /// Older journal files are needed until so many records are confirmed.
    older_until: Option<u64>,
    /// Last confirmation and sign of life.
    chores_at: Instant,
    /// Day of the last look for old files.
    day: String,
}

impl Recorder {
    /// Reads the journal, ends as lost what has no stop, and begins a new file.
    pub fn open(
        settings: &Settings,
        post: Arc<dyn Post>,
        clock: Arc<dyn Clock>,
        sink: Option<CdrSink>,
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
        for entry in found.entries {
            match entry {
                Entry::Record(record) => {
                    alive_ms = alive_ms.max(moment(&record));
                    if let Applied::Finished(id, cdr) = ledger.apply(*record) {
                        finished.push((id, cdr));
                    }
                }
                Entry::Exported(ids) => {
                    exported.extend(ids.iter().copied());
                    ids.into_iter().for_each(|id| ledger.remember(id));
                }
                Entry::Alive(unix_ms) => alive_ms = alive_ms.max(unix_ms),
            }
        }
        finished.retain(|(id, _)| !exported.contains(id));
        let lost = ledger.lose(true, alive_ms);
        if !lost.is_empty() {
            info!(count = lost.len(), "calls that a restart ended");
        }
        counters.lost.add(lost.len() as u64);
        counters.cdrs.add((finished.len() + lost.len()) as u64);
        export.add(finished);
        export.add(lost);
        let journal = Journal::begin(&settings.journal_dir, &ledger.carried(&export.pending()))?;
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
            chores_at: Instant::now(),
            day: String::new(),
        };
        recorder.chores();
        Ok(recorder)
    }

    fn record(&mut self, envelopes: Vec<Envelope>) {
        for envelope in &envelopes {
            if let Letter::Record(record) = &envelope.letter {
                self.journal.append_record(record);
            }
        }
        let written = self.journal.commit();
        if let Err(error) = &written {
            self.counters.failures.one();
            error!(%error, "journal of call records");
        }
        for mut envelope in envelopes {
            let letter = match &written {
                Ok(()) => Letter::Kept,
                Err(_) => Letter::Returned(Fault::new(FaultKind::Refused, "journal write").retry(true)),
            };
            let record = std::mem::replace(&mut envelope.letter, Letter::Kept);
            if envelope.thread != Thread::NONE {
                self.post.post(envelope.answer(letter));
            }
            if let (Letter::Record(record), Ok(())) = (record, &written) {
                self.apply(*record);
            }
        }
        let now_ms = self.clock.now().unix_ms;
        let lost = self.ledger.lose(false, now_ms);
        self.counters.lost.add(lost.len() as u64);
        self.export.add(lost);
        self.write_export();
    }

    fn apply(&mut self, record: Record) {
        self.counters.records.one();
        match self.ledger.apply(record) {
            Applied::Open => {}
            Applied::Repeated => self.counters.repeated.one(),
            Applied::Finished(id, cdr) => {
                self.counters.cdrs.one();
                match (cdr.call_status.as_str(), cdr.call_code) {
                    ("ok", _) => self.counters.answered.one(),
                    (_, 408 | 500 | 503 | 504) => self.counters.ineffective.one(),
                    _ => {}
                }
                self.export.add([(id, cdr)]);
            }
        }
        self.counters.open.set(self.ledger.open() as u64);
    }

    fn write_export(&mut self) {
        if let Err(error) = self.export.write() {
            self.counters.failures.one();
            error!(%error, "call record files");
        }
    }

    /// What is due once a second: export again what failed, confirm, tell that we live, rotate, delete old files.
    fn chores(&mut self) {
        self.chores_at = Instant::now();
        self.write_export();
        let now_ms = self.clock.now().unix_ms;
        if let Err(error) = self.keep_house(now_ms) {
            self.counters.failures.one();
            error!(%error, "journal of call records");
        }
    }

    fn keep_house(&mut self, now_ms: u64) -> io::Result<()> {
        for entry in self.export.confirm()? {
            self.journal.append(&entry);
        }
        if self.ledger.open() > 0 {
            self.journal.append(&Entry::Alive(now_ms));
        }
        self.journal.write()?;
        if self.older_until.is_some_and(|taken| self.export.confirmed() >= taken) {
            self.journal.drop_older()?;
            self.older_until = None;
        }
        if self.older_until.is_none() && self.journal.length() > self.settings.journal_bytes_max {
            let carried = self.ledger.carried(&self.export.pending());
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
        let mut stop = None;
        for command in group {
            match command {
                Command::Record(envelope) => envelopes.push(*envelope),
                Command::Stop(done) => stop = Some(done),
            }
        }
        if !envelopes.is_empty() {
            self.record(envelopes);
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
        self.chores();
    }
}

/// The latest moment that a record speaks of.
fn moment(record: &Record) -> u64 {
    match record {
        Record::Start(parties) => parties.start_ms,
        Record::Stop { stop, .. } | Record::Attempt { stop, .. } => stop.end_ms,
    }
}

const CHORES_EVERY: Duration = Duration::from_secs(1);
