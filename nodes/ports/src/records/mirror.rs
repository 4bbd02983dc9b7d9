//! The second chassis: a record of this node's call is sent to the standby of its group too, and `Kept` waits for both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fabric::letters::record::{Record, RecordId};
use fabric::{Address, Envelope, Epoch, Key, Letter, NodeId, Thread, Trace};

use super::ledger::id_of;

/// How a copy of a record gets to the standby's records port; the node has one when it is part of a cluster.
pub trait Mirror: Send + Sync {
    /// Sends this record to the other node of its call (see `standby`), as mail to `Address::Records(that node)`. Everything but `to`
    /// stays as it is: the `Kept` (or `Returned`) comes back to `from`, this port, on the same thread. The group is that of
    /// the record's `RecordId::call`. Never blocks; `false` when there is no standby, or none that can be reached.
    fn mirror(&self, mail: &Envelope) -> bool;

    /// The node that is to know of this call besides this one: the standby of its group, or its active node where that is
    /// another one (this node has lost the call, or handed it over). `None` while there is no such node. Starts that it
    /// has not seen are sent to it.
    fn standby(&self, call: Key) -> Option<NodeId> {
        let _ = call;
        None
    }
}

/// Records that are on their way to the other chassis.
pub(super) struct Copies {
    mirror: Option<Arc<dyn Mirror>>,
    me: Address,
    waiting: BTreeMap<Thread, Waiting>,
    /// What is on its way without anybody waiting for it.
    telling: BTreeSet<RecordId>,
    next: u64,
    patience: Duration,
    waiting_max: usize,
    /// Number of those waiting, for whoever wakes the port.
    level: Arc<AtomicUsize>,
}

pub(super) struct Waiting {
    /// The question, without its letter; `None` when the port itself wanted the copy.
    pub question: Option<Envelope>,
    pub id: RecordId,
    /// The record is not only a start.
    pub is_end: bool,
    since: Instant,
}

impl Copies {
    /// Without a mirror nothing is copied. `first` must be above the threads of earlier starts of this node.
    pub fn new(
        mirror: Option<Arc<dyn Mirror>>,
        node: NodeId,
        first: u64,
        patience: Duration,
        waiting_max: usize,
        level: Arc<AtomicUsize>,
    ) -> Copies {
        Copies {
            mirror,
            me: Address::Records(node),
            waiting: BTreeMap::new(),
            telling: BTreeSet::new(),
            next: first.max(1),
            patience,
            waiting_max,
            level,
        }
    }

    pub fn in_cluster(&self) -> bool {
        self.mirror.is_some()
    }

    /// The node that a letter to this port is a copy from.
    pub fn copied_from(&self, mail: &Envelope) -> Option<NodeId> {
        match mail.from {
            Address::Records(node) if self.in_cluster() && mail.from != self.me => Some(node),
            _ => None,
        }
    }

    /// Sends a copy; the thread on which `Kept` comes, or `None` when there is nowhere to send it.
    pub fn send(&mut self, record: &Record, epoch: Epoch, trace: Trace) -> Option<Thread> {
        let mirror = self.mirror.as_ref().filter(|_| self.waiting.len() < self.waiting_max)?;
        let thread = Thread(self.next);
        self.next += 1;
        let letter = Letter::Record(Box::new(record.clone()));
        let mail = Envelope { epoch, trace, ..Envelope::ask(self.me, self.me, thread, letter) };
        let is_end = !matches!(record, Record::Start(_));
        let waiting = Waiting { question: None, id: id_of(record), is_end, since: Instant::now() };
        mirror.mirror(&mail).then(|| {
            self.waiting.insert(thread, waiting);
            self.count();
            thread
        })
    }

    /// Sends what nobody waits for, once at a time.
    pub fn tell(&mut self, record: &Record, epoch: u64) -> bool {
        let id = id_of(record);
        if self.telling.contains(&id) || self.send(record, Epoch(epoch), Trace::default()).is_none() {
            return false;
        }
        self.telling.insert(id)
    }

    /// Keeps a question open until its copy is durable.
    pub fn hold(&mut self, thread: Thread, question: Envelope) {
        if let Some(waiting) = self.waiting.get_mut(&thread) {
            waiting.question = Some(question);
        }
    }

    /// What waited on this thread.
    pub fn take(&mut self, thread: Thread) -> Option<Waiting> {
        let waiting = self.waiting.remove(&thread)?;
        self.telling.remove(&waiting.id);
        self.count();
        Some(waiting)
    }

    /// What has waited too long.
    pub fn overdue(&mut self) -> Vec<Waiting> {
        let patience = self.patience;
        let late = self.waiting.iter().take_while(|(_, waiting)| waiting.since.elapsed() >= patience);
        let late: Vec<Thread> = late.map(|(thread, _)| *thread).collect();
        late.into_iter().filter_map(|thread| self.take(thread)).collect()
    }

    /// The standby that is to know of a call.
    pub fn standby(&self, id: &RecordId) -> Option<NodeId> {
        self.mirror.as_ref()?.standby(id.call)
    }

    fn count(&self) {
        self.level.store(self.waiting.len(), Ordering::Relaxed);
    }
}
