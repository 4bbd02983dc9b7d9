//! The callees' side before the answer: provisional responses, early dialogs, early media (RFC 3261 13.2.2.1, RFC 3262).

use bytes::Bytes;
use dialog::{Carrier, Dialog, Part, Provisional, Provisionals};
use fabric::letters::subscriber::Account;
use fabric::{Fault, Letter};
use sip::{Builder, Message, Name, Status};

use crate::attempt::Stage;
use crate::call::{Call, Purpose};
use crate::desk::Desk;
use crate::pair::{End, Pair, Which, hop};
use crate::transactions::Role;
use crate::{headers, offer, reject};

impl Call {
    /// A phone rings, or plays something.
    pub(crate) fn on_provisional(&mut self, id: u32, leg: u16, response: Message, desk: &mut Desk<'_>) {
        let view = response.view();
        let (Some(status), Some(stage)) = (view.status(), self.attempt_mut(id).map(|attempt| attempt.stage)) else {
            return;
        };
        // 199 only says that a dialog is over (RFC 6228); the final response says it better.
        if stage != Stage::Trying || status == Status::TRYING || status == Status::EARLY_DIALOG_TERMINATED {
            return;
        }
        let Some(pair_id) = self.early_pair(id, leg, &response) else {
            return self.forward_provisional(id, leg, None, &response, &Bytes::new(), desk);
        };
        let Some(pair) = self.pair_mut(pair_id) else { return };
        let carrier = match pair.callee.pracks.on_provisional(&view) {
            Provisional::Plain => Carrier::Unreliable,
            Provisional::Reliable => Carrier::Reliable,
            Provisional::Repeated | Provisional::Early | Provisional::Broken => return,
        };
        let sdp = offer::sdp_of(&view).ok().flatten();
        let part = pair.callee.negotiation.received(carrier, sdp.is_some());
        let answer = !matches!(part, Ok(Part::Offer));
        match sdp {
            Some(sdp) if part.is_ok() => {
                let sdp = Bytes::copy_from_slice(sdp);
                let purpose = Purpose::Early { attempt: id, pair: pair_id, response };
                self.ask_media_for(pair_id, Which::Callee, answer, sdp, purpose, desk);
            }
            _ => self.forward_provisional(id, leg, Some(pair_id), &response, &Bytes::new(), desk),
        }
    }

    pub(crate) fn on_early_ready(
        &mut self,
        id: u32,
        pair: u16,
        response: Message,
        answer: Result<Letter, Fault>,
        desk: &mut Desk<'_>,
    ) {
        let Some(leg) = self.pair(pair).map(|pair| pair.leg) else { return };
        let sdp = match offer::made(answer, &self.settings) {
            Ok(Some(sdp)) => sdp,
            Ok(None) => original(&response),
            // Early media without a relay is left out; the phone still rings.
            Err(_) => Bytes::new(),
        };
        self.forward_provisional(id, leg, Some(pair), &response, &sdp, desk);
    }

    /// Tells the caller that a phone rings; reliably when the callee did so.
    fn forward_provisional(
        &mut self,
        id: u32,
        leg: u16,
        pair: Option<u16>,
        response: &Message,
        sdp: &Bytes,
        desk: &mut Desk<'_>,
    ) {
        let (identity, settings) = (self.identity, self.settings.dialogs());
        let passing = self.passing(false);
        let Some(place) = self.attempts.iter().position(|attempt| attempt.id == id) else { return };
        let attempt = &mut self.attempts[place];
        let view = response.view();
        let Some(status) = view.status().filter(|_| attempt.stage == Stage::Trying) else { return };
        if attempt.ring_ms == 0 {
            attempt.ring_ms = desk.now.unix_ms;
        }
        if attempt.transfer {
            return;
        }
        let request = attempt.request.view();
        let early = pair.and_then(|pair| self.pairs.iter_mut().find(|held| held.id == pair));
        let tag = early.as_ref().map(|early| early.caller.dialog.local_tag().to_vec());
        let tag = tag.unwrap_or_else(|| identity.caller_side_tag(id, leg, b"").into_bytes());
        let mut builder = Builder::reply_to(&request, status, Some(&tag))
            .header(Name::Contact, identity.contact(0, &attempt.source))
            .header(Name::Allow, headers::allow(&view));
        builder = headers::pass_response(builder, &view, passing).body(offer::SDP, sdp);
        let rseq = view.number(Name::RSeq).ok().flatten().filter(|_| view.has_option(Name::Require, "100rel"));
        let wants_reliable =
            request.has_option(Name::Supported, "100rel") || request.has_option(Name::Require, "100rel");
        let message = match (early, rseq) {
            (Some(early), Some(rseq)) if wants_reliable => {
                let _ = early.caller.negotiation.sent(Carrier::Reliable, !sdp.is_empty());
                early.caller.keep_sent(sdp);
                early.unacknowledged.push(rseq);
                let seed = u64::from(identity.first_rseq(early.id));
                let provisionals =
                    early.caller.provisionals.get_or_insert_with(|| Box::new(Provisionals::new(id, seed)));
                provisionals.push(builder, desk.now, &settings).ok().flatten()
            }
            (Some(early), rseq) => {
                let _ = early.caller.negotiation.sent(Carrier::Unreliable, !sdp.is_empty());
                early.caller.keep_sent(sdp);
                let id = early.id;
                if rseq.is_some() {
                    self.prack_alone(id, response, desk);
                }
                Some(builder.build())
            }
            (None, _) => Some(builder.build()),
        };
        let server = self.attempts[place].server;
        if let Some(message) = message {
            self.transactions.respond(server, message, desk);
        }
    }

