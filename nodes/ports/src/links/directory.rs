//! Who is a peer at this moment: an operator may add and remove nodes while everything runs.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use fabric::NodeId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::PeerSettings;
use super::peer::{self, Arrivals, Peer};
use super::shared::Shared;

/// The peers and their tasks.
#[derive(Default)]
pub(super) struct Directory {
    entries: RwLock<BTreeMap<NodeId, Entry>>,
}

struct Entry {
    peer: Arc<Peer>,
    /// Connections that the peer has opened go here.
    arrivals: mpsc::Sender<Arrivals>,
    task: JoinHandle<()>,
}

impl Directory {
    pub fn get(&self, node: NodeId) -> Option<Arc<Peer>> {
        self.read().get(&node).map(|entry| Arc::clone(&entry.peer))
    }

    /// The peer, and the way to its task.
    pub fn door(&self, node: NodeId) -> Option<(Arc<Peer>, mpsc::Sender<Arrivals>)> {
        self.read().get(&node).map(|entry| (Arc::clone(&entry.peer), entry.arrivals.clone()))
    }

    /// All of them, by number.
    pub fn all(&self) -> Vec<Arc<Peer>> {
        self.read().values().map(|entry| Arc::clone(&entry.peer)).collect()
    }

    /// Tasks of all peers, which are forgotten.
    pub fn drain(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.write()).into_values().map(|entry| entry.task).collect()
    }

    /// Keeps a session with these peers and no others from now on; who stays as he was notices nothing.
    pub async fn follow(&self, shared: &Arc<Shared>, peers: &[PeerSettings]) {
        let stays = |entry: &Entry| peers.iter().any(|settings| entry.peer.is(settings));
        let gone: Vec<Entry> = {
            let mut entries = self.write();
            let numbers: Vec<NodeId> =
                entries.iter().filter(|(_, entry)| !stays(entry)).map(|(node, _)| *node).collect();
            numbers.iter().filter_map(|node| entries.remove(node)).collect()
        };
        for entry in gone {
            // Its task tells the peer and the sink, and says nothing afterwards.
            entry.peer.dismiss();
            let _ = entry.task.await;
        }
        let mut entries = self.write();
        for settings in peers {
            entries.entry(NodeId(settings.node)).or_insert_with(|| {
                let (arrivals, receiver) = mpsc::channel(1);
                let peer = Arc::new(Peer::new(settings, shared));
                let task = tokio::spawn(peer::run(Arc::clone(&peer), Arc::clone(shared), receiver));
                Entry { peer, arrivals, task }
            });
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<NodeId, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<NodeId, Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}
