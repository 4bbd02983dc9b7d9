//! Questions of the control plane: the only place where somebody waits for an answer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fabric::hash::FixedMap;
use fabric::{Envelope, Letter, Thread};
use tokio::sync::oneshot;

#[derive(Default)]
pub(crate) struct OpenAsks {
    next: AtomicU64,
    open: Mutex<FixedMap<Thread, oneshot::Sender<Letter>>>,
}

impl OpenAsks {
    /// A thread for a new question; `None` when too many are open.
    pub fn open(&self, asks_max: usize) -> Option<(Thread, oneshot::Receiver<Letter>)> {
        let mut open = self.lock();
        if open.len() >= asks_max {
            return None;
        }
        let thread = Thread(self.next.fetch_add(1, Relaxed) + 1);
        let (sender, receiver) = oneshot::channel();
        open.insert(thread, sender);
        Some((thread, receiver))
    }

    pub fn close(&self, thread: Thread) {
        self.lock().remove(&thread);
    }

    /// Hands an answer to whoever asked; late ones are dropped.
    pub fn answer(&self, envelope: Envelope) {
        if let Some(asker) = self.lock().remove(&envelope.thread) {
            let _ = asker.send(envelope.letter);
        }
    }

    fn lock(&self) -> MutexGuard<'_, FixedMap<Thread, oneshot::Sender<Letter>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
