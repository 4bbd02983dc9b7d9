//! What the perimeter looks at in a request before an actor sees it.

use std::net::{IpAddr, SocketAddr};

use fabric::letters::flow::{Flow, Transport};
use fabric::{LegToken, Reject, Tokens};
use sip::{Host, Method, Name, NameAddr, Splices, Status, Uri, Via, View};

use crate::Settings;

/// Option tags that a request may demand of a proxy on its way.
const PROXY_SUPPORTED: [&str; 2] = ["path", "outbound"];

/// Header fields that only trusted neighbours may send, besides those with a `Name`: RFC 3325, RFC 7315, RFC 5502 and our own.
const PRIVATE: [&str; 8] = [
    "P-Asserted-Service",
    "P-Charging-Vector",
    "P-Charging-Function-Addresses",
    "P-Visited-Network-ID",
    "P-Called-Party-ID",
    "P-Associated-URI",
    "P-Served-User",
    "P-Profile-Key",
];

/// The same by the beginning of their names.
const PRIVATE_PREFIXES: [&str; 3] = ["P-NGCP-", "P-Tandem-", "X-Tandem-"];

/// Why a request goes no further.
#[derive(Debug)]
pub enum Stop {
    /// It gets this answer.
    Refuse(Reject),
    /// It gets none.
    Drop,
}

/// Sanity of a request that is well-formed. Errors: 483, 482, 440, 420, 403, or silence.
pub fn screen(view: &View<'_>, flow: &Flow, trusted: bool, tokens: &Tokens, settings: &Settings) -> Result<(), Stop> {
    if is_unwanted(view, settings) {
        return Err(Stop::Drop);
    }
    if view.max_forwards() == Ok(Some(0)) {
        return Err(refuse(Status::TOO_MANY_HOPS));
    }
    // A request that carries a branch of ours has been here: RFC 3261 16.3 step 4. Every leg has a Via of its own only.
    if view.vias().flatten().any(|via| leg_of_branch(&via, tokens).is_some()) {
        return Err(refuse(Status::LOOP_DETECTED));
    }
    // RFC 5393 5.3.1: no breadth left to forward in.
    if view.has(Name::MaxBreadth) && view.number(Name::MaxBreadth).is_ok_and(|breadth| breadth == Some(0)) {
        return Err(refuse(Status::MAX_BREADTH_EXCEEDED));
    }
    if view.has(Name::ProxyRequire) && !matches!(view.method(), Method::Ack | Method::Cancel) {
        let unknown = |tag: &&str| !PROXY_SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(tag));
        let tags: Vec<&str> = view.option_tags(Name::ProxyRequire).filter(unknown).collect();
        if !tags.is_empty() {
            let reject = Reject::new(Status::BAD_EXTENSION).header(Name::Unsupported, tags.join(", "));
            return Err(Stop::Refuse(reject));
        }
    }
    if !trusted && is_preloaded(view, flow, settings) {
        return Err(refuse(Status::FORBIDDEN));
    }
    Ok(())
}

fn refuse(status: Status) -> Stop {
    Stop::Refuse(Reject::new(status))
}

fn is_unwanted(view: &View<'_>, settings: &Settings) -> bool {
    if settings.drop_user_agents.is_empty() {
        return false;
    }
    let agent = view.header(Name::UserAgent).unwrap_or_default();
    settings.drop_user_agents.iter().any(|pattern| {
        let length = pattern.len();
        length > 0 && agent.windows(length).any(|part| part.eq_ignore_ascii_case(pattern.as_bytes()))
    })
}

/// Whether a sender tries to route through us: the first Route led here, a further one that is not ours leads away.
fn is_preloaded(view: &View<'_>, flow: &Flow, settings: &Settings) -> bool {
    view.has(Name::Route)
        && view.routes().skip(1).any(|route| !route.is_ok_and(|route| is_ours(&route, flow, settings)))
}

fn is_ours(route: &NameAddr<'_>, flow: &Flow, settings: &Settings) -> bool {
    route.uri().is_ok_and(|uri| is_our_host(&uri, flow, settings))
}

