//! Requests inside the call: checked against their dialog, answered here or passed to the other leg.
//! RFC 3261 12.2, 14 and 15; RFC 3311, RFC 3262, RFC 6086.

use bytes::Bytes;
use dialog::{Carrier, Part, SessionOffer, Side};
use fabric::letters::flow::Flow;
use fabric::{Fault, Letter, Reject};
use sip::{Builder, Message, Method, Name, Status};

use crate::call::{Call, Purpose};
use crate::callee::original;
use crate::desk::Desk;
use crate::pair::{Bye, Pair, Which, hop};
use crate::relay::Relay;
use crate::settings::Refer;
use crate::transactions::Role;
use crate::{check, headers, offer, reject};

/// What happens to a request inside a dialog.
enum Way {
    /// Answered here with this status.
    Answer(Status),
    /// Passed to the other leg.
    Pass,
    /// Its sender hangs up.
    HangUp,
    /// A session refresh without a change: answered here.
    Refresh,
    /// The switch connects the other side with somebody else.
    Transfer,
}

impl Call {
    /// A request with a To tag, new to the transactions.
    pub(crate) fn on_inside(&mut self, request: Message, source: Flow, nat: bool, desk: &mut Desk<'_>) {
        let view = request.view();
        let found = self.pairs.iter().find_map(|pair| pair.end_of(&view).map(|which| (pair.id, which)));
        if self.transactions.len() >= usize::from(self.settings.transactions_max) {
            let answer = crate::caller::reply(&request, &reject::unavailable(5), None);
            return desk.send(answer, source, fabric::Thread::NONE);
        }
        let Some((pair_id, which)) = found else {
            return self.refuse(&request, source, &reject::no_dialog(), desk);
        };
        match self.admit(pair_id, which, &request, desk) {
            Ok(way) => {
                if let Some(end) = self.pair_mut(pair_id).map(|pair| pair.end_mut(which)) {
                    // Whoever knows both tags and the token has moved: its answers and our requests follow (RFC 5626 5.3).
                    (end.flow, end.nat) = (source, end.nat || nat);
                }
                self.take(pair_id, which, request, source, way, desk);
            }
            Err(reject) => self.refuse(&request, source, &reject, desk),
        }
    }

    /// Checks a request against its dialog. Errors: the refusal it deserves.
    fn admit(&mut self, pair_id: u16, which: Which, request: &Message, desk: &Desk<'_>) -> Result<Way, Reject> {
        let settings = self.settings.clone();
        let seed = self.identity.home.derive(self.identity.key, "retry", desk.now.instant.0) as u64;
        let leg_busy = self.transactions.len();
        let Some(pair) = self.pair_mut(pair_id) else { return Err(reject::no_dialog()) };
        let view = request.view();
        if view.method() == Method::Bye {
            let end = pair.end_mut(which);
            // After our own BYE the peer's is no longer in order for the dialog, and still deserves a 200.
            if end.bye == Bye::No || end.bye == Bye::Owed {
                end.dialog.on_request(&view)?;
            }
            return Ok(Way::HangUp);
        }
        pair.end_mut(which).dialog.on_request(&view)?;
        check::extensions(&view)?;
        check::body(&view, &settings)?;
        if pair.is_ending() {
            // Our BYE is on its way, or was lost on it: what comes meanwhile ends as it does with a BYE (RFC 3261 15.1.2).
            return Err(Reject::new(Status::REQUEST_TERMINATED));
        }
        let way = way_of(pair, which, request, &settings, leg_busy)?;
        let end = pair.end_mut(which);
        if matches!(view.method(), Method::Invite | Method::Update) {
            SessionOffer::of(&view).check(&settings.dialogs())?;
            end.pending.admit(view.method(), seed)?;
            end.dialog.refresh_target(&view)?;
        }
        if matches!(way, Way::Pass) && view.method() == Method::Prack {
            // A PRACK that fits nowhere must not leave its offer open.
            end.provisionals.as_ref().ok_or_else(reject::no_dialog)?.expects(&view)?;
        }
        if let (Way::Pass, Some(carrier)) = (&way, carrier_of(view.method())) {
            let has = offer::sdp_of(&view)?.is_some();
            end.negotiation.received(carrier, has).map_err(|breach| breach.reject(seed))?;
            end.pending.begin(Side::Peer, view.method());
        }
        Ok(way)
    }

