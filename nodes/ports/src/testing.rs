//! What the tests of all ports need: an exchange that collects, a clock that stands, a directory that goes away.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fabric::{Clock, Envelope, Home, Instant, Letter, NodeId, Now, Post};
use tokio::sync::mpsc;

/// The sending half of a collecting exchange.
struct Collector(mpsc::UnboundedSender<Envelope>);

impl Post for Collector {
    fn post(&self, envelope: Envelope) {
        let _ = self.0.send(envelope);
    }
}

/// What a port has posted.
pub(crate) struct Inbox(mpsc::UnboundedReceiver<Envelope>);

/// An exchange that only collects.
pub(crate) fn exchange() -> (Arc<dyn Post>, Inbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Arc::new(Collector(sender)), Inbox(receiver))
}

impl Inbox {
    /// The next letter; panics when none comes.
    pub async fn next(&mut self) -> Envelope {
        tokio::time::timeout(PATIENCE, self.0.recv()).await.expect("a letter in time").expect("an open exchange")
    }

    /// The same without a runtime.
    pub fn next_blocking(&mut self) -> Envelope {
        self.0.blocking_recv().expect("an open exchange")
    }

    /// Whether nothing has been posted.
    pub fn is_silent(&mut self) -> bool {
        self.0.is_empty()
    }

    /// The next letter that is no `FlowClosed`.
    pub async fn next_message(&mut self) -> Envelope {
        loop {
            let envelope = self.next().await;
            if !matches!(envelope.letter, Letter::FlowClosed(_)) {
                return envelope;
            }
        }
    }
}

/// A clock that stands still.
pub(crate) struct StillClock(AtomicU64);

impl StillClock {
    pub fn at(unix_ms: u64) -> Arc<StillClock> {
        Arc::new(StillClock(AtomicU64::new(unix_ms)))
    }
}

impl Clock for StillClock {
    fn now(&self) -> Now {
        let unix_ms = self.0.load(Ordering::SeqCst);
        Now { instant: Instant(unix_ms * 1000), unix_ms }
    }
}

pub(crate) fn home() -> Home {
    Home::new(NodeId(1), *b"0123456789abcdef", 8)
}

/// A directory of one test, removed at its end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub fn new(name: &str) -> Directory {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tandem-ports-{}-{number}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Directory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Longest wait for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
