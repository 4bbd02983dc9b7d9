//! The machine: every message in, every message out.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use fabric::letter::undeliverable;
use fabric::letters::control::{Control, ControlAnswer, Description, SharedBan};
use fabric::letters::flow::{Flow, Received, SipIn, SipOut, Traced, Transmit, Transport};
use fabric::{Address, Envelope, Fault, Home, Instant, Key, LegToken, Letter, Machine, Now, Outbox, Reject, Trace};
use sip::{Limits, Message, Method, ParseError, Splices, Status, View};
use tracing::{debug, info, trace};

use crate::Settings;
use crate::guard::{Entry, Guard};
use crate::relay::Label;
use crate::screen::{self, Stop};
use crate::sharing::Sharing;
use crate::{outbound, refusal, relay};

/// The perimeter of one socket shard.
pub struct Balancer {
    home: Home,
    shard: u16,
    settings: Arc<Settings>,
    limits: Limits,
    guard: Guard,
    sharing: Sharing,
    draining: bool,
    /// Our stamps as a relay, one a listener.
    labels: Vec<Label>,
    counts: Counts,
    /// The end of a Path value for each socket that a REGISTER has come in by.
    path_ends: Vec<((Transport, SocketAddr), Box<str>)>,
}

/// What happened since the start.
#[derive(Debug, Default)]
struct Counts {
    received: u64,
    forwarded: u64,
    sent: u64,
    answered: u64,
    /// Dropped because it could not be read, or was no message for us.
    malformed: u64,
    stray_responses: u64,
    absorbed_acks: u64,
    banned: u64,
    flooded: u64,
    unwanted: u64,
    unsendable: u64,
}

/// Where a request goes.
enum Way {
    Leg(LegToken),
    Actor(Address),
    /// REGISTER: the actor, with Path.
    Registration(Address),
    /// OPTIONS to the switch.
    Here,
    /// An ACK to an answer of ours, or to nobody.
    Nowhere,
    Refuse(Reject),
}

impl Balancer {
    pub fn new(home: &Home, shard: u16, settings: Arc<Settings>) -> Balancer {
        let guard = Guard::new(home.node, &settings, *home.secret());
        let sharing = Sharing::new(home.node, shard, &settings);
        let (limits, counts) = (settings.limits(), Counts::default());
        Balancer {
            home: *home,
            shard,
            settings,
            limits,
            guard,
            sharing,
            draining: false,
            labels: Vec::new(),
            counts,
            path_ends: Vec::new(),
        }
    }

