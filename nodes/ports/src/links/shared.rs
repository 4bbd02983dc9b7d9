//! What all tasks of the links have in common.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::commands::Commands;
use super::tls::Keyring;
use super::{Identity, Settings, Sink};
use crate::counters::{Counter, Snapshot};

pub(super) struct Shared {
    pub settings: Settings,
    pub identity: Identity,
    /// Absent when the node is alone.
    pub keyring: Option<Keyring>,
    pub sink: Arc<dyn Sink>,
    pub stopped: watch::Receiver<bool>,
    pub counters: Counters,
    /// Runs what other nodes ask; set once.
    pub commands: OnceLock<Arc<dyn Commands>>,
    pub started: Instant,
    sessions: AtomicU64,
}

impl Shared {
    pub fn new(
        settings: Settings,
        identity: Identity,
        keyring: Option<Keyring>,
        sink: Arc<dyn Sink>,
        stopped: watch::Receiver<bool>,
    ) -> Shared {
        let (counters, commands) = (Counters::default(), OnceLock::new());
        let (started, sessions) = (Instant::now(), AtomicU64::new(0));
        Shared { settings, identity, keyring, sink, stopped, counters, commands, started, sessions }
    }

    /// A number that no session of this process had.
    pub fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Microseconds since the links were started.
    pub fn micros(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Waits until the links are stopped.
    pub async fn until_stopped(&self) {
        let mut stopped = self.stopped.clone();
        // The sender lives in the handles; when the last is gone nobody wants the links any more.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    pub fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    pub fn handshake(&self) -> Duration {
        Duration::from_millis(u64::from(self.settings.handshake_ms))
    }
}

#[derive(Default)]
pub(super) struct Counters {
    pub accepted: Counter,
    pub dialled: Counter,
    pub dial_failures: Counter,
    pub refused_tls: Counter,
    pub refused_identity: Counter,
    pub refused_version: Counter,
    pub refused_greeting: Counter,
    pub handshake_timeouts: Counter,
    pub handshake_evictions: Counter,
    pub handshaking: Counter,
    pub sessions: Counter,
    pub resumes: Counter,
    pub window_resets: Counter,
    pub silences: Counter,
    pub parcels_in: Counter,
    pub parcels_out: Counter,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub writes: Counter,
    pub duplicates: Counter,
    pub unauthorised: Counter,
    pub malformed: Counter,
    pub bad_frames: Counter,
    pub oversized: Counter,
    pub commands: Counter,
}

impl Counters {
    pub fn snapshot(&self, up: usize, buffered_bytes: usize, buffered_parcels: usize) -> Snapshot {
        vec![
            ("links_up", up as u64),
            ("links_accepted", self.accepted.get()),
            ("links_dialled", self.dialled.get()),
            ("links_dial_failures", self.dial_failures.get()),
            ("links_refused_tls", self.refused_tls.get()),
            ("links_refused_identity", self.refused_identity.get()),
            ("links_refused_version", self.refused_version.get()),
            ("links_refused_greeting", self.refused_greeting.get()),
            ("links_handshake_timeouts", self.handshake_timeouts.get()),
            ("links_handshake_evictions", self.handshake_evictions.get()),
            ("links_handshaking", self.handshaking.get()),
            ("links_sessions", self.sessions.get()),
            ("links_resumes", self.resumes.get()),
            ("links_window_resets", self.window_resets.get()),
            ("links_silences", self.silences.get()),
            ("links_parcels_in", self.parcels_in.get()),
            ("links_parcels_out", self.parcels_out.get()),
            ("links_bytes_in", self.bytes_in.get()),
            ("links_bytes_out", self.bytes_out.get()),
            ("links_writes", self.writes.get()),
            ("links_duplicates", self.duplicates.get()),
            ("links_unauthorised", self.unauthorised.get()),
            ("links_malformed", self.malformed.get()),
            ("links_bad_frames", self.bad_frames.get()),
            ("links_oversized", self.oversized.get()),
            ("links_commands", self.commands.get()),
            ("links_buffered_bytes", buffered_bytes as u64),
            ("links_buffered_parcels", buffered_parcels as u64),
        ]
    }
}
