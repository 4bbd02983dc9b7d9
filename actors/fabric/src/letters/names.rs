//! RFC 3263: from a SIP URI to addresses.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::flow::Transport;

/// Where does this URI lead?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesAsk {
    /// Host name or address literal, without brackets.
    pub host: String,
    pub port: Option<u16>,
    /// The URI's `transport` parameter.
    pub transport: Option<Transport>,
    pub sips: bool,
}

/// One place to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub transport: Transport,
    pub address: SocketAddr,
}
