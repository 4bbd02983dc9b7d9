//! Reliable provisional responses, sent (`Provisionals`) and received (`Pracks`). RFC 3262.

use std::collections::VecDeque;
use std::fmt;

use fabric::{Instant, Now, Reject};
use serde::{Deserialize, Serialize};
use sip::{Builder, Message, Method, Name, Status, View};

use crate::resend::Resend;
use crate::{Due, Settings};

/// Our reliable provisional responses to one INVITE: one at a time, each until its PRACK. RFC 3262 3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provisionals {
    cseq: u32,
    next_rseq: u32,
    current: Option<Box<Current>>,
    waiting: VecDeque<Message>,
    /// The final response has gone out: nothing is resent, but a PRACK for the current one still counts.
    stopped: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Current {
    rseq: u32,
    has_session: bool,
    /// `None` once nobody resends it any more.
    resend: Option<Resend>,
}

/// More provisional responses than `Settings::provisionals_max` wait for PRACKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl Provisionals {
    /// For the INVITE with this CSeq number; `seed` chooses the first RSeq, 1 to 2**31 - 1.
    pub fn new(invite_cseq: u32, seed: u64) -> Provisionals {
        let next_rseq = 1 + (seed % u64::from(RSEQ_FIRST_MAX)) as u32;
        Provisionals { cseq: invite_cseq, next_rseq, current: None, waiting: VecDeque::new(), stopped: false }
    }

    /// Makes a provisional response (101 to 199, without Require and RSeq) reliable.
    ///
    /// Returns what the server transaction has to send now; `None` when it waits for an earlier PRACK, or when the final response is out.
    pub fn push(&mut self, response: Builder, now: Now, settings: &Settings) -> Result<Option<Message>, QueueFull> {
        if self.stopped {
            return Ok(None);
        }
        if self.current.is_some() && self.waiting.len() >= settings.provisionals_max {
            return Err(QueueFull);
        }
        let rseq = self.next_rseq;
        self.next_rseq = rseq.saturating_add(1);
        let response = response.header(Name::Require, "100rel").header(Name::RSeq, rseq.to_string()).build();
        if self.current.is_some() {
            self.waiting.push_back(response);
            return Ok(None);
        }
        Ok(Some(self.launch(response, now, settings)))
    }

    /// Whether a PRACK fits, before anything is done with what it carries.
    ///
    /// Errors: `Reject` 400 for an unreadable RAck, 481 when it acknowledges nothing that waits (RFC 3262 3).
    pub fn expects(&self, prack: &View<'_>) -> Result<(), Reject> {
        let rack = prack.header(Name::RAck).ok_or(Reject::new(Status::BAD_REQUEST).reason("Missing RAck"))?;
        let rack = sip::unfold(rack);
        let (rseq, cseq) = sip::parse_rack(&rack).map_err(|_| Reject::new(Status::BAD_REQUEST).reason("Bad RAck"))?;
        let waiting = self.current.as_ref().is_some_and(|current| current.rseq == rseq);
        if !waiting || cseq.number != self.cseq || cseq.method != Method::Invite {
            return Err(Reject::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
        }
        Ok(())
    }

    /// A PRACK of the dialog arrived. `Ok` carries the next response that may go out now.
    ///
    /// Errors: those of `expects`.
    pub fn on_prack(&mut self, prack: &View<'_>, now: Now, settings: &Settings) -> Result<Option<Message>, Reject> {
        self.expects(prack)?;
        self.current = None;
        Ok(self.waiting.pop_front().map(|next| self.launch(next, now, settings)))
    }

    /// The final response goes out: unsent ones are dropped, nothing is resent any more.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.waiting = VecDeque::new();
        if let Some(current) = &mut self.current {
            current.resend = None;
        }
    }

    /// Whether a 2xx must wait: a session description that was sent is not acknowledged yet (RFC 3262 3).
    pub fn holds_success(&self) -> bool {
        !self.stopped
            && (self.current.as_ref().is_some_and(|current| current.has_session)
                || self.waiting.iter().any(|waiting| !waiting.view().body().is_empty()))
    }

    /// Whether some response still waits for its PRACK.
    pub fn is_waiting(&self) -> bool {
        self.current.is_some()
    }

    /// Says once what is due; call until `None`. After `GiveUp` the INVITE is refused with 504 or another 5xx.
    pub fn wake(&mut self, now: Now) -> Option<Due> {
        // No ceiling here: RFC 3262 3 doubles from T1 until 64*T1 are over.
        let due = self.current.as_mut()?.resend.as_mut()?.wake(now, u32::MAX);
        if due == Some(Due::GiveUp) {
            self.stop();
        }
        due
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.current.as_ref()?.resend.as_ref().map(|resend| resend.deadline())
    }

    fn launch(&mut self, response: Message, now: Now, settings: &Settings) -> Message {
        let view = response.view();
        let rseq = view.number(Name::RSeq).ok().flatten().unwrap_or_default();
        let has_session = !view.body().is_empty();
        let resend = Some(Resend::new(response.clone(), now, settings));
        self.current = Some(Box::new(Current { rseq, has_session, resend }));
        response
    }
}

/// What a received provisional response asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisional {
    /// Not reliable, or not to be: handle it, no PRACK.
    Plain,
    /// New and in order: handle it and send `Dialog::prack`.
    Reliable,
    /// Seen before: do nothing, the PRACK transaction takes care of itself.
    Repeated,
    /// An earlier one is missing: do nothing, it will come again (RFC 3262 4).
    Early,
    /// Without a usable RSeq: do nothing.
    Broken,
}

/// The order of reliable provisional responses in one early dialog. RFC 3262 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pracks {
    last: Option<u32>,
}

impl Pracks {
    /// Takes note of a 1xx to our INVITE.
    pub fn on_provisional(&mut self, response: &View<'_>) -> Provisional {
        let code = response.status().map_or(0, Status::code);
        let reliable = (101..200).contains(&code)
            && response.method() == Method::Invite
            && response.has_option(Name::Require, "100rel");
        if !reliable {
            return Provisional::Plain;
        }
        let Ok(Some(rseq @ 1..)) = response.number(Name::RSeq) else {
            return Provisional::Broken;
        };
        match self.last {
            Some(last) if rseq <= last => Provisional::Repeated,
            Some(last) if rseq > last + 1 => Provisional::Early,
            _ => {
                self.last = Some(rseq);
                Provisional::Reliable
            }
        }
    }
}

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many unacknowledged provisional responses")
    }
}

impl std::error::Error for QueueFull {}

/// Highest first RSeq: RFC 3262 3.
const RSEQ_FIRST_MAX: u32 = 0x7fff_ffff;

#[cfg(test)]
mod tests;
