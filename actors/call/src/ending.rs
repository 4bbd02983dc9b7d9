//! The end of a call, from whichever side: BYE to those who are still there, and the farewell of the media session.
//! RFC 3261 15.

use fabric::letters::control::ControlAnswer;
use fabric::letters::media::MediaAsk;
use fabric::letters::record::{RecordId, StopCause};
use fabric::{Instant, Letter, Reject};
use serde::{Deserialize, Serialize};
use sip::{Builder, Message, Method, Name, Status};

use crate::attempt::Stage;
use crate::call::{Call, Timer};
use crate::desk::Desk;
use crate::pair::{Bye, Which, hop};
use crate::transactions::Role;

/// What is remembered of an answered call until its record is complete.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answered {
    pub id: RecordId,
    pub pair: u16,
    pub since: Instant,
    /// Milliseconds since 1970.
    pub start_ms: u64,
    /// Why and when it ended; `None` while it is up.
    pub stop: Option<(StopCause, u64, u64)>,
}

impl Call {
    /// One side hangs up.
    pub(crate) fn on_bye(&mut self, pair_id: u16, which: Which, bye: &Message, desk: &mut Desk<'_>) {
        let Some(pair) = self.pair_mut(pair_id) else { return };
        if !pair.confirmed {
            // A BYE in an early dialog gives the call up like a CANCEL; the called side may not send one (RFC 3261 15).
            let open = self.attempts.iter().find(|attempt| attempt.is_invite() && attempt.is_open());
            match (which, open.map(|attempt| (attempt.id, attempt.stage))) {
                (Which::Caller, Some((id, _))) => self.give_up(id, desk),
                (Which::Callee, Some((_, Stage::Answering(leg)))) => self.on_early_farewell(pair_id, leg),
                _ => {}
            }
            return;
        }
        let end = pair.end_mut(which);
        end.bye = Bye::Done;
        end.acceptance = None;
        end.dialog.terminate();
        if self.bye_in_transfer(pair_id, which, desk) {
            return;
        }
        let cause = if which == Which::Caller { StopCause::CallerHangup } else { StopCause::CalleeHangup };
        let reason = bye.view().header(Name::Reason).map(<[u8]>::to_vec);
        self.hang_up_with(pair_id, Some(which), cause, reason.as_deref(), desk);
    }

    /// The phone that answered hangs up before the caller was told of the answer: that comes first, its BYE after it.
    fn on_early_farewell(&mut self, pair_id: u16, leg: u16) {
        if let Some(pair) = self.pair_mut(pair_id).filter(|pair| pair.leg == leg) {
            pair.callee.bye = Bye::Done;
            pair.callee.dialog.terminate();
        }
    }

    /// Ends a pair: BYE to both ends, or to the other one when `by` has hung up.
    pub(crate) fn hang_up(&mut self, pair: u16, by: Option<Which>, cause: StopCause, desk: &mut Desk<'_>) {
        let reason = match cause {
            StopCause::SessionExpired => Some(&b"SIP;cause=408;text=\"Session Expired\""[..]),
            StopCause::MaxLength => Some(&b"SIP;cause=200;text=\"Longest Call\""[..]),
            StopCause::Operator => Some(&b"SIP;cause=200;text=\"Operator\""[..]),
            _ => None,
        };
        self.hang_up_with(pair, by, cause, reason, desk);
    }

    fn hang_up_with(
        &mut self,
        pair: u16,
        by: Option<Which>,
        cause: StopCause,
        reason: Option<&[u8]>,
        desk: &mut Desk<'_>,
    ) {
        for which in [Which::Caller, Which::Callee] {
            if by != Some(which) {
                self.say_bye_with(pair, which, reason, desk);
            }
        }
        // Requests under way end with the dialog (RFC 3261 15.1.2).
        let under_way: Vec<u16> = self.relays.iter().filter(|relay| relay.pair == pair).map(|relay| relay.id).collect();
        for relay in under_way {
            self.fail_relay(relay, &Reject::new(Status::REQUEST_TERMINATED), desk);
        }
        if self.answered.as_ref().is_some_and(|answered| answered.pair == pair) {
            self.stop_record(cause, desk);
        }
    }

