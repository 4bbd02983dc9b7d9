//! Blind transfer by the switch (RFC 3515, RFC 5589 5): whoever sends a REFER is told how it goes, the target is called
//! without an offer, and the other party is connected to it by a re-INVITE (RFC 3725 4.1).

use bytes::Bytes;
use dialog::{Carrier, Negotiation, Side, sipfrag};
use fabric::letters::flow::Flow;
use fabric::letters::record::StopCause;
use fabric::letters::subscriber::{Account, AccountAsk, Lock};
use fabric::{Fault, Letter, Reject};
use serde::{Deserialize, Serialize};
use sip::{Builder, Message, Method, Name, Scheme, Status, Uri, parse_name_addr};

use crate::admission::host_of;
use crate::attempt::{Attempt, Stage};
use crate::call::{Call, Purpose};
use crate::callee::original;
use crate::context::ResponseContext;
use crate::desk::Desk;
use crate::pair::{Bye, End, Which, hop};
use crate::transactions::{Role, TxId};
use crate::{headers, offer, reject};

/// A transfer under way.
#[derive(Serialize, Deserialize)]
pub(crate) struct Transfer {
    /// The pair that it takes apart.
    pair: u16,
    /// The end that asked for it; the other one is connected to the target.
    by: Which,
    attempt: u32,
    /// The pair of the target, once it has answered.
    target: Option<u16>,
}

impl Call {
    /// One side wants the other one to be connected to somebody else.
    pub(crate) fn on_refer(&mut self, pair_id: u16, by: Which, refer: Message, source: Flow, desk: &mut Desk<'_>) {
        let asked = target_of(&refer).filter(|_| self.transfer.is_none() && self.answered.is_some());
        let Some(target) = asked else {
            return self.refuse(&refer, source, &Reject::new(Status::DECLINE), desk);
        };
        let Some(pair) = self.pairs.iter().find(|pair| pair.id == pair_id) else { return };
        let (near, far) = (pair.end(by), pair.end(by.other()));
        let Some((user, domain)) = address_of(near.dialog.remote()) else {
            return self.refuse(&refer, source, &reject::forbidden(), desk);
        };
        self.numbers.transfer = self.numbers.transfer.wrapping_add(1);
        let id = TRANSFERS | u32::from(self.numbers.transfer);
        let attempt = Attempt {
            id,
            server: TxId(0),
            request: invitation(&target, far),
            source: far.flow,
            nat: far.nat,
            leg: far.leg,
            trusted: false,
            transfer: true,
            caller: None,
            callee: None,
            admitted: false,
            stage: Stage::Admitting,
            branches: Vec::new(),
            context: ResponseContext::default(),
            offer: Bytes::new(),
            ring_ms: 0,
            init_ms: desk.now.unix_ms,
        };
        self.refuse(&refer, source, &Reject::new(Status::ACCEPTED), desk);
        self.attempts.push(Box::new(attempt));
        self.transfer = Some(Box::new(Transfer { pair: pair_id, by, attempt: id, target: None }));
        self.notify(Status::TRYING, desk);
        // Whoever transfers pays for the new call, so it has to be allowed to make one.
        let letter = Letter::AccountAsk(Box::new(AccountAsk { user, domain }));
        self.ask(desk.identity.home.store(), Purpose::Caller(id), letter, desk);
    }

    /// Whether the transferring party may call anybody.
    pub(crate) fn admit_transfer(&mut self, id: u32, account: Account, desk: &mut Desk<'_>) {
        match account {
            Account::Subscriber(subscriber) if matches!(subscriber.lock, Lock::None | Lock::Foreign) => {
                if let Some(attempt) = self.attempt_mut(id) {
                    attempt.admitted = true;
                    attempt.caller = Some(subscriber);
                }
                self.ask_callee(id, desk);
            }
            _ => self.finish(id, &reject::forbidden(), desk),
        }
    }

