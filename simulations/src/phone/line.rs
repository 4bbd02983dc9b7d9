//! One call as a phone sees it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

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
    /// Where our voice goes, by the other side's last session description.
    pub media: Option<Media>,
}

/// What the other side's session description asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media {
    pub to: SocketAddr,
    /// It wants to hear us: not on hold.
    pub wanted: bool,
}

impl Line {
    /// The port that this side listens at.
    pub fn port(&self) -> u16 {
        20_000 + 2 * (self.id % 5_000) as u16
    }

    /// Takes a session description of the other side in.
    pub fn hear(&mut self, body: &[u8]) {
        self.media = Media::of(body).or(self.media);
    }
}

impl Media {
    /// Of the first audio line.
    pub fn of(sdp: &[u8]) -> Option<Media> {
        let text = String::from_utf8_lossy(sdp);
        let after = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).map(str::trim);
        let ip = after("c=IN IP4 ")?.parse().ok()?;
        let port = after("m=audio ")?.split(' ').next()?.parse().ok()?;
        let wanted = !text.lines().any(|line| matches!(line.trim(), "a=sendonly" | "a=inactive"));
        Some(Media { to: SocketAddr::new(ip, port), wanted: wanted && port != 0 })
    }
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
