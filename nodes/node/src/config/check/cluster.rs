//! What the section `[cluster]` must hold.

use std::collections::{BTreeMap, BTreeSet};

use fabric::zone::{PAIR_MAX, ZONES_MAX};
use ports::links::roles::Role;

use super::{Problem, blame};
use crate::config::Config;
use crate::config::cluster::{Cluster, votes};

pub(super) fn problems(config: &Config, cluster: &Cluster, found: &mut Vec<Problem>) {
    if cluster.name.is_empty() || cluster.name.chars().any(char::is_control) {
        blame(found, "cluster.name", "must be a name for people");
    }
    for (key, path) in [("certificate", &cluster.certificate), ("key", &cluster.key), ("authority", &cluster.authority)]
    {
        if path.as_os_str().is_empty() {
            blame(found, format!("cluster.{key}"), "names a PEM file; `tandem ctl certificate` makes them all");
        }
    }
    nodes(config, cluster, found);
    pairs(cluster, found);
    sites(cluster, found);
    listeners(config, cluster, found);
    sections(config, cluster, found);
}

fn nodes(config: &Config, cluster: &Cluster, found: &mut Vec<Problem>) {
    let Some(me) = cluster.member(config.node) else {
        let all: Vec<String> = cluster.nodes.iter().map(|member| member.node.to_string()).collect();
        let what = format!("node {} is not among the nodes of the cluster ({})", config.node, all.join(", "));
        return blame(found, "node", what);
    };
    if let Some(roles) = config.roles
        && roles != me.roles
    {
        let what = format!("[{roles}] here, but [{}] under [[cluster.nodes]]; say it there only", me.roles);
        blame(found, "roles", what);
    }
    let (mut numbers, mut names, mut addresses) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (place, member) in cluster.nodes.iter().enumerate() {
        let key = |name: &str| format!("cluster.nodes[{place}].{name}");
        let twice = |before: usize| format!("is that of cluster.nodes[{before}] already");
        if let Some(before) = numbers.insert(member.node, place) {
            blame(found, key("node"), twice(before));
        }
        if let Some(before) = names.insert(&member.name, place) {
            blame(found, key("name"), twice(before));
        }
        if let Some(before) = addresses.insert(member.address, place) {
            blame(found, key("address"), twice(before));
        }
        if member.address.ip().is_unspecified() || member.address.port() == 0 {
            blame(found, key("address"), "must be an address and port that the other nodes reach");
        }
        if member.roles.is_empty() {
            blame(found, key("roles"), "a node needs a role: balancer, proxy, director, witness");
        }
    }
    if cluster.voters().is_empty() {
        blame(found, "cluster.nodes", "no node is director or witness: nobody would decide who owns what");
    } else if let Err(what) = cluster.director().check() {
        // What is said better elsewhere is not said twice.
        if found.is_empty() && pairs_are_good(cluster) {
            blame(found, "cluster", what);
        }
    }
}

fn pairs_are_good(cluster: &Cluster) -> bool {
    let mut found = Vec::new();
    pairs(cluster, &mut found);
    sites(cluster, &mut found);
    found.is_empty()
}

fn pairs(cluster: &Cluster, found: &mut Vec<Problem>) {
    if cluster.pairs.is_empty() {
        blame(found, "cluster.pairs", "at least one [[cluster.pairs]] is needed: nobody would own a call");
    }
    let mut numbers = BTreeMap::new();
    let zones: BTreeSet<u16> = cluster.pairs.iter().map(|pair| pair.zone).collect();
    for (place, pair) in cluster.pairs.iter().enumerate() {
        let key = |name: &str| format!("cluster.pairs[{place}].{name}");
        if pair.pair > PAIR_MAX {
            blame(found, key("pair"), format!("must be from 0 to {PAIR_MAX}"));
        }
        if pair.zone > ZONES_MAX {
            blame(found, key("zone"), format!("must be from 1 to {ZONES_MAX}"));
        } else if pair.zone == 0 && zones.len() > 1 {
            blame(found, key("zone"), "other pairs have a zone: nobody would hold the slots between them");
        } else if let Some(lower) = (1..pair.zone).find(|lower| !zones.contains(lower)) {
            blame(found, key("zone"), format!("no pair has zone {lower}: nobody would hold its slots"));
        }
        if let Some(before) = numbers.insert(pair.pair, place) {
            blame(found, key("pair"), format!("cluster.pairs[{before}] has this number already"));
        }
        let mut chassis = Vec::new();
        for node in pair.nodes {
            match cluster.member(node) {
                None => blame(found, key("nodes"), format!("node {node} is not under [[cluster.nodes]]")),
                Some(member) if !member.roles.has(Role::Proxy) => {
                    blame(found, key("nodes"), format!("node {node} is no proxy"));
                }
                Some(member) => chassis.push(member.chassis),
            }
        }
        if pair.nodes[0] == pair.nodes[1] {
            blame(found, key("nodes"), "a node cannot be its own standby");
        } else if let [one, other] = chassis[..]
            && one == other
        {
            let what = format!("both stand on chassis {one}: its loss would take the calls and their replicas");
            blame(found, key("nodes"), what);
        }
    }
}

