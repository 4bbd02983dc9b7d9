//! Store port: SQLite on disk, subscribers in memory; in a cluster a central store by CQL, of which this is a copy.
//!
//! One thread owns the writing connection and commits in groups, another one reads for listings. Questions of calls and
//! registrations are answered from the directory, on the thread of whoever asks, without SQLite.

mod bindings;
mod cdrs;
mod change;
mod cql;
mod customers;
mod directory;
mod domains;
mod error;
mod numbers;
mod preferences;
mod provisioning;
mod query;
mod schema;
pub(crate) mod stamp;
mod subscribers;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fabric::letters::control::Control;
use fabric::{Clock, Envelope, Fault, FaultKind, Home, Letter, Post, Thread};
use serde::Deserialize;
use tokio::sync::oneshot;

pub use cql::Settings as CqlSettings;
pub use customers::{Customer, CustomerFields};
pub use domains::{Domain, DomainFields};
pub use error::ProvisionError;
pub use numbers::Number;
pub use preferences::{PreferenceOwner, Preferences};
pub use provisioning::Provisioning;
pub use query::{Listing, Query};
pub use subscribers::{SubscriberFields, SubscriberRow};

pub(crate) use cdrs::{CdrRow, CdrSink};

use crate::StartError;
use crate::counters::{Counter, Snapshot};
use crate::worker::Worker;
use cql::{Behind, Central};
use directory::SharedDirectory;
use writer::{Command, Reading};

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Database file; the node sets it to `tandem.db` below its data directory.
    pub file: PathBuf,
    /// Least time between the starts of two commits, milliseconds; default 10, 0 commits without pause.
    pub commit_ms: u32,
    /// Changes in one commit, count; default 2000.
    pub group_max: usize,
    /// Changes that wait for a commit, count; default 100000, beyond it questions come back with `Overload`.
    pub queue_max: usize,
    /// Whether a commit also survives the loss of power, not only the death of the process; default true.
    pub power_safe: bool,
    /// Page cache of the writing connection, KiB; default 16384.
    pub cache_kib: u32,
    /// Days that call records stay in the database (the files stay); default 92, 0 keeps them for ever.
    pub cdr_days_max: u32,
    /// The central store of a cluster; default none: this database is the only one.
    pub cql: Option<CqlSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            file: PathBuf::from("tandem.db"),
            commit_ms: 10,
            group_max: 2000,
            queue_max: 100_000,
            power_safe: true,
            cache_kib: 16_384,
            cdr_days_max: 92,
            cql: None,
        }
    }
}

/// The running store.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    directory: SharedDirectory,
    writer: Worker<Command>,
    reader: Worker<Reading>,
    central: Option<Arc<Central>>,
    runtime: tokio::runtime::Handle,
    post: Arc<dyn Post>,
    counters: Arc<Counters>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
pub(crate) struct Counters {
    account_asks: Counter,
    bindings_asked: Counter,
    bindings_written: Counter,
    commits: Counter,
    failures: Counter,
    overloads: Counter,
}

/// Opens the database, brings its schema up to date, loads the subscribers and starts the threads; with a central store,
/// waits a while for the copy of it to be current.
pub async fn start(
    settings: Settings,
    post: Arc<dyn Post>,
    home: &Home,
    clock: Arc<dyn Clock>,
) -> Result<Handle, StartError> {
    let home = *home;
    let cql = settings.cql.clone();
    cql.as_ref().map_or(Ok(()), CqlSettings::check)?;
    let behind = cql.as_ref().map(|_| Arc::new(Behind::new(settings.queue_max)));
    let runtime = tokio::runtime::Handle::current();
    let (given, timer) = (behind.clone(), Arc::clone(&clock));
    let start = move || open(&settings, post, home, clock, given, runtime);
    let mut shared = tokio::task::spawn_blocking(start).await.map_err(|e| StartError::new("store thread", e))??;
    if let (Some(cql), Some(behind)) = (cql, behind) {
        let (writer, reader) = (shared.writer.clone(), shared.reader.clone());
        shared.central = Some(Central::start(cql, home, timer, writer, reader, behind).await?);
    }
    Ok(Handle { shared: Arc::new(shared) })
}

