//! Our 2xx to an INVITE, resent until the ACK comes, over every transport. RFC 3261 13.3.1.4.

use fabric::{Instant, Now};
use serde::{Deserialize, Serialize};
use sip::{Message, Method, View};

use crate::resend::Resend;
use crate::{Due, Settings};

/// A 2xx that waits for its ACK.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acceptance {
    resend: Option<Box<Resend>>,
    cseq: u32,
    ceiling_ms: u32,
}

impl Acceptance {
    /// `response` is handed to the server transaction at `now`; each `Due::Send` goes the same way.
    pub fn new(response: Message, now: Now, settings: &Settings) -> Acceptance {
        let cseq = response.view().cseq().map(|cseq| cseq.number).unwrap_or_default();
        let resend = Some(Box::new(Resend::new(response, now, settings)));
        Acceptance { resend, cseq, ceiling_ms: settings.ceiling_ms() }
    }

    /// An ACK of the dialog arrived; `true` when it is the first one for this 2xx.
    pub fn on_ack(&mut self, ack: &View<'_>) -> bool {
        let ours = ack.method() == Method::Ack && ack.cseq().is_ok_and(|cseq| cseq.number == self.cseq);
        ours && self.resend.take().is_some()
    }

    /// Says once what is due; call until `None`. After `GiveUp` the session ends with a BYE.
    pub fn wake(&mut self, now: Now) -> Option<Due> {
        let due = self.resend.as_mut()?.wake(now, self.ceiling_ms);
        if due == Some(Due::GiveUp) {
            self.resend = None;
        }
        due
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.resend.as_ref().map(|resend| resend.deadline())
    }

    /// Whether the ACK has come, or nobody waits for it any longer.
    pub fn is_over(&self) -> bool {
        self.resend.is_none()
    }

    /// CSeq number of the INVITE that was accepted.
    pub fn cseq(&self) -> u32 {
        self.cseq
    }
}

#[cfg(test)]
mod tests;
