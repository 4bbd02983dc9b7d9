//! A registration on the bench: a phone on one side, store and location on the other.

use auth::{Answering, Challenge, Policy, choose, respond};
use bytes::Bytes;
use fabric::NodeId;
use fabric::letters::flow::Flow;
use sip::{Limits, Message};

use super::*;

pub(crate) const CONTACT: &str = "Contact: <sip:alice@192.0.2.9:4711>\r\n";

/// Both algorithms, as RFC 8760 would have it.
pub(crate) fn settings() -> Settings {
    Settings { digest: Policy { sha256: true, ..Policy::default() }, ..Settings::default() }
}

/// What the balancer writes.
pub(crate) fn path() -> String {
    format!("<sip:{}@198.51.100.1:5060;lr;ob>", Home::new(NodeId(1), [7; 16], 16).tokens.seal_flow(&flow()))
}

pub(crate) struct Bench {
    pub(crate) desk: Arc<Desk>,
    pub(crate) machine: Registration,
    /// The same machine as its standby would have it: restored before every step, saved after it.
    pub(crate) replica: Bytes,
    pub(crate) now: Now,
}

/// What came out.
pub(crate) struct Out(pub(crate) Vec<Envelope>);

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) message: Message,
    pub(crate) flow: Flow,
}

#[derive(Clone)]
pub(crate) struct Req {
    pub(crate) uri: &'static str,
    pub(crate) to: &'static str,
    pub(crate) call_id: &'static str,
    pub(crate) branch: &'static str,
    pub(crate) cseq: u32,
    pub(crate) fields: &'static str,
    pub(crate) auth: Option<String>,
    pub(crate) port: u16,
    pub(crate) nat: bool,
    pub(crate) transport: Transport,
}

impl Default for Req {
    fn default() -> Req {
        Req {
            uri: "sip:d.test",
            to: "<sip:alice@d.test>",
            call_id: "c1",
            branch: "b1",
            cseq: 1,
            fields: CONTACT,
            auth: None,
            port: 4711,
            nat: false,
            transport: Transport::Udp,
        }
    }
}

impl Req {
    pub(crate) fn text(&self) -> String {
        let Req { uri, to, call_id, branch, cseq, fields, .. } = self;
        let auth = self.auth.as_ref().map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
        format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bK{branch};rport=4711\r\n\
             From: {to};tag=f\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\nMax-Forwards: 70\r\n\
             {fields}{auth}Content-Length: 0\r\n\r\n"
        )
    }
}

impl Bench {
    pub(crate) fn new(settings: Settings) -> Bench {
        let home = Home::new(NodeId(1), [7; 16], 16);
        let desk = Desk::new(&home, Arc::new(settings));
        let now = Now { instant: Instant(1_000_000_000), unix_ms: 1_700_000_000_000 };
        let machine = Registration::at(desk.clone());
        Bench { replica: machine.write(), machine, desk, now }
    }

    pub(crate) fn me(&self) -> Address {
        Address::Registration(self.desk.home.keys.registration(b"c1"))
    }

    pub(crate) fn run(&mut self, mail: Envelope) -> Out {
        self.step(Some(mail))
    }

    pub(crate) fn sip(&mut self, message: Message, source: Flow, nat: bool) -> Out {
        let path = Some(path().into());
        let sip = SipIn { message, source, token: None, nat, path };
        let mail = Envelope::new(source.balancer, self.me(), Letter::SipIn(Box::new(sip)));
        self.run(mail)
    }

    pub(crate) fn register(&mut self, request: &Req) -> Out {
        let mut source = Flow { transport: request.transport, ..flow() };
        source.remote.set_port(request.port);
        self.sip(message(&request.text()), source, request.nat)
    }

    pub(crate) fn answer(&mut self, question: &Envelope, letter: Letter) -> Out {
        self.run(question.answer(letter))
    }

    pub(crate) fn wake(&mut self) -> Out {
        self.step(None)
    }

    /// A letter, or a wake-up, for the machine; its replica has to do the very same.
    fn step(&mut self, mail: Option<Envelope>) -> Out {
        let (me, now) = (self.me(), self.now);
        let run = |machine: &mut Registration| {
            let mut out = Outbox::new(me);
            match mail.clone() {
                Some(mail) => machine.handle(mail, now, &mut out),
                None => machine.wake(now, &mut out),
            }
            out.take()
        };
        let mut replica = self.restore();
        let posted = run(&mut self.machine);
        assert_eq!(run(&mut replica), posted, "what the replica posts");
        let asked = posted.iter().filter(|mail| mail.thread != Thread::NONE && mail.letter.is_question());
        asked.for_each(|mail| assert!(replica.waits_for(mail.thread), "for {}", mail.letter.kind()));
        assert_eq!(replica.deadline(), self.machine.deadline());
        assert_eq!((replica.is_idle(), replica.is_quiet()), (self.machine.is_idle(), self.machine.is_quiet()));
        self.replica = replica.write();
        assert!(self.replica == self.machine.write(), "the replica's state differs");
        Out(posted)
    }

    /// The machine as its standby goes on with it.
    pub(crate) fn restore(&self) -> Registration {
        Registration::restore(self.desk.clone(), &self.replica).expect("saved by a registration")
    }

    pub(crate) fn wait(&mut self, milliseconds: u64) {
        self.now = self.now.after(Duration::from_millis(milliseconds));
    }

