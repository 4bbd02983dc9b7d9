//! A stateless load balancer in front of SIP proxies that are not ours: RFC 3261 16.11. Requests outside dialogs go to a
//! proxy by the hash of their Call-ID, later ones where their Route leads, responses by their Via.
//!
//! Only the configured proxies are ever reached from outside, and only a response to a request of ours passes: its branch
//! is a keyed hash of the branch below it. So nobody can relay through, and nothing has to be remembered.

use std::net::SocketAddr;

use fabric::hash::hash64;
use fabric::letters::flow::{Flow, Transmit, Transport};
use fabric::{Home, Reject};
use sip::{Method, Name, Splices, Status, Uri, Via, View};

use crate::Settings;
use crate::screen;

/// Passes a request on. Errors: 483, 403 for a way that is not offered, 400 without what is needed to answer.
pub fn request(
    view: &View<'_>,
    flow: &Flow,
    label: &Label,
    home: &Home,
    settings: &Settings,
) -> Result<Transmit, Reject> {
    let refuse = |status: Status| Reject::new(status);
    let via = view.top_via().map_err(|error| refuse(error.status()))?;
    let call_id = view.call_id().map_err(|error| refuse(error.status()))?;
    if view.max_forwards() == Ok(Some(0)) {
        return Err(refuse(Status::TOO_MANY_HOPS));
    }
    let from_proxy = settings.forward.contains(&flow.remote);
    let mut routes = view.routes().flatten();
    let mut next = routes.next();
    let led_here =
        next.as_ref().and_then(|route| route.uri().ok()).is_some_and(|uri| screen::is_our_host(&uri, flow, settings));
    if led_here {
        next = routes.next();
    }
    let in_dialog = view.to().is_ok_and(|to| to.tag().is_some());
    let wanted = match next
        .as_ref()
        .map(|route| route.uri())
        .or_else(|| (in_dialog || from_proxy).then(|| view.request_uri()))
    {
        Some(uri) => address_of(&uri.map_err(|error| refuse(error.status()))?),
        None => None,
    };
    let remote = match wanted {
        Some(address) if from_proxy || settings.forward.contains(&address) => address,
        Some(_) => return Err(refuse(Status::FORBIDDEN)),
        None if from_proxy => return Err(refuse(Status::FORBIDDEN)),
        None => proxy_of(call_id, home, settings),
    };

    let our_via = label.via(branch(home, &via, call_id));
    let mut splices = Splices::new(view);
    if led_here {
        splices.remove_first_value(Name::Route);
    }
    screen::stamp(&mut splices, &via, flow);
    if !from_proxy {
        screen::strip(&mut splices, view);
    }
    splices.push_front(Name::Via, our_via.bytes());
    if !in_dialog && matches!(view.method(), Method::Invite | Method::Subscribe | Method::Refer | Method::Notify) {
        splices.push_front(Name::RecordRoute, label.route.as_bytes());
    }
    if view.method() == Method::Register {
        splices.push_front(Name::Path, label.route.as_bytes());
    }
    splices.decrement_max_forwards();
    Ok(Transmit { flow: Flow { remote, connection: 0, ..*flow }, bytes: splices.into_bytes() })
}

/// Passes a response back; `None` when it answers no request of ours.
pub fn response(view: &View<'_>, flow: &Flow, home: &Home) -> Option<Transmit> {
    let mut vias = view.vias();
    let (ours, theirs) = (vias.next()?.ok()?, vias.next()?.ok()?);
    let call_id = view.call_id().ok()?;
    let digits = hex(branch(home, &theirs, call_id));
    if ours.branch().and_then(|text| text.strip_prefix(b"z9hG4bK")) != Some(digits.as_slice()) {
        return None;
    }
    let ip = theirs.received().or_else(|| theirs.host.ip())?;
    let port = theirs.rport().or(theirs.port).unwrap_or(5060);
    let transport = Transport::parse(theirs.transport)?;
    let mut splices = Splices::new(view);
    splices.remove_first_value(Name::Via);
    let flow = Flow { transport, remote: SocketAddr::new(ip, port), connection: 0, ..*flow };
    Some(Transmit { flow, bytes: splices.into_bytes() })
}

/// RFC 3261 16.11: the same for a retransmission, and for the ACK and CANCEL of the same branch.
fn branch(home: &Home, via: &Via<'_>, call_id: &[u8]) -> u64 {
    hash64(home.secret(), &[b"relay", via.branch().unwrap_or_default(), call_id])
}

/// Where a URI with a literal address leads; a name is not resolved here.
fn address_of(uri: &Uri<'_>) -> Option<SocketAddr> {
    uri.host.ip().map(|ip| SocketAddr::new(ip, uri.port.unwrap_or(5060)))
}

/// The proxy of a Call-ID: the same on every balancer with the same secret and list.
fn proxy_of(call_id: &[u8], home: &Home, settings: &Settings) -> SocketAddr {
    let place = hash64(home.secret(), &[b"proxy", call_id]) % settings.forward.len() as u64;
    settings.forward[place as usize]
}

/// What every message that leaves by a listener is stamped with; made once a listener.
#[derive(Debug)]
pub struct Label {
    /// Number of the listener.
    pub listener: u16,
    /// Our Via up to its branch.
    via: String,
    /// Our Record-Route and Path.
    route: String,
}

impl Label {
    pub fn of(flow: &Flow) -> Label {
        Label {
            listener: flow.listener,
            via: format!("SIP/2.0/{} {};branch=z9hG4bK", flow.transport.via(), flow.local),
            route: format!("<sip:{};lr>", flow.local),
        }
    }

    /// Our Via with this branch, on the stack.
    fn via(&self, branch: u64) -> ViaText {
        let mut text = ViaText { bytes: [0; VIA_BYTES_MAX], length: self.via.len() + DIGITS };
        text.bytes[..self.via.len()].copy_from_slice(self.via.as_bytes());
        text.bytes[self.via.len()..text.length].copy_from_slice(&hex(branch));
        text
    }
}

struct ViaText {
    bytes: [u8; VIA_BYTES_MAX],
    length: usize,
}

impl ViaText {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Longest Via that is written here, bytes: one with an IPv6 address, scope and port has 97.
const VIA_BYTES_MAX: usize = 128;

/// Digits of a branch.
const DIGITS: usize = 16;

fn hex(number: u64) -> [u8; DIGITS] {
    std::array::from_fn(|place| b"0123456789abcdef"[(number >> (60 - 4 * place)) as usize & 15])
}

#[cfg(test)]
mod tests;