    fn on_received(&mut self, received: Received, now: Now, out: &mut Outbox) {
        self.counts.received += 1;
        let Received { flow, bytes } = received;
        let trusted = self.settings.is_trusted(flow.remote.ip());
        let entry = if trusted { Entry::Free } else { self.guard.admit(&flow, now.instant) };
        match entry {
            Entry::Free | Entry::Scarce => {}
            Entry::Closed => return self.flooded(&flow, now, out),
            Entry::Banned => {
                self.counts.banned += 1;
                return;
            }
        }
        // Keep-alives of phones that send a CRLF, or zeros, into their UDP flow.
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return;
        }
        if bytes.starts_with(b"SIP/") {
            self.on_response(flow, bytes, entry, now, out);
        } else {
            self.on_request(flow, bytes, trusted, entry, now, out);
        }
    }

    fn on_response(&mut self, flow: Flow, bytes: Bytes, entry: Entry, now: Now, out: &mut Outbox) {
        if !self.settings.forward.is_empty() {
            return self.relay_response(&flow, &bytes, out);
        }
        let Ok(message) = Message::parse(bytes, &self.limits) else {
            self.counts.malformed += 1;
            return;
        };
        let view = message.view();
        // RFC 3261 8.1.3.3: a response with a second Via is not for us.
        let ours = view.values(sip::Name::Via).nth(1).is_none().then(|| view.top_via().ok()).flatten();
        let leg = ours.and_then(|via| screen::leg_of_branch(&via, &self.home.tokens));
        let Some(leg) = leg.filter(|_| view.check().is_ok()) else {
            self.counts.stray_responses += 1;
            return self.charge_or_flood(entry, false, &flow, now, out);
        };
        self.charge_or_flood(entry, true, &flow, now, out);
        self.deliver(leg.to, message, flow, Some(leg), false, None, now, out);
    }

    fn on_request(&mut self, flow: Flow, bytes: Bytes, trusted: bool, entry: Entry, now: Now, out: &mut Outbox) {
        let view = match View::parse(&bytes, &self.limits) {
            Ok(view) => view,
            Err(error) => return self.on_unreadable(&flow, &bytes, error, entry, now, out),
        };
        if !self.settings.forward.is_empty() {
            return self.relay_request(&view, &flow, entry, now, out);
        }
        let way = self.way(&view, &flow);
        let under_way = matches!(way, Way::Leg(_));
        if entry == Entry::Scarce {
            self.charge_or_flood(entry, under_way, &flow, now, out);
            if !under_way {
                return;
            }
        }
        if let Err(error) = view.check() {
            debug!(%error, source = %flow.remote, "request refused");
            return self.refuse(&view, &flow, &Reject::new(error.status()), now, out);
        }
        match screen::screen(&view, &flow, trusted, &self.home.tokens, &self.settings) {
            Ok(()) => {}
            Err(Stop::Refuse(reject)) => return self.refuse(&view, &flow, &reject, now, out),
            Err(Stop::Drop) => {
                self.counts.unwanted += 1;
                return;
            }
        }
        if self.draining && is_new(&view, &way) {
            let reject = refusal::draining(&view, &self.home, &self.settings);
            return self.refuse(&view, &flow, &reject, now, out);
        }
        match way {
            Way::Here => {
                let answer = refusal::options(&view, &flow, &self.home, &self.settings);
                self.answer(answer, &view, &flow, now, out);
            }
            Way::Nowhere => self.counts.absorbed_acks += 1,
            Way::Refuse(reject) => self.refuse(&view, &flow, &reject, now, out),
            Way::Leg(leg) => self.forward(leg.to, &view, &bytes, flow, Some(leg), trusted, None, now, out),
            Way::Actor(to) => self.forward(to, &view, &bytes, flow, None, trusted, None, now, out),
            Way::Registration(to) => {
                let path = Some(self.path(&flow));
                self.forward(to, &view, &bytes, flow, None, trusted, path, now, out);
            }
        }
    }

    /// A request in front of proxies of others: what they send is theirs to answer for, everybody else is checked.
    fn relay_request(&mut self, view: &View<'_>, flow: &Flow, entry: Entry, now: Now, out: &mut Outbox) {
        if entry == Entry::Scarce {
            return self.flooded(flow, now, out);
        }
        if view.method() == Method::Options && self.is_for_switch(view, flow) {
            let answer = refusal::options(view, flow, &self.home, &self.settings);
            return self.answer(answer, view, flow, now, out);
        }
        let passed = match self.settings.forward.contains(&flow.remote) {
            true => Ok(()),
            false => view.check_framing().map_err(|error| Reject::new(error.status())),
        };
        let starts =
            view.to().is_ok_and(|to| to.tag().is_none()) && !matches!(view.method(), Method::Ack | Method::Cancel);
        if self.draining && starts {
            let reject = refusal::draining(view, &self.home, &self.settings);
            return self.refuse(view, flow, &reject, now, out);
        }
        let place = self.labels.iter().position(|label| label.listener == flow.listener).unwrap_or_else(|| {
            self.labels.push(Label::of(flow));
            self.labels.len() - 1
        });
        let label = &self.labels[place];
        match passed.and_then(|()| relay::request(view, flow, label, &self.home, &self.settings)) {
            Ok(transmit) => {
                self.counts.forwarded += 1;
                out.post(self.home.flow(), Letter::Transmit(transmit));
            }
            Err(reject) => self.refuse(view, flow, &reject, now, out),
        }
    }

    fn relay_response(&mut self, flow: &Flow, bytes: &Bytes, out: &mut Outbox) {
        let view = View::parse(bytes, &self.limits).ok();
        match view.and_then(|view| relay::response(&view, flow, &self.home)) {
            Some(transmit) => {
                self.counts.forwarded += 1;
                out.post(self.home.flow(), Letter::Transmit(transmit));
            }
            None => self.counts.stray_responses += 1,
        }
    }

    /// A message that cannot be read is answered as far as it can be read: RFC 3261 8.2.6, 18.3.
    fn on_unreadable(
        &mut self,
        flow: &Flow,
        bytes: &[u8],
        error: ParseError,
        entry: Entry,
        now: Now,
        out: &mut Outbox,
    ) {
        self.counts.malformed += 1;
        trace!(%error, source = %flow.remote, "unreadable");
        if entry == Entry::Scarce {
            return self.flooded(flow, now, out);
        }
        if let Some(view) = View::salvage(bytes, &self.limits) {
            self.refuse(&view, flow, &Reject::new(error.status()), now, out);
        }
    }

    /// Where a request goes, by its tokens and identifiers alone.
    fn way(&self, view: &View<'_>, flow: &Flow) -> Way {
        let method = view.method();
        let (Ok(call_id), Ok(from)) = (view.call_id(), view.from()) else { return Way::Nowhere };
        if method == Method::Register {
            let key = self.home.keys.registration(call_id);
            return Way::Registration(Address::Registration(self.settings.zone.place(key)));
        }
        let call = Address::Call(self.call_key(call_id, from.tag()));
        let in_dialog = view.to().is_ok_and(|to| to.tag().is_some());
        if in_dialog {
            return match screen::leg_of_request(view, &self.home.tokens) {
                Some(leg) => Way::Leg(leg),
                None if method != Method::Ack => Way::Refuse(Reject::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST)),
                None if refusal::absorbs(view, &self.home) => Way::Nowhere,
                // An ACK to a non-2xx of the call: it names no dialog, but the INVITE's Call-ID and From tag.
                None => Way::Actor(call),
            };
        }
        // A CANCEL carries the Request-URI of its request; that of a re-INVITE holds our token.
        if method == Method::Cancel
            && let Some(leg) = screen::leg_of_request(view, &self.home.tokens)
        {
            return Way::Leg(leg);
        }
        if method == Method::Options && self.is_for_switch(view, flow) {
            return Way::Here;
        }
        Way::Actor(call)
    }

    fn call_key(&self, call_id: &[u8], from_tag: Option<&[u8]>) -> Key {
        self.settings.zone.place(self.home.keys.call(call_id, from_tag.unwrap_or_default()))
    }

    /// Whether a Request-URI names the switch itself: no user, and a host that is ours or may be one of our domains.
    fn is_for_switch(&self, view: &View<'_>, flow: &Flow) -> bool {
        let Ok(uri) = view.request_uri() else { return false };
        let named = matches!(uri.host, sip::Host::Name(name) if !name.is_empty());
        uri.user.is_empty() && (named || screen::is_our_host(&uri, flow, &self.settings))
    }

    /// Path value of a registration: a flow token that only we can make, and `ob` (RFC 3327, RFC 5626 5.1).
    fn path(&mut self, flow: &Flow) -> Box<str> {
        let socket = (flow.transport, flow.local);
        let known = self.path_ends.iter().position(|(other, _)| *other == socket);
        let place = known.unwrap_or_else(|| {
            // Few sockets, however many flows; beyond that an end is just written again.
            if self.path_ends.len() >= PATH_ENDS_MAX {
                self.path_ends.clear();
            }
            self.path_ends.push((socket, path_end(flow)));
            self.path_ends.len() - 1
        });
        let token = self.home.tokens.seal_flow(flow);
        ["<sip:", &token, &self.path_ends[place].1].concat().into()
    }

    /// Stamps and strips a request, and hands it over.
    #[expect(clippy::too_many_arguments, reason = "everything known about one message")]
    fn forward(
        &mut self,
        to: Address,
        view: &View<'_>,
        bytes: &Bytes,
        flow: Flow,
        leg: Option<LegToken>,
        trusted: bool,
        path: Option<Box<str>>,
        now: Now,
        out: &mut Outbox,
    ) {
        let Ok(via) = view.top_via() else { return };
        let nat = screen::is_behind_nat(view, &via, &flow);
        let mut splices = Splices::new(view);
        let stamped = screen::stamp(&mut splices, &via, &flow);
        let stripped = !trusted && screen::strip(&mut splices, view);
        let changed = if stamped || stripped { splices.into_bytes() } else { bytes.slice_ref(view.bytes()) };
        // The stamp may lift a line or the message over its limit; it was below when it came.
        let grown = Limits { message_bytes_max: usize::MAX, line_bytes_max: usize::MAX, headers_max: usize::MAX };
        match Message::parse(changed, &grown) {
            Ok(message) => self.deliver(to, message, flow, leg, nat, path, now, out),
            Err(error) => debug!(%error, "a stamped message became unreadable"),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "everything known about one message")]
    fn deliver(
        &mut self,
        to: Address,
        message: Message,
        source: Flow,
        leg: Option<LegToken>,
        nat: bool,
        path: Option<Box<str>>,
        now: Now,
        out: &mut Outbox,
    ) {
        self.counts.forwarded += 1;
        let key = to.key().unwrap_or_default();
        out.set_trace(Trace(key.0 as u64));
        // Answers to keep-alives would push the calls out of the tracer's ring.
        if leg.is_none() || !matches!(to, Address::Registration(_)) {
            self.trace(key, true, source, message.bytes(), now, out);
        }
        let token = leg.map(Into::into);
        out.post(to, Letter::SipIn(Box::new(SipIn { message, source, token, nat, path })));
    }

    fn refuse(&mut self, view: &View<'_>, flow: &Flow, reject: &Reject, now: Now, out: &mut Outbox) {
        let answer = refusal::answer(view, flow, reject, &self.home, &self.settings);
        self.answer(answer, view, flow, now, out);
    }

    /// Sends an answer of our own, if there is one.
    fn answer(&mut self, answer: Option<Bytes>, view: &View<'_>, flow: &Flow, now: Now, out: &mut Outbox) {
        let Some(bytes) = answer else {
            self.counts.malformed += 1;
            return;
        };
        self.counts.answered += 1;
        if self.settings.trace
            && let (Ok(call_id), Ok(from)) = (view.call_id(), view.from())
        {
            let key = self.call_key(call_id, from.tag());
            self.trace(key, true, *flow, &Bytes::copy_from_slice(view.bytes()), now, out);
            self.trace(key, false, *flow, &bytes, now, out);
        }
        let flow = View::salvage(&bytes, &self.limits).map_or(*flow, |view| outbound::flow_of(&view, *flow));
        out.post(self.home.flow(), Letter::Transmit(Transmit { flow, bytes }));
    }

    fn charge_or_flood(&mut self, entry: Entry, under_way: bool, flow: &Flow, now: Now, out: &mut Outbox) {
        if entry == Entry::Scarce {
            match under_way {
                true => self.guard.charge(flow, now.instant),
                false => self.flooded(flow, now, out),
            }
        }
    }

    fn flooded(&mut self, flow: &Flow, now: Now, out: &mut Outbox) {
        self.counts.flooded += 1;
        let Some(ban) = self.guard.on_drop(flow, now) else { return };
        info!(seconds = ban.left_ms / 1_000, "address banned for flooding");
        self.sharing.tell(&[ban], out);
    }

    /// Another balancer tells what it has decided.
    fn on_news(&mut self, told: &[SharedBan], from: Address, now: Now, out: &mut Outbox) {
        let (news, objections) = self.guard.on_news(told.to_vec(), now);
        self.sharing.pass_on(&news, from, out);
        self.sharing.tell(&objections, out);
    }

    fn on_sip_out(&mut self, mail: &Envelope, sip: &SipOut, now: Now, out: &mut Outbox) {
        let flow = outbound::flow_of(&sip.message.view(), sip.flow);
        if !outbound::is_sendable(&flow) {
            self.counts.unsendable += 1;
            return undeliverable(mail.clone(), Fault::refused("address that must not be sent to"), out);
        }
        if outbound::is_proof(&sip.message) {
            self.guard.verify(&sip.flow, now.instant);
        }
        self.counts.sent += 1;
        let bytes = sip.message.bytes().clone();
        if !(sip.message.is_request() && matches!(mail.from, Address::Registration(_))) {
            self.trace(sip.key, false, flow, &bytes, now, out);
        }
        out.forward(mail, self.home.flow(), Letter::Transmit(Transmit { flow, bytes }));
    }

    fn trace(&self, key: Key, inbound: bool, flow: Flow, bytes: &Bytes, now: Now, out: &mut Outbox) {
        if self.settings.trace {
            let traced = Traced { key, unix_ms: now.unix_ms, inbound, flow, bytes: bytes.clone() };
            out.post(self.home.tracer(), Letter::Traced(Box::new(traced)));
        }
    }

    fn on_control(&mut self, mail: &Envelope, control: &Control, now: Now, out: &mut Outbox) {
        let answer = match control {
            Control::Drain(on) => {
                info!(on, "drain");
                self.draining = *on;
                ControlAnswer::Done
            }
            Control::Ban { address, seconds, reason } => {
                let ban = self.guard.bans.ban(*address, *seconds, Cow::Owned(reason.clone()), true, now);
                // Every shard of this node is told by the operator.
                self.sharing.tell_peers(ban.as_slice(), out);
                ControlAnswer::Done
            }
            Control::Unban(address) => match self.guard.bans.unban(*address, now) {
                Some(lifted) => {
                    self.sharing.tell_peers(&[lifted], out);
                    ControlAnswer::Done
                }
                None => ControlAnswer::Refused("no such ban".to_owned()),
            },
            Control::BanNews(_) | Control::BanSums { .. } if !self.sharing.knows(mail.from) => {
                return debug!(from = ?mail.from, "tells of bans and is no balancer of ours");
            }
            Control::BanNews(told) => return self.on_news(told, mail.from, now, out),
            Control::BanSums { sums, answer } => {
                let bans = &self.guard.bans;
                let told = |differs: &dyn Fn(usize) -> bool| bans.told(differs, now.instant);
                return self.sharing.on_sums(sums, bans.sums(), *answer, told, mail.from, out);
            }
            Control::Bans => ControlAnswer::Bans(self.guard.bans.list(now.instant)),
            _ => return debug!("not for a balancer"),
        };
        if mail.thread != fabric::Thread::NONE {
            out.answer(mail, Letter::ControlAnswer(Box::new(answer)));
        }
    }

    fn describe(&self) -> Description {
        let (addresses, verified) = self.guard.known();
        let facts = [
            ("draining", u64::from(self.draining)),
            ("received", self.counts.received),
            ("forwarded", self.counts.forwarded),
            ("sent", self.counts.sent),
            ("answered", self.counts.answered),
            ("malformed", self.counts.malformed),
            ("stray_responses", self.counts.stray_responses),
            ("absorbed_acks", self.counts.absorbed_acks),
            ("banned", self.counts.banned),
            ("flooded", self.counts.flooded),
            ("unwanted", self.counts.unwanted),
            ("unsendable", self.counts.unsendable),
            ("bans", self.guard.bans.len() as u64),
            ("addresses", addresses as u64),
            ("verified_flows", verified as u64),
        ];
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
        Description::Machine { name: format!("balancer {}", self.shard), facts }
    }
}