fn sites(cluster: &Cluster, found: &mut Vec<Problem>) {
    let mut numbers = BTreeMap::new();
    for (place, row) in cluster.sites.iter().enumerate() {
        let key = |name: &str| format!("cluster.sites[{place}].{name}");
        if let Some(before) = numbers.insert(row.site, place) {
            blame(found, key("site"), format!("cluster.sites[{before}] is this site already"));
        }
        if row.holders.first() != Some(&row.site) {
            blame(found, key("holders"), format!("must begin with the site's own node {}", row.site));
        }
        if row.zone > cluster.zones() {
            blame(found, key("zone"), format!("no pair has zone {}", row.zone));
        }
        let mut seen = BTreeSet::new();
        for holder in &row.holders {
            if !seen.insert(holder) {
                blame(found, key("holders"), format!("node {holder} stands there twice"));
            }
            if !cluster.member(*holder).is_some_and(|member| member.roles.has(Role::Balancer)) {
                blame(found, key("holders"), format!("node {holder} is no balancer of [[cluster.nodes]]"));
            }
        }
    }
}

fn listeners(config: &Config, cluster: &Cluster, found: &mut Vec<Problem>) {
    for (place, listen) in config.listen.iter().enumerate() {
        let site = listen.site.unwrap_or(config.node);
        if !cluster.member(site).is_some_and(|member| member.roles.has(Role::Balancer)) {
            let key = if listen.site.is_some() { "site" } else { "address" };
            let what = format!("node {site} is no balancer; say `site` = the balancer that listens there");
            blame(found, format!("listen[{place}].{key}"), what);
        }
        let holders = cluster.holders(site);
        if listen.floating && holders.len() > 1 && cluster.address_up.is_empty() && holders.contains(&config.node) {
            let what = "the address of a site with several holders floats: a command must move it";
            blame(found, "cluster.address_up", what);
        }
        if !listen.floating && holders.len() > 1 && holders.contains(&config.node) {
            let what = format!("site {site} has several holders: its addresses must be `floating = true`");
            blame(found, format!("listen[{place}].floating"), what);
        }
    }
    for site in config.sites() {
        if config.listeners(site).next().is_none() {
            let what = format!("no [[listen]] with site = {}, which this node may hold", site.0);
            blame(found, "listen", what);
        }
    }
    if config.is_proxy() && config.listen.is_empty() {
        let what = "a proxy must know the listeners of the balancers: [[listen]] with `site` = the balancer's number";
        blame(found, "listen", what);
    }
}

fn sections(config: &Config, cluster: &Cluster, found: &mut Vec<Problem>) {
    if !config.is_proxy() && config.api.listen.is_some() {
        blame(found, "api.listen", "the API needs the store of a proxy");
    }
    if !config.is_balancer() && !config.anchor.relays.is_empty() {
        blame(found, "anchor.relays", "media relays belong to balancers");
    }
    let links = &cluster.links;
    if links.listen.is_some() || !links.peers.is_empty() || !links.certificate.as_os_str().is_empty() {
        blame(found, "cluster.links", "listen, certificates and peers stand under [cluster] and [[cluster.nodes]]");
    }
    let director = &cluster.director;
    if !director.voters.is_empty() || !director.members.is_empty() || !director.pairs.is_empty() {
        blame(found, "cluster.director", "voters, members, pairs and sites come from [[cluster.nodes]] and its kin");
    }
    if director.lease_ms != director::Settings::default().lease_ms {
        blame(found, "cluster.director.lease_ms", "say cluster.office.lease_ms; directors are told the same");
    }
}

/// What works, but not as well as its owner may think.
pub fn warnings(config: &Config) -> Vec<String> {
    let Some(cluster) = &config.cluster else { return Vec::new() };
    let mut all = Vec::new();
    let warning = cluster.director().warning();
    if !warning.is_empty() {
        all.push(warning);
    }
    let voters = cluster.nodes.iter().filter(|member| votes(member.roles));
    let mut by_chassis: BTreeMap<u16, usize> = BTreeMap::new();
    voters.for_each(|member| *by_chassis.entry(member.chassis).or_default() += 1);
    let total: usize = by_chassis.values().sum();
    for (chassis, count) in by_chassis {
        if count * 2 >= total && total >= 3 {
            all.push(format!("{count} of {total} directors stand on chassis {chassis}: its loss leaves no majority"));
        }
    }
    for row in cluster.sites.iter().filter(|row| row.zone != 0) {
        let home = cluster.member(row.site).map(|member| member.chassis);
        let beside = |node: &u16| cluster.member(*node).map(|member| member.chassis) == home;
        if !cluster.pairs.iter().any(|pair| pair.zone == row.zone && pair.nodes.iter().any(beside)) {
            all.push(format!("site {} keeps to zone {}, of which no pair stands on its chassis", row.site, row.zone));
        }
    }
    all
}
