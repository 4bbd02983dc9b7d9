//! The central store by CQL (ScyllaDB, Apache Cassandra), beside the local database of every node.
//!
//! | module | what |
//! |---|---|
//! | `session` | connection, migrations, prepared statements with the consistency of each |
//! | `log` | the numbered changes of provisioning: proposed by compare-and-set, read in order, laid down in tables |
//! | `feed` | keeps the local copy current: polls, reads everything anew when it is behind, answers provisioning |
//! | `bindings` | bindings by write-behind, and what a cold start reads |
//! | `outbox` | call records, until the central store has them |
//!
//! The local database answers all questions of calls and registrations; with the central store away only provisioning
//! fails. docs/adr/0007-store.md says why it is made so.

mod bindings;
mod feed;
mod log;
mod outbox;
mod session;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use fabric::{Clock, Home};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{info, warn};

pub(super) use bindings::Behind;
use session::Session;

use super::ProvisionError;
use super::writer::{Command, Reading};
use crate::StartError;
use crate::counters::{Counter, Snapshot};
use crate::worker::Worker;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Addresses (`host:port`) of some nodes of the store; the others are found through them.
    pub contact_points: Vec<String>,
    /// Keyspace: lower-case letters, digits and `_`, at most 48 bytes; default `tandem`.
    pub keyspace: String,
    /// Copies in each data centre, count by name: `{ dc1 = 3 }`; used when the keyspace is made.
    pub replication: BTreeMap<String, u8>,
    /// Data centre of this node; default the only one of `replication`. Its replicas are asked first, LOCAL means it.
    pub datacenter: Option<String>,
    /// User and password, where the store wants them; default none.
    pub user: Option<String>,
    pub password: Option<String>,
    /// Whether this node makes the keyspace and its tables and brings them up to date; default true.
    pub migrate: bool,
    /// Whether changes of provisioning are agreed upon over all data centres (`true`, the default), or in this one only:
    /// then nothing may be provisioned in another one.
    pub provision_everywhere: bool,
    /// Longest wait for an answer, milliseconds; default 2000.
    pub timeout_ms: u32,
    /// Time between two looks for changes, milliseconds; default 1000.
    pub poll_ms: u32,
    /// Longest wait for the central store at the start, seconds; default 10, then the local copy serves.
    pub start_wait_s: u32,
    /// Days that changes are kept for nodes that were away; default 14. A node that was away longer reads everything anew.
    pub changes_days: u32,
    /// Days that call records are kept in the central store; default 0, which keeps them for ever.
    pub cdr_days: u32,
    /// Requests under way at once for bindings, call records and tables, count; default 32.
    pub parallel_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            contact_points: Vec::new(),
            keyspace: "tandem".to_owned(),
            replication: BTreeMap::new(),
            datacenter: None,
            user: None,
            password: None,
            migrate: true,
            provision_everywhere: true,
            timeout_ms: 2000,
            poll_ms: 1000,
            start_wait_s: 10,
            changes_days: 14,
            cdr_days: 0,
            parallel_max: 32,
        }
    }
}

impl Settings {
    /// What is wrong with them.
    pub(super) fn check(&self) -> Result<(), StartError> {
        let wrong = |what: &str| Err(StartError::new("store.cql", what));
        let is_name = |name: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 48 && name.chars().all(plain)
        };
        if self.contact_points.is_empty() {
            return wrong("contact_points is empty");
        }
        if !is_name(&self.keyspace) {
            return wrong("keyspace is not made of lower-case letters, digits and _");
        }
        let is_centre = |name: &String| !name.is_empty() && !name.contains(['\'', '\\']) && name.len() <= 255;
        if self.migrate && self.replication.is_empty() || !self.replication.keys().all(is_centre) {
            return wrong("replication names no data centre and its copies: { dc1 = 3 }");
        }
        if self.datacenter().is_none() {
            return wrong("datacenter must say which of those in replication this node stands in");
        }
        Ok(())
    }

    fn datacenter(&self) -> Option<&String> {
        let only = || self.replication.keys().next().filter(|_| self.replication.len() == 1);
        self.datacenter.as_ref().or_else(only)
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.max(100).into())
    }
}

