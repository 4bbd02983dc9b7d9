//! The machine: challenge, check, bind, answer, keep the NAT open.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use auth::{Asked, Ha1, NonceCounts, Outcome, Server, decoy, pick};
use fabric::hash::hash64;
use fabric::letters::control::Description;
use fabric::letters::flow::{SipIn, SipOut, Transport};
use fabric::letters::location::{Bind, BindChange, Binding, Bound};
use fabric::letters::subscriber::{Account, AccountAsk, Lock, Subscriber};
use fabric::{Address, Envelope, Fault, Home, Instant, Key, Letter, Machine, Now, Outbox, Part, Reject, Thread};
use serde::{Deserialize, Serialize};
use sip::{Method, Name, Status, View};
use tracing::debug;

use crate::Settings;
use crate::keepalive::KeepAlive;
use crate::reply::{self, Extras};
use crate::request::{self, Origin, bad};

/// What all registrations of a node share.
pub struct Desk {
    home: Home,
    settings: Arc<Settings>,
    server: Server,
}

impl Desk {
    pub fn new(home: &Home, settings: Arc<Settings>) -> Arc<Desk> {
        let server = Server::new(*home.secret(), settings.digest.clone());
        Arc::new(Desk { home: *home, settings, server })
    }

    fn ask_timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.settings.ask_timeout_ms))
    }

    fn period(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.nat_keepalive_s))
    }

    /// The digest server of this moment: counts were lost when the node started, so older nonces are stale (I26).
    ///
    /// `now` is on the clock that the machine lives by: one that has moved brings its counts and the clock they go back on.
    fn server(&self, now: Now) -> Server {
        self.server.clone().not_before(now.unix_ms.saturating_sub(now.instant.0 / 1_000))
    }
}

/// One device's REGISTER dialogue.
pub struct Registration {
    desk: Arc<Desk>,
    open: Option<Box<Open>>,
    keep_alive: Option<Box<KeepAlive>>,
    counts: NonceCounts,
    /// The last request that got beyond the digest.
    last: Last,
    /// Until when `counts` and `last` matter.
    remember: Instant,
}

/// A REGISTER that waits for an answer from inside.
#[derive(Serialize, Deserialize)]
struct Open {
    sip: SipIn,
    print: u64,
    stage: Stage,
    thread: Thread,
    deadline: Instant,
    /// RFC 5626 is in force for what this request binds.
    outbound: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Account,
    Bind,
    /// A retransmission of an accepted request: only tell again.
    Tell,
}

/// How a retransmission is known, and answered: RFC 3261 17.2.2.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Last {
    print: u64,
    status: u16,
    outbound: bool,
}

impl Registration {
    pub fn new(home: &Home, _key: Key, settings: Arc<Settings>) -> Registration {
        Registration::at(Desk::new(home, settings))
    }

    /// A registration of a node whose desk exists already.
    pub fn at(desk: Arc<Desk>) -> Registration {
        Registration {
            desk,
            open: None,
            keep_alive: None,
            counts: NonceCounts::new(),
            last: Last::default(),
            remember: Instant::default(),
        }
    }

    fn on_register(&mut self, sip: SipIn, now: Now, out: &mut Outbox) {
        let print = self.print(&sip);
        if let Some(open) = &mut self.open {
            if open.print == print {
                // Its client has lost its stream and sent it again on the next one: the answer goes there (RFC 3261 18.2.2),
                // and what is not bound yet is bound there.
                match open.stage {
                    Stage::Account => open.sip = sip,
                    Stage::Bind | Stage::Tell => open.sip.source = sip.source,
                }
                return;
            }
            // What is older than the request in hand was sent before it: a copy that took its time.
            if cseq_of(&sip) < cseq_of(&open.sip) {
                return;
            }
            if open.stage != Stage::Tell {
                let busy = Reject::new(Status::SERVER_INTERNAL_ERROR).header(Name::RetryAfter, "1");
                self.send(&sip, reply::refusal(&sip.message.view(), &self.tag(out), &busy), out);
                return;
            }
            // Only a copy of an answered request was in hand: its sender has the answer, or it would not go on.
            self.open = None;
        }
        if self.last.status != 0 && self.last.print == print && self.remember > now.instant {
            return self.repeat(sip, print, now, out);
        }
        if let Err(reject) = self.ask_account(&sip, print, Stage::Account, now, out) {
            self.send(&sip, reply::refusal(&sip.message.view(), &self.tag(out), &reject), out);
        }
    }