    /// A callee that sends reliably although nobody asked for it: the switch acknowledges.
    fn prack_alone(&mut self, pair: u16, response: &Message, desk: &mut Desk<'_>) {
        let identity = self.identity;
        let Some(pair) = self.pairs.iter_mut().find(|held| held.id == pair) else { return };
        let end = &mut pair.callee;
        let (tx, via) = self.transactions.reserve(&identity, end.leg, &end.flow);
        let prack = end.dialog.prack(&response.view(), &hop(&via, "")).build();
        self.transactions.launch(tx, end.leg, end.flow, Role::Own, prack, desk);
    }

    /// The pair of the dialog that this response belongs to, made when it is new; `None` when it makes no dialog.
    pub(crate) fn early_pair(&mut self, id: u32, leg: u16, response: &Message) -> Option<u16> {
        let view = response.view();
        let tag = view.to().ok()?.tag().unwrap_or_default();
        let known = self.pairs.iter_mut().find(|pair| pair.leg == leg && pair.callee.dialog.remote_tag() == tag);
        if let Some(pair) = known {
            let _ = pair.callee.dialog.on_response(&view);
            return Some(pair.id);
        }
        if self.pairs.len() >= usize::from(self.settings.dialogs_max) {
            return None;
        }
        let attempt = self.attempts.iter().find(|attempt| attempt.id == id)?;
        let branch = attempt.branches.iter().find(|branch| branch.leg == leg)?;
        let sent = branch.sent.as_ref()?;
        let callee = Dialog::uac(&sent.view(), &view).ok()?;
        let local_tag = self.identity.caller_side_tag(id, leg, tag);
        let request = attempt.request.view();
        let caller = Dialog::uas(&request, local_tag.as_bytes()).ok()?;
        let mut pair = Pair {
            id: self.numbers.pair + 1,
            leg,
            caller: End::new(attempt.leg, caller, attempt.source, attempt.nat),
            callee: End::new(leg, callee, branch.flow?, branch.nat),
            invite_cseq: view.cseq().map(|cseq| cseq.number).unwrap_or(1),
            confirmed: false,
            unacknowledged: Vec::new(),
            held: None,
        };
        let _ = pair.caller.negotiation.received(Carrier::Invite, !attempt.offer.is_empty());
        let _ = pair.callee.negotiation.sent(Carrier::Invite, !branch.offer.is_empty());
        pair.caller.hear(&attempt.offer);
        pair.callee.keep_sent(&branch.offer);
        pair.caller.aor = attempt.caller.as_ref().map(|caller| caller.aor.as_str().into());
        if let Some(Account::Subscriber(callee)) = &attempt.callee {
            pair.callee.aor = Some(callee.aor.as_str().into());
        }
        self.numbers.pair += 1;
        self.pairs.push(Box::new(pair));
        Some(self.numbers.pair)
    }

    /// Drops the early dialogs of a leg that is out of the race.
    pub(crate) fn forget_early(&mut self, leg: u16, desk: &mut Desk<'_>) {
        self.forget_pairs(|pair| pair.leg == leg, desk);
    }

    /// Drops early dialogs; requests that were under way in them are answered.
    pub(crate) fn forget_pairs(&mut self, gone: impl Fn(&Pair) -> bool, desk: &mut Desk<'_>) {
        let gone = |pair: &Pair| gone(pair) && !pair.confirmed && !pair.is_ending();
        let lost: Vec<u16> = self.pairs.iter().filter(|pair| gone(pair)).map(|pair| pair.id).collect();
        let orphans = self.relays.iter().filter(|relay| lost.contains(&relay.pair)).map(|relay| relay.id);
        for relay in orphans.collect::<Vec<_>>() {
            self.fail_relay(relay, &reject::no_dialog(), desk);
        }
        self.pairs.retain(|pair| !lost.contains(&pair.id));
    }

    pub(crate) fn pair(&self, id: u16) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.id == id).map(Box::as_ref)
    }

    pub(crate) fn pair_mut(&mut self, id: u16) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.id == id).map(Box::as_mut)
    }
}

/// The session description of a message as it is.
pub(crate) fn original(message: &Message) -> Bytes {
    offer::sdp_of(&message.view()).ok().flatten().map(Bytes::copy_from_slice).unwrap_or_default()
}
