//! A stage for one call: store, location, media and phones played by letters, on a clock that only moves when told.
//! Every letter that the call posts is written down as a line, so that a test reads as a ladder.

pub(crate) mod heap;
mod phone;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fabric::letters::control::{Control, ControlAnswer, Description};
use fabric::letters::flow::{Flow, SipIn, Transport};
use fabric::letters::location::Binding;
use fabric::letters::media::{MediaAsk, MediaDone, MediaStats};
use fabric::letters::record::{Record, StopCause};
use fabric::letters::subscriber::{Account, AccountAsk, Subscriber};
use fabric::{Address, Envelope, Fault, Home, Instant, Key, Letter, Machine, NodeId, Now, Outbox, Thread};
use sip::{Limits, Message, Name};

pub(crate) use phone::{Phone, named, sdp, session_name};

use crate::{Call, Settings};

pub(crate) const DOMAIN: &str = "example.test";
const BALANCER: Address = Address::Balancer(NodeId(1), 0);

pub(crate) struct Stage {
    pub call: Call,
    /// The same call as its standby would have it: restored before every step, saved after it.
    pub replica: Bytes,
    pub home: Home,
    pub key: Key,
    pub now: Now,
    pub phones: BTreeMap<&'static str, Flow>,
    pub inboxes: BTreeMap<&'static str, VecDeque<Message>>,
    pub subscribers: BTreeMap<String, Subscriber>,
    pub bindings: BTreeMap<String, Vec<Binding>>,
    pub records: Vec<Record>,
    /// The media session answers with this fault.
    pub media_fault: Option<Fault>,
    /// Phones whose connection is broken: what is sent there comes back.
    pub broken: Vec<&'static str>,
    /// Answers of these rooms are kept until `release`.
    pub held_rooms: Vec<&'static str>,
    held: VecDeque<Envelope>,
    /// Allocations that the call has made while it handled letters.
    pub allocations: usize,
    log: Vec<String>,
}