    fn take(&mut self, pair: u16, which: Which, request: Message, source: Flow, way: Way, desk: &mut Desk<'_>) {
        match way {
            Way::Answer(status) => {
                let mut reject = Reject::new(status);
                if status == Status::METHOD_NOT_ALLOWED {
                    reject = reject.header(Name::Allow, headers::own_allow());
                }
                self.refuse(&request, source, &reject, desk);
            }
            Way::HangUp => {
                self.refuse(&request, source, &Reject::new(Status::OK), desk);
                self.on_bye(pair, which, &request, desk);
            }
            Way::Transfer => self.on_refer(pair, which, request, source, desk),
            Way::Refresh => self.refresh_here(pair, which, &request, source, desk),
            Way::Pass if request.view().method() == Method::Prack => match self.on_prack(pair, &request, desk) {
                Ok(()) => self.pass(pair, which, request, source, desk),
                Err(reject) => self.refuse(&request, source, &reject, desk),
            },
            Way::Pass => self.pass(pair, which, request, source, desk),
        }
    }

    /// Answers a session refresh with what was agreed before.
    fn refresh_here(&mut self, pair: u16, which: Which, request: &Message, source: Flow, desk: &mut Desk<'_>) {
        let (identity, settings) = (self.identity, self.settings.dialogs());
        let invite = request.view().method() == Method::Invite;
        let server = self.transactions.accept(request, 0, source, Role::Own, false, desk);
        let Some(pair) = self.pairs.iter_mut().find(|held| held.id == pair) else { return };
        let end = pair.end_mut(which);
        let view = request.view();
        let sdp = if view.body().is_empty() { Bytes::new() } else { end.sdp.clone() };
        let builder = Builder::reply_to(&view, Status::OK, None)
            .header(Name::Contact, identity.contact(end.leg, &end.flow))
            .header(Name::Supported, "timer");
        let builder = end.session.accept(SessionOffer::of(&view), builder, desk.now, &settings);
        let answer = builder.body(offer::SDP, &sdp).build();
        if invite {
            end.acceptance = Some(Box::new(dialog::Acceptance::new(answer.clone(), desk.now, &settings)));
        }
        self.transactions.respond(server, answer, desk);
    }

    /// Begins to pass a request to the other end.
    fn pass(&mut self, pair_id: u16, from: Which, request: Message, source: Flow, desk: &mut Desk<'_>) {
        self.numbers.relay = self.numbers.relay.wrapping_add(1);
        let id = self.numbers.relay;
        let server = self.transactions.accept(&request, 0, source, Role::Relay(id), true, desk);
        let carries = carrier_of(request.view().method()).is_some();
        let sdp = if carries { original(&request) } else { Bytes::new() };
        let answer = request.view().method() == Method::Prack && self.prack_answers(pair_id);
        if let Some(end) = self.pair_mut(pair_id).map(|pair| pair.end_mut(from)) {
            if !sdp.is_empty() {
                end.hear(&sdp);
            }
        }
        self.relays.push(Box::new(Relay { id, pair: pair_id, from, server, client: None, request }));
        match sdp.is_empty() {
            true => self.send_relay(id, &Bytes::new(), desk),
            false => self.ask_media_for(pair_id, from, answer, sdp, Purpose::Request(id), desk),
        }
    }

    /// Whether the session description of the caller's PRACK answers an offer of the callee (RFC 3262 5).
    fn prack_answers(&self, pair: u16) -> bool {
        self.pair(pair).is_some_and(|pair| pair.callee.negotiation.is_open(Side::Peer))
    }

    pub(crate) fn on_request_ready(&mut self, id: u16, answer: Result<Letter, Fault>, desk: &mut Desk<'_>) {
        let Some(relay) = self.relays.iter().find(|relay| relay.id == id) else { return };
        match offer::made(answer, &self.settings) {
            Ok(sdp) => {
                let sdp = sdp.unwrap_or_else(|| original(&relay.request));
                self.send_relay(id, &sdp, desk);
            }
            Err(reject) => self.fail_relay(id, &reject, desk),
        }
    }

