//! What an operator may set of registrations.

use serde::{Deserialize, Serialize};

/// Settings of all registrations of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Lifetime of a binding whose REGISTER names none, seconds. Default 3600; zero means `expires_min_s`.
    pub expires_default_s: u32,
    /// Shortest lifetime, seconds; shorter ones are answered with 423. Default 60; zero allows all.
    pub expires_min_s: u32,
    /// Longest lifetime, seconds; longer ones are cut. Default 86400; zero means `expires_min_s`.
    pub expires_max_s: u32,
    /// Most Contacts of one REGISTER, count; more are answered with 403. Default 16; zero refuses every Contact.
    pub request_contacts_max: u16,
    /// Longest contact URI, bytes; a longer one is answered with 400. Default 512; zero refuses every Contact.
    pub contact_bytes_max: u16,
    /// Time between OPTIONS to a binding behind a NAT on UDP, seconds. Default 30; zero sends none.
    pub nat_keepalive_s: u32,
    /// Keep flows apart by `reg-id` and `+sip.instance` (RFC 5626) when the phone supports it. Default true.
    pub outbound: bool,
    /// Flow-Timer in answers to such phones (RFC 5626 4.4), seconds. Default 120; zero leaves the field out.
    pub flow_timer_s: u32,
    /// Longest wait for store and location, milliseconds each; then 503. Default 5000; zero fails every REGISTER.
    pub ask_timeout_ms: u32,
    /// Shortest Retry-After of a 503, seconds; up to twice as much by chance. Default 5; zero asks to retry at once.
    pub retry_after_s: u32,
    /// Algorithms offered and nonce life. Default as of `auth::Policy`, but MD5 alone: baresip 1.0 and SIPp 3.6 give up when
    /// they see a SHA-256 challenge.
    pub digest: auth::Policy,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            expires_default_s: 3_600,
            expires_min_s: 60,
            expires_max_s: 86_400,
            request_contacts_max: 16,
            contact_bytes_max: 512,
            nat_keepalive_s: 30,
            outbound: true,
            flow_timer_s: 120,
            ask_timeout_ms: 5_000,
            retry_after_s: 5,
            digest: auth::Policy::default(),
        }
    }
}