impl Stage {
    /// Alice and Bob, both registered at phones of the same name, and a carol without a phone.
    pub fn new() -> Stage {
        Stage::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Stage {
        let home = Home::new(NodeId(1), *b"0123456789abcdef", 4);
        let key = home.keys.call(b"c1@alice", b"a1");
        let now = Now { instant: Instant(1_000_000), unix_ms: 1_700_000_000_000 };
        let mut call = Call::new(&home, key, Arc::new(settings), now);
        let mut stage = Stage {
            replica: call.write(),
            call,
            home,
            key,
            now,
            phones: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            bindings: BTreeMap::new(),
            records: Vec::new(),
            media_fault: None,
            broken: Vec::new(),
            held_rooms: Vec::new(),
            held: VecDeque::new(),
            allocations: 0,
            log: Vec::new(),
        };
        for (number, user) in ["alice", "bob", "carol", "dave"].into_iter().enumerate() {
            stage.subscribe(user, 1001 + number as u64);
        }
        stage.add_phone("alice", 1, Transport::Udp);
        stage.add_phone("bob", 2, Transport::Udp);
        stage.bind("bob", "bob", 1000);
        stage
    }

    fn subscribe(&mut self, user: &str, id: u64) {
        let ha1 = auth::Ha1::of(user, DOMAIN, "secret");
        let subscriber = Subscriber {
            id,
            username: user.to_owned(),
            domain: DOMAIN.to_owned(),
            aor: format!("{user}@{DOMAIN}"),
            ha1_md5: ha1.md5,
            ha1_sha256: ha1.sha256,
            numbers: vec![format!("431{id}")],
            ..Subscriber::default()
        };
        self.subscribers.insert(user.to_owned(), subscriber);
    }

    /// A phone at 192.0.2.`host`.
    pub fn add_phone(&mut self, name: &'static str, host: u8, transport: Transport) {
        let flow = Flow {
            balancer: BALANCER,
            transport,
            listener: 0,
            local: "198.51.100.1:5060".parse().expect("address"),
            remote: std::net::SocketAddr::from(([192, 0, 2, host], 5060)),
            connection: if transport == Transport::Udp { 0 } else { u64::from(host) },
        };
        self.phones.insert(name, flow);
        self.inboxes.insert(name, VecDeque::new());
    }

    /// Registers a phone for a subscriber.
    pub fn bind(&mut self, user: &str, phone: &'static str, q: u16) {
        let flow = self.phones[phone];
        let path = format!("<sip:{}@{};lr;ob>", self.home.tokens.seal_flow(&flow), flow.local);
        let binding = Binding {
            contact: format!("sip:{phone}@{}", flow.remote).into(),
            path: path.into(),
            call_id: "reg".into(),
            cseq: 1,
            q,
            expires_ms: u64::MAX,
            instance: None,
            reg_id: 0,
            user_agent: None,
            received: None,
            nat: false,
        };
        self.bindings.entry(format!("{user}@{DOMAIN}")).or_default().push(binding);
    }

    /// A phone sends a message.
    pub fn send(&mut self, phone: &'static str, message: &Message) {
        self.log.push(format!("{phone} > {}", brief(message)));
        self.inject(phone, message);
    }

    /// The same without a line in the log.
    pub fn inject(&mut self, phone: &'static str, message: &Message) {
        let message = Message::parse(message.bytes().clone(), &Limits::default()).expect("phones send proper messages");
        let sip = SipIn { message, source: self.phones[phone], token: None, nat: false, path: None };
        self.post(Envelope::new(BALANCER, Address::Call(self.key), Letter::SipIn(Box::new(sip))));
    }

    /// An operator speaks.
    pub fn control(&mut self, control: Control) -> ControlAnswer {
        let to = Address::Call(self.key);
        let from = Address::Control(NodeId(1));
        let mut answer = None;
        for envelope in self.step(Some(Envelope::ask(from, to, Thread(9), Letter::Control(Box::new(control))))) {
            match envelope.letter {
                Letter::ControlAnswer(said) => answer = Some(*said),
                _ => self.serve(envelope),
            }
        }
        answer.expect("an operator gets an answer")
    }

    pub fn describe(&mut self) -> Description {
        let ask = Envelope::ask(Address::Control(NodeId(1)), Address::Call(self.key), Thread(8), Letter::Describe);
        match self.step(Some(ask)).pop().map(|envelope| envelope.letter) {
            Some(Letter::Described(description)) => *description,
            other => panic!("described as {other:?}"),
        }
    }

    /// Lets time pass, waking the call whenever it wants to.
    pub fn pass(&mut self, length: Duration) {
        let end = self.now.after(length);
        while let Some(due) = self.call.deadline().filter(|due| *due <= end.instant) {
            let step = due.since(self.now.instant);
            self.now = self.now.after(step);
            let posted = self.step(None);
            assert!(
                self.call.deadline().is_none_or(|next| next > self.now.instant) || !posted.is_empty(),
                "wakes for nothing"
            );
            for envelope in posted {
                self.serve(envelope);
            }
        }
        self.now = self.now.after(end.instant.since(self.now.instant));
    }

    /// The oldest message that a phone has got and not looked at.
    pub fn next(&mut self, phone: &'static str) -> Message {
        self.inboxes.get_mut(phone).and_then(VecDeque::pop_front).unwrap_or_else(|| panic!("nothing for {phone}"))
    }

    /// The latest one; older ones are thrown away.
    pub fn last(&mut self, phone: &'static str) -> Message {
        let inbox = self.inboxes.get_mut(phone).expect("a known phone");
        let last = inbox.pop_back().unwrap_or_else(|| panic!("nothing for {phone}"));
        inbox.clear();
        last
    }

    /// The lines since the last look.
    pub fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Asserts every letter since the last look.
    pub fn expect(&mut self, ladder: &str) {
        let wanted: Vec<String> =
            ladder.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let got = self.log();
        assert!(got == wanted, "expected:\n{}\ngot:\n{}\n", wanted.join("\n"), got.join("\n"));
    }

    /// Asserts those lines since the last look that name one of these rooms or phones.
    pub fn expect_of(&mut self, names: &[&str], ladder: &str) {
        self.log.retain(|line| names.iter().any(|name| line.starts_with(name)));
        self.expect(ladder);
    }

    /// Lets go what was held back.
    pub fn release(&mut self) {
        self.held_rooms.clear();
        for envelope in std::mem::take(&mut self.held) {
            self.post(envelope);
        }
    }

    fn post(&mut self, envelope: Envelope) {
        for envelope in self.step(Some(envelope)) {
            self.serve(envelope);
        }
    }

    /// A letter, or a wake-up, for the call; its replica has to do the very same.
    fn step(&mut self, mail: Option<Envelope>) -> Vec<Envelope> {
        let mut replica = self.restore();
        let before = heap::allocations();
        let posted = run(&mut self.call, mail.clone(), self.now);
        self.allocations += heap::allocations() - before;
        let again = run(&mut replica, mail.clone(), self.now);
        assert!(again == posted, "the replica posts\n{again:#?}\ninstead of\n{posted:#?}");
        if mail.is_some() {
            // A letter that comes again, later, to a state that has not seen it: the same requests leave (rule R4).
            let later = run(&mut self.restore(), mail, self.now.after(Duration::from_millis(300)));
            assert_eq!(requests(&later), requests(&posted));
        }
        let asked = posted.iter().filter(|mail| mail.thread != Thread::NONE && mail.letter.is_question());
        asked.for_each(|mail| assert!(replica.waits_for(mail.thread), "for {}", mail.letter.kind()));
        assert_eq!(replica.deadline(), self.call.deadline());
        assert_eq!((replica.is_idle(), replica.is_quiet()), (self.call.is_idle(), self.call.is_quiet()));
        self.replica = replica.write();
        assert!(self.replica == self.call.write(), "the replica's state differs");
        posted
    }

    /// The call as its standby goes on with it.
    pub fn restore(&self) -> Call {
        Call::restore(&self.home, self.key, self.call.settings.clone(), &self.replica).expect("it was saved by a call")
    }

    /// Plays the room that a letter goes to.
    fn serve(&mut self, envelope: Envelope) {
        let room = envelope.to.kind();
        let answer = match &envelope.letter {
            Letter::SipOut(sip) => {
                let phone = self.phone_at(&sip.flow);
                self.log.push(format!("{phone} < {}", brief(&sip.message)));
                if self.broken.contains(&phone) {
                    (envelope.thread != Thread::NONE)
                        .then(|| Letter::Returned(Fault::new(fabric::FaultKind::FlowGone, "gone")))
                } else {
                    self.inboxes.get_mut(phone).expect("a known phone").push_back(sip.message.clone());
                    None
                }
            }
            Letter::AccountAsk(ask) => {
                self.log.push(format!("store < {}@{}", ask.user, ask.domain));
                Some(Letter::Account(self.account(ask)))
            }
            Letter::Locate(aor) => {
                self.log.push(format!("location < {aor}"));
                Some(Letter::Located(self.bindings.get(&**aor).cloned().unwrap_or_default()))
            }
            Letter::MediaAsk(ask) => {
                let (line, done) = media(ask);
                self.log.push(format!("media < {line}"));
                match &self.media_fault {
                    Some(fault) => Some(Letter::Returned(fault.clone())),
                    None => Some(Letter::MediaDone(Box::new(done))),
                }
            }
            Letter::Record(record) => {
                self.log.push(format!("records < {}", line_of(record)));
                self.records.push((**record).clone());
                Some(Letter::Kept)
            }
            Letter::NamesAsk(ask) => {
                self.log.push(format!("names < {}", ask.host));
                Some(Letter::Names(Vec::new()))
            }
            other => panic!("the call posts {} to {room}", other.kind()),
        };
        let Some(answer) = answer.filter(|_| envelope.thread != Thread::NONE) else { return };
        let answer = envelope.answer(answer);
        match self.held_rooms.contains(&room) {
            true => self.held.push_back(answer),
            false => self.post(answer),
        }
    }

    fn account(&self, ask: &AccountAsk) -> Account {
        if ask.domain != DOMAIN {
            return Account::ForeignDomain;
        }
        let named = |subscriber: &&Subscriber| {
            subscriber.username == ask.user || subscriber.numbers.iter().any(|number| *number == ask.user)
        };
        match self.subscribers.values().find(named) {
            Some(subscriber) => Account::Subscriber(Arc::new(subscriber.clone())),
            None => Account::UnknownUser,
        }
    }

    fn phone_at(&self, flow: &Flow) -> &'static str {
        self.phones.iter().find(|(_, own)| own.remote == flow.remote).map(|(name, _)| *name).expect("a known phone")
    }
}