    /// Sends BYE to one end, as soon as that is allowed.
    pub(crate) fn say_bye(&mut self, pair: u16, which: Which, desk: &mut Desk<'_>) {
        self.say_bye_with(pair, which, None, desk);
    }

    fn say_bye_with(&mut self, pair_id: u16, which: Which, reason: Option<&[u8]>, desk: &mut Desk<'_>) {
        let identity = self.identity;
        let Some(end) = self.pair_mut(pair_id).map(|pair| pair.end_mut(which)) else { return };
        if !matches!(end.bye, Bye::No | Bye::Owed) {
            return;
        }
        if end.acceptance.is_some() {
            end.bye = Bye::Owed;
            return;
        }
        self.send_ack(pair_id, which, &bytes::Bytes::new(), desk);
        let Some(pair) = self.pairs.iter_mut().find(|held| held.id == pair_id) else { return };
        let end = pair.end_mut(which);
        let (tx, via) = self.transactions.reserve(&identity, end.leg, &end.flow);
        let mut bye: Builder = end.dialog.request(Method::Bye, &hop(&via, ""));
        if let Some(reason) = reason {
            bye = bye.header(Name::Reason, reason);
        }
        end.bye = Bye::Sent;
        let (leg, flow) = (end.leg, end.flow);
        self.transactions.launch(tx, leg, flow, Role::Bye { pair: pair_id, end: which }, bye.build(), desk);
    }

    /// The BYE was answered, or never will be.
    pub(crate) fn on_bye_done(&mut self, pair: u16, which: Which) {
        if let Some(pair) = self.pair_mut(pair) {
            pair.end_mut(which).bye = Bye::Done;
        }
    }

    /// An operator ends the call, in whatever state it is.
    pub(crate) fn on_operator_hang_up(&mut self, desk: &mut Desk<'_>) -> ControlAnswer {
        let open: Vec<u32> =
            self.attempts.iter().filter(|attempt| attempt.is_open()).map(|attempt| attempt.id).collect();
        let up = self.answered.as_ref().filter(|answered| answered.stop.is_none()).map(|answered| answered.pair);
        if open.is_empty() && up.is_none() {
            return ControlAnswer::Refused("there is no call any more".to_owned());
        }
        for id in open {
            let answering = self.answering_leg(id);
            self.finish(id, &Reject::new(Status::TEMPORARILY_UNAVAILABLE), desk);
            if let Some(leg) = answering {
                self.dismiss_answered(leg, desk);
            }
        }
        if let Some(pair) = up {
            self.hang_up(pair, None, StopCause::Operator, desk);
        }
        ControlAnswer::Done
    }

    pub(crate) fn on_length_reached(&mut self, desk: &mut Desk<'_>) {
        if let Some(pair) = self.answered.as_ref().map(|answered| answered.pair) {
            self.hang_up(pair, None, StopCause::MaxLength, desk);
        }
    }

    /// Ends the media session; nobody waits for its statistics.
    pub(crate) fn end_media(&mut self, desk: &mut Desk<'_>) {
        if std::mem::take(&mut self.media_open) {
            desk.post(desk.identity.media(), Letter::MediaAsk(Box::new(MediaAsk::End)));
        }
    }

    /// Stays until no nonce that was used here can be used again (I26).
    pub(crate) fn linger(&mut self, desk: &mut Desk<'_>) {
        let door = crate::admission::Door {
            secret: self.identity.home.secret(),
            key: self.identity.key,
            settings: &self.settings,
        };
        if let Some(until_ms) = self.admission.remember_until_ms(&door) {
            self.timers.set(Timer::Linger, desk.now.instant_of(until_ms));
        }
    }
}
