//! Records port: start and stop become one CDR, an attempt becomes one, none is lost or doubled by kill -9.
//!
//! A letter is written to the journal and synced before `Kept` leaves. Finished CDRs go to the day's files
//! (`cdr/YYYY-MM-DD.jsonl`, `.csv`) and into the store. After a crash the journal is read again: what had been exported
//! is found in the files by its id, a start without stop becomes a CDR with the cause `Lost`.

mod cdr;
mod export;
mod files;
mod journal;
mod ledger;
mod work;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fabric::{Clock, Envelope, Fault, FaultKind, Letter, Post, Thread};
use serde::Deserialize;
use tokio::sync::oneshot;

pub use cdr::Cdr;

use crate::counters::{Counter, Snapshot};
use crate::worker::Worker;
use crate::{StartError, store};
use work::{Command, Recorder};

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Directory of the journal; the node sets it to `records` below its data directory.
    pub journal_dir: PathBuf,
    /// Directory of the day files; the node sets it to `cdr` below its data directory.
    pub cdr_dir: PathBuf,
    /// Least time between the starts of two journal syncs, milliseconds; default 10, 0 syncs without pause.
    pub commit_ms: u32,
    /// Letters in one sync, count; default 2000.
    pub group_max: usize,
    /// Letters that wait for a sync, count; default 100000, beyond it questions come back with `Overload`.
    pub queue_max: usize,
    /// Size at which a journal file is closed and a new one begun, bytes; default 64 MiB.
    pub journal_bytes_max: u64,
    /// Answered calls without a stop, count; default 1000000, the oldest are ended as lost beyond it.
    pub open_max: usize,
    /// Finished records remembered against second delivery, count; default 200000.
    pub remembered_max: usize,
    /// Days that day files stay; default 0, which keeps them for ever.
    pub file_days_max: u32,
    /// Whether CSV files are written beside the JSON lines; default true.
    pub csv: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            journal_dir: PathBuf::from("records"),
            cdr_dir: PathBuf::from("cdr"),
            commit_ms: 10,
            group_max: 2000,
            queue_max: 100_000,
            journal_bytes_max: 64 << 20,
            open_max: 1_000_000,
            remembered_max: 200_000,
            file_days_max: 0,
            csv: true,
        }
    }
}

/// The running port.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    worker: Worker<Command>,
    post: Arc<dyn Post>,
    counters: Arc<Counters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
pub(crate) struct Counters {
    records: Counter,
    repeated: Counter,
    cdrs: Counter,
    /// Finished records of answered calls, and of attempts that failed for want of the network (RFC 6076 4.8).
    answered: Counter,
    ineffective: Counter,
    lost: Counter,
    /// A level: answered calls without a stop.
    open: Counter,
    failures: Counter,
    overloads: Counter,
}

/// Reads the journal, ends what was lost, and starts the thread. With a store, CDRs also go into it for the API.
pub async fn start(
    settings: Settings,
    post: Arc<dyn Post>,
    clock: Arc<dyn Clock>,
    store: Option<&store::Handle>,
) -> Result<Handle, StartError> {
    let sink = store.map(store::Handle::cdr_sink);
    let open = move || {
        let counters = Arc::new(Counters::default());
        let bad = |e: std::io::Error| StartError::new(format!("cannot open {}", settings.journal_dir.display()), e);
        let recorder = Recorder::open(&settings, Arc::clone(&post), clock, sink, Arc::clone(&counters)).map_err(bad)?;
        let every = Duration::from_millis(settings.commit_ms.into());
        let (worker, thread) =
            Worker::start("records", settings.queue_max, settings.group_max, every, recorder).map_err(bad)?;
        Ok(Handle { shared: Arc::new(Shared { worker, post, counters, thread: Mutex::new(Some(thread)) }) })
    };
    tokio::task::spawn_blocking(open).await.map_err(|e| StartError::new("records thread", e))?
}

impl Handle {
    pub fn counters(&self) -> Snapshot {
        let counters = &self.shared.counters;
        vec![
            ("records", counters.records.get()),
            ("repeated", counters.repeated.get()),
            ("cdrs", counters.cdrs.get()),
            ("answered", counters.answered.get()),
            ("ineffective", counters.ineffective.get()),
            ("lost", counters.lost.get()),
            ("open", counters.open.get()),
            ("failures", counters.failures.get()),
            ("overloads", counters.overloads.get()),
        ]
    }

    /// Writes what waits and ends the thread. Answered calls stay open in the journal; the next start ends them as lost.
    pub async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        self.shared.worker.send_last(Command::Stop(done));
        let _ = ended.await;
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Post for Handle {
    fn post(&self, envelope: Envelope) {
        if !matches!(envelope.letter, Letter::Record(_)) {
            return;
        }
        if let Err(Command::Record(envelope)) = self.shared.worker.send(Command::Record(Box::new(envelope))) {
            self.shared.counters.overloads.one();
            if envelope.thread != Thread::NONE {
                let fault = Fault::new(FaultKind::Overload, "records queue").retry(true);
                self.shared.post.post(envelope.answer(Letter::Returned(fault)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
