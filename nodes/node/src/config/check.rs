//! What a configuration must hold across its sections.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Config, Listen, Problem, Protocol};

mod cluster;
pub use cluster::warnings;

/// Most location shards: one a slot.
const SHARDS_MAX: u16 = fabric::SLOTS;

/// Everything that is wrong, in the order of the file.
pub fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Vec::new();
    general(config, &mut found);
    listeners(config, &mut found);
    match &config.cluster {
        Some(cluster) => cluster::problems(config, cluster, &mut found),
        None => alone(config, &mut found),
    }
    relays(config, &mut found);
    web(config, &mut found);
    found
}

fn blame(found: &mut Vec<Problem>, key: impl Into<String>, what: impl Into<String>) {
    found.push(Problem { line: None, key: key.into(), what: what.into() });
}

fn general(config: &Config, found: &mut Vec<Problem>) {
    if !(1..=SHARDS_MAX).contains(&config.shards) {
        blame(found, "shards", format!("must be from 1 to {SHARDS_MAX}"));
    }
    if config.name.is_empty() || config.name.chars().any(char::is_control) {
        blame(found, "name", "must be a name for people");
    }
    if config.data_dir.as_os_str().is_empty() {
        blame(found, "data_dir", "must name a directory");
    }
    if let Err(what) = crate::logging::check(&config.log.level) {
        blame(found, "log.level", what);
    }
}

/// What only makes sense in a cluster.
fn alone(config: &Config, found: &mut Vec<Problem>) {
    let needs = "needs the section [cluster]";
    if let Some(roles) = config.roles
        && !config.roles().iter().all(|role| roles.has(role))
    {
        blame(found, "roles", format!("a node that is alone is balancer and proxy; anything less {needs}"));
    }
    for (place, listen) in config.listen.iter().enumerate() {
        if listen.site.is_some_and(|site| site != config.node) {
            blame(found, format!("listen[{place}].site"), format!("another site than node {} {needs}", config.node));
        }
        if listen.floating {
            blame(found, format!("listen[{place}].floating"), format!("an address that moves {needs}"));
        }
    }
}

fn listeners(config: &Config, found: &mut Vec<Problem>) {
    let all = &config.listen;
    if all.is_empty() && config.cluster.is_none() {
        blame(found, "listen", "at least one [[listen]] with transport and address is needed");
    }
    for (place, listen) in all.iter().enumerate() {
        let key = |name: &str| format!("listen[{place}].{name}");
        if listen.address.ip().is_unspecified() {
            if !listen.wildcard {
                let what = format!(
                    "{} would listen on every address of the machine; name one, or say wildcard = true",
                    listen.address.ip()
                );
                blame(found, key("address"), what);
            } else if listen.advertise.is_none() {
                blame(found, key("advertise"), "a wildcard listener must say which address peers are told");
            }
        }
        if listen.advertised().ip().is_unspecified() && listen.advertise.is_some() {
            blame(found, key("advertise"), "must be an address that peers can send to");
        }
        if listen.address.ip().is_ipv4() != listen.advertised().ip().is_ipv4() {
            blame(found, key("advertise"), "must be of the same family as address");
        }
        if listen.transport == Protocol::Tcp && listen.sockets > 1 {
            blame(found, key("sockets"), "only udp has several sockets");
        }
        if let Some(before) = all[..place].iter().position(|other| collide(other, listen)) {
            blame(found, key("address"), format!("listen[{before}] has this transport and address already"));
        }
    }
}

fn collide(one: &Listen, other: &Listen) -> bool {
    let everywhere = one.address.ip().is_unspecified() || other.address.ip().is_unspecified();
    one.transport == other.transport
        && one.address.port() == other.address.port()
        && one.address.port() != 0
        && one.address.is_ipv4() == other.address.is_ipv4()
        && (everywhere || one.address.ip() == other.address.ip())
}

fn relays(config: &Config, found: &mut Vec<Problem>) {
    found.extend(config.relays().err());
    let mut names = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for (place, relay) in config.anchor.relays.iter().enumerate() {
        if let Some(before) = names.insert(relay.name.clone(), place) {
            blame(
                found,
                format!("anchor.relays[{place}].name"),
                format!("anchor.relays[{before}] has this name already"),
            );
        }
        if let Some(before) = addresses.insert(relay.address.clone(), place) {
            blame(
                found,
                format!("anchor.relays[{place}].address"),
                format!("anchor.relays[{before}] has this address already"),
            );
        }
    }
}

fn web(config: &Config, found: &mut Vec<Problem>) {
    if let Some(listen) = config.control.listen
        && !is_loopback(listen.ip())
    {
        blame(
            found,
            "control.listen",
            format!("{listen} is not a loopback address, and this port asks for no password"),
        );
    }
    if config.api.listen.is_some() && config.api.users.is_empty() {
        blame(found, "api.users", "nobody could use the API; add a user with what `tandem hash-password` prints");
    }
    if let Err((name, what)) = web::Users::new(&config.api.users) {
        blame(found, format!("api.users.{name}"), what);
    }
    if config.api.certificate.is_some() != config.api.key.is_some() {
        let missing = if config.api.key.is_none() { "api.key" } else { "api.certificate" };
        blame(found, missing, "certificate and key go together");
    }
    if let (Some(api), Some(control)) = (config.api.listen, config.control.listen)
        && api == control
        && api.port() != 0
    {
        blame(found, "control.listen", "is the address of the API");
    }
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(v6.is_loopback(), |v4| v4.is_loopback()),
        IpAddr::V4(v4) => v4.is_loopback(),
    }
}