fn run(call: &mut Call, mail: Option<Envelope>, now: Now) -> Vec<Envelope> {
    let mut out = Outbox::new(Address::Call(call.identity.key));
    match mail {
        Some(mail) => {
            out.open(mail.to, Some(&mail));
            call.handle(mail, now, &mut out);
        }
        None => call.wake(now, &mut out),
    }
    out.take()
}

/// The SIP requests among these letters.
fn requests(posted: &[Envelope]) -> Vec<&Message> {
    fn request(envelope: &Envelope) -> Option<&Message> {
        match &envelope.letter {
            Letter::SipOut(sip) => Some(&sip.message).filter(|message| message.is_request()),
            _ => None,
        }
    }
    posted.iter().filter_map(request).collect()
}

fn media(ask: &MediaAsk) -> (String, MediaDone) {
    match ask {
        MediaAsk::Offer { from_leg, to_leg, sdp, .. } => {
            (format!("offer {from_leg}-{to_leg}"), MediaDone::Sdp(through(sdp, *from_leg, *to_leg)))
        }
        MediaAsk::Answer { from_leg, to_leg, sdp, .. } => {
            (format!("answer {from_leg}-{to_leg}"), MediaDone::Sdp(through(sdp, *from_leg, *to_leg)))
        }
        MediaAsk::Drop { leg } => (format!("drop {leg}"), MediaDone::Dropped),
        MediaAsk::End => ("end".to_owned(), MediaDone::Ended(MediaStats::default())),
    }
}

