//! Where a message of a mind goes, and what its leaving tells.

use std::net::IpAddr;

use fabric::letters::flow::{Flow, Transport};
use sip::{Message, Method, Status, View};

/// The flow that a message leaves by: a response over UDP goes where its top Via says. RFC 3261 18.2.2, RFC 3581 4.
///
/// Only the port is taken from the Via, never the address (nor `maddr`): nobody is hit by answers he did not ask for.
pub fn flow_of(view: &View<'_>, mut flow: Flow) -> Flow {
    if view.is_request() || flow.transport != Transport::Udp {
        return flow;
    }
    let Ok(via) = view.top_via() else { return flow };
    if via.param("rport").is_none() {
        flow.remote.set_port(via.port.unwrap_or(5060));
    }
    flow
}

/// Whether packets may go there at all: never to everybody, nobody or port 0.
pub fn is_sendable(flow: &Flow) -> bool {
    let nowhere = match flow.remote.ip().to_canonical() {
        IpAddr::V4(address) => address.is_unspecified() || address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unspecified() || address.is_multicast(),
    };
    !nowhere && flow.remote.port() != 0
}

/// Whether this message proves that its receiver has answered a challenge: a 200 to a REGISTER.
pub fn is_proof(message: &Message) -> bool {
    let view = message.view();
    view.status() == Some(Status::OK) && view.cseq().is_ok_and(|cseq| cseq.method == Method::Register)
}
