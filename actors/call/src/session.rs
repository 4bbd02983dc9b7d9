//! What time asks of the dialogs: repeated 2xx and reliable 18x, and the session timer, which the switch keeps for
//! whichever side does not (RFC 4028, RFC 3262 3, RFC 3261 13.3.1.4).

use std::time::Duration;

use bytes::Bytes;
use dialog::{Carrier, Due, Fate, SessionDue, Side, retry_delay};
use fabric::letters::record::StopCause;
use fabric::{Reject, Thread};
use sip::{Message, Method, Name, Status};

use crate::call::Call;
use crate::desk::Desk;
use crate::pair::{Bye, Which, hop};
use crate::transactions::{Role, TxId};
use crate::{headers, offer};

/// Something that is due at an end of a pair.
enum Alarm {
    Resend(Message),
    /// No ACK has come for our 2xx.
    NoAck,
    /// No PRACK has come for our 18x.
    NoPrack,
    Refresh,
    Expired,
}

impl Call {
    /// Carries out every timer of the dialogs that is due.
    pub(crate) fn wake_dialogs(&mut self, desk: &mut Desk<'_>) {
        let pairs: Vec<u16> = self.pairs.iter().map(|pair| pair.id).collect();
        for pair in pairs {
            for which in [Which::Caller, Which::Callee] {
                while let Some(alarm) = self.alarm(pair, which, desk) {
                    self.on_alarm(pair, which, alarm, desk);
                }
            }
        }
    }

    fn alarm(&mut self, pair: u16, which: Which, desk: &Desk<'_>) -> Option<Alarm> {
        let pair = self.pair_mut(pair)?;
        let confirmed = pair.confirmed;
        let end = pair.end_mut(which);
        if let Some(due) = end.acceptance.as_mut().and_then(|acceptance| acceptance.wake(desk.now)) {
            return Some(match due {
                Due::Send(message) => Alarm::Resend(message),
                Due::GiveUp => Alarm::NoAck,
            });
        }
        if let Some(due) = end.provisionals.as_mut().and_then(|provisionals| provisionals.wake(desk.now)) {
            return Some(match due {
                Due::Send(message) => Alarm::Resend(message),
                Due::GiveUp => Alarm::NoPrack,
            });
        }
        if !confirmed || end.bye != Bye::No {
            return None;
        }
        end.session.wake(desk.now).map(|due| match due {
            SessionDue::Refresh => Alarm::Refresh,
            SessionDue::Expired => Alarm::Expired,
        })
    }

    fn on_alarm(&mut self, pair_id: u16, which: Which, alarm: Alarm, desk: &mut Desk<'_>) {
        let Some(end) = self.pair_mut(pair_id).map(|pair| pair.end_mut(which)) else { return };
        match alarm {
            Alarm::Resend(message) => desk.send(message, end.flow, Thread::NONE),
            Alarm::NoAck => {
                end.acceptance = None;
                self.hang_up(pair_id, None, StopCause::Failed, desk);
            }
            Alarm::NoPrack => self.on_no_prack(pair_id, desk),
            Alarm::Refresh => self.refresh(pair_id, which, desk),
            Alarm::Expired => self.hang_up(pair_id, None, StopCause::SessionExpired, desk),
        }
    }

    /// Refreshes the session of one end: by UPDATE where the peer knows it, else by a re-INVITE without a change.
    pub(crate) fn refresh(&mut self, pair_id: u16, which: Which, desk: &mut Desk<'_>) {
        let (identity, settings) = (self.identity, self.settings.dialogs());
        let Some(pair) = self.pairs.iter_mut().find(|held| held.id == pair_id) else { return };
        let end = pair.end_mut(which);
        let method = if end.dialog.peer().update || end.sdp.is_empty() { Method::Update } else { Method::Invite };
        let with_offer = method == Method::Invite;
        let free = end.pending.may_send(method) && end.acceptance.is_none() && end.ack_owed.is_none();
        if !free || (with_offer && !end.negotiation.may_offer(Carrier::Invite)) {
            return end.session.postpone(POSTPONED, desk.now);
        }
        let (tx, via) = self.transactions.reserve(&identity, end.leg, &end.flow);
        let contact = identity.contact(end.leg, &end.flow);
        let builder = end
            .dialog
            .request(method, &hop(&via, &contact))
            .header(Name::Supported, "timer")
            .header(Name::Allow, headers::own_allow());
        let mut builder = end.session.request(builder, &settings);
        if with_offer {
            let _ = end.negotiation.sent(Carrier::Invite, true);
            builder = builder.body(offer::SDP, &end.sdp);
        }
        end.pending.begin(Side::Us, method);
        let (leg, flow) = (end.leg, end.flow);
        let role = Role::Refresh { pair: pair_id, end: which };
        self.transactions.launch(tx, leg, flow, role, builder.build(), desk);
    }