/// A relay that signs what passes: `s=alice` becomes `s=alice/0-1`.
fn through(sdp: &Bytes, from: u16, to: u16) -> Bytes {
    let text = String::from_utf8(sdp.to_vec()).expect("text");
    let name = session_name(sdp);
    Bytes::from(text.replace(&format!("s={name}\r\n"), &format!("s={name}/{from}-{to}\r\n")))
}

fn line_of(record: &Record) -> String {
    match record {
        Record::Start(parties) => format!("start {} to {}", parties.source.cli, parties.destination.user),
        Record::Stop { stop, .. } => format!("stop {}", cause(stop.cause)),
        Record::Attempt { stop, .. } => format!("attempt {} {}", stop.status, cause(stop.cause)),
    }
}

fn cause(cause: StopCause) -> String {
    format!("{cause:?}")
}

/// `INVITE`, `183 INVITE`, with the name of the session description in brackets when there is one.
fn brief(message: &Message) -> String {
    let view = message.view();
    let start = match view.status() {
        Some(status) => format!("{} {}", status.code(), view.method()),
        None => view.method().to_string(),
    };
    let reliable = view.status().is_some() && view.header(Name::RSeq).is_some();
    let start = if reliable { format!("{start} rel") } else { start };
    match session_name(view.body()).as_str() {
        "" => start,
        name => format!("{start} [{name}]"),
    }
}
