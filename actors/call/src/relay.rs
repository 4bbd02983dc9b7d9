//! A request that passes from one end of a pair to the other, and the way back of its responses.

use bytes::Bytes;
use dialog::{Acceptance, Fate, SessionOffer, Side};
use fabric::letters::record::StopCause;
use fabric::{Fault, Letter, Reject};
use serde::{Deserialize, Serialize};
use sip::{Builder, Message, Method, Name, Status};

use crate::attempt::BranchState;
use crate::bridge::{carrier_of, is_answer, success_of};
use crate::call::{Call, Purpose};
use crate::callee::original;
use crate::context::for_caller;
use crate::desk::Desk;
use crate::pair::Which;
use crate::transactions::TxId;
use crate::{headers, offer};

/// One request under way between the ends of a pair.
#[derive(Serialize, Deserialize)]
pub(crate) struct Relay {
    pub id: u16,
    pub pair: u16,
    pub from: Which,
    pub server: TxId,
    pub client: Option<TxId>,
    pub request: Message,
}

impl Call {
    pub(crate) fn on_relay_response(&mut self, id: u16, tx: TxId, response: Message, desk: &mut Desk<'_>) {
        let settings = self.settings.dialogs();
        let Some(relay) = self.relays.iter().find(|relay| relay.id == id) else { return };
        let (pair_id, from) = (relay.pair, relay.from);
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.id == pair_id) else { return };
        let end = pair.end_mut(from.other());
        let view = response.view();
        let Some(status) = view.status() else { return };
        let method = view.method();
        let fate = end.dialog.on_response(&view);
        // A re-INVITE that rings is nothing its sender has to know; its 100 has gone out.
        if status.is_provisional() {
            return;
        }
        end.pending.end(Side::Us, method);
        end.moved = false;
        if !status.is_success() {
            if let Some(carrier) = carrier_of(method) {
                end.negotiation.failed(Side::Us, carrier);
            }
            self.answer_relay(id, &response, &Bytes::new(), desk);
            if fate == Fate::Ends {
                self.lose(pair_id, desk);
            }
            return;
        }
        if matches!(method, Method::Invite | Method::Update) {
            end.session.on_success(&view, desk.now, &settings);
        }
        let sdp = offer::sdp_of(&view).ok().flatten().map(Bytes::copy_from_slice);
        let part = success_of(method).map(|carrier| end.negotiation.received(carrier, sdp.is_some()));
        let answer = part.is_none_or(|part| part.map_or(true, is_answer));
        if method == Method::Invite {
            end.ack_owed = Some((tx, view.cseq().map(|cseq| cseq.number).unwrap_or_default()));
            if answer {
                self.send_ack(pair_id, from.other(), &Bytes::new(), desk);
            }
        }
        match sdp {
            Some(sdp) if success_of(method).is_some() => {
                if let Some(pair) = self.pair_mut(pair_id) {
                    pair.end_mut(from.other()).hear(&sdp);
                }
                let purpose = Purpose::Response { relay: id, response };
                self.ask_media_for(pair_id, from.other(), answer, sdp, purpose, desk);
            }
            _ => self.answer_relay(id, &response, &Bytes::new(), desk),
        }
    }

    pub(crate) fn on_response_ready(
        &mut self,
        id: u16,
        response: Message,
        answer: Result<Letter, Fault>,
        desk: &mut Desk<'_>,
    ) {
        let sdp = match offer::made(answer, &self.settings) {
            Ok(Some(sdp)) => sdp,
            // The far side has accepted already: its own description is better than a session torn in two.
            Ok(None) | Err(_) => original(&response),
        };
        self.answer_relay(id, &response, &sdp, desk);
    }

    /// Nothing came back: the other end is gone (RFC 3261 12.2.1.2).
    pub(crate) fn on_relay_failed(&mut self, id: u16, status: Status, desk: &mut Desk<'_>) {
        let Some(relay) = self.relays.iter().find(|relay| relay.id == id) else { return };
        let pair_id = relay.pair;
        self.fail_relay(id, &Reject::new(status), desk);
        self.lose(pair_id, desk);
    }

    /// An end knows nothing of its dialog any more: the call is over, or, before the answer, this phone is out of the race.
    fn lose(&mut self, pair_id: u16, desk: &mut Desk<'_>) {
        let Some(pair) = self.pair(pair_id) else { return };
        if pair.confirmed {
            return self.hang_up(pair_id, None, StopCause::Failed, desk);
        }
        // The called side must not send BYE in an early dialog (RFC 3261 15): the phone is cancelled, the others ring on.
        let leg = pair.leg;
        let branches = self.attempts.iter().filter(|attempt| attempt.is_invite()).flat_map(|attempt| &attempt.branches);
        let calling = branches.filter(|branch| branch.leg == leg).find_map(|branch| match branch.state {
            BranchState::Calling { tx } => Some(tx),
            _ => None,
        });
        if let Some(tx) = calling {
            self.transactions.cancel(tx, None, desk);
        }
    }

    /// Refuses a request that could not be passed.
    pub(crate) fn fail_relay(&mut self, id: u16, reject: &Reject, desk: &mut Desk<'_>) {
        let Some(place) = self.relays.iter().position(|relay| relay.id == id) else { return };
        let relay = self.relays.remove(place);
        let answer = crate::caller::reply(&relay.request, reject, None);
        self.close(&relay, false);
        self.transactions.respond(relay.server, answer, desk);
    }

    /// Refuses what was on its way to a dialog that is gone: a fork that lost while its PRACK was under way.
    pub(crate) fn refuse_orphans(&mut self, desk: &mut Desk<'_>) {
        while let Some(id) = self.relays.iter().find(|relay| self.pair(relay.pair).is_none()).map(|relay| relay.id) {
            self.fail_relay(id, &Reject::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST), desk);
        }
    }

    /// Sends the response of the other end to the sender of the request.
    fn answer_relay(&mut self, id: u16, response: &Message, sdp: &Bytes, desk: &mut Desk<'_>) {
        let (identity, settings) = (self.identity, self.settings.dialogs());
        let passing = self.passing(false);
        let Some(place) = self.relays.iter().position(|relay| relay.id == id) else { return };
        let relay = self.relays.remove(place);
        let (request, view) = (relay.request.view(), response.view());
        let Some(status) = view.status() else { return };
        let success = status.is_success();
        let method = request.method();
        self.close(&relay, success);
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.id == relay.pair) else { return };
        let end = pair.end_mut(relay.from);
        let mut builder = Builder::reply_to(&request, for_caller(status), None);
        builder = headers::pass_response(builder, &view, passing);
        if success && matches!(method, Method::Invite | Method::Update) {
            builder = builder
                .header(Name::Contact, identity.contact(end.leg, &end.flow))
                .header(Name::Allow, headers::allow(&view))
                .header(Name::Supported, "timer");
            builder = end.session.accept(SessionOffer::of(&request), builder, desk.now, &settings);
        }
        builder = match success_of(method) {
            Some(carrier) if success => {
                let _ = end.negotiation.sent(carrier, !sdp.is_empty());
                end.keep_sent(sdp);
                builder.body(offer::SDP, sdp)
            }
            Some(_) => builder,
            None => builder
                .header(Name::Allow, headers::allow(&view))
                .body(view.header(Name::ContentType).unwrap_or(b"text/plain"), view.body()),
        };
        let answer = builder.build();
        if success && method == Method::Invite {
            end.acceptance = Some(Box::new(Acceptance::new(answer.clone(), desk.now, &settings)));
        }
        self.transactions.respond(relay.server, answer, desk);
        if success && method == Method::Prack {
            self.on_prack_done(relay.pair, desk);
        }
    }

    /// The exchange of a passed request is over at the end that it came from.
    fn close(&mut self, relay: &Relay, success: bool) {
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.id == relay.pair) else { return };
        let method = relay.request.view().method();
        let end = pair.end_mut(relay.from);
        end.pending.end(Side::Peer, method);
        if let (false, Some(carrier)) = (success, carrier_of(method)) {
            end.negotiation.failed(Side::Peer, carrier);
        }
        // A request that was never sent on must not leave an open offer on the other side either.
        if relay.client.is_none() {
            return;
        }
        pair.end_mut(relay.from.other()).pending.end(Side::Us, method);
    }
}