fn open(
    settings: &Settings,
    post: Arc<dyn Post>,
    home: Home,
    clock: Arc<dyn Clock>,
    behind: Option<Arc<Behind>>,
    runtime: tokio::runtime::Handle,
) -> Result<Shared, StartError> {
    let bad = |e: rusqlite::Error| StartError::new(format!("cannot open {}", settings.file.display()), e);
    let db = schema::open(settings).map_err(bad)?;
    let directory = SharedDirectory::default();
    directory.load(&db).map_err(bad)?;
    let read_db = schema::open_reader(settings).map_err(bad)?;
    let counters = Arc::new(Counters::default());
    let (told, copied) = (Arc::clone(&post), Arc::clone(&counters));
    let writing =
        writer::Writer::new(db, settings, directory.clone(), told, home, clock, copied, behind).map_err(bad)?;
    let every = Duration::from_millis(settings.commit_ms.into());
    let thread = |e| StartError::new("cannot start a store thread", e);
    let (writer, write_thread) =
        Worker::start("store", settings.queue_max, settings.group_max, every, writing).map_err(thread)?;
    let (reader, read_thread) =
        Worker::start("store-read", READS_WAITING_MAX, 1, Duration::ZERO, writer::Reader::new(read_db))
            .map_err(thread)?;
    let threads = Mutex::new(vec![write_thread, read_thread]);
    Ok(Shared { directory, writer, reader, central: None, runtime, post, counters, threads })
}

impl Handle {
    /// Functions for domains, customers, subscribers, preferences and call records.
    pub fn provisioning(&self) -> Provisioning {
        let shared = &self.shared;
        Provisioning::new(shared.writer.clone(), shared.reader.clone(), shared.central.clone())
    }

    /// Where the records port puts finished call records.
    pub(crate) fn cdr_sink(&self) -> CdrSink {
        CdrSink::new(self.shared.writer.clone(), self.shared.central.clone())
    }

    /// Why this node's copy does not follow the central store, for people; `None` when it does, or when there is none.
    pub fn trouble(&self) -> Option<String> {
        self.shared.central.as_ref()?.trouble()
    }

    pub fn counters(&self) -> Snapshot {
        let counters = &self.shared.counters;
        let mut all = vec![
            ("account_asks", counters.account_asks.get()),
            ("subscribers", self.shared.directory.subscribers() as u64),
            ("bindings_asked", counters.bindings_asked.get()),
            ("bindings_written", counters.bindings_written.get()),
            ("commits", counters.commits.get()),
            ("failures", counters.failures.get()),
            ("overloads", counters.overloads.get()),
        ];
        all.extend(self.shared.central.iter().flat_map(|central| central.counters()));
        all
    }

    /// Commits what waits, folds the write-ahead log into the database and ends the threads.
    pub async fn stop(&self) {
        if let Some(central) = &self.shared.central {
            central.stop().await;
        }
        let (done, ended) = oneshot::channel();
        self.shared.writer.send_last(Command::Stop(done));
        let _ = ended.await;
        self.shared.reader.send_last(Reading::Stop);
        let threads = std::mem::take(&mut *self.shared.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join()))).await;
    }

    fn queue(&self, command: Command) {
        if let Err(Command::Keep(envelope) | Command::Load(envelope, _) | Command::Reload(envelope)) =
            self.shared.writer.send(command)
        {
            self.shared.counters.overloads.one();
            if envelope.thread != Thread::NONE {
                let fault = Fault::new(FaultKind::Overload, "store queue").retry(true);
                self.shared.post.post(envelope.answer(Letter::Returned(fault)));
            }
        }
    }
}

impl Post for Handle {
    fn post(&self, envelope: Envelope) {
        match &envelope.letter {
            Letter::AccountAsk(ask) => {
                self.shared.counters.account_asks.one();
                let account = self.shared.directory.account(&ask.user, &ask.domain);
                self.shared.post.post(envelope.answer(Letter::Account(account)));
            }
            Letter::KeepBindings(_) => {
                self.shared.counters.bindings_asked.one();
                self.queue(Command::Keep(envelope));
            }
            Letter::LoadBindings(shard, shards) => match self.shared.central.clone() {
                None => self.queue(Command::Load(envelope, Vec::new())),
                Some(central) => {
                    let (store, shard, shards) = (self.clone(), *shard, *shards);
                    self.shared.runtime.spawn(async move {
                        let found = central.load_bindings(shard, shards).await;
                        store.queue(Command::Load(envelope, found));
                    });
                }
            },
            Letter::Control(control) if **control == Control::Reload => self.queue(Command::Reload(envelope)),
            _ => {}
        }
    }
}

/// Listings that wait for the reading thread, count.
const READS_WAITING_MAX: usize = 1000;

#[cfg(test)]
mod tests;
