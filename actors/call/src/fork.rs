//! Forking: the callee's contacts in parallel within a group of equal q, the groups one after the other.
//! RFC 3261 16.6 and 16.7, as a back-to-back agent does it.

use fabric::letters::flow::Flow;
use fabric::letters::names::Target;
use fabric::{Fault, Letter, Reject};
use sip::{Builder, Message, Method, Name, Scheme, Status, Uri};

use crate::attempt::{Attempt, BranchState, Stage};
use crate::call::{Call, Purpose, Timer};
use crate::desk::Desk;
use crate::headers::{self, Passing};
use crate::offer::{self, Exchange};
use crate::pair::profile;
use crate::transactions::{Role, TxId};
use crate::{plan, reject};

impl Call {
    pub(crate) fn on_contacts(&mut self, id: u32, answer: Result<Letter, Fault>, desk: &mut Desk<'_>) {
        let bindings = match answer {
            Ok(Letter::Located(bindings)) => bindings,
            Ok(_) => return,
            Err(fault) => return self.finish(id, &reject::of_fault(&fault), desk),
        };
        let tokens = desk.identity.home.tokens;
        let first = self.numbers.leg + 1;
        let branches = plan::branches(&bindings, first, &self.settings, &tokens, desk.now);
        let Some(attempt) = self.attempt_mut(id) else { return };
        if attempt.stage != Stage::Locating {
            return;
        }
        if branches.is_empty() {
            return self.finish(id, &Reject::new(Status::TEMPORARILY_UNAVAILABLE), desk);
        }
        attempt.stage = Stage::Trying;
        let count = u16::try_from(branches.len()).unwrap_or(u16::MAX);
        attempt.branches = branches;
        self.numbers.leg = self.numbers.leg.saturating_add(count);
        self.start_group(id, desk);
    }

    /// Tries the contacts with the best q that is left.
    fn start_group(&mut self, id: u32, desk: &mut Desk<'_>) {
        let Some(attempt) = self.attempt_mut(id) else { return };
        let Some(q) = attempt.next_group() else { return };
        let group: Vec<u16> = attempt
            .branches
            .iter()
            .filter(|branch| branch.state == BranchState::Waiting && branch.q == q)
            .map(|branch| branch.leg)
            .collect();
        if attempt.is_invite() && self.settings.ring_max_s > 0 {
            let length = std::time::Duration::from_secs(self.settings.ring_max_s.into());
            self.timers.set(Timer::Ring(id), desk.now.instant + length);
        }
        for leg in &group {
            // All are marked first: one that fails at once must not end the group.
            self.mark(id, *leg, BranchState::Offering);
        }
        for leg in group {
            self.start_branch(id, leg, desk);
        }
    }

    fn start_branch(&mut self, id: u32, leg: u16, desk: &mut Desk<'_>) {
        let Some(branch) = self.attempt_mut(id).and_then(|attempt| attempt.branch(leg)) else { return };
        if branch.flow.is_some() {
            return self.offer_to(id, leg, desk);
        }
        match plan::resolve(&branch.contact) {
            Some(names) => {
                branch.state = BranchState::Resolving;
                let letter = Letter::NamesAsk(Box::new(names));
                self.ask(desk.identity.home.names(), Purpose::Names { attempt: id, leg }, letter, desk);
            }
            None => self.branch_failed(id, leg, Status::NOT_FOUND, desk),
        }
    }

    pub(crate) fn on_names(&mut self, id: u32, leg: u16, answer: Result<Letter, Fault>, desk: &mut Desk<'_>) {
        let settings = self.settings.clone();
        let Some(attempt) = self.attempt_mut(id) else { return };
        let source = attempt.source;
        let Some(branch) = attempt.branch(leg).filter(|branch| branch.state == BranchState::Resolving) else { return };
        let way = |target: &Target| plan::flow_to(target, &source, &settings);
        let flow: Option<Flow> = match answer {
            Ok(Letter::Names(targets)) => targets.iter().find_map(way),
            _ => None,
        };
        match flow {
            Some(flow) => {
                branch.flow = Some(flow);
                self.offer_to(id, leg, desk);
            }
            None => self.branch_failed(id, leg, Status::TEMPORARILY_UNAVAILABLE, desk),
        }
    }

