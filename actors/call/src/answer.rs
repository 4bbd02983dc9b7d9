//! The answer: one phone wins, the others are cancelled, the caller gets its 2xx; and every 2xx gets its ACK.
//! RFC 3261 13.2.2.4 and 13.3.1.4.

use bytes::Bytes;
use dialog::{Acceptance, Breach, Carrier, Dialog, Part, SessionOffer};
use fabric::letters::record::StopCause;
use fabric::{Fault, Letter, Reject};
use sip::{Builder, Message, Method, Name, Status};

use crate::attempt::{BranchState, Stage};
use crate::call::{Call, Purpose, Timer};
use crate::callee::original;
use crate::desk::Desk;
use crate::fork::ELSEWHERE;
use crate::pair::{Bye, Which, hop};
use crate::transactions::{Role, TxId};
use crate::{headers, offer};

impl Call {
    /// A phone was answered.
    pub(crate) fn on_success(&mut self, id: u32, leg: u16, tx: TxId, response: Message, desk: &mut Desk<'_>) {
        let Some(attempt) = self.attempt_mut(id) else { return };
        let stage = attempt.stage;
        if let Some(branch) = attempt.branch(leg) {
            branch.state = BranchState::Done;
        }
        if stage != Stage::Trying {
            // Of the winner's own answer the ACK is on its way; any other answer is too late.
            if !self.knows(leg, &response) {
                self.dismiss(leg, tx, &response, desk);
            }
            return;
        }
        let Some(pair) = self.early_pair(id, leg, &response) else {
            self.dismiss(leg, tx, &response, desk);
            return self.finish(id, &Reject::new(Status::BAD_GATEWAY), desk);
        };
        self.win(id, leg, pair, tx, response, desk);
    }

    /// Whether this 2xx is one of a dialog that we keep.
    pub(crate) fn knows(&self, leg: u16, response: &Message) -> bool {
        let view = response.view();
        let tag = view.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        self.pairs.iter().any(|pair| pair.leg == leg && pair.callee.dialog.remote_tag() == tag)
    }

