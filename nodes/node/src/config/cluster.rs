//! The section `[cluster]`: a node that is not alone. Every node's file holds the same nodes, pairs and sites.

use std::net::SocketAddr;
use std::path::PathBuf;

use fabric::{NodeId, Zone, zone};
use ports::links;
use ports::links::roles::{Role, Roles};
use serde::Deserialize;

use super::Config;

/// What a node must know of the others.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Name of the cluster, for people.
    pub name: String,
    /// Address of the internal network to listen on for other nodes; default this node's address under `[[cluster.nodes]]`.
    pub listen: Option<SocketAddr>,
    /// PEM files of this node's certificate, its key and the cluster's authority; `tandem ctl certificate` makes them.
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
    /// All nodes, this one among them.
    pub nodes: Vec<Member>,
    /// Proxy pairs.
    pub pairs: Vec<Pair>,
    /// Balancer sites that several nodes may hold. A balancer that is not named here holds its own site only.
    pub sites: Vec<Site>,
    /// Command that gives this machine a floating address, as a list; `{address}` and `{site}` are filled in, no shell is
    /// asked. Default none: addresses do not move.
    pub address_up: Vec<String>,
    /// Command that takes it away; also run once at the start, since an address may be left over from a crash.
    pub address_down: Vec<String>,
    /// Longest run of such a command, milliseconds; default 3000.
    pub address_deadline_ms: u32,
    /// Lengths and limits of replication; the same on all nodes.
    pub office: office::Settings,
    /// `voters`, `members`, `pairs` and `sites` are filled in from above.
    pub director: director::Settings,
    /// `listen`, `certificate`, `key`, `authority` and `peers` are filled in from above.
    pub links: links::Settings,
}

impl Default for Cluster {
    fn default() -> Self {
        Cluster {
            name: String::new(),
            listen: None,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            authority: PathBuf::new(),
            nodes: Vec::new(),
            pairs: Vec::new(),
            sites: Vec::new(),
            address_up: Vec::new(),
            address_down: Vec::new(),
            address_deadline_ms: 3_000,
            office: Default::default(),
            director: Default::default(),
            links: Default::default(),
        }
    }
}

/// A node (`[[cluster.nodes]]`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its number, 0 to 65535.
    pub node: u16,
    /// 1 to 63 letters, digits and hyphens; the same as in its certificate.
    pub name: String,
    /// What fails together has the same number: two nodes of a pair must differ.
    pub chassis: u16,
    /// Where it listens for other nodes.
    pub address: SocketAddr,
    /// What it is there for: `balancer`, `proxy`, `director`, `witness`.
    pub roles: Roles,
}

/// A proxy pair (`[[cluster.pairs]]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Number that spreads the slots; never use one again for other nodes.
    pub pair: u16,
    /// The first becomes active at the first start.
    pub nodes: [u16; 2],
    /// Zone of it, 1 to 15; all pairs have one or none has. Default 0: none.
    #[serde(default)]
    pub zone: u16,
}

/// A balancer site (`[[cluster.sites]]`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Number of the balancer node that it belongs to.
    pub site: u16,
    /// Balancers that may hold it, in the order in which they stand in; the first is the site's own.
    pub holders: Vec<u16>,
    /// Its calls and registrations are held by pairs of this zone only, say those of its chassis. Default 0: by any pair.
    #[serde(default)]
    pub zone: u16,
}

impl Cluster {
    pub fn member(&self, node: u16) -> Option<&Member> {
        self.nodes.iter().find(|member| member.node == node)
    }

    /// Nodes that vote on ownership, in the order of the file.
    pub fn voters(&self) -> Vec<NodeId> {
        let voters = self.nodes.iter().filter(|member| votes(member.roles));
        voters.map(|member| NodeId(member.node)).collect()
    }

    /// Nodes with balancers, and so with anchors.
    pub fn balancers(&self) -> impl Iterator<Item = &Member> {
        self.nodes.iter().filter(|member| member.roles.has(Role::Balancer))
    }