    pub(crate) fn on_refresh_response(
        &mut self,
        pair_id: u16,
        which: Which,
        tx: TxId,
        response: &Message,
        desk: &mut Desk<'_>,
    ) {
        let settings = self.settings.dialogs();
        let seed = self.identity.home.derive(self.identity.key, "refresh", desk.now.instant.0) as u64;
        let Some(end) = self.pair_mut(pair_id).map(|pair| pair.end_mut(which)) else { return };
        let view = response.view();
        let Some(status) = view.status().filter(|status| status.is_final()) else { return };
        let method = view.method();
        let fate = end.dialog.on_response(&view);
        end.pending.end(Side::Us, method);
        end.moved = false;
        if !status.is_success() && method == Method::Invite {
            end.negotiation.failed(Side::Us, Carrier::Invite);
        }
        match status {
            _ if fate == Fate::Ends => self.hang_up(pair_id, None, StopCause::SessionExpired, desk),
            Status::REQUEST_PENDING | Status::SERVER_INTERNAL_ERROR => {
                end.session.postpone(retry_delay(end.dialog.initiator(), seed), desk.now);
            }
            Status::SESSION_INTERVAL_TOO_SMALL if end.session.on_refusal(&view, &settings) => {
                self.refresh(pair_id, which, desk);
            }
            // Any other answer shows that the peer is there, which is what was asked.
            _ => {
                end.session.on_success(&view, desk.now, &settings);
                if status.is_success() && method == Method::Invite {
                    let _ = end.negotiation.received(Carrier::Success, !view.body().is_empty());
                    end.ack_owed = Some((tx, view.cseq().map(|cseq| cseq.number).unwrap_or_default()));
                    self.send_ack(pair_id, which, &Bytes::new(), desk);
                }
            }
        }
    }

    /// The peer does not answer at all.
    pub(crate) fn on_refresh_failed(&mut self, pair: u16, which: Which, desk: &mut Desk<'_>) {
        if let Some(pair) = self.pair_mut(pair) {
            let end = pair.end_mut(which);
            end.pending = dialog::Pending::default();
        }
        self.hang_up(pair, None, StopCause::SessionExpired, desk);
    }

    /// The caller has not acknowledged a reliable response in 64*T1: 504 (RFC 3262 3), or one phone less when others ring.
    fn on_no_prack(&mut self, pair: u16, desk: &mut Desk<'_>) {
        let Some(leg) = self.pair(pair).map(|pair| pair.leg) else { return };
        let Some(attempt) = self.attempts.iter().find(|attempt| attempt.is_invite() && attempt.is_open()) else {
            return;
        };
        let id = attempt.id;
        match attempt.open_branches() > 1 {
            true => self.cancel_branch(id, leg, desk),
            false => self.finish(id, &Reject::new(Status::SERVER_TIMEOUT), desk),
        }
    }

    /// A PRACK of the caller: the next reliable response may go out. Errors: the refusal that the PRACK deserves.
    pub(crate) fn on_prack(&mut self, pair: u16, prack: &Message, desk: &mut Desk<'_>) -> Result<(), Reject> {
        let settings = self.settings.dialogs();
        let Some(pair) = self.pair_mut(pair) else { return Ok(()) };
        let flow = pair.caller.flow;
        let Some(provisionals) = &mut pair.caller.provisionals else {
            return Err(crate::reject::no_dialog());
        };
        if let Some(next) = provisionals.on_prack(&prack.view(), desk.now, &settings)? {
            desk.send(next, flow, Thread::NONE);
        }
        Ok(())
    }

    /// The callee has answered the caller's PRACK: a 2xx that waited for it may go out.
    pub(crate) fn on_prack_done(&mut self, pair_id: u16, desk: &mut Desk<'_>) {
        let Some(held) = self.pair_mut(pair_id).and_then(|pair| pair.held.take()) else { return };
        let open = self.attempts.iter().find(|attempt| attempt.is_invite() && attempt.is_open());
        if let Some(id) = open.map(|attempt| attempt.id) {
            let (response, sdp) = *held;
            self.deliver_answer(id, pair_id, response, sdp, desk);
        }
    }
}

/// How long a refresh waits while another change of the session is under way.
const POSTPONED: Duration = Duration::from_secs(2);