/// Whether a URI's host is this switch.
pub fn is_our_host(uri: &Uri<'_>, flow: &Flow, settings: &Settings) -> bool {
    let named = |host: &String| Host::parse(host.as_bytes()).is_some_and(|host| host.equals(&uri.host));
    let by_address = |address: IpAddr| {
        let canonical = |address: SocketAddr| address.ip().to_canonical();
        canonical(flow.local) == address || settings.listeners.iter().any(|one| canonical(one.local) == address)
    };
    uri.host.ip().is_some_and(by_address) || settings.hosts.iter().any(named)
}

/// The leg that a branch of ours names.
pub fn leg_of_branch(via: &Via<'_>, tokens: &Tokens) -> Option<LegToken> {
    tokens.open_leg(via.branch()?.strip_prefix(b"z9hG4bK")?)
}

/// The leg that an in-dialog request is for: our Contact as Request-URI, or our token in the top Route.
pub fn leg_of_request(view: &View<'_>, tokens: &Tokens) -> Option<LegToken> {
    let of_user = |uri: &Uri<'_>| tokens.open_leg(uri.user).filter(|_| uri.user.len() == LEG_TOKEN_BYTES);
    if let Some(leg) = view.request_uri().ok().and_then(|uri| of_user(&uri)) {
        return Some(leg);
    }
    let route = view.routes().next()?.ok()?;
    of_user(&route.uri().ok()?)
}

/// Length of a leg token, bytes.
const LEG_TOKEN_BYTES: usize = 36;

/// Whether the sender sits behind a NAT: its Via or its Contact does not name the address that its packets come from.
pub fn is_behind_nat(view: &View<'_>, via: &Via<'_>, flow: &Flow) -> bool {
    let elsewhere = |host: Host<'_>, port: Option<u16>| match host {
        Host::Name(name) => name.to_ascii_lowercase().ends_with(".invalid"),
        host => {
            let moved = host.ip() != Some(flow.remote.ip().to_canonical());
            // The client's end of a connection has a port of its own.
            moved || flow.transport == Transport::Udp && port.unwrap_or(5060) != flow.remote.port()
        }
    };
    if elsewhere(via.host, via.port) {
        return true;
    }
    let contact = view.contacts().flatten().find(|contact| !contact.is_star()).and_then(|contact| contact.uri().ok());
    contact.is_some_and(|uri| elsewhere(uri.host, uri.port))
}

/// Plans the stamp of the top Via: RFC 3261 18.2.1, RFC 3581 4; whether there is anything to write.
///
/// A sender behind a NAT is answered where its packets come from, whether it asked for that or not.
pub fn stamp<'a>(splices: &mut Splices<'a>, via: &Via<'_>, flow: &Flow) -> bool {
    let source = flow.remote.ip().to_canonical();
    let moved = via.host.ip() != Some(source);
    let asked = via.param("rport").is_some();
    if moved && flow.transport == Transport::Udp {
        splices.stamp_via_forced(Some(source), Some(flow.remote.port()));
    } else if moved || asked {
        splices.stamp_via(Some(source), Some(flow.remote.port()));
    } else if via.param("received").is_some() {
        splices.stamp_via(None, None);
    } else {
        return false;
    }
    true
}

/// Plans the removal of private header fields; whether there are any. S6: by the parsed name, in any spelling.
pub fn strip(splices: &mut Splices<'_>, view: &View<'_>) -> bool {
    let mut found = false;
    for name in [Name::PAssertedIdentity, Name::Path, Name::ServiceRoute] {
        if view.has(name) {
            splices.remove_all(name);
            found = true;
        }
    }
    for field in view.fields().filter(|field| field.id == Name::Other) {
        let Ok(name) = std::str::from_utf8(field.name) else { continue };
        if is_private(name) {
            splices.remove_other(name);
            found = true;
        }
    }
    found
}

fn is_private(name: &str) -> bool {
    let starts = |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    PRIVATE.iter().any(|private| private.eq_ignore_ascii_case(name)) || PRIVATE_PREFIXES.iter().any(starts)
}