    /// The target has answered with its offer: the other party is to answer it.
    pub(crate) fn connect(&mut self, target: u16, sdp: Bytes, desk: &mut Desk<'_>) {
        let (identity, settings) = (self.identity, self.settings.dialogs());
        let Some(transfer) = &mut self.transfer else { return };
        transfer.target = Some(target);
        let (pair_id, far) = (transfer.pair, transfer.by.other());
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.id == pair_id) else { return };
        let end = pair.end_mut(far);
        let free = end.pending.may_send(Method::Invite) && end.acceptance.is_none() && end.ack_owed.is_none();
        if !free || end.bye != Bye::No {
            return self.transfer_failed(Status::REQUEST_PENDING, desk);
        }
        let (tx, via) = self.transactions.reserve(&identity, end.leg, &end.flow);
        let contact = identity.contact(end.leg, &end.flow);
        let builder = end
            .dialog
            .request(Method::Invite, &hop(&via, &contact))
            .header(Name::Allow, headers::own_allow())
            .header(Name::Supported, "timer");
        let request = end.session.request(builder, &settings).body(offer::SDP, &sdp).build();
        let _ = end.negotiation.sent(Carrier::Invite, true);
        end.pending.begin(Side::Us, Method::Invite);
        end.keep_sent(&sdp);
        let (leg, flow) = (end.leg, end.flow);
        self.transactions.launch(tx, leg, flow, Role::Transfer, request, desk);
    }

    pub(crate) fn on_transfer_response(&mut self, tx: TxId, response: Message, desk: &mut Desk<'_>) {
        let settings = self.settings.dialogs();
        let view = response.view();
        let Some(status) = view.status().filter(|status| status.is_final()) else { return };
        let Some(transfer) = &self.transfer else { return };
        let (pair_id, far, target) = (transfer.pair, transfer.by.other(), transfer.target);
        let Some(end) = self.pair_mut(pair_id).map(|pair| pair.end_mut(far)) else { return };
        let _ = end.dialog.on_response(&view);
        end.pending.end(Side::Us, Method::Invite);
        if !status.is_success() {
            end.negotiation.failed(Side::Us, Carrier::Invite);
            return self.transfer_failed(status, desk);
        }
        end.session.on_success(&view, desk.now, &settings);
        let sdp = original(&response);
        let _ = end.negotiation.received(Carrier::Success, !sdp.is_empty());
        end.hear(&sdp);
        end.ack_owed = Some((tx, view.cseq().map(|cseq| cseq.number).unwrap_or_default()));
        self.send_ack(pair_id, far, &Bytes::new(), desk);
        match target {
            Some(target) => self.ask_media_for(target, Which::Caller, true, sdp, Purpose::Transfer(response), desk),
            None => self.transfer_failed(Status::SERVER_INTERNAL_ERROR, desk),
        }
    }

    /// The other party's answer is ready for the target: the two are connected, the third is told and let go.
    pub(crate) fn on_transfer_ready(&mut self, response: Message, answer: Result<Letter, Fault>, desk: &mut Desk<'_>) {
        let Some(transfer) = self.transfer.as_ref() else { return };
        let (old_id, by, id, target) = (transfer.pair, transfer.by, transfer.attempt, transfer.target);
        let sdp = match offer::made(answer, &self.settings) {
            Ok(sdp) => sdp.unwrap_or_else(|| original(&response)),
            Err(_) => return self.transfer_failed(Status::SERVICE_UNAVAILABLE, desk),
        };
        let Some(target) = target else { return };
        self.send_ack(target, Which::Callee, &sdp, desk);
        let told = self.notify(Status::OK, desk);
        let Some(place) = self.pairs.iter().position(|pair| pair.id == target) else { return };
        let mut joined = self.pairs.swap_remove(place);
        let Some(old) = self.pair_mut(old_id) else { return };
        // The connected party changes pairs; what stays in its place has nothing more to say.
        std::mem::swap(&mut joined.caller, old.end_mut(by.other()));
        old.end_mut(by.other()).bye = Bye::Done;
        joined.confirmed = true;
        joined.caller.negotiation = settled();
        joined.callee.negotiation = settled();
        self.pairs.push(joined);
        let cause = if by == Which::Caller { StopCause::CallerHangup } else { StopCause::CalleeHangup };
        self.split_record(cause, desk);
        self.start_record(id, target, desk);
        self.transfer = None;
        self.clear(id, desk);
        // A BYE beside the NOTIFY could overtake it, and the NOTIFY would be too old for the phone (RFC 3261 12.2.2).
        if !told {
            self.say_bye(old_id, by, desk);
        }
    }

    pub(crate) fn on_transfer_failed(&mut self, status: Status, desk: &mut Desk<'_>) {
        self.transfer_failed(status, desk);
    }

    /// The transfer came to nothing: the target is let go, and the old call goes on if both are still there.
    fn transfer_failed(&mut self, status: Status, desk: &mut Desk<'_>) {
        let Some(transfer) = &self.transfer else { return };
        let (id, target) = (transfer.attempt, transfer.target);
        let leg = target.and_then(|target| self.pair(target)).map(|pair| pair.leg);
        self.finish(id, &Reject::new(status), desk);
        if let Some(leg) = leg {
            self.dismiss_answered(leg, desk);
        }
    }

    /// The attempt of a transfer has ended without success.
    pub(crate) fn on_transfer_over(&mut self, status: Status, desk: &mut Desk<'_>) {
        self.notify(status, desk);
        let Some(transfer) = self.transfer.take() else { return };
        let gone = self.pair(transfer.pair).is_some_and(|pair| pair.end(transfer.by).bye != Bye::No);
        if gone {
            self.hang_up(transfer.pair, None, cause_of(transfer.by), desk);
        }
    }

    /// A BYE while a transfer is under way; `true` when the other party is to wait for its outcome.
    pub(crate) fn bye_in_transfer(&mut self, pair: u16, which: Which, desk: &mut Desk<'_>) -> bool {
        let Some(transfer) = self.transfer.as_ref().filter(|transfer| transfer.pair == pair) else { return false };
        if transfer.by == which {
            return true;
        }
        let id = transfer.attempt;
        let leg = transfer.target.and_then(|target| self.pair(target)).map(|pair| pair.leg);
        self.transfer = None;
        self.finish(id, &Reject::new(Status::REQUEST_TERMINATED), desk);
        if let Some(leg) = leg {
            self.dismiss_answered(leg, desk);
        }
        false
    }

    /// Tells the transferring party how it goes (RFC 3515 2.4.5); false when it has hung up.
    fn notify(&mut self, status: Status, desk: &mut Desk<'_>) -> bool {
        let identity = self.identity;
        let Some(transfer) = &self.transfer else { return false };
        let (id, by) = (transfer.pair, transfer.by);
        let Some(end) = self.pairs.iter_mut().find(|pair| pair.id == id).map(|pair| pair.end_mut(by)) else {
            return false;
        };
        if end.bye != Bye::No {
            return false;
        }
        let (tx, via) = self.transactions.reserve(&identity, end.leg, &end.flow);
        let contact = identity.contact(end.leg, &end.flow);
        let state = if status.is_final() { "terminated;reason=noresource" } else { "active;expires=180" };
        let notify = end
            .dialog
            .request(Method::Notify, &hop(&via, &contact))
            .header(Name::Event, "refer")
            .header(Name::SubscriptionState, state)
            .body(b"message/sipfrag;version=2.0", &sipfrag(status))
            .build();
        let (leg, flow) = (end.leg, end.flow);
        let role = if status.is_success() { Role::Farewell { pair: id, end: by } } else { Role::Own };
        self.transactions.launch(tx, leg, flow, role, notify, desk);
        true
    }
}

