//! Letters in, letters out; the tests stand in the files below, what they share stands here.

use std::time::Duration;

use fabric::letters::control::BanEntry;
use fabric::{NodeId, Thread};
use sip::Name;

use super::*;

mod operators;
mod outward;
mod requests;
mod responses;
mod smuggling;
mod torture;

pub(super) struct Bench {
    pub machine: Balancer,
    pub home: Home,
    pub now: Now,
}

/// What came out.
pub(super) struct Out(pub Vec<Envelope>);

impl Bench {
    pub fn new(settings: Settings) -> Bench {
        let home = Home::new(NodeId(1), [7; 16], 16);
        let now = Now { instant: Instant(1_000_000_000), unix_ms: 1_700_000_000_000 };
        Bench { machine: Balancer::new(&home, 0, Arc::new(settings)), home, now }
    }

    pub fn run(&mut self, mail: Envelope) -> Out {
        let mut out = Outbox::new(me());
        self.machine.handle(mail, self.now, &mut out);
        Out(out.take())
    }

    pub fn receive(&mut self, bytes: impl Into<Bytes>) -> Out {
        self.receive_over(flow(), bytes)
    }

    pub fn receive_over(&mut self, flow: Flow, bytes: impl Into<Bytes>) -> Out {
        let letter = Letter::Received(Received { flow, bytes: bytes.into() });
        self.run(Envelope::new(self.home.flow(), me(), letter))
    }

    pub fn send(&mut self, message: Message, flow: Flow) -> Out {
        let letter = Letter::SipOut(Box::new(SipOut { message, flow, key: Key(5) }));
        self.run(Envelope::ask(Address::Call(Key(5)), me(), Thread(3), letter))
    }

    pub fn control(&mut self, control: Control) -> ControlAnswer {
        let mail = Envelope::ask(Address::Control(NodeId(1)), me(), Thread(9), Letter::Control(Box::new(control)));
        match self.run(mail).one().letter {
            Letter::ControlAnswer(answer) => *answer,
            other => panic!("{other:?}"),
        }
    }

    pub fn bans(&mut self) -> Vec<BanEntry> {
        match self.control(Control::Bans) {
            ControlAnswer::Bans(bans) => bans,
            other => panic!("{other:?}"),
        }
    }

    pub fn wait(&mut self, milliseconds: u64) {
        self.now = self.now.after(Duration::from_millis(milliseconds));
    }

    pub fn token(&self, to: Address) -> String {
        self.home.tokens.seal_leg(LegToken { to, leg: 1 })
    }
}

impl Out {
    pub fn one(mut self) -> Envelope {
        assert_eq!(self.0.len(), 1, "{:?}", self.0);
        self.0.remove(0)
    }

    pub fn none(self) {
        assert!(self.0.is_empty(), "{:?}", self.0);
    }

    /// `drop`, the status of a reply, or the kind of actor that gets the message.
    pub fn outcome(self) -> String {
        if self.0.is_empty() {
            return "drop".to_owned();
        }
        let mail = self.one();
        match &mail.letter {
            Letter::SipIn(_) => mail.to.kind().to_owned(),
            Letter::Transmit(transmit) => {
                let reply = parse(&transmit.bytes);
                reply.status().map_or("request".to_owned(), |status| status.code().to_string())
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn sip_in(self) -> (Address, SipIn) {
        let mail = self.one();
        match mail.letter {
            Letter::SipIn(sip) => (mail.to, *sip),
            other => panic!("{other:?}"),
        }
    }

    pub fn reply(self) -> (Message, Flow) {
        let mail = self.one();
        assert_eq!((mail.to, mail.thread), (Address::Flow(NodeId(1)), Thread::NONE));
        match mail.letter {
            Letter::Transmit(transmit) => (parse(&transmit.bytes), transmit.flow),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn me() -> Address {
    Address::Balancer(NodeId(1), 0)
}

pub(super) fn flow() -> Flow {
    Flow {
        balancer: me(),
        transport: Transport::Udp,
        listener: 0,
        local: "198.51.100.1:5060".parse().expect("an address"),
        remote: "192.0.2.9:4711".parse().expect("an address"),
        connection: 0,
    }
}

pub(super) fn tcp() -> Flow {
    Flow { transport: Transport::Tcp, connection: 12, ..flow() }
}

pub(super) fn parse(bytes: &[u8]) -> Message {
    Message::parse(Bytes::copy_from_slice(bytes), &Limits::default()).expect("a message")
}

pub(super) fn header(message: &Message, name: Name) -> String {
    String::from_utf8_lossy(message.view().header(name).unwrap_or_default()).into_owned()
}

/// A request with a usual head; `fields` are further header lines.
pub(super) fn request(method: &str, uri: &str, to: &str, fields: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKabc;rport\r\nFrom: <sip:a@d>;tag=f\r\n\
         To: {to}\r\nCall-ID: c1@x\r\nCSeq: 7 {method}\r\nMax-Forwards: 70\r\n{fields}Content-Length: 0\r\n\r\n"
    )
}