    /// Answers a retransmission as the request was answered before; the subscriber names the address-of-record to tell.
    fn repeat(&mut self, sip: SipIn, print: u64, now: Now, out: &mut Outbox) {
        let reject = match Status(self.last.status) {
            Status::OK => self.ask_account(&sip, print, Stage::Tell, now, out).err(),
            status => Some(Reject::new(status)),
        };
        if let Some(reject) = reject {
            self.send(&sip, reply::refusal(&sip.message.view(), &self.tag(out), &reject), out);
        }
    }

    /// Takes a request as far as the question for its account. Errors: the refusal.
    fn ask_account(&mut self, sip: &SipIn, print: u64, stage: Stage, now: Now, out: &mut Outbox) -> Result<(), Reject> {
        let view = sip.message.view();
        let wanted = request::wanted(&view)?;
        request::call_id(&view)?;
        let call_id = view.call_id().map_err(|_| bad("Bad Call-ID"))?;
        let credentials = match pick(view.headers(Name::Authorization), wanted.domain.as_bytes()) {
            None => {
                self.challenge(sip, &wanted.domain, false, now, out);
                return Ok(());
            }
            Some(Err(_)) => return Err(bad("Bad Authorization")),
            Some(Ok(credentials)) => credentials,
        };
        if self.desk.server.is_forged(&credentials.nonce, call_id) {
            self.challenge(sip, &wanted.domain, false, now, out);
            return Ok(());
        }
        let user = String::from_utf8_lossy(&credentials.username).into_owned();
        let thread = thread(now, stage);
        let deadline = now.instant + self.desk.ask_timeout();
        out.ask(
            self.desk.home.store(),
            thread,
            Letter::AccountAsk(Box::new(AccountAsk { user, domain: wanted.domain })),
        );
        self.open = Some(Box::new(Open { sip: sip.clone(), print, stage, thread, deadline, outbound: false }));
        Ok(())
    }

    fn on_account(&mut self, mail: &Envelope, now: Now, out: &mut Outbox) {
        let Letter::Account(account) = &mail.letter else { return };
        let waits = |open: &Open| open.thread == mail.thread && open.stage != Stage::Bind;
        let Some(open) = self.open.take_if(|open| waits(open)) else { return };
        match (account, open.stage) {
            (Account::Subscriber(subscriber), Stage::Tell) => {
                self.bind(*open, subscriber, BindChange::Fetch, now, out);
            }
            (Account::Subscriber(subscriber), _) => self.judge(*open, Some(subscriber), now, out),
            (Account::UnknownUser, _) => self.judge(*open, None, now, out),
            (Account::ForeignDomain, _) => self.finish(*open, Reject::new(Status::FORBIDDEN), now, out),
        }
    }

    /// The digest decides, and whose address-of-record it is.
    fn judge(&mut self, open: Open, subscriber: Option<&Arc<Subscriber>>, now: Now, out: &mut Outbox) {
        let view = open.sip.message.view();
        let Ok(wanted) = request::wanted(&view) else { return };
        let Some(Ok(credentials)) = pick(view.headers(Name::Authorization), wanted.domain.as_bytes()) else { return };
        let ha1 = match subscriber {
            Some(known) => Ha1 { md5: known.ha1_md5, sha256: known.ha1_sha256 },
            None => decoy(self.desk.home.secret(), &credentials.username),
        };
        let asked = Asked { method: b"REGISTER", uri: view.uri(), binding: view.call_id().unwrap_or_default() };
        let server = self.desk.server(now);
        if fabric::mutant!(NonceReused) {
            self.counts = NonceCounts::new();
        }
        let outcome = server.check(&credentials, &asked, &ha1, &mut self.counts, now.unix_ms);
        let subscriber = match (outcome, subscriber) {
            (Outcome::Accepted, Some(subscriber)) => subscriber,
            (outcome, _) => {
                debug!(?outcome, source = %open.sip.source.remote, "registration refused");
                return self.challenge(&open.sip, &wanted.domain, outcome == Outcome::Stale, now, out);
            }
        };
        if let Some(until_ms) = self.counts.remember_until_ms(server.nonce_life_ms()) {
            self.remember = self.remember.max(now.instant_of(until_ms));
        }
        if !request::is_own(&wanted.to, subscriber) || subscriber.lock == Lock::Global {
            return self.finish(open, Reject::new(Status::FORBIDDEN), now, out);
        }
        let path = path_of(&open.sip, &view);
        let origin = Origin { path: &path, received: open.sip.source.remote.to_string(), nat: open.sip.nat };
        match request::change(&view, &origin, open.sip.source.local, now, &self.desk.settings) {
            Ok(change) => self.bind(open, subscriber, change, now, out),
            Err(reject) => self.finish(open, reject, now, out),
        }
    }