impl Machine for Balancer {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        match mail.letter {
            Letter::Received(received) => self.on_received(received, now, out),
            Letter::SipOut(ref sip) => self.on_sip_out(&mail, sip, now, out),
            Letter::FlowClosed(flow) => self.guard.forget(&flow),
            Letter::Control(ref control) => self.on_control(&mail, control, now, out),
            Letter::Describe => out.answer(&mail, Letter::Described(Box::new(self.describe()))),
            // A stateless answer found no way: whoever asked will ask again.
            Letter::Returned(fault) => trace!(what = %fault.what, "not sent"),
            _ => debug!(letter = mail.letter.kind(), "not for a balancer"),
        }
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        let bans = &mut self.guard.bans;
        bans.expire(now.instant);
        self.sharing.wake(|| bans.sums(), bans.is_empty(), now.instant, out);
    }

    fn deadline(&self) -> Option<Instant> {
        let bans = &self.guard.bans;
        bans.earliest().into_iter().chain(self.sharing.deadline(bans.is_empty())).min()
    }

    fn is_idle(&self) -> bool {
        false
    }
}

/// Sockets whose end of a Path value is kept, count.
const PATH_ENDS_MAX: usize = 64;

/// A Path value behind its flow token.
fn path_end(flow: &Flow) -> Box<str> {
    let (local, transport) = (flow.local, flow.transport.param());
    match flow.transport.is_reliable() {
        false => format!("@{local};lr;ob>"),
        true => format!("@{local};transport={transport};lr;ob>"),
    }
    .into()
}

/// Whether a request starts something that a draining node refuses: nothing under way ever is.
fn is_new(view: &View<'_>, way: &Way) -> bool {
    let starts = !matches!(view.method(), Method::Ack | Method::Cancel);
    starts && matches!(way, Way::Actor(_) | Way::Registration(_) | Way::Here)
}

#[cfg(test)]
mod tests;
