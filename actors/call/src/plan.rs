//! Who is called: from a Request-URI to an account, and from its bindings to branches in the order of trying.

use fabric::letters::flow::{Flow, Transport};
use fabric::letters::location::Binding;
use fabric::letters::names::{NamesAsk, Target};
use fabric::letters::subscriber::{AccountAsk, Lock, Subscriber};
use fabric::{Address, Now, Reject, Tokens};
use sip::{Host, Scheme, Status, Uri, parse_name_addr, split_commas};

use crate::admission::host_of;
use crate::attempt::{Branch, BranchState};
use crate::reject;
use crate::settings::{Outbound, Settings};

/// Where the call came from, as far as it decides who is meant.
pub(crate) struct Origin<'a> {
    pub caller: Option<&'a Subscriber>,
    pub source: &'a Flow,
}

/// The account that a dialled URI means.
///
/// A telephone number (RFC 3966) and a URI with our own address instead of a domain are looked for in the caller's
/// domain. Errors: 416 for other schemes, 404 without a user.
pub(crate) fn dialled(uri: &Uri<'_>, origin: &Origin<'_>) -> Result<AccountAsk, Reject> {
    let user = String::from_utf8_lossy(&uri.user_decoded()).into_owned();
    let own_domain = || origin.caller.map(|caller| caller.domain.clone());
    let (user, domain) = match uri.scheme {
        Scheme::Tel => {
            let number = String::from_utf8_lossy(&uri.number()).into_owned();
            (number.trim_start_matches('+').to_owned(), own_domain().unwrap_or_default())
        }
        Scheme::Sip | Scheme::Sips => {
            let host = host_of(uri);
            let ours = uri.host.ip() == Some(origin.source.local.ip());
            (user, own_domain().filter(|_| ours).unwrap_or(host))
        }
        Scheme::Other(_) => return Err(Reject::new(Status::UNSUPPORTED_URI_SCHEME)),
    };
    if user.is_empty() {
        return Err(Reject::new(Status::NOT_FOUND));
    }
    Ok(AccountAsk { user, domain })
}

/// Whether who is meant depends on who calls: a number, or a URI with our own address instead of a domain.
pub(crate) fn depends_on_caller(uri: &Uri<'_>, source: &Flow) -> bool {
    uri.scheme == Scheme::Tel || uri.host.ip() == Some(source.local.ip())
}

/// Whether this subscriber may be called at all.
pub(crate) fn may_be_called(callee: &Subscriber) -> Result<(), Reject> {
    match callee.lock {
        Lock::All | Lock::Global => Err(reject::forbidden()),
        Lock::Ported => Err(Reject::new(Status::NOT_FOUND)),
        Lock::None | Lock::Foreign | Lock::Outgoing => Ok(()),
    }
}

/// Branches for the bindings of the callee, numbered from `first_leg`, best q first; without those that have expired.
pub(crate) fn branches(
    bindings: &[Binding],
    first_leg: u16,
    settings: &Settings,
    tokens: &Tokens,
    now: Now,
) -> Vec<Branch> {
    let mut chosen: Vec<&Binding> = bindings.iter().filter(|binding| binding.expires_ms > now.unix_ms).collect();
    chosen.sort_by_key(|binding| std::cmp::Reverse(binding.q));
    chosen.truncate(settings.targets_max.into());
    let legs = first_leg..;
    chosen.into_iter().zip(legs).map(|(binding, leg)| branch(binding, leg, tokens)).collect()
}

fn branch(binding: &Binding, leg: u16, tokens: &Tokens) -> Branch {
    let (flow, routes) = way(&binding.path, tokens);
    Branch {
        leg,
        q: binding.q,
        contact: binding.contact.clone(),
        routes: routes.into(),
        flow,
        nat: binding.nat,
        state: BranchState::Waiting,
        cseq: 0,
        sent: None,
        session: dialog::SessionTimer::default(),
        offer: bytes::Bytes::new(),
    }
}

/// The flow that the first Path URI names, and the rest of the Path as routes (RFC 3327 5.3, RFC 5626 5.3).
pub(crate) fn way(path: &str, tokens: &Tokens) -> (Option<Flow>, String) {
    let mut values = split_commas(path.as_bytes());
    let Some(first) = values.next() else { return (None, String::new()) };
    let flow = parse_name_addr(first).ok().and_then(|first| tokens.open_flow(first.uri().ok()?.user));
    let rest: Vec<_> = values.map(String::from_utf8_lossy).collect();
    (flow, rest.join(", "))
}

/// What to ask RFC 3263 for a contact that no Path leads to; `None` when it is no SIP URI.
pub(crate) fn resolve(contact: &str) -> Option<NamesAsk> {
    let uri = Uri::parse(contact.as_bytes()).ok()?;
    let host = match uri.host {
        Host::Name(name) => name.to_owned(),
        Host::V4(address) => address.to_string(),
        Host::V6(address) => address.to_string(),
    };
    Some(NamesAsk {
        host,
        port: uri.port,
        transport: uri.transport().and_then(Transport::parse),
        sips: uri.is_secure(),
    })
}

/// A flow to a resolved target: over the caller's listener when the transport is the same, else over another one of the
/// caller's balancer, else over whatever fits.
pub(crate) fn flow_to(target: &Target, source: &Flow, settings: &Settings) -> Option<Flow> {
    let same = |local: &std::net::SocketAddr| local.is_ipv4() == target.address.is_ipv4();
    let towards = |balancer: Address, listener: u16, local| Flow {
        balancer,
        transport: target.transport,
        listener,
        local,
        remote: target.address,
        connection: 0,
    };
    if source.transport == target.transport && same(&source.local) {
        return Some(towards(source.balancer, source.listener, source.local));
    }
    let fits = |own: &&Outbound| own.transport == target.transport && same(&own.local);
    let at_home = |own: &&Outbound| Some(own.site) == source.balancer.node();
    if let Some(own) = settings.outbound.iter().filter(fits).find(at_home) {
        return Some(towards(source.balancer, own.listener, own.local));
    }
    let own = settings.outbound.iter().find(fits)?;
    Some(towards(Address::Balancer(own.site, 0), own.listener, own.local))
}

#[cfg(test)]
mod tests;