    fn bind(&mut self, open: Open, subscriber: &Subscriber, change: BindChange, now: Now, out: &mut Outbox) {
        let (call_id, cseq) = {
            let view = open.sip.message.view();
            let (Ok(call_id), Ok(cseq)) = (request::call_id(&view), view.cseq()) else { return };
            (call_id.into(), cseq.number)
        };
        let stage = if open.stage == Stage::Tell { Stage::Tell } else { Stage::Bind };
        let outbound = request::uses_outbound(&change) || stage == Stage::Tell && self.last.outbound;
        let contacts_max = subscriber.number_preference("contacts_max").and_then(|max| u16::try_from(max).ok());
        let bind = Bind {
            aor: subscriber.aor.as_str().into(),
            call_id,
            cseq,
            change,
            contacts_max: contacts_max.unwrap_or(0),
        };
        let thread = Thread(thread(now, stage).0 | BIND_BIT);
        out.ask(self.desk.home.location(&bind.aor), thread, Letter::Bind(Box::new(bind)));
        let deadline = now.instant + self.desk.ask_timeout();
        self.open = Some(Box::new(Open { stage, thread, deadline, outbound, ..open }));
    }

    fn on_bound(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        let Letter::Bound(bound) = mail.letter else { return };
        let waits = |open: &Open| open.thread == mail.thread && open.stage != Stage::Account;
        let Some(open) = self.open.take_if(|open| waits(open)) else { return };
        match *bound {
            Bound::Refused(reject) => self.finish(*open, reject, now, out),
            Bound::Bindings(bindings) => self.accept(*open, &bindings, now, out),
        }
    }

    fn accept(&mut self, open: Open, bindings: &[Binding], now: Now, out: &mut Outbox) {
        let view = open.sip.message.view();
        let path = path_of(&open.sip, &view);
        let changed = open.stage == Stage::Bind && view.has(Name::Contact);
        let extras = Extras { path: Some(&*path).filter(|path| !path.is_empty()), outbound: open.outbound };
        let message = reply::ok(&view, &self.tag(out), bindings, extras, now, &self.desk.settings);
        self.send(&open.sip, message, out);
        if open.stage == Stage::Bind {
            self.remember_answer(&open, Status::OK, now);
        }
        if changed {
            let call_id = request::call_id(&view).unwrap_or_default();
            let wanted = open.sip.source.transport == Transport::Udp && !self.desk.period().is_zero();
            let keep_alive = || KeepAlive::of(&self.desk.home, key(out), call_id, bindings, self.desk.period(), now);
            self.keep_alive = wanted.then(keep_alive).flatten();
        }
    }

    /// Refuses a request that was open, and remembers how.
    fn finish(&mut self, open: Open, reject: Reject, now: Now, out: &mut Outbox) {
        self.remember_answer(&open, reject.status, now);
        self.send(&open.sip, reply::refusal(&open.sip.message.view(), &self.tag(out), &reject), out);
    }

    fn remember_answer(&mut self, open: &Open, status: Status, now: Now) {
        self.last = Last { print: open.print, status: status.0, outbound: open.outbound };
        self.remember = self.remember.max(now.instant + RETRANSMISSION);
    }

    /// Store or location failed: 503, and nothing is remembered, so that the same request may try again.
    fn on_fault(&mut self, open: Open, fault: &Fault, out: &mut Outbox) {
        debug!(what = %fault.what, "registration failed inside");
        let base = self.desk.settings.retry_after_s;
        let chance = self.desk.home.derive(key(out), "retry-after", open.thread.0) as u32;
        let seconds = base + chance % (base + 1);
        let reject = Reject::new(Status::SERVICE_UNAVAILABLE).header(Name::RetryAfter, seconds.to_string());
        self.send(&open.sip, reply::refusal(&open.sip.message.view(), &self.tag(out), &reject), out);
    }

    fn challenge(&self, sip: &SipIn, realm: &str, stale: bool, now: Now, out: &mut Outbox) {
        let view = sip.message.view();
        let call_id = view.call_id().unwrap_or_default();
        let challenges = self.desk.server.challenge(realm, call_id, stale, now.unix_ms);
        self.send(sip, reply::challenge(&view, &self.tag(out), &challenges), out);
    }

    fn send(&self, sip: &SipIn, message: sip::Message, out: &mut Outbox) {
        let (flow, key) = (sip.source, key(out));
        out.post(flow.balancer, Letter::SipOut(Box::new(SipOut { message, flow, key })));
    }

    /// To tag of all answers: the same for a request and its retransmission (RFC 3261 8.2.7).
    fn tag(&self, out: &Outbox) -> String {
        format!("{:016x}", self.desk.home.derive(key(out), "to-tag", 0) as u64)
    }

