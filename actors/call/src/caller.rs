//! The caller's side: requests outside dialogs, their admission, and the answers they get.

use fabric::letters::flow::{Flow, SipIn};
use fabric::letters::subscriber::{Account, AccountAsk};
use fabric::{Fault, Letter, Reject};
use sip::{Builder, Message, Method, Name, Status, Uri};

use crate::admission::{Door, Entry, Look};
use crate::attempt::{Attempt, Stage};
use crate::call::{Call, Purpose, cseq_of};
use crate::context::ResponseContext;
use crate::desk::Desk;
use crate::transactions::Role;
use crate::{check, headers, offer, plan, reject};

impl Call {
    /// A request without To tag.
    pub(crate) fn on_outside(&mut self, request: Message, source: Flow, nat: bool, desk: &mut Desk<'_>) {
        if self.transactions.len() >= usize::from(self.settings.transactions_max) {
            let answer = reply(&request, &reject::unavailable(5), None);
            return desk.send(answer, source, fabric::Thread::NONE);
        }
        if request.view().method() == Method::Invite && self.adopt(&request, &source, desk) {
            return;
        }
        match self.look(&request, &source, desk) {
            Ok(ask) => self.attempt(request, source, nat, ask, desk),
            Err(reject) => self.refuse(&request, source, &reject, desk),
        }
    }

    /// What can be said about a request without asking anybody; `Ok` carries the account whose credentials it has.
    fn look(&mut self, request: &Message, source: &Flow, desk: &mut Desk<'_>) -> Result<Option<AccountAsk>, Reject> {
        let view = request.view();
        check::outside(&view, &self.settings, &self.identity)?;
        if self.settings.trusts(source.remote.ip()) {
            return check::served(&view).map(|()| None);
        }
        match self.admission.look(&view) {
            Look::Challenge => Err(self.challenge(request, false, desk)),
            Look::Refuse(reject) => Err(reject),
            Look::Ask(ask) => Ok(Some(ask)),
        }
    }

    /// Begins to work on a request.
    fn attempt(&mut self, request: Message, source: Flow, nat: bool, ask: Option<AccountAsk>, desk: &mut Desk<'_>) {
        let id = cseq_of(&request);
        let busy = self.attempts.iter().any(|attempt| attempt.id == id);
        let pages = self.attempts.iter().filter(|attempt| !attempt.is_invite()).count();
        if busy || pages >= self.settings.pages_max.into() {
            return self.refuse(&request, source, &reject::unavailable(5), desk);
        }
        self.numbers.attempt = self.numbers.attempt.max(id);
        self.transactions.begin(id);
        let server = self.transactions.accept(&request, 0, source, Role::Attempt(id), true, desk);
        let invite = request.view().method() == Method::Invite;
        let offer = offer::sdp_of(&request.view()).ok().flatten().filter(|_| invite).map(bytes::Bytes::copy_from_slice);
        let trusted = ask.is_none();
        self.attempts.push(Box::new(Attempt {
            id,
            server,
            source,
            nat,
            leg: 0,
            transfer: false,
            trusted,
            caller: None,
            callee: None,
            admitted: trusted,
            stage: Stage::Admitting,
            branches: Vec::new(),
            context: ResponseContext::default(),
            offer: offer.unwrap_or_default(),
            ring_ms: 0,
            init_ms: desk.now.unix_ms,
            request,
        }));
        if let Some(ask) = ask {
            let letter = Letter::AccountAsk(Box::new(ask));
            self.ask(desk.identity.home.store(), Purpose::Caller(id), letter, desk);
        }
        self.ask_callee(id, desk);
    }

    /// Asks who is called, unless that depends on a caller who is not known yet.
    pub(crate) fn ask_callee(&mut self, id: u32, desk: &mut Desk<'_>) {
        let Some(attempt) = self.attempt_mut(id) else { return };
        let view = attempt.request.view();
        let Ok(uri) = Uri::parse(view.uri()) else {
            return self.finish(id, &Reject::new(Status::BAD_REQUEST), desk);
        };
        if !attempt.admitted && plan::depends_on_caller(&uri, &attempt.source) {
            return;
        }
        let origin = plan::Origin { caller: attempt.caller.as_deref(), source: &attempt.source };
        match plan::dialled(&uri, &origin) {
            Ok(ask) => {
                let letter = Letter::AccountAsk(Box::new(ask));
                self.ask(desk.identity.home.store(), Purpose::Callee(id), letter, desk);
            }
            // Said only to those who are admitted: who asks for what is nobody else's business.
            Err(reject) if attempt.admitted => self.finish(id, &reject, desk),
            Err(_) => {}
        }
    }

