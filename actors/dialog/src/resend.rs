//! A response that is sent again and again until the peer acknowledges it.

use std::time::Duration;

use fabric::{Instant, Now};
use serde::{Deserialize, Serialize};
use sip::Message;

use crate::Settings;

/// What a response that waits for its acknowledgement wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Due {
    /// Send this response again.
    Send(Message),
    /// 64*T1 have passed without acknowledgement.
    GiveUp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Resend {
    message: Message,
    next: Instant,
    end: Instant,
    interval_ms: u32,
}

impl Resend {
    /// `message` goes out for the first time at `now`.
    pub fn new(message: Message, now: Now, settings: &Settings) -> Resend {
        let interval_ms = settings.first_ms();
        let next = now.instant + millis(interval_ms);
        Resend { message, next, end: now.instant + millis(interval_ms) * 64, interval_ms }
    }

    pub fn deadline(&self) -> Instant {
        self.next.min(self.end)
    }

    /// Intervals double up to `ceiling_ms`.
    pub fn wake(&mut self, now: Now, ceiling_ms: u32) -> Option<Due> {
        if self.end <= now.instant {
            return Some(Due::GiveUp);
        }
        if self.next > now.instant {
            return None;
        }
        self.interval_ms = self.interval_ms.saturating_mul(2).min(ceiling_ms);
        self.next = now.instant + millis(self.interval_ms);
        Some(Due::Send(self.message.clone()))
    }
}

pub(crate) fn millis(count: u32) -> Duration {
    Duration::from_millis(u64::from(count))
}