    /// What a request and its retransmissions have in common, and nothing else has.
    fn print(&self, sip: &SipIn) -> u64 {
        let view = sip.message.view();
        let part = |name| view.header(name).unwrap_or_default();
        let (short, long);
        let address: &[u8] = match sip.source.remote.ip() {
            IpAddr::V4(address) => {
                short = address.octets();
                &short
            }
            IpAddr::V6(address) => {
                long = address.octets();
                &long
            }
        };
        // A client whose stream has ended sends what is open again on the next one, which has another port.
        let port = match sip.source.transport {
            Transport::Udp => sip.source.remote.port(),
            _ => 0,
        };
        let port = port.to_be_bytes();
        let parts = [part(Name::Via), part(Name::CSeq), part(Name::Authorization), address, &port, &NO_CONNECTION];
        hash64(self.desk.home.secret(), &parts)
    }

    fn describe(&self) -> Description {
        let state = match &self.open {
            None => "quiet",
            Some(open) if open.stage == Stage::Account => "waits for the account",
            Some(_) => "waits for the location",
        };
        let facts = [
            ("state", state.to_owned()),
            ("keep_alive", self.keep_alive.is_some().to_string()),
            ("last_status", self.last.status.to_string()),
        ];
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Description::Machine { name: "registration".to_owned(), facts }
    }
}

impl Machine for Registration {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        match mail.letter {
            Letter::SipIn(sip) if sip.message.view().is_request() => match sip.message.view().method() {
                Method::Register => self.on_register(*sip, now, out),
                method => debug!(%method, "not for a registration"),
            },
            // An answer to a keep-alive: it has done its work on the way.
            Letter::SipIn(_) => {}
            Letter::Account(_) => self.on_account(&mail, now, out),
            Letter::Bound(_) => self.on_bound(mail, now, out),
            Letter::Returned(ref fault) => {
                if let Some(open) = self.open.take_if(|open| open.thread == mail.thread) {
                    self.on_fault(*open, fault, out);
                }
            }
            Letter::Describe => out.answer(&mail, Letter::Described(Box::new(self.describe()))),
            _ => debug!(letter = mail.letter.kind(), "not for a registration"),
        }
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        if let Some(open) = self.open.take_if(|open| open.deadline <= now.instant) {
            self.on_fault(*open, &Fault::timeout("registration"), out);
        }
        if self.remember <= now.instant {
            self.counts = NonceCounts::new();
            self.last = Last::default();
            self.remember = Instant::default();
        }
        let period = self.desk.period();
        if let Some(keep_alive) = &mut self.keep_alive
            && !keep_alive.wake(&self.desk.home, key(out), period, now, out)
        {
            self.keep_alive = None;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let remember = (self.remember != Instant::default()).then_some(self.remember);
        let open = self.open.as_ref().map(|open| open.deadline);
        let keep_alive = self.keep_alive.as_ref().map(|keep_alive| keep_alive.due);
        [remember, open, keep_alive].into_iter().flatten().min()
    }

    fn is_idle(&self) -> bool {
        self.open.is_none() && self.keep_alive.is_none() && self.remember == Instant::default()
    }

    fn waits_for(&self, thread: Thread) -> bool {
        self.open.as_ref().is_some_and(|open| open.thread == thread)
    }

    fn save(&mut self, _all: bool, parts: &mut Vec<Part>) {
        parts.push(Part { name: "".into(), value: Some(self.write()) });
    }
}

/// Stands in the print for the stream, which is no part of a request: a copy may come by another one.
const NO_CONNECTION: [u8; 8] = [0; 8];

/// How long a retransmission may come after its request: timer J of RFC 3261 17.2.2, 64 times T1.
const RETRANSMISSION: Duration = Duration::from_secs(32);

/// Tells the thread of a question to location from the one of the question to the store before it.
const BIND_BIT: u64 = 1;

/// A thread that no earlier question of this address had, whichever machine lived there.
fn thread(now: Now, stage: Stage) -> Thread {
    Thread((now.instant.0 << 3) + 2 + if stage == Stage::Tell { 4 } else { 0 })
}

fn cseq_of(sip: &SipIn) -> u32 {
    sip.message.view().cseq().map(|cseq| cseq.number).unwrap_or_default()
}

/// The key of the machine that the outbox belongs to.
fn key(out: &Outbox) -> Key {
    match out.me() {
        Address::Registration(key) => key,
        other => other.key().unwrap_or_default(),
    }
}

/// Our Path value before what trusted proxies have added (the balancer strips it from all others).
fn path_of(sip: &SipIn, view: &View<'_>) -> String {
    let mut path = sip.path.as_deref().unwrap_or_default().to_owned();
    for value in view.headers(Name::Path).filter_map(|value| std::str::from_utf8(value).ok()) {
        if !path.is_empty() {
            path.push_str(", ");
        }
        path.push_str(value);
    }
    path
}

mod save;

#[cfg(test)]
mod tests;
