//! What an operator can say about calls.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fabric::NodeId;
use fabric::letters::flow::Transport;
use serde::Deserialize;

/// Settings of all calls of a node (`[call]` of the configuration).
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Longest call, seconds from answer, default 21,600; 0 means no limit.
    pub length_max_s: u32,
    /// Session interval that the switch asks for (RFC 4028), seconds, default 1,800; 0 turns session timers off.
    pub session_expires_s: u32,
    /// Shortest session interval that is accepted (RFC 4028 5), seconds, default 90; 0 accepts any.
    pub min_se_s: u32,
    /// Longest ringing of one group of contacts, seconds, default 180; 0 means no limit.
    pub ring_max_s: u32,
    /// Longest wait for an answer of store or location, milliseconds, default 3,000; 0 fails at once.
    pub ask_timeout_ms: u32,
    /// Longest wait for the media session, milliseconds, default 5,000; 0 fails at once.
    pub media_timeout_ms: u32,
    /// Longest wait until a call record is kept before it is posted again, milliseconds, default 5,000; 0 repeats at once.
    pub record_timeout_ms: u32,
    /// How often an unkept record is posted before it is given up, count, default 5; 0 counts as 1.
    pub record_tries_max: u8,
    /// What happens to a call when no relay can be had, default `refuse` (503).
    pub without_relay: WithoutRelay,
    /// What happens to a REFER, default `refuse` (603).
    pub refer: Refer,
    /// Addresses whose requests are not challenged and whose identity headers are believed: trunks. Default none.
    pub trusted: Vec<IpAddr>,
    /// Lifetime of a digest nonce, seconds, default 30; 0 accepts no nonce at all.
    ///
    /// A finished call stays as long as its nonces live, so that no credentials are accepted twice (I26).
    pub nonce_life_s: u32,
    /// Offer the MD5 challenge, default true.
    pub digest_md5: bool,
    /// Offer the SHA-256 challenge before it (RFC 8760), default false: baresip 1.0 and SIPp 3.6 give up when they see one.
    pub digest_sha256: bool,
    /// Most contacts one call rings, count, default 10; 0 rings nobody.
    pub targets_max: u16,
    /// Most early dialogs of one call, count, default 12; 0 allows none.
    pub dialogs_max: u16,
    /// Most open transactions of one call, count, default 64; 0 allows none.
    pub transactions_max: u16,
    /// Most requests outside dialogs (MESSAGE, OPTIONS) that one call actor passes at a time, count, default 8; 0 passes none.
    pub pages_max: u16,
    /// Largest body that is passed on, bytes, default 65,535; 0 passes only empty ones.
    pub body_bytes_max: usize,
    /// Whether the phones' User-Agent reaches the other side, default true.
    pub pass_user_agent: bool,
    /// Largest Max-Forwards that is passed on, hops, default 70; 0 refuses every call.
    pub max_forwards: u8,
    /// Intervals of the transaction layer (`[call.timings]`), defaults of RFC 3261.
    pub timings: transaction::Timings,
    /// Our own listeners, for contacts that no Path leads to; filled by the node. Default none: such contacts are unreachable unless they use the caller's transport.
    #[serde(skip)]
    pub outbound: Vec<Outbound>,
}

/// A listener of a balancer that requests can leave from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// Balancer site that it belongs to.
    pub site: NodeId,
    /// Number of the listener at its site.
    pub listener: u16,
    pub transport: Transport,
    /// Our address as peers are told it.
    pub local: SocketAddr,
}

/// What to do with a call that no relay can be had for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutRelay {
    /// 503.
    #[default]
    Refuse,
    /// Pass the session descriptions as they are.
    Unanchored,
}

/// What to do with a REFER inside a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Refer {
    /// 603.
    #[default]
    Refuse,
    /// The switch calls the target and connects it with the other party.
    Transfer,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            length_max_s: 21_600,
            session_expires_s: 1_800,
            min_se_s: 90,
            ring_max_s: 180,
            ask_timeout_ms: 3_000,
            media_timeout_ms: 5_000,
            record_timeout_ms: 5_000,
            record_tries_max: 5,
            without_relay: WithoutRelay::Refuse,
            refer: Refer::Refuse,
            trusted: Vec::new(),
            nonce_life_s: 30,
            digest_md5: true,
            digest_sha256: false,
            targets_max: 10,
            dialogs_max: 12,
            transactions_max: 64,
            pages_max: 8,
            body_bytes_max: 65_535,
            pass_user_agent: true,
            max_forwards: 70,
            timings: transaction::Timings::default(),
            outbound: Vec::new(),
        }
    }
}

impl Settings {
    pub(crate) fn ask_timeout(&self) -> Duration {
        Duration::from_millis(self.ask_timeout_ms.into())
    }

    pub(crate) fn media_timeout(&self) -> Duration {
        Duration::from_millis(self.media_timeout_ms.into())
    }

    pub(crate) fn record_timeout(&self) -> Duration {
        Duration::from_millis(self.record_timeout_ms.into())
    }

    /// The part that the dialog layer looks at.
    pub(crate) fn dialogs(&self) -> dialog::Settings {
        dialog::Settings {
            t1_ms: self.timings.t1_ms,
            t2_ms: self.timings.t2_ms,
            session_expires_s: self.session_expires_s,
            min_se_s: self.min_se_s,
            session_max_s: if self.session_expires_s == 0 { 0 } else { dialog::Settings::default().session_max_s },
            ..dialog::Settings::default()
        }
    }

    /// Whether requests from this address are believed without credentials.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.contains(&address)
    }
}