    /// The same request with the challenge answered by alice; 0 for SHA-256, 1 for MD5.
    pub(crate) fn answered(&mut self, request: &Req, algorithm: usize) -> Req {
        let plain = Req { auth: None, branch: "b0", ..request.clone() };
        let reply = self.register(&plain).one_reply();
        assert_eq!(reply.status(), 401);
        let value = reply.headers(Name::WwwAuthenticate).swap_remove(algorithm);
        let challenge = Challenge::parse(value.as_bytes()).expect("a challenge");
        let auth = authorization(&challenge, request.uri, 1);
        Req { auth: Some(auth), cseq: request.cseq + 1, branch: "b2", ..request.clone() }
    }

    pub(crate) fn answered_with(&mut self, request: &Req, change: impl Fn(Challenge<'_>) -> Challenge<'_>) -> Req {
        let reply = self.register(request).one_reply();
        let value = reply.headers(Name::WwwAuthenticate).swap_remove(0);
        let challenge = change(Challenge::parse(value.as_bytes()).expect("a challenge"));
        let auth = authorization(&challenge, request.uri, 1);
        Req { auth: Some(auth), cseq: 2, branch: "b2", ..request.clone() }
    }

    /// Another request with the nonce that `earlier` answered, counted on.
    pub(crate) fn counted(&mut self, request: &Req, _algorithm: usize, earlier: &Req, nc: u32) -> Req {
        let value = earlier.auth.clone().expect("credentials");
        let challenge = Challenge::parse(value.as_bytes()).expect("its parameters");
        let challenge = Challenge { qop_auth: true, ..challenge };
        Req { auth: Some(authorization(&challenge, request.uri, nc)), ..request.clone() }
    }

    pub(crate) fn accepted(&mut self, request: &Req) -> (Reply, Bound) {
        let ask = self.register(request).one();
        let bind = self.answer(&ask, alice()).one();
        let Letter::Bind(demand) = &bind.letter else { panic!("{bind:?}") };
        let bindings = match &demand.change {
            BindChange::Contacts(contacts) => contacts.clone(),
            _ => Vec::new(),
        };
        let reply = self.answer(&bind, bound(&bindings)).one_reply();
        assert_eq!(reply.status(), 200);
        (reply, Bound::Bindings(bindings))
    }

    pub(crate) fn accepted_with(&mut self, request: &Req, bindings: &[Binding]) {
        let ask = self.register(request).one();
        let bind = self.answer(&ask, alice()).one();
        assert_eq!(self.answer(&bind, bound(bindings)).one_reply().status(), 200);
    }
}

impl Out {
    pub(crate) fn one(mut self) -> Envelope {
        assert_eq!(self.0.len(), 1, "{:?}", self.0);
        self.0.remove(0)
    }

    pub(crate) fn none(self) {
        assert!(self.0.is_empty(), "{:?}", self.0);
    }

    pub(crate) fn one_reply(self) -> Reply {
        match self.one().letter {
            Letter::SipOut(sip) => {
                assert!(sip.message.view().check().is_ok(), "{}", sip.message);
                Reply { message: sip.message, flow: sip.flow }
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.message.status().map_or(0, Status::code)
    }

    pub(crate) fn start_line(&self) -> String {
        String::from_utf8_lossy(self.message.view().start_line()).into_owned()
    }

    pub(crate) fn headers(&self, name: Name) -> Vec<String> {
        self.message.view().headers(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }
}

pub(crate) fn authorization(challenge: &Challenge<'_>, uri: &str, nc: u32) -> String {
    let ha1 = Ha1::of("alice", "d.test", "secret");
    let answering = Answering { user: "alice", ha1: &ha1, method: "REGISTER", uri, nc, cnonce: "0a4f113b" };
    let chosen = [challenge.clone()];
    respond(choose(&chosen).expect("a challenge to answer"), &answering).expect("an answer")
}

pub(crate) fn digest(user: &str, realm: &str, nonce: &str) -> String {
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"sip:d.test\", \
         response=\"00000000000000000000000000000000\", qop=auth, nc=00000001, cnonce=\"x\""
    )
}

pub(crate) fn subscriber(change: impl Fn(&mut Subscriber)) -> Account {
    let ha1 = Ha1::of("alice", "d.test", "secret");
    let mut known = Subscriber {
        username: "alice".into(),
        domain: "d.test".into(),
        aor: "alice@d.test".into(),
        ha1_md5: ha1.md5,
        ha1_sha256: ha1.sha256,
        numbers: vec!["4311001".into()],
        ..Subscriber::default()
    };
    change(&mut known);
    Account::Subscriber(Arc::new(known))
}

pub(crate) fn alice() -> Letter {
    Letter::Account(subscriber(|_| {}))
}

pub(crate) fn bound(bindings: &[Binding]) -> Letter {
    Letter::Bound(Box::new(Bound::Bindings(bindings.to_vec())))
}

pub(crate) fn flow() -> Flow {
    Flow {
        balancer: Address::Balancer(NodeId(1), 0),
        transport: Transport::Udp,
        listener: 0,
        local: "198.51.100.1:5060".parse().expect("an address"),
        remote: "192.0.2.9:4711".parse().expect("an address"),
        connection: 0,
    }
}

pub(crate) fn message(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default()).expect("a message")
}