    /// Sends a request on, as one of our own dialog with the other end.
    pub(crate) fn send_relay(&mut self, id: u16, sdp: &Bytes, desk: &mut Desk<'_>) {
        let (identity, settings) = (self.identity, self.settings.dialogs());
        let passing = self.passing(false);
        let Some(relay) = self.relays.iter_mut().find(|relay| relay.id == id) else { return };
        if !self.transactions.is_pending(relay.server) {
            return;
        }
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.id == relay.pair) else { return };
        let view = relay.request.view();
        let method = view.method();
        let rseq = (method == Method::Prack && !pair.unacknowledged.is_empty()).then(|| pair.unacknowledged.remove(0));
        let invite_cseq = pair.invite_cseq;
        let end = pair.end_mut(relay.from.other());
        if !end.pending.may_send(method) {
            // The other side's own request is on its way here: both are told to wait (RFC 3261 14.1).
            return self.fail_relay(id, &Reject::new(Status::REQUEST_PENDING), desk);
        }
        let (tx, via) = self.transactions.reserve(&identity, end.leg, &end.flow);
        let target = matches!(method, Method::Invite | Method::Update);
        let contact = if target { identity.contact(end.leg, &end.flow) } else { String::new() };
        let hop = dialog::Hop { max_forwards: 70, ..hop(&via, &contact) };
        let mut builder = headers::pass_request(end.dialog.request(method, &hop), &view, passing);
        if target {
            builder = builder.header(Name::Allow, headers::allow(&view)).header(Name::Supported, "timer");
            builder = end.session.request(builder, &settings);
        }
        if let Some(rseq) = rseq {
            builder = builder.header(Name::RAck, format!("{rseq} {invite_cseq} INVITE"));
        }
        builder = match carrier_of(method) {
            Some(carrier) => {
                let _ = end.negotiation.sent(carrier, !sdp.is_empty());
                end.keep_sent(sdp);
                builder.body(offer::SDP, sdp)
            }
            None => builder.body(view.header(Name::ContentType).unwrap_or(b"text/plain"), view.body()),
        };
        end.pending.begin(Side::Us, method);
        relay.client = Some(tx);
        let (leg, flow, request) = (end.leg, end.flow, builder.build());
        self.transactions.launch(tx, leg, flow, Role::Relay(id), request, desk);
    }

    /// The sender of a re-INVITE takes it back.
    pub(crate) fn cancel_relay(&mut self, id: u16, desk: &mut Desk<'_>) {
        let client = self.relays.iter().find(|relay| relay.id == id).and_then(|relay| relay.client);
        match client {
            // The 487 comes from the other end, or its 2xx, if that was faster.
            Some(client) => self.transactions.cancel(client, None, desk),
            None => self.fail_relay(id, &Reject::new(Status::REQUEST_TERMINATED), desk),
        }
    }
}

/// Where a request goes.
fn way_of(
    pair: &mut Pair,
    which: Which,
    request: &Message,
    settings: &crate::settings::Settings,
    open: usize,
) -> Result<Way, Reject> {
    let view = request.view();
    let confirmed = pair.confirmed;
    let way = match view.method() {
        Method::Invite if !confirmed => return Err(Reject::new(Status::REQUEST_PENDING)),
        // A 2xx of ours without its ACK, or one of theirs without ours: the session is not settled yet.
        Method::Invite if pair.caller.acceptance.is_some() || pair.end(which).ack_owed.is_some() => {
            return Err(Reject::new(Status::REQUEST_PENDING));
        }
        Method::Invite => match offer::sdp_of(&view)? {
            Some(sdp) if unchanged(pair, which, sdp) => Way::Refresh,
            _ => Way::Pass,
        },
        Method::Update if offer::sdp_of(&view)?.is_none() => Way::Refresh,
        Method::Update | Method::Info | Method::Message | Method::Options => Way::Pass,
        Method::Prack if which == Which::Caller => Way::Pass,
        Method::Refer if confirmed && settings.refer == Refer::Transfer => Way::Transfer,
        Method::Refer => Way::Answer(Status::DECLINE),
        Method::Subscribe | Method::Publish => Way::Answer(Status::BAD_EVENT),
        Method::Notify | Method::Prack => Way::Answer(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        Method::Register => Way::Answer(Status::METHOD_NOT_ALLOWED),
        _ => Way::Answer(Status::NOT_IMPLEMENTED),
    };
    if matches!(way, Way::Pass) && open + 2 > settings.transactions_max.into() {
        return Err(reject::unavailable(5));
    }
    Ok(way)
}

/// Whether this is the very description that this end sent last: a refresh (RFC 3264 8, RFC 4028 7.4).
fn unchanged(pair: &Pair, which: Which, sdp: &[u8]) -> bool {
    let end = pair.end(which);
    !end.sdp.is_empty() && end.has_heard(sdp)
}

/// What a request can carry in offer and answer.
pub(crate) fn carrier_of(method: Method<'_>) -> Option<Carrier> {
    match method {
        Method::Invite => Some(Carrier::Invite),
        Method::Update => Some(Carrier::Update),
        Method::Prack => Some(Carrier::Prack),
        _ => None,
    }
}

/// What the 2xx to such a request can carry.
pub(crate) fn success_of(method: Method<'_>) -> Option<Carrier> {
    match method {
        Method::Invite => Some(Carrier::Success),
        Method::Update => Some(Carrier::UpdateSuccess),
        Method::Prack => Some(Carrier::PrackSuccess),
        _ => None,
    }
}

/// Whether this part is the answer to an offer.
pub(crate) fn is_answer(part: Part) -> bool {
    !matches!(part, Part::Offer)
}