    fn win(&mut self, id: u32, leg: u16, pair_id: u16, tx: TxId, response: Message, desk: &mut Desk<'_>) {
        self.timers.cancel(&Timer::Ring(id));
        self.forget_pairs(|pair| pair.id != pair_id, desk);
        let settings = self.settings.dialogs();
        let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.id == id) else { return };
        attempt.stage = Stage::Answering(leg);
        let session = attempt.branch(leg).map(|branch| branch.session).unwrap_or_default();
        let others: Vec<u16> = attempt.branches.iter().map(|branch| branch.leg).filter(|other| *other != leg).collect();
        let offered = !attempt.offer.is_empty();
        self.cancel_branches(id, Some(ELSEWHERE), desk);
        if offered {
            others.into_iter().for_each(|other| self.drop_media(other, desk));
        }
        let Some(pair) = self.pair_mut(pair_id) else { return };
        let view = response.view();
        let end = &mut pair.callee;
        end.session = session;
        end.session.on_success(&view, desk.now, &settings);
        end.ack_owed = Some((tx, view.cseq().map(|cseq| cseq.number).unwrap_or(1)));
        let sdp = offer::sdp_of(&view).ok().flatten().map(Bytes::copy_from_slice);
        let part = end.negotiation.received(Carrier::Success, sdp.is_some());
        if let Some(sdp) = &sdp {
            end.hear(sdp);
        }
        let early = pair.caller.sdp.clone();
        // The answer to a delayed offer comes in the caller's ACK; every other ACK goes out at once.
        if part != Ok(Part::Offer) {
            self.send_ack(pair_id, Which::Callee, &Bytes::new(), desk);
        }
        match (part, sdp) {
            (Ok(part), Some(sdp)) => {
                let purpose = Purpose::Answer { attempt: id, pair: pair_id, response };
                self.ask_media_for(pair_id, Which::Callee, part != Part::Offer, sdp, purpose, desk);
            }
            // An answer in an unreliable 18x and none in the 2xx: what rang is what was meant.
            (Err(Breach::NoAnswer), _) if early.is_empty() => {
                self.finish(id, &Reject::new(Status::BAD_GATEWAY), desk);
                self.dismiss_answered(leg, desk);
            }
            (Err(Breach::NoAnswer), _) => self.deliver_answer(id, pair_id, response, early, desk),
            _ => self.deliver_answer(id, pair_id, response, Bytes::new(), desk),
        }
    }

    pub(crate) fn on_answer_ready(
        &mut self,
        id: u32,
        pair: u16,
        response: Message,
        answer: Result<Letter, Fault>,
        desk: &mut Desk<'_>,
    ) {
        let Some(leg) = self.pair(pair).map(|pair| pair.leg) else { return };
        match offer::made(answer, &self.settings) {
            Ok(sdp) => {
                let sdp = sdp.unwrap_or_else(|| original(&response));
                self.deliver_answer(id, pair, response, sdp, desk);
            }
            Err(reject) => {
                self.finish(id, &reject, desk);
                self.dismiss_answered(leg, desk);
            }
        }
    }

    /// Sends the answer to the caller: the call is up.
    pub(crate) fn deliver_answer(&mut self, id: u32, pair_id: u16, response: Message, sdp: Bytes, desk: &mut Desk<'_>) {
        let (identity, settings) = (self.identity, self.settings.dialogs());
        let passing = self.passing(false);
        let Some(attempt) = self.attempts.iter().find(|attempt| attempt.id == id) else { return };
        if !matches!(attempt.stage, Stage::Answering(_)) {
            return;
        }
        if attempt.transfer {
            return self.connect(pair_id, sdp, desk);
        }
        let (server, source) = (attempt.server, attempt.source);
        let Some(pair) = self.pairs.iter_mut().find(|held| held.id == pair_id) else { return };
        let end = &mut pair.caller;
        if end.provisionals.as_ref().is_some_and(|provisionals| provisionals.holds_success()) {
            pair.held = Some(Box::new((response, sdp)));
            return;
        }
        if let Some(provisionals) = &mut end.provisionals {
            provisionals.stop();
        }
        let (view, request) = (response.view(), attempt.request.view());
        let status = view.status().unwrap_or(Status::OK);
        let mut builder = Builder::reply_to(&request, status, Some(end.dialog.local_tag()))
            .header(Name::Contact, identity.contact(0, &source))
            .header(Name::Allow, headers::allow(&view))
            .header(Name::Supported, "timer");
        builder = headers::pass_response(builder, &view, passing);
        builder = end.session.accept(SessionOffer::of(&request), builder, desk.now, &settings);
        let answer = builder.body(offer::SDP, &sdp).build();
        end.acceptance = Some(Box::new(Acceptance::new(answer.clone(), desk.now, &settings)));
        let _ = end.negotiation.sent(Carrier::Success, !sdp.is_empty());
        end.keep_sent(&sdp);
        end.dialog.confirm();
        pair.confirmed = true;
        pair.unacknowledged = Vec::new();
        let gone = pair.callee.bye == Bye::Done;
        self.transactions.respond(server, answer, desk);
        self.start_record(id, pair_id, desk);
        self.clear(id, desk);
        if gone {
            self.hang_up(pair_id, Some(Which::Callee), StopCause::CalleeHangup, desk);
        }
    }

    /// The ACK of a 2xx that we sent.
    pub(crate) fn on_ack(&mut self, ack: Message, desk: &mut Desk<'_>) {
        let view = ack.view();
        let found = self.pairs.iter().find_map(|pair| pair.end_of(&view).map(|which| (pair.id, which)));
        let Some((pair_id, which)) = found else { return };
        let Some(pair) = self.pair_mut(pair_id) else { return };
        let end = pair.end_mut(which);
        if !end.acceptance.as_mut().is_some_and(|acceptance| acceptance.on_ack(&view)) {
            return;
        }
        end.acceptance = None;
        let sdp = offer::sdp_of(&view).ok().flatten().map(Bytes::copy_from_slice);
        let _ = end.negotiation.received(Carrier::Ack, sdp.is_some());
        if let Some(sdp) = &sdp {
            end.hear(sdp);
        }
        let ending = end.bye == Bye::Owed;
        if pair.end(which.other()).ack_owed.is_some() {
            match sdp {
                Some(sdp) if !ending => {
                    let purpose = Purpose::Ack { pair: pair_id, from: which, ack };
                    self.ask_media_for(pair_id, which, true, sdp, purpose, desk);
                }
                _ => self.send_ack(pair_id, which.other(), &Bytes::new(), desk),
            }
        }
        if ending {
            self.say_bye(pair_id, which, desk);
        }
    }

    pub(crate) fn on_ack_ready(
        &mut self,
        pair: u16,
        from: Which,
        ack: Message,
        answer: Result<Letter, Fault>,
        desk: &mut Desk<'_>,
    ) {
        let sdp = match offer::made(answer, &self.settings) {
            Ok(Some(sdp)) => sdp,
            Ok(None) => original(&ack),
            // Without an answer the other side cannot go on; it hangs up or we do when its session ends.
            Err(_) => Bytes::new(),
        };
        self.send_ack(pair, from.other(), &sdp, desk);
    }

    /// Sends the ACK that we owe to this end.
    pub(crate) fn send_ack(&mut self, pair: u16, to: Which, sdp: &Bytes, desk: &mut Desk<'_>) {
        let identity = self.identity;
        let Some(pair) = self.pairs.iter_mut().find(|held| held.id == pair) else { return };
        let end = pair.end_mut(to);
        let Some((tx, cseq)) = end.ack_owed.take() else { return };
        let (_, via) = self.transactions.reserve(&identity, end.leg, &end.flow);
        let ack = end.dialog.ack(cseq, &hop(&via, "")).body(offer::SDP, sdp).build();
        let _ = end.negotiation.sent(Carrier::Ack, !sdp.is_empty());
        end.keep_sent(sdp);
        let flow = end.flow;
        self.transactions.acknowledge(Some(tx), ack, flow, desk);
    }

    /// An answer that came too late, or a second one of a phone behind a forking proxy: ACK and BYE (RFC 3261 13.2.2.4).
    pub(crate) fn dismiss(&mut self, leg: u16, tx: TxId, response: &Message, desk: &mut Desk<'_>) {
        let identity = self.identity;
        let Some(flow) = self.transactions.flow_of(tx) else { return };
        let view = response.view();
        let Ok(cseq) = view.cseq().map(|cseq| cseq.number) else { return };
        // The dialog needs of the INVITE only what its response repeats; a BYE must come after every PRACK that was sent
        // in the early dialog, whose numbers are forgotten (RFC 3261 12.2.1.1).
        let invite = Builder::request(Method::Invite, b"sip:invalid")
            .copy(&view, Name::From)
            .copy(&view, Name::To)
            .copy(&view, Name::CallId)
            .header(Name::CSeq, format!("{} INVITE", cseq.saturating_add(FORGOTTEN_REQUESTS_MAX)))
            .build();
        let Ok(mut dialog) = Dialog::uac(&invite.view(), &view) else { return };
        let (_, via) = self.transactions.reserve(&identity, leg, &flow);
        let ack = dialog.ack(cseq, &hop(&via, "")).build();
        self.transactions.acknowledge(Some(tx), ack, flow, desk);
        let (id, via) = self.transactions.reserve(&identity, leg, &flow);
        let bye = dialog.request(Method::Bye, &hop(&via, "")).build();
        self.transactions.launch(id, leg, flow, Role::Own, bye, desk);
    }

    /// The phone that answered is told that nobody is there any more: its 2xx crossed the CANCEL.
    pub(crate) fn dismiss_answered(&mut self, leg: u16, desk: &mut Desk<'_>) {
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.leg == leg && !pair.confirmed) else { return };
        pair.caller.bye = Bye::Done;
        let id = pair.id;
        self.say_bye(id, Which::Callee, desk);
    }
}

/// Requests that an early dialog may have seen before it was forgotten, count.
const FORGOTTEN_REQUESTS_MAX: u32 = 100;