/// The Refer-To URI when it names somebody who can simply be called; `None` for an attended transfer (Replaces) and
/// anything else that only the phones themselves could do.
fn target_of(refer: &Message) -> Option<Vec<u8>> {
    let view = refer.view();
    let mut values = view.values(Name::ReferTo);
    let target = parse_name_addr(values.next()?).ok()?;
    let uri = target.uri().ok()?;
    let plain = matches!(uri.scheme, Scheme::Sip | Scheme::Sips | Scheme::Tel) && !uri.has_headers();
    let invited = uri.param("method").is_none_or(|method| method.eq_ignore_ascii_case(b"INVITE"));
    (plain && invited && values.next().is_none()).then(|| target.uri.to_vec())
}

/// The INVITE that the connected party would have sent to the target.
fn invitation(target: &[u8], far: &End) -> Message {
    let from =
        parse_name_addr(far.dialog.remote()).map(|party| party.uri).unwrap_or(b"sip:anonymous@anonymous.invalid");
    Builder::request(Method::Invite, target)
        .header(Name::Via, "SIP/2.0/UDP invalid;branch=z9hG4bKtransfer")
        .header(Name::MaxForwards, "70")
        .header(Name::From, [b"<", from, b">;tag=transfer"].concat())
        .header(Name::To, [b"<", target, b">"].concat())
        .header(Name::CallId, far.dialog.call_id())
        .header(Name::CSeq, "1 INVITE")
        .header(Name::Contact, [b"<", far.dialog.target(), b">"].concat())
        .build()
}

/// User and domain of a From or To value.
fn address_of(party: &[u8]) -> Option<(String, String)> {
    let party = parse_name_addr(party).ok()?;
    let uri: Uri<'_> = party.uri().ok()?;
    let user = String::from_utf8_lossy(&uri.user_decoded()).into_owned();
    (!user.is_empty()).then(|| (user, host_of(&uri)))
}

fn cause_of(by: Which) -> StopCause {
    if by == Which::Caller { StopCause::CallerHangup } else { StopCause::CalleeHangup }
}

/// Offer and answer of a session that stands: the exchange was made in pieces by the switch.
fn settled() -> Negotiation {
    let mut negotiation = Negotiation::default();
    let _ = negotiation.sent(Carrier::Invite, true);
    let _ = negotiation.received(Carrier::Success, true);
    negotiation
}

/// First number of the attempts that transfers make; CSeq numbers of callers stay below (RFC 3261 8.1.1.5).
const TRANSFERS: u32 = 1 << 31;