    /// Has the media session make the offer for a contact; calls at once when there is nothing to offer.
    fn offer_to(&mut self, id: u32, leg: u16, desk: &mut Desk<'_>) {
        let identity = self.identity;
        let Some(attempt) = self.attempt_mut(id) else { return };
        let (source, nat, sdp) = (attempt.source, attempt.nat, attempt.offer.clone());
        let Some(branch) = attempt.branch(leg) else { return };
        let Some(flow) = branch.flow else { return };
        if sdp.is_empty() {
            return self.call_branch(id, leg, desk);
        }
        branch.state = BranchState::Offering;
        let exchange = Exchange {
            from_leg: 0,
            to_leg: leg,
            from: profile(&identity, 0, &source, nat),
            to: profile(&identity, leg, &flow, branch.nat),
            answer: false,
        };
        self.ask_media(exchange, sdp, Purpose::Offer { attempt: id, leg }, desk);
    }

    pub(crate) fn on_offer_ready(&mut self, id: u32, leg: u16, answer: Result<Letter, Fault>, desk: &mut Desk<'_>) {
        let made = offer::made(answer, &self.settings);
        let Some(attempt) = self.attempt_mut(id) else { return };
        let original = attempt.offer.clone();
        let Some(branch) = attempt.branch(leg).filter(|branch| branch.state == BranchState::Offering) else { return };
        match made {
            Ok(sdp) => {
                branch.offer = sdp.unwrap_or(original);
                self.call_branch(id, leg, desk);
            }
            // Without a relay no contact can be called: the caller hears of it, and nobody's phone rings.
            Err(reject) => self.finish(id, &reject, desk),
        }
    }

    /// Sends the request to a contact.
    pub(crate) fn call_branch(&mut self, id: u32, leg: u16, desk: &mut Desk<'_>) {
        let Some(place) = self.attempts.iter().position(|attempt| attempt.id == id) else { return };
        let attempt = &mut self.attempts[place];
        let Some(at) = attempt.branches.iter().position(|branch| branch.leg == leg) else { return };
        let Some(flow) = attempt.branches[at].flow else { return };
        attempt.branches[at].cseq += 1;
        let (tx, via) = self.transactions.reserve(&self.identity, leg, &flow);
        let request = write_request(self, &self.attempts[place], at, &flow, &via);
        let branch = &mut self.attempts[place].branches[at];
        branch.state = BranchState::Calling { tx };
        branch.sent = Some(request.clone());
        self.transactions.launch(tx, leg, flow, Role::Branch { attempt: id, leg }, request, desk);
    }