    /// Who may hold a site: by the configuration, else the site's own node.
    pub fn holders(&self, site: u16) -> Vec<u16> {
        self.sites.iter().find(|row| row.site == site).map_or(vec![site], |row| row.holders.clone())
    }

    /// Zones that the pairs have, count.
    pub fn zones(&self) -> u16 {
        self.pairs.iter().map(|pair| pair.zone).max().unwrap_or(0)
    }

    /// Slots that a site keeps to.
    pub fn zone(&self, site: u16) -> Zone {
        let number = self.sites.iter().find(|row| row.site == site).map_or(0, |row| row.zone);
        Zone::new(number, self.zones())
    }

    /// What directors are told.
    pub fn director(&self) -> director::Settings {
        director::Settings {
            voters: self.voters(),
            members: self
                .nodes
                .iter()
                .map(|member| director::MemberSetting {
                    node: NodeId(member.node),
                    chassis: member.chassis,
                    name: member.name.clone(),
                })
                .collect(),
            pairs: self
                .pairs
                .iter()
                .map(|pair| director::PairSetting {
                    pair: zone::numbered(pair.pair, pair.zone),
                    nodes: pair.nodes.map(NodeId),
                })
                .collect(),
            sites: self
                .balancers()
                .map(|member| director::SiteSetting {
                    site: NodeId(member.node),
                    holders: self.holders(member.node).into_iter().map(NodeId).collect(),
                })
                .collect(),
            lease_ms: self.office.lease_ms,
            ..self.director.clone()
        }
    }

    /// What the links of this node are told.
    pub fn links(&self, me: &Member) -> links::Settings {
        let others = self.nodes.iter().filter(|member| member.node != me.node);
        links::Settings {
            listen: Some(self.listen.unwrap_or(me.address)),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            authority: self.authority.clone(),
            peers: others
                .map(|other| links::PeerSettings { node: other.node, chassis: other.chassis, address: other.address })
                .collect(),
            ..self.links.clone()
        }
    }
}

/// Whether a node with these roles votes.
pub fn votes(roles: Roles) -> bool {
    roles.has(Role::Director) || roles.has(Role::Witness)
}

impl Config {
    /// This node's row of the cluster; `None` when it is alone.
    pub fn member(&self) -> Option<(&Cluster, &Member)> {
        let cluster = self.cluster.as_ref()?;
        Some((cluster, cluster.member(self.node)?))
    }

    /// What this node is there for: everything when it is alone.
    pub fn roles(&self) -> Roles {
        let alone = || [Role::Balancer, Role::Proxy].into_iter().collect();
        self.member().map_or_else(alone, |(_, member)| member.roles)
    }

    pub fn is_balancer(&self) -> bool {
        self.roles().has(Role::Balancer)
    }

    pub fn is_proxy(&self) -> bool {
        self.roles().has(Role::Proxy)
    }

    /// Whether this node votes on ownership.
    pub fn is_director(&self) -> bool {
        self.cluster.is_some() && votes(self.roles())
    }

    /// Name of the node for people.
    pub fn node_name(&self) -> &str {
        self.member().map_or(&self.name, |(_, member)| &member.name)
    }

    /// Balancer sites that this node may hold, its own first.
    pub fn sites(&self) -> Vec<NodeId> {
        if !self.is_balancer() {
            return Vec::new();
        }
        let own = NodeId(self.node);
        let cluster = self.cluster.iter().flat_map(|cluster| &cluster.sites);
        let others = cluster.filter(|row| row.site != self.node && row.holders.contains(&self.node));
        std::iter::once(own).chain(others.map(|row| NodeId(row.site))).collect()
    }

    /// Sites that calls can leave by: in a cluster those whose listeners stand in this file.
    pub fn known_sites(&self) -> Vec<NodeId> {
        match &self.cluster {
            None => vec![NodeId(self.node)],
            Some(cluster) => cluster.balancers().map(|member| NodeId(member.node)).collect(),
        }
    }
}
