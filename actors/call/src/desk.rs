//! What every part of a call writes with: the time, the outbox, and the names a call goes by on its legs.
//!
//! Tags, Call-IDs and branches are functions of the key, the cluster's secret and small counters, so that whoever owns
//! the call next writes the same ones (rule R4).

use std::fmt::Write as _;

use fabric::letters::flow::{Flow, SipOut, Transport};
use fabric::{Address, Home, Key, LegToken, Letter, Now, Outbox, Thread};
use sip::{Limits, Message};

/// Time and outbox of one `handle` or `wake`.
pub(crate) struct Desk<'a> {
    pub now: Now,
    pub out: &'a mut Outbox,
    pub identity: &'a Identity,
}

impl Desk<'_> {
    /// Sends a SIP message; a transport failure comes back on `thread` unless it is `NONE`.
    pub fn send(&mut self, message: Message, flow: Flow, thread: Thread) {
        let changed = fabric::mutant!(BranchFromTime) && self.now.unix_ms / 1_000 % 2 == 1;
        let message = if changed { with_another_branch(message) } else { message };
        let letter = Letter::SipOut(Box::new(SipOut { message, flow, key: self.identity.key }));
        self.out.ask(flow.balancer, thread, letter);
    }

    /// Posts a letter that wants no answer.
    pub fn post(&mut self, to: Address, letter: Letter) {
        self.out.post(to, letter);
    }
}

/// The names of a call.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub home: Home,
    pub key: Key,
}

impl Identity {
    /// Token that leads SIP messages of a leg back here: 36 characters.
    pub fn token(&self, leg: u16) -> String {
        self.home.tokens.seal_leg(LegToken { to: Address::Call(self.key), leg })
    }

    /// Call-ID of a callee's leg; `attempt` is the CSeq number of the caller's INVITE.
    pub fn call_id(&self, attempt: u32, leg: u16) -> String {
        format!("{:032x}", self.home.derive(self.key, "call-id", counter(attempt, leg)))
    }

    /// Our tag on a callee's leg.
    pub fn callee_side_tag(&self, attempt: u32, leg: u16) -> String {
        short(self.home.derive(self.key, "callee tag", counter(attempt, leg)))
    }

    /// Our tag towards the caller for the dialog that this callee's tag stands for; leg 0 for our own refusals.
    pub fn caller_side_tag(&self, attempt: u32, leg: u16, remote_tag: &[u8]) -> String {
        let remote = fabric::hash::hash64(self.home.secret(), &[b"remote tag", remote_tag]);
        let mixed = counter(attempt, leg) ^ remote.rotate_left(17);
        short(self.home.derive(self.key, "caller tag", mixed))
    }

    /// The tag that rtpengine knows a leg by.
    pub fn media_tag(&self, leg: u16) -> String {
        short(self.home.derive(self.key, "media", leg.into()))
    }

    /// First RSeq of a dialog towards the caller, 1 to 2^16 (RFC 3262 3 asks for less than 2^31).
    pub fn first_rseq(&self, pair: u16) -> u32 {
        (self.home.derive(self.key, "rseq", pair.into()) as u32 & 0xffff) + 1
    }

    /// Via of a request that leaves over `flow`.
    pub fn via(&self, leg: u16, flow: &Flow, tail: &str) -> String {
        let mut via = String::with_capacity(120);
        let _ = write!(
            via,
            "SIP/2.0/{} {};branch=z9hG4bK{}{tail};rport",
            flow.transport.via(),
            flow.local,
            self.token(leg)
        );
        via
    }

    /// Our Contact on a leg.
    pub fn contact(&self, leg: u16, flow: &Flow) -> String {
        let mut contact = String::with_capacity(100);
        let _ = write!(contact, "<sip:{}@{}", self.token(leg), flow.local);
        if flow.transport != Transport::Udp {
            let _ = write!(contact, ";transport={}", flow.transport.param());
        }
        contact.push('>');
        contact
    }

    /// The media session of this call.
    pub fn media(&self) -> Address {
        Address::Media(self.key)
    }
}

/// What the mutant makes of a request.
fn with_another_branch(message: Message) -> Message {
    let text = String::from_utf8_lossy(message.bytes()).replacen(";rport", "0;rport", 1);
    let is_request = message.view().status().is_none();
    let changed = is_request.then(|| Message::parse(text.into(), &Limits::default()).ok()).flatten();
    changed.unwrap_or(message)
}

fn counter(attempt: u32, leg: u16) -> u64 {
    u64::from(attempt) << 16 | u64::from(leg)
}

fn short(number: u128) -> String {
    format!("{:016x}", number as u64)
}