    pub(crate) fn on_caller_account(&mut self, id: u32, answer: Result<Letter, Fault>, desk: &mut Desk<'_>) {
        let Some(place) = self.attempts.iter().position(|attempt| attempt.id == id && attempt.is_open()) else {
            return;
        };
        let account = match answer {
            Ok(Letter::Account(account)) => account,
            Ok(_) => return,
            Err(fault) => return self.finish(id, &reject::of_fault(&fault), desk),
        };
        if self.attempts[place].transfer {
            return self.admit_transfer(id, account, desk);
        }
        let attempt = &mut self.attempts[place];
        let door = Door { secret: self.identity.home.secret(), key: self.identity.key, settings: &self.settings };
        match self.admission.judge(&attempt.request.view(), &account, &door, desk.now) {
            Entry::Admitted => {
                attempt.admitted = true;
                if let Account::Subscriber(subscriber) = account {
                    attempt.caller = Some(subscriber);
                }
                self.linger(desk);
                let asked = self.asks.purposes().any(|open| matches!(open, Purpose::Callee(of) if *of == id));
                match self.attempt_mut(id).is_some_and(|attempt| attempt.callee.is_none()) && !asked {
                    true => self.ask_callee(id, desk),
                    false => self.proceed(id, desk),
                }
            }
            Entry::Challenge(stale) => {
                let request = attempt.request.clone();
                let reject = self.challenge(&request, stale, desk);
                self.finish_quietly(id, &reject, desk);
            }
            Entry::Refuse(reject) => self.finish(id, &reject, desk),
        }
    }

    pub(crate) fn on_callee_account(&mut self, id: u32, answer: Result<Letter, Fault>, desk: &mut Desk<'_>) {
        match answer {
            Ok(Letter::Account(account)) => {
                if let Some(attempt) = self.attempt_mut(id) {
                    attempt.callee = Some(account);
                }
                self.proceed(id, desk);
            }
            Ok(_) => {}
            Err(fault) => self.finish(id, &reject::of_fault(&fault), desk),
        }
    }

    /// Both parties are known: find the callee's contacts.
    fn proceed(&mut self, id: u32, desk: &mut Desk<'_>) {
        let Some(attempt) = self.attempt_mut(id) else { return };
        if attempt.stage != Stage::Admitting || !attempt.admitted {
            return;
        }
        let found = match &attempt.callee {
            None => return,
            Some(Account::ForeignDomain) => Err(reject::forbidden()),
            Some(Account::UnknownUser) => Err(Reject::new(Status::NOT_FOUND)),
            Some(Account::Subscriber(callee)) => plan::may_be_called(callee).map(|()| callee.aor.clone()),
        };
        let found = found.and_then(|aor| check::served(&attempt.request.view()).map(|()| aor));
        match found {
            Ok(aor) => {
                attempt.stage = Stage::Locating;
                let shard = desk.identity.home.location(&aor);
                self.ask(shard, Purpose::Contacts(id), Letter::Locate(aor.into()), desk);
            }
            Err(reject) => self.finish(id, &reject, desk),
        }
    }

    /// The caller has hung up before there was an answer.
    pub(crate) fn on_cancel(&mut self, sip: SipIn, desk: &mut Desk<'_>) {
        let found = self.transactions.cancelled(&sip.message.view());
        let Some(cancel) = self.transactions.on_request(sip.message, desk) else { return };
        let Some((invite, role)) = found else {
            return self.refuse(&cancel, sip.source, &reject::no_dialog(), desk);
        };
        let own = self.transactions.accept(&cancel, 0, sip.source, Role::Own, false, desk);
        let tag = self.identity.caller_side_tag(cseq_of(&cancel), 0, b"");
        let answer = Builder::reply_to(&cancel.view(), Status::OK, Some(tag.as_bytes())).build();
        self.transactions.respond(own, answer, desk);
        if !self.transactions.is_pending(invite) {
            return;
        }
        match role {
            Role::Attempt(id) => self.give_up(id, desk),
            Role::Relay(id) => self.cancel_relay(id, desk),
            _ => {}
        }
    }

    /// Sends the best final response of the branches to the caller.
    pub(crate) fn finish_best(&mut self, id: u32, desk: &mut Desk<'_>) {
        let Some(attempt) = self.attempt_mut(id) else { return };
        let (status, response) = attempt.context.best();
        let response = response.cloned();
        let passing = self.passing(false);
        self.conclude(id, &Reject::new(status), desk, |builder| match &response {
            Some(response) => headers::pass_response(builder, &response.view(), passing),
            None => builder,
        });
    }

    /// Refuses the attempt, with a record of it.
    pub(crate) fn finish(&mut self, id: u32, reject: &Reject, desk: &mut Desk<'_>) {
        self.conclude(id, reject, desk, |builder| builder);
    }

