//! Records port: start and stop become one CDR, an attempt becomes one, none is lost or doubled by kill -9.
//!
//! A letter is written to the journal and synced before `Kept` leaves. Finished CDRs go to the day's files
//! (`cdr/YYYY-MM-DD.jsonl`, `.csv`) and into the store. After a crash the journal is read again: what had been exported
//! is found in the files by its id, a start without stop becomes a CDR with the cause `Lost`.
//!
//! In a cluster (`start_in_cluster`) `Kept` also waits for the standby: a `Mirror` sends it a copy, which it journals and
//! completes just as its own. A CDR belongs to the node that got the stop: that one writes it to its day files. The other
//! keeps it as a copy (`copies = true` in listings, never in its files); it is exported when the other has said so. After a take-over the start that was mirrored
//! and the stop that came here make one CDR here; the node that had the start is told of the end when it is back, and
//! keeps the call open until then, or until `lost_after_s`.

mod cdr;
mod doubt;
mod export;
mod files;
mod journal;
mod ledger;
mod mirror;
mod work;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use fabric::{Address, Clock, Envelope, Fault, FaultKind, Home, Letter, NodeId, Post, Thread};
use serde::Deserialize;
use tokio::sync::oneshot;

pub use cdr::Cdr;
pub(crate) use cdr::day_of;
pub use mirror::Mirror;

use crate::counters::{Counter, Snapshot};
use crate::worker::Worker;
use crate::{StartError, store};
use mirror::Copies;
use work::{Command, Copy, Recorder};

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
    /// In a cluster, longest wait for the standby's copy of a record, milliseconds; default 450, then one copy must do.
    pub mirror_ms: u32,
    /// In a cluster, age at which a call that was open when the process started is ended as lost, seconds; default 172800.
    /// It must be longer than the longest call: until then its end may be told by the other node.
    pub lost_after_s: u32,
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
            mirror_ms: 450,
            lost_after_s: 172_800,
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
    in_cluster: bool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
pub(crate) struct Counters {
    records: Counter,
    repeated: Counter,
    /// Copies of other nodes' records, and own records that only this chassis has.
    copies: Counter,
    alone: Counter,
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
    launch(settings, post, clock, store, NodeId::default(), None).await
}

/// The same for a node of a cluster: calls that were open are not lost, and records are kept on two chassis.
pub async fn start_in_cluster(
    settings: Settings,
    post: Arc<dyn Post>,
    home: &Home,
    clock: Arc<dyn Clock>,
    store: Option<&store::Handle>,
    mirror: Arc<dyn Mirror>,
) -> Result<Handle, StartError> {
    launch(settings, post, clock, store, home.node, Some(mirror)).await
}

async fn launch(
    settings: Settings,
    post: Arc<dyn Post>,
    clock: Arc<dyn Clock>,
    store: Option<&store::Handle>,
    node: NodeId,
    mirror: Option<Arc<dyn Mirror>>,
) -> Result<Handle, StartError> {
    let sink = store.map(store::Handle::cdr_sink);
    let in_cluster = mirror.is_some();
    let sweep = Duration::from_millis(u64::from(settings.mirror_ms / 4).max(10));
    let waiting = Arc::new(AtomicUsize::new(0));
    let level = Arc::clone(&waiting);
    let open = move || {
        let counters = Arc::new(Counters::default());
        let bad = |e: std::io::Error| StartError::new(format!("cannot open {}", settings.journal_dir.display()), e);
        let patience = Duration::from_millis(settings.mirror_ms.into());
        // Threads of an earlier process of this node must not come again: a thousand a millisecond are not reached.
        let first = clock.now().unix_ms.saturating_mul(1000);
        let copies = Copies::new(mirror, node, first, patience, settings.queue_max, level);
        let recorder =
            Recorder::open(&settings, Arc::clone(&post), clock, sink, copies, Arc::clone(&counters)).map_err(bad)?;
        let every = Duration::from_millis(settings.commit_ms.into());
        let (worker, thread) =
            Worker::start("records", settings.queue_max, settings.group_max, every, recorder).map_err(bad)?;
        Ok(Handle { shared: Arc::new(Shared { worker, post, counters, in_cluster, thread: Mutex::new(Some(thread)) }) })
    };
    let handle: Handle =
        tokio::task::spawn_blocking(open).await.map_err(|e| StartError::new("records thread", e))??;
    if in_cluster {
        tokio::spawn(sweep_every(sweep, waiting, Arc::downgrade(&handle.shared)));
    }
    Ok(handle)
}

/// Wakes the thread while copies are awaited, so that none is awaited too long.
async fn sweep_every(pause: Duration, waiting: Arc<AtomicUsize>, shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(shared) = shared.upgrade() else { return };
        if waiting.load(Ordering::Relaxed) > 0 && !shared.worker.send_last(Command::Sweep) {
            return;
        }
    }
}

impl Handle {
    pub fn counters(&self) -> Snapshot {
        let counters = &self.shared.counters;
        vec![
            ("records", counters.records.get()),
            ("repeated", counters.repeated.get()),
            ("copies", counters.copies.get()),
            ("alone", counters.alone.get()),
            ("cdrs", counters.cdrs.get()),
            ("answered", counters.answered.get()),
            ("ineffective", counters.ineffective.get()),
            ("lost", counters.lost.get()),
            ("open", counters.open.get()),
            ("failures", counters.failures.get()),
            ("overloads", counters.overloads.get()),
        ]
    }

    /// Tells other nodes of the starts and ends that they lack, and says how many those are: at 0 this node may go for good.
    pub async fn tell(&self) -> usize {
        let (asker, owed) = oneshot::channel();
        self.shared.worker.send_last(Command::Tell(asker));
        owed.await.unwrap_or(0)
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
        match (&envelope.letter, envelope.from) {
            (Letter::Record(_), _) => {}
            (Letter::Kept | Letter::Returned(_), from) if self.shared.in_cluster => {
                let copy = match (&envelope.letter, from) {
                    (Letter::Kept, Address::Records(node)) => Copy::At(node),
                    (Letter::Returned(fault), Address::Records(node))
                        if !fault.retry && fault.kind == FaultKind::Refused =>
                    {
                        Copy::Owned(node)
                    }
                    _ => Copy::None,
                };
                // A full queue: the sweep answers in its place.
                let _ = self.shared.worker.send(Command::Copied(envelope.thread, copy));
                return;
            }
            _ => return,
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
