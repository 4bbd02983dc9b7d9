//! Two dialogs back to back: the caller's and a callee's. A call that rings at several phones has one pair for each
//! early dialog; an answered call has one.

use bytes::Bytes;
use dialog::{Acceptance, Dialog, Hop, Negotiation, Pending, Pracks, Provisionals, SessionTimer};
use fabric::Instant;
use fabric::hash::hash64;
use fabric::letters::flow::{Flow, Transport};
use fabric::letters::media::MediaProfile;
use serde::{Deserialize, Serialize};
use sip::{Message, View};

use crate::desk::Identity;
use crate::transactions::TxId;

/// Which end of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Which {
    Caller,
    Callee,
}

impl Which {
    pub fn other(self) -> Which {
        match self {
            Which::Caller => Which::Callee,
            Which::Callee => Which::Caller,
        }
    }
}

/// The dialogs of caller and callee, joined.
#[derive(Serialize, Deserialize)]
pub(crate) struct Pair {
    pub id: u16,
    /// Leg of the callee; the caller's is 0.
    pub leg: u16,
    pub caller: End,
    pub callee: End,
    /// CSeq number of the INVITE that made the callee's dialog.
    pub invite_cseq: u32,
    /// The call was answered here.
    pub confirmed: bool,
    /// RSeq numbers of the callee that the caller has not acknowledged yet, in order.
    pub unacknowledged: Vec<u32>,
    /// The callee's 2xx and the session description for the caller, which wait for a PRACK (RFC 3262 3).
    pub held: Option<Box<(Message, Bytes)>>,
}

/// Our side of one dialog, and what belongs to it.
#[derive(Serialize, Deserialize)]
pub(crate) struct End {
    pub leg: u16,
    pub dialog: Dialog,
    pub flow: Flow,
    pub nat: bool,
    /// The last session description that we sent here; an exact copy, nothing larger is kept alive.
    pub sdp: Bytes,
    /// Hash of the last one received, and 0 before there was one.
    pub heard: u64,
    /// A 2xx of ours waits for its ACK.
    pub acceptance: Option<Box<Acceptance>>,
    /// We owe the ACK for this end's 2xx: its answer has to come from the other side (transaction, CSeq number).
    pub ack_owed: Option<(TxId, u32)>,
    /// Our reliable provisional responses to the caller.
    pub provisionals: Option<Box<Provisionals>>,
    /// The callee's reliable provisional responses.
    pub pracks: Pracks,
    pub negotiation: Negotiation,
    pub pending: Pending,
    pub session: SessionTimer,
    /// Address-of-record of the subscriber at this end, for when its connection breaks.
    pub aor: Option<Box<str>>,
    /// It was looked for already, and has not answered since.
    pub moved: bool,
    pub bye: Bye,
}

/// How far the farewell of an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Bye {
    No,
    /// As soon as the ACK for our 2xx has come (RFC 3261 15).
    Owed,
    Sent,
    Done,
}

impl Pair {
    pub fn end(&self, which: Which) -> &End {
        match which {
            Which::Caller => &self.caller,
            Which::Callee => &self.callee,
        }
    }

    pub fn end_mut(&mut self, which: Which) -> &mut End {
        match which {
            Which::Caller => &mut self.caller,
            Which::Callee => &mut self.callee,
        }
    }

    /// The end that a request of a peer belongs to.
    pub fn end_of(&self, request: &View<'_>) -> Option<Which> {
        [Which::Caller, Which::Callee].into_iter().find(|which| self.end(*which).dialog.matches(request))
    }

    /// Whether farewell was said (or is to be) on either end.
    pub fn is_ending(&self) -> bool {
        self.caller.bye != Bye::No || self.callee.bye != Bye::No
    }

    /// Whether nothing more is expected from either end.
    pub fn is_over(&self) -> bool {
        self.caller.bye == Bye::Done && self.callee.bye == Bye::Done
    }

    /// Whether something is expected from one of the ends soon.
    pub fn is_busy(&self) -> bool {
        !self.confirmed || self.is_ending() || self.caller.is_busy() || self.callee.is_busy()
    }

    /// The earliest timer of either dialog.
    pub fn deadline(&self) -> Option<Instant> {
        self.caller.deadline().into_iter().chain(self.callee.deadline()).min()
    }
}

impl End {
    pub fn new(leg: u16, dialog: Dialog, flow: Flow, nat: bool) -> End {
        End {
            leg,
            dialog,
            flow,
            nat,
            sdp: Bytes::new(),
            heard: 0,
            acceptance: None,
            ack_owed: None,
            provisionals: None,
            pracks: Pracks::default(),
            negotiation: Negotiation::default(),
            pending: Pending::default(),
            session: SessionTimer::default(),
            aor: None,
            moved: false,
            bye: Bye::No,
        }
    }

    fn is_busy(&self) -> bool {
        self.acceptance.is_some() || self.ack_owed.is_some() || !self.pending.is_empty()
    }

    fn deadline(&self) -> Option<Instant> {
        let acceptance = self.acceptance.as_ref().and_then(|acceptance| acceptance.deadline());
        let provisionals = self.provisionals.as_ref().and_then(|provisionals| provisionals.deadline());
        let session = self.session.deadline().filter(|_| self.bye == Bye::No);
        [acceptance, provisionals, session].into_iter().flatten().min()
    }

    /// Keeps a copy of what was sent here.
    pub fn keep_sent(&mut self, sdp: &[u8]) {
        if !sdp.is_empty() && self.sdp != sdp {
            self.sdp = Bytes::from(Box::<[u8]>::from(sdp));
        }
    }

    /// Remembers the session description that was received.
    pub fn hear(&mut self, sdp: &[u8]) {
        self.heard = hash_of(sdp);
    }

    /// Whether this session description is the one heard last.
    pub fn has_heard(&self, sdp: &[u8]) -> bool {
        self.heard == hash_of(sdp)
    }

    /// How the media session is to see this end.
    pub fn profile(&self, identity: &Identity) -> MediaProfile {
        profile(identity, self.leg, &self.flow, self.nat)
    }
}

/// Never 0, which stands for nothing heard.
fn hash_of(sdp: &[u8]) -> u64 {
    hash64(b"heard sdp hash  ", &[sdp]) | 1
}

/// How the media session is to see a leg.
pub(crate) fn profile(identity: &Identity, leg: u16, flow: &Flow, nat: bool) -> MediaProfile {
    MediaProfile {
        nat,
        tag: identity.media_tag(leg),
        family: if flow.remote.ip().to_canonical().is_ipv4() { 4 } else { 6 },
        web: matches!(flow.transport, Transport::Ws | Transport::Wss),
        source: Some(flow.remote.ip()),
    }
}

/// The hop of a request inside a dialog.
pub(crate) fn hop<'a>(via: &'a str, contact: &'a str) -> Hop<'a> {
    Hop { via: via.as_bytes(), contact: contact.as_bytes(), max_forwards: 70 }
}