    pub(crate) fn conclude(
        &mut self,
        id: u32,
        reject: &Reject,
        desk: &mut Desk<'_>,
        more: impl FnOnce(Builder) -> Builder,
    ) {
        let Some(attempt) = self.attempts.iter().find(|attempt| attempt.id == id && attempt.is_open()) else { return };
        let tag = self.identity.caller_side_tag(id, 0, b"");
        let (transfer, invite) = (attempt.transfer, attempt.is_invite());
        let (server, answer) = (attempt.server, more(reply_builder(&attempt.request, reject, Some(&tag))).build());
        self.transactions.respond(server, answer, desk);
        if !reject.status.is_success() {
            self.record_attempt(id, reject, desk);
        }
        self.clear(id, desk);
        if transfer {
            self.on_transfer_over(reject.status, desk);
        } else if invite {
            self.end_media(desk);
        }
    }

    /// Refuses the attempt without a record: nobody knows who it was.
    fn finish_quietly(&mut self, id: u32, reject: &Reject, desk: &mut Desk<'_>) {
        let Some(attempt) = self.attempts.iter().find(|attempt| attempt.id == id && attempt.is_open()) else { return };
        let tag = self.identity.caller_side_tag(id, 0, b"");
        let (server, answer) = (attempt.server, reply(&attempt.request, reject, Some(&tag)));
        self.transactions.respond(server, answer, desk);
        self.clear(id, desk);
    }

    /// Refuses a request that nothing was begun for.
    pub(crate) fn refuse(&mut self, request: &Message, source: Flow, reject: &Reject, desk: &mut Desk<'_>) {
        let tag = self.identity.caller_side_tag(cseq_of(request), 0, b"");
        let server = self.transactions.accept(request, 0, source, Role::Own, false, desk);
        self.transactions.respond(server, reply(request, reject, Some(&tag)), desk);
    }

    /// A 407 with fresh nonces (RFC 3261 22.3).
    fn challenge(&mut self, request: &Message, stale: bool, desk: &mut Desk<'_>) -> Reject {
        let door = Door { secret: self.identity.home.secret(), key: self.identity.key, settings: &self.settings };
        let lines = door.challenge(&request.view(), stale, desk.now);
        let reject = Reject::new(Status::PROXY_AUTHENTICATION_REQUIRED);
        lines.into_iter().fold(reject, |reject, line| reject.header(Name::ProxyAuthenticate, line))
    }

    /// Takes over an INVITE that came back on a new branch, its client having changed servers (R4), and refuses a merged
    /// one (RFC 3261 8.2.2.2); `false` when it is a new one.
    fn adopt(&mut self, request: &Message, source: &Flow, desk: &mut Desk<'_>) -> bool {
        let id = cseq_of(request);
        if id > self.numbers.attempt
            && self.answered.is_none()
            && !self.attempts.iter().any(|attempt| attempt.is_invite())
        {
            return false;
        }
        let same = |attempt: &Attempt| {
            let (held, new) = (attempt.request.view(), request.view());
            attempt.id == id
                && attempt.is_open()
                && attempt.source.remote.ip() == source.remote.ip()
                && held.uri() == new.uri()
                && held.header(Name::ProxyAuthorization) == new.header(Name::ProxyAuthorization)
        };
        let Some(place) = self.attempts.iter().position(|attempt| same(attempt)) else {
            let known = self.numbers.attempt > 0;
            if known {
                self.refuse(request, *source, &Reject::new(Status::LOOP_DETECTED), desk);
            }
            return known;
        };
        let old = self.attempts[place].server;
        self.transactions.forget(old);
        let server = self.transactions.accept(request, 0, *source, Role::Attempt(id), true, desk);
        let attempt = &mut self.attempts[place];
        (attempt.server, attempt.source, attempt.request) = (server, *source, request.clone());
        true
    }

    pub(crate) fn attempt_mut(&mut self, id: u32) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.id == id).map(Box::as_mut)
    }

    /// The leg whose answer is on its way to the caller.
    pub(crate) fn answering_leg(&self, id: u32) -> Option<u16> {
        let attempt = self.attempts.iter().find(|attempt| attempt.id == id)?;
        match attempt.stage {
            Stage::Answering(leg) => Some(leg),
            _ => None,
        }
    }
}

/// The answer that a refusal makes.
pub(crate) fn reply(request: &Message, reject: &Reject, tag: Option<&str>) -> Message {
    reply_builder(request, reject, tag).build()
}

pub(crate) fn reply_builder(request: &Message, reject: &Reject, tag: Option<&str>) -> Builder {
    let view = request.view();
    let mut builder = Builder::reply_to(&view, reject.status, tag.map(str::as_bytes));
    for (name, value) in &reject.headers {
        builder = builder.other(name, value);
    }
    builder
}