/// The central store as a node sees it.
pub(super) struct Central {
    settings: Settings,
    home: Home,
    clock: Arc<dyn Clock>,
    session: RwLock<Option<Arc<Session>>>,
    writer: Worker<Command>,
    reader: Worker<Reading>,
    behind: Arc<Behind>,
    /// One change at a time is made or taken over by this node; the number of the last one that the local copy has.
    turn: tokio::sync::Mutex<()>,
    applied: AtomicI64,
    /// Why the local copy does not follow; `None` when it does.
    trouble: Mutex<Option<String>>,
    /// The last request was answered.
    up: AtomicBool,
    /// A change was made here; what is waited for has come.
    changed: Notify,
    outbox: Notify,
    ready: Notify,
    is_ready: AtomicBool,
    counters: Counters,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Counters {
    changes: Counter,
    conflicts: Counter,
    refills: Counter,
    cdrs_shipped: Counter,
    bindings_shipped: Counter,
    failures: Counter,
}

impl Central {
    /// Begins to connect, and waits a while for the local copy to be current.
    pub async fn start(
        settings: Settings,
        home: Home,
        clock: Arc<dyn Clock>,
        writer: Worker<Command>,
        reader: Worker<Reading>,
        behind: Arc<Behind>,
    ) -> Result<Arc<Central>, StartError> {
        let patience = Duration::from_secs(settings.start_wait_s.into());
        let central = Arc::new(Central {
            settings,
            home,
            clock,
            session: RwLock::new(None),
            writer,
            reader,
            behind,
            turn: tokio::sync::Mutex::new(()),
            applied: AtomicI64::new(feed::NEVER),
            trouble: Mutex::new(Some("it was not reached yet".to_owned())),
            up: AtomicBool::new(false),
            changed: Notify::new(),
            outbox: Notify::new(),
            ready: Notify::new(),
            is_ready: AtomicBool::new(false),
            counters: Counters::default(),
            tasks: Mutex::new(Vec::new()),
        });
        central.recall().await.map_err(|error| StartError::new("local copy of the central store", error))?;
        let main = tokio::spawn(Arc::clone(&central).run());
        central.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(main);
        let ready = async {
            while !central.is_ready.load(Ordering::Acquire) {
                central.ready.notified().await;
            }
        };
        if tokio::time::timeout(patience, ready).await.is_err() {
            warn!(why = central.trouble().unwrap_or_default(), "the local copy serves: the central store is away");
        }
        Ok(central)
    }

    /// Connects, however long it takes, and then does all there is to do.
    async fn run(self: Arc<Self>) {
        let mut pause = PAUSE_MIN;
        let session = loop {
            match Session::connect(&self.settings, self.home.node).await {
                Ok(session) => break Arc::new(session),
                Err(why) => {
                    self.counters.failures.one();
                    warn!(%why, "central store");
                    self.set_trouble(Some(why));
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        };
        info!(keyspace = self.settings.keyspace, "central store reached");
        self.set_up(true);
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = Some(session);
        let others = [tokio::spawn(Arc::clone(&self).ship_bindings()), tokio::spawn(Arc::clone(&self).ship_cdrs())];
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(others);
        self.follow().await;
    }

    /// Gives the bindings that wait a last chance, and ends.
    pub async fn stop(&self) {
        if let Some(session) = self.session().filter(|_| self.is_up()) {
            let last = self.ship_bindings_now(&session);
            let _ = tokio::time::timeout(self.settings.timeout(), last).await;
        }
        for task in std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner)) {
            task.abort();
        }
    }

    /// The connection; `None` before the first.
    fn session(&self) -> Option<Arc<Session>> {
        self.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    fn set_up(&self, up: bool) {
        if self.up.swap(up, Ordering::Relaxed) != up {
            match up {
                true => info!("the central store answers"),
                false => warn!("the central store does not answer"),
            }
        }
    }

    /// Why the local copy does not follow the central store.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Finished call records wait in the outbox.
    pub fn wake_outbox(&self) {
        self.outbox.notify_one();
    }

    pub fn counters(&self) -> Snapshot {
        let counters = &self.counters;
        vec![
            ("central_up", self.is_up().into()),
            ("central_change", self.applied.load(Ordering::Relaxed).max(0) as u64),
            ("central_changes", counters.changes.get()),
            ("central_conflicts", counters.conflicts.get()),
            ("central_refills", counters.refills.get()),
            ("central_cdrs", counters.cdrs_shipped.get()),
            ("central_bindings", counters.bindings_shipped.get()),
            ("central_bindings_waiting", self.behind.waiting() as u64),
            ("central_bindings_dropped", self.behind.dropped()),
            ("central_failures", counters.failures.get()),
        ]
    }

    /// Counts a failure and hands it on as what provisioning says.
    fn failed(&self, why: String) -> ProvisionError {
        self.counters.failures.one();
        self.set_up(false);
        ProvisionError::Unavailable(why)
    }
}

/// Pauses between attempts to connect and to ship.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
