//! Settings of both HTTP listeners.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

/// The northbound API (`[api]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSettings {
    /// Address of the HTTPS listener. None: no API.
    pub listen: Option<SocketAddr>,
    /// PEM files. When both are left out, `api-cert.pem` and `api-key.pem` in the data directory; made, self-signed, when absent.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Names and password hashes as `tandem hash-password` prints them (`pbkdf2:ITERATIONS:SALT:HASH`), or `sha256:HASH` for long random passwords.
    pub users: BTreeMap<String, String>,
    /// Largest request body, bytes.
    pub body_bytes_max: usize,
    /// Most connections at a time, count; zero admits none.
    pub connections_max: usize,
    /// Longest wait for the head of a request, milliseconds.
    pub header_timeout_ms: u64,
    /// Longest wait for the store and the actors, milliseconds.
    pub ask_timeout_ms: u64,
    /// Most entities on a page, count.
    pub rows_max: u32,
    /// Wrong passwords from an address before it is banned, count; zero never bans.
    pub failures_max: u32,
    /// First ban of an address, seconds; doubles with each further one.
    pub ban_s: u32,
    /// Longest ban, seconds.
    pub ban_max_s: u32,
}

impl Default for ApiSettings {
    fn default() -> Self {
        ApiSettings {
            listen: None,
            certificate: None,
            key: None,
            users: BTreeMap::new(),
            body_bytes_max: 1 << 20,
            connections_max: 256,
            header_timeout_ms: 10_000,
            ask_timeout_ms: 5_000,
            rows_max: 1_000,
            failures_max: 5,
            ban_s: 300,
            ban_max_s: 3_600,
        }
    }
}

/// The operator's port (`[control]`): plain HTTP, no password, therefore loopback only.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlSettings {
    /// Address; anything but a loopback address is refused. None: no control port.
    pub listen: Option<SocketAddr>,
    /// Most connections at a time, count; zero admits none.
    pub connections_max: usize,
    /// Longest wait for the head of a request, milliseconds.
    pub header_timeout_ms: u64,
    /// Longest wait for an actor's answer, milliseconds.
    pub ask_timeout_ms: u64,
    /// Most calls or registrations in one answer, count.
    pub rows_max: u32,
}

impl Default for ControlSettings {
    fn default() -> Self {
        ControlSettings {
            listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8090)),
            connections_max: 64,
            header_timeout_ms: 10_000,
            ask_timeout_ms: 2_000,
            rows_max: 10_000,
        }
    }
}
