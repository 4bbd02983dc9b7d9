//! One call as a phone sees it.

use std::collections::BTreeMap;

use sip::Message;

use crate::plan::Side;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Caller: INVITE sent. Callee: INVITE seen, not decided.
    Early,
    /// Callee: a final response was sent and waits for its ACK.
    Decided,
    Up,
    Over,
}

pub struct Line {
    pub id: u64,
    pub attempt: Option<usize>,
    pub side: Side,
    pub stage: Stage,
    pub call_id: String,
    pub local_tag: String,
    /// From or To value of this side and of the other, without tags.
    pub local: String,
    pub remote: String,
    pub remote_tag: Option<String>,
    /// Request-URI of requests inside the dialog.
    pub target: String,
    pub routes: Vec<String>,
    pub cseq: u32,
    pub remote_cseq: u32,
    /// Our session description: version and whether we hold.
    pub sdp_version: u32,
    pub holding: bool,
    /// Caller: the INVITE's client transaction, a wish to cancel, and a cancel on the wire.
    pub invite: u64,
    pub wants_cancel: bool,
    pub cancelled: bool,
    /// The ACK of the last 2xx, for when that comes again.
    pub ack: Option<Message>,
    /// The INVITE of theirs that is not finished, with its branch and our response.
    pub theirs: Option<Theirs>,
    /// Our re-INVITE under way.
    pub ours: Option<u64>,
    pub retried: bool,
    /// Last RSeq of each early dialog, by To tag.
    pub rseq_seen: BTreeMap<String, u32>,
    pub bye_sent: bool,
}

/// An INVITE or re-INVITE that this phone answers.
pub struct Theirs {
    pub request: Message,
    pub branch: String,
    pub initial: bool,
    pub offer: bool,
    /// The reliable provisional that waits for its PRACK: RSeq and response, with the next interval.
    pub provisional: Option<(u32, Message)>,
    pub rseq: u32,
    /// The final response, resent until the ACK.
    pub reply: Option<Message>,
    pub resend_ms: u64,
    pub acknowledged: bool,
}
