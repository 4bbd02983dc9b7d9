//! Between call, media session and the anchor (the rtpengines of a balancer).

use std::net::IpAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a call wants done with its media.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaAsk {
    /// SDP offer from one leg towards another.
    Offer { from_leg: u16, to_leg: u16, sdp: Bytes, from_profile: MediaProfile, to_profile: MediaProfile },
    /// SDP answer of `from_leg` to the last offer of `to_leg`.
    Answer { from_leg: u16, to_leg: u16, sdp: Bytes, from_profile: MediaProfile, to_profile: MediaProfile },
    /// This leg was not chosen or has failed: free what was kept for it alone.
    Drop { leg: u16 },
    /// The call is over: free everything, and tell the statistics.
    End,
}

/// What is special about a leg's media.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaProfile {
    /// Behind a NAT: learn the address from the packets.
    pub nat: bool,
    /// Tag of the leg's SIP dialogue as rtpengine is to know it.
    pub tag: String,
    /// Address family that the leg needs: `4` or `6`; 0 leaves it as it is.
    pub family: u8,
    /// The leg is a WebSocket client: DTLS, ICE and RTCP multiplexing.
    pub web: bool,
    /// Address its signalling comes from: stands in for an address in its SDP that cannot be believed.
    pub source: Option<IpAddr>,
}

/// Answer to `MediaAsk`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaDone {
    /// The SDP to send on.
    Sdp(Bytes),
    /// No relay could be had, and policy allows calls without one: send the SDP on as it is.
    Unanchored,
    Dropped,
    /// The session is over.
    Ended(MediaStats),
}

/// What went through the relay, for the call record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaStats {
    /// Name of the rtpengine.
    pub relay: Option<String>,
    /// The caller's streams first: the first one's tag is the caller's.
    pub streams: Vec<StreamStats>,
}

/// One direction of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamStats {
    /// Tag of the leg that sends.
    pub tag: String,
    pub packets: u64,
    pub bytes: u64,
    pub errors: u64,
    /// From RTCP, when there was any: packets lost.
    pub lost: Option<u64>,
    /// Interarrival jitter, milliseconds.
    pub jitter: Option<u32>,
}

/// A command of a media session to the anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayAsk {
    pub verb: RelayVerb,
    /// Number of the rtpengine that has the session; `None` lets the anchor choose by health and weight.
    pub relay: Option<u16>,
    /// rtpengine's `call-id`: a text made of the key, never the caller's Call-ID.
    pub call_id: String,
    pub from_tag: String,
    pub to_tag: Option<String>,
    /// Keeps the branches of a forked offer apart.
    pub via_branch: Option<String>,
    pub sdp: Bytes,
    /// NG `flags`, `replace` lists and single keys (`ICE` = `remove`, `transport-protocol` = `RTP/AVP` ...).
    pub flags: Vec<String>,
    pub replace: Vec<String>,
    pub keys: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelayVerb {
    Offer,
    Answer,
    Delete,
    Query,
}

/// Answer to `RelayAsk`; a refusal or time-out comes as `Returned`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayDone {
    pub relay: u16,
    /// Empty for delete and query.
    pub sdp: Bytes,
    /// Filled for delete and query.
    pub stats: Option<MediaStats>,
}