    pub(crate) fn on_branch_response(&mut self, id: u32, leg: u16, tx: TxId, response: Message, desk: &mut Desk<'_>) {
        let Some(status) = response.status() else { return };
        let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.id == id) else {
            // The attempt is long over; a 2xx that still arrives wants ACK and BYE.
            if status.is_success() && response.view().method() == Method::Invite && !self.knows(leg, &response) {
                self.dismiss(leg, tx, &response, desk);
            }
            return;
        };
        let invite = attempt.is_invite();
        match (status.is_provisional(), status.is_success()) {
            (true, _) if invite => self.on_provisional(id, leg, response, desk),
            (true, _) => {}
            (_, true) if invite => self.on_success(id, leg, tx, response, desk),
            (_, true) => self.on_page_success(id, leg, &response, desk),
            _ => self.on_refusal(id, leg, response, desk),
        }
    }

    /// A contact said no.
    fn on_refusal(&mut self, id: u32, leg: u16, response: Message, desk: &mut Desk<'_>) {
        let settings = self.settings.dialogs();
        let Some(attempt) = self.attempt_mut(id) else { return };
        let trying = attempt.stage == Stage::Trying;
        let Some(branch) = attempt.branch(leg) else { return };
        let too_small = response.status() == Some(Status::SESSION_INTERVAL_TOO_SMALL);
        if trying && too_small && branch.session.on_refusal(&response.view(), &settings) {
            self.forget_early(leg, desk);
            return self.call_branch(id, leg, desk);
        }
        attempt.context.add(response);
        self.branch_done(id, leg, desk);
    }

    /// Nothing came from a contact, or nothing could be sent to it.
    pub(crate) fn on_branch_failed(&mut self, id: u32, leg: u16, status: Status, desk: &mut Desk<'_>) {
        // A transport that refuses says of a registered phone that it is not there (RFC 3261 16.9 would say 503).
        let status = if status == Status::SERVICE_UNAVAILABLE { Status::TEMPORARILY_UNAVAILABLE } else { status };
        self.branch_failed(id, leg, status, desk);
    }

    fn branch_failed(&mut self, id: u32, leg: u16, status: Status, desk: &mut Desk<'_>) {
        if let Some(attempt) = self.attempt_mut(id) {
            attempt.context.add_status(status);
        }
        self.branch_done(id, leg, desk);
    }

    /// A branch is over without success: the next group, or the caller's answer.
    fn branch_done(&mut self, id: u32, leg: u16, desk: &mut Desk<'_>) {
        self.mark(id, leg, BranchState::Done);
        self.forget_early(leg, desk);
        let Some(attempt) = self.attempt_mut(id) else { return };
        let (stage, had_offer, decided) = (attempt.stage, !attempt.offer.is_empty(), attempt.context.is_decided());
        let (open, more) = (attempt.open_branches(), attempt.next_group().is_some());
        if had_offer && open + usize::from(more) > 0 {
            self.drop_media(leg, desk);
        }
        if stage != Stage::Trying {
            return;
        }
        match (decided, open, more) {
            (true, 0, _) | (false, 0, false) => self.finish_best(id, desk),
            (true, _, _) => self.cancel_branches(id, None, desk),
            (false, 0, true) => self.start_group(id, desk),
            _ => {}
        }
    }

    /// The present group has rung long enough.
    pub(crate) fn on_ring_timeout(&mut self, id: u32, desk: &mut Desk<'_>) {
        let Some(attempt) = self.attempt_mut(id) else { return };
        if attempt.stage != Stage::Trying {
            return;
        }
        attempt.context.add_status(Status::REQUEST_TIMEOUT);
        let more = attempt.next_group().is_some();
        self.cancel_group(id, Some(RING_TIMEOUT), desk);
        match more {
            true => self.start_group(id, desk),
            false => self.finish_best(id, desk),
        }
    }

    /// The caller cancels: 487 for it, CANCEL for every phone (RFC 3261 9.2).
    pub(crate) fn give_up(&mut self, id: u32, desk: &mut Desk<'_>) {
        let answering = match self.attempt_mut(id).map(|attempt| attempt.stage) {
            Some(Stage::Answering(leg)) => Some(leg),
            Some(Stage::Clearing) | None => return,
            Some(_) => None,
        };
        self.finish(id, &Reject::new(Status::REQUEST_TERMINATED), desk);
        if let Some(leg) = answering {
            self.dismiss_answered(leg, desk);
        }
    }

    /// The caller has its answer; what still rings is cancelled.
    pub(crate) fn clear(&mut self, id: u32, desk: &mut Desk<'_>) {
        let Some(attempt) = self.attempt_mut(id) else { return };
        let answering = std::mem::replace(&mut attempt.stage, Stage::Clearing);
        let legs: Vec<u16> = attempt.branches.iter().map(|branch| branch.leg).collect();
        legs.into_iter().filter(|leg| answering != Stage::Answering(*leg)).for_each(|leg| self.forget_early(leg, desk));
        self.timers.cancel(&Timer::Ring(id));
        self.cancel_branches(id, None, desk);
    }

    /// Cancels every branch that rings, and gives up those that were not called yet.
    pub(crate) fn cancel_branches(&mut self, id: u32, reason: Option<&str>, desk: &mut Desk<'_>) {
        self.cancel_group(id, reason, desk);
        let Some(attempt) = self.attempt_mut(id) else { return };
        for branch in attempt.branches.iter_mut().filter(|branch| branch.state == BranchState::Waiting) {
            branch.state = BranchState::Done;
        }
    }

    /// Cancels the branches of the present group.
    fn cancel_group(&mut self, id: u32, reason: Option<&str>, desk: &mut Desk<'_>) {
        let Some(place) = self.attempts.iter().position(|attempt| attempt.id == id) else { return };
        for at in 0..self.attempts[place].branches.len() {
            let invite = self.attempts[place].is_invite();
            let branch = &mut self.attempts[place].branches[at];
            match branch.state {
                BranchState::Calling { tx } if invite => self.transactions.cancel(tx, reason, desk),
                // A request that is no INVITE cannot be cancelled; its end is not waited for.
                BranchState::Calling { .. } | BranchState::Resolving | BranchState::Offering => {
                    branch.state = BranchState::Done;
                }
                BranchState::Waiting | BranchState::Done => {}
            }
        }
    }

    /// Cancels one branch; the others go on.
    pub(crate) fn cancel_branch(&mut self, id: u32, leg: u16, desk: &mut Desk<'_>) {
        let state = self.attempt_mut(id).and_then(|attempt| attempt.branch(leg)).map(|branch| branch.state);
        if let Some(BranchState::Calling { tx }) = state {
            self.transactions.cancel(tx, None, desk);
        }
    }

    fn mark(&mut self, id: u32, leg: u16, state: BranchState) {
        if let Some(branch) = self.attempt_mut(id).and_then(|attempt| attempt.branch(leg)) {
            branch.state = state;
        }
    }

    /// How messages pass between the legs.
    pub(crate) fn passing(&self, trusted: bool) -> Passing {
        Passing { trusted, user_agent: self.settings.pass_user_agent }
    }
}

