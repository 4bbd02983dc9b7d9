//! The switch under test: the same roles, office and directors that a node runs, with settings that fit a carrier of the lab.

use std::sync::Arc;

use anchor::RelaySettings;
use balancer::ListenerInfo;
use call::{Outbound, WithoutRelay};
use director::{MemberSetting, PairSetting, SiteSetting};
use fabric::letters::flow::Transport;
use fabric::{Address, Founder, Home, Housing, Letter, Machine, NodeId, Now, Part};
use roles::{RoleSettings, Roles};

use crate::cluster::scene::{NodeSpec, Role, Scene, site_address};
use crate::plan::DOMAIN;

/// Location shards of the carrier.
pub const SHARDS: u16 = 16;

/// Roles of a node, and a director where it is one.
struct NodeRoles {
    home: Home,
    roles: Roles,
    director: Option<Arc<director::Settings>>,
    boot: u64,
    /// Nodes of the balancer sites, and what their balancers are told.
    sites: Vec<(NodeId, Arc<balancer::Settings>)>,
}

impl Founder for NodeRoles {
    fn found(&self, address: Address, letter: &Letter, now: Now) -> Option<Box<dyn Machine>> {
        match (address, &self.director) {
            (Address::Director(node), Some(settings)) if node == self.home.node => {
                Some(Box::new(director::Director::new(&self.home, settings.clone(), self.boot)))
            }
            (Address::Director(_), _) => None,
            // The balancer of a site whose addresses this node holds for another.
            (Address::Balancer(site, shard), _) if site != self.home.node => {
                let (_, settings) = self.sites.iter().find(|(own, _)| *own == site)?;
                let home = Home::new(site, *self.home.secret(), self.home.shards);
                Some(Box::new(balancer::Balancer::new(&home, shard, settings.clone())))
            }
            _ => self.roles.found(address, letter, now),
        }
    }

    fn restore(&self, address: Address, parts: &[Part], now: Now) -> Option<Box<dyn Machine>> {
        self.roles.restore(address, parts, now)
    }

    fn is_replicated(&self, address: Address) -> bool {
        self.roles.is_replicated(address)
    }

    fn housing(&self, address: Address) -> Housing {
        self.roles.housing(address)
    }
}

pub fn founder(scene: &Scene, place: usize, home: &Home, boot: u64) -> Arc<dyn Founder> {
    let director = (scene.nodes[place].role == Role::Director).then(|| Arc::new(director_settings(scene)));
    let site = |(site, place): (usize, &usize)| (scene.nodes[*place].id, balancer_settings(scene, site));
    let sites = scene.sites.iter().enumerate().map(site).collect();
    Arc::new(NodeRoles { home: *home, roles: Roles::new(*home, settings(scene, place)), director, boot, sites })
}

/// Rooms that a node starts with.
pub fn residents(spec: &NodeSpec) -> Vec<Address> {
    match spec.role {
        Role::Balancer => vec![Address::Balancer(spec.id, 0), Address::Anchor(spec.id, 0)],
        Role::Director => vec![Address::Director(spec.id)],
        Role::Proxy => Vec::new(),
    }
}

/// Nodes that vote.
pub fn directors(scene: &Scene) -> Vec<NodeId> {
    scene.nodes.iter().filter(|node| node.role == Role::Director).map(|node| node.id).collect()
}

pub fn office(_scene: &Scene) -> Arc<office::Settings> {
    Arc::new(office::Settings::default())
}

fn director_settings(scene: &Scene) -> director::Settings {
    let member = |node: &NodeSpec| MemberSetting { node: node.id, chassis: node.chassis as u16, name: String::new() };
    let mut pairs = Vec::new();
    for (one, other) in &scene.pairs {
        let nodes = [scene.nodes[*one].id, scene.nodes[*other].id];
        for number in 0..scene.plan.topology.groups_per_pair.max(1) {
            // Each node is active for one share and standby for another.
            let nodes = if number % 2 == 0 { nodes } else { [nodes[1], nodes[0]] };
            pairs.push(PairSetting { pair: pairs.len() as u16 + 1, nodes });
        }
    }
    let sites = scene.sites.iter().map(|place| {
        let own = &scene.nodes[*place];
        let mut holders = vec![own.id];
        if scene.plan.topology.stand_ins {
            let others = scene.sites.iter().map(|other| &scene.nodes[*other]);
            let near = others.filter(|other| other.country == own.country && other.chassis != own.chassis);
            holders.extend(near.map(|other| other.id));
        }
        SiteSetting { site: own.id, holders }
    });
    director::Settings {
        voters: directors(scene),
        members: scene.nodes.iter().map(member).collect(),
        sites: sites.collect(),
        pairs,
        ..director::Settings::default()
    }
}

fn balancer_settings(scene: &Scene, site: usize) -> Arc<balancer::Settings> {
    let (local, work) = (site_address(site), &scene.plan.workload);
    let listeners = [Transport::Udp, Transport::Tcp].map(|transport| ListenerInfo { transport, local });
    Arc::new(balancer::Settings {
        listeners: listeners.to_vec(),
        hosts: vec![DOMAIN.to_owned()],
        peers: scene.sites.iter().map(|place| scene.nodes[*place].id).collect(),
        // Some 300 messages in half a second ban, for so long that the end is seen too.
        flood_messages_per_s: if work.scanners + work.forgers > 0 { 50 } else { 0 },
        flood_burst: 100,
        flood_drops_to_ban: 100,
        flood_ban_s: 15,
        ..balancer::Settings::default()
    })
}

fn settings(scene: &Scene, place: usize) -> RoleSettings {
    let script = &scene.script;
    let local = site_address(scene.site_of(place).unwrap_or(0));
    let outbound = [Transport::Udp, Transport::Tcp].into_iter().enumerate().map(|(listener, transport)| Outbound {
        site: NodeId(scene.site_of(place).unwrap_or(0) as u16),
        listener: listener as u16,
        transport,
        local,
    });
    let country = scene.nodes[place].country;
    // Neighbours in this list stand on different chassis: what is tried next has not died together with the first choice.
    let per_chassis = scene.plan.topology.balancers_per_chassis;
    let near = scene.sites.iter().enumerate().filter(|(_, site)| scene.nodes[**site].country == country);
    let mut near: Vec<(usize, u16)> =
        near.map(|(number, site)| (number % per_chassis, scene.nodes[*site].id.0)).collect();
    near.sort_unstable();
    let near: Vec<u16> = near.into_iter().map(|(_, id)| id).collect();
    RoleSettings {
        balancer: balancer_settings(scene, scene.site_of(place).unwrap_or(0)),
        registration: Arc::new(registration::Settings::default()),
        // In a cluster a change is safe once it is on two chassis; the store is written behind it.
        location: Arc::new(location::Settings { durable_before_answer: false, ..location::Settings::default() }),
        call: Arc::new(call::Settings {
            length_max_s: script.length_max_s,
            session_expires_s: script.session_expires_s,
            ring_max_s: script.ring_max_s,
            without_relay: if scene.seed.is_multiple_of(2) { WithoutRelay::Refuse } else { WithoutRelay::Unanchored },
            outbound: outbound.collect(),
            refer: call::Refer::Transfer,
            ..call::Settings::default()
        }),
        media: Arc::new(media::Settings { anchors: near, ..media::Settings::default() }),
        anchor: Arc::new(anchor::Settings {
            relays: vec![RelaySettings::new("media1", "203.0.113.9:2223")],
            ..anchor::Settings::default()
        }),
        hives: 2,
        clustered: true,
    }
}