/// The request for a contact: new dialog identifiers, our Via and Contact, and of the caller's fields only the white list.
fn write_request(call: &Call, attempt: &Attempt, at: usize, flow: &Flow, via: &str) -> Message {
    let branch = &attempt.branches[at];
    let (view, identity) = (attempt.request.view(), &call.identity);
    let settings = &call.settings;
    let hops = view.max_forwards().ok().flatten().unwrap_or(settings.max_forwards).min(settings.max_forwards);
    let tag = identity.callee_side_tag(attempt.id, branch.leg);
    let method = view.method();
    // RFC 3323 5.3: who asks for privacy of the user part is shown as nobody.
    let hidden = headers::wants_privacy(&view, "user") || headers::wants_privacy(&view, "header");
    let mut builder = Builder::request(method, branch.contact.as_bytes())
        .header(Name::Via, via)
        .header(Name::MaxForwards, hops.saturating_sub(1).to_string());
    if !branch.routes.is_empty() {
        builder = builder.header(Name::Route, branch.routes.as_bytes());
    }
    builder = builder
        .header(Name::From, party(view.from().ok().filter(|_| !hidden), Some(&tag)))
        .header(Name::To, party(view.to().ok(), None))
        .header(Name::CallId, identity.call_id(attempt.id, branch.leg))
        .header(Name::CSeq, format!("{} {method}", branch.cseq))
        .header(Name::Contact, identity.contact(branch.leg, flow));
    builder = headers::pass_request(builder, &view, call.passing(attempt.trusted));
    if let Some(caller) = &attempt.caller {
        if let Some(identity) = headers::asserted_identity(&view, caller) {
            builder = builder.header(Name::PAssertedIdentity, identity);
        }
    } else if attempt.trusted && !headers::wants_privacy(&view, "id") {
        builder = builder.copy(&view, Name::PAssertedIdentity);
    }
    if method != Method::Invite {
        let kind = view.header(Name::ContentType).unwrap_or(b"text/plain");
        return builder.copy(&view, Name::Expires).body(kind, view.body()).build();
    }
    let reliable = view.has_option(Name::Supported, "100rel") || view.has_option(Name::Require, "100rel");
    builder = builder
        .header(Name::Allow, headers::allow(&view))
        .header(Name::Supported, if reliable { "timer, 100rel" } else { "timer" });
    if view.has_option(Name::Require, "100rel") {
        builder = builder.header(Name::Require, "100rel");
    }
    branch.session.request(builder, &settings.dialogs()).body(offer::SDP, &branch.offer).build()
}

/// A From or To as the other leg may see it: display name and URI without the parameters that only concern this leg.
fn party(address: Option<sip::NameAddr<'_>>, tag: Option<&str>) -> Vec<u8> {
    let mut text = Vec::with_capacity(80);
    match address {
        Some(address) => {
            if !address.display.is_empty() {
                text.extend_from_slice(&sip::quote(&address.display_decoded()));
                text.push(b' ');
            }
            text.push(b'<');
            match address.uri() {
                // Port, transport and the like say how this side is reached; user and domain say who it is.
                Ok(uri) if matches!(uri.scheme, Scheme::Sip | Scheme::Sips) => {
                    text.extend_from_slice(&identity_of(&uri));
                }
                _ => text.extend_from_slice(address.uri),
            }
            text.push(b'>');
        }
        None => text.extend_from_slice(b"\"Anonymous\" <sip:anonymous@anonymous.invalid>"),
    }
    if let Some(tag) = tag {
        text.extend_from_slice(b";tag=");
        text.extend_from_slice(tag.as_bytes());
    }
    text
}

fn identity_of(uri: &Uri<'_>) -> Vec<u8> {
    let mut text = if uri.is_secure() { b"sips:".to_vec() } else { b"sip:".to_vec() };
    if !uri.user.is_empty() {
        text.extend_from_slice(uri.user);
        text.push(b'@');
    }
    text.extend_from_slice(uri.host.to_string().as_bytes());
    text
}

/// Reason of the CANCEL for the phones that were too slow: no missed call (RFC 3326 3.1).
pub(crate) const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
/// Reason of the CANCEL when nobody has answered (RFC 3326).
const RING_TIMEOUT: &str = "SIP;cause=408;text=\"No Answer\"";
