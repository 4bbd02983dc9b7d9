//! Joining the cluster and leaving it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use fabric::{Address, Clock, Founder, Home, NodeId};
use office::Office;
use ports::links;
use shell::Exchange;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::BootError;
use super::addresses::Addresses;
use super::links::{Arrivals, Lines};
use super::reload::Running;
use crate::config::Config;
use crate::config::cluster::Member;

/// A node that has an office, but no links yet.
pub(super) struct Joining {
    pub office: Arc<Office>,
    lines: Arc<Lines>,
    boot: u64,
}

impl Joining {
    pub fn new(config: &Config, home: &Home, crew: Arc<dyn Founder>, boot: u64) -> Result<Joining, BootError> {
        let Some((cluster, _)) = config.member() else {
            return Err(BootError(format!("node {} is not among the nodes of the cluster", config.node)));
        };
        let lines = Arc::new(Lines::default());
        let settings = Arc::new(cluster.office.clone());
        let office = Office::new(home, settings, cluster.voters(), boot, crew, lines.clone());
        Ok(Joining { office, lines, boot })
    }

    /// Opens the links, and then the director: nobody counts on this node before.
    pub async fn join(self, config: &Config, exchange: &Exchange) -> Result<Membership, BootError> {
        let Joining { office, lines, boot } = self;
        let Some((cluster, member)) = config.member() else {
            return Err(BootError(format!("node {} is not among the nodes of the cluster", config.node)));
        };
        let warnings = crate::config::warnings(config);
        warnings.iter().for_each(|warning| warn!(warning, "cluster"));
        let addresses = Addresses::new(config, &office);
        if let Some(addresses) = &addresses {
            addresses.clear().await;
        }
        let identity = links::Identity {
            node: NodeId(member.node),
            name: member.name.clone(),
            chassis: member.chassis,
            roles: member.roles,
            boot,
        };
        let arrivals = Arrivals::new(exchange.clone());
        let links = links::start(cluster.links(member), identity, arrivals.clone()).await?;
        lines.open(links.clone());
        arrivals.open();
        let mut tasks = Vec::new();
        if config.is_director() {
            super::open::resident(exchange, Address::Director(NodeId(config.node))).await?;
        }
        if let Some(addresses) = addresses {
            tasks.push(tokio::spawn(addresses.run()));
        }
        let movable = cluster.sites.iter().filter(|row| row.holders.len() > 1).map(|row| NodeId(row.site)).collect();
        let voters = cluster.voters();
        Ok(Membership {
            me: NodeId(config.node),
            name: cluster.name.clone(),
            roster: Arc::new(RwLock::new(Roster::of(config))),
            running: Arc::new(tokio::sync::Mutex::new(Running::new(config))),
            exchange: exchange.clone(),
            office,
            links,
            boot,
            voters,
            movable,
            tasks: Arc::new(Mutex::new(tasks)),
        })
    }
}

/// What the operator's file says of the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    pub members: Vec<Member>,
    /// What works, but not as well as its owner may think.
    pub warnings: Vec<String>,
    /// Other nodes of this node's pairs.
    pub partners: Vec<NodeId>,
}

impl Roster {
    fn of(config: &Config) -> Roster {
        let Some((cluster, _)) = config.member() else { return Roster::default() };
        let pairs = cluster.pairs.iter().filter(|pair| pair.nodes.contains(&config.node));
        let partners = pairs.flat_map(|pair| pair.nodes).filter(|node| *node != config.node).map(NodeId);
        Roster {
            members: cluster.nodes.clone(),
            warnings: crate::config::warnings(config),
            partners: partners.collect(),
        }
    }
}

/// What ties a running node to the others.
#[derive(Clone)]
pub(crate) struct Membership {
    pub me: NodeId,
    /// Name of the cluster.
    pub name: String,
    /// What the operator's file says of the others; it may be read again.
    roster: Arc<RwLock<Roster>>,
    pub(super) running: Arc<tokio::sync::Mutex<Running>>,
    pub(super) exchange: Exchange,
    pub office: Arc<Office>,
    pub links: links::Handle,
    pub boot: u64,
    pub voters: Vec<NodeId>,
    /// Sites that another node could hold.
    movable: Vec<NodeId>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Membership {
    /// Asks the directors to give everything to others and waits for it. Whether nobody is to be told that calls are over.
    pub async fn leave(&self, patience: Duration, clock: &dyn Clock) -> bool {
        self.office.leave();
        if !self.holds_something() {
            return true;
        }
        info!("other nodes are asked to take over");
        let end = tokio::time::Instant::now() + patience;
        let mut adrift = None;
        loop {
            let now = tokio::time::Instant::now();
            if !self.holds_something() {
                info!("other nodes have taken over");
                return true;
            }
            if !self.somebody_could_take_it() {
                warn!("nobody is there to take over");
                return false;
            }
            match self.office.status(clock.now()).lease_ms {
                0 => drop(adrift.get_or_insert(now)),
                _ => adrift = None,
            }
            if adrift.is_some_and(|since| now - since > ADRIFT_MAX) {
                warn!("no majority of the directors answers: nobody can take over, and nothing may leave");
                return true;
            }
            if now >= end {
                // A node is up that may still have the state: its calls are not ended here.
                warn!(seconds = patience.as_secs(), "other nodes did not take over in time");
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether this node is active for a group or holds a site that another node could have.
    fn holds_something(&self) -> bool {
        let table = self.office.table();
        let active = table.groups.iter().any(|row| row.active == Some(self.me));
        active || table.sites.iter().any(|row| row.holder == self.me && self.movable.contains(&row.site))
    }

    fn somebody_could_take_it(&self) -> bool {
        let (table, partners) = (self.office.table(), self.roster().partners);
        // A node that was taken out of its pair hands its groups to whoever learns them.
        let learners = table.groups.iter().filter(|row| row.active == Some(self.me)).filter_map(|row| row.learner);
        let heirs: Vec<NodeId> = partners.into_iter().chain(learners).collect();
        let mut others = table.members.iter().filter(|member| member.up && member.node != self.me);
        others.any(|member| heirs.contains(&member.node) || !self.movable.is_empty())
    }

    pub fn roster(&self) -> Roster {
        self.roster.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_roster(&self, config: &Config) {
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = Roster::of(config);
    }

    pub async fn stop(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.iter().for_each(JoinHandle::abort);
        self.links.stop().await;
    }
}

/// How long a node that leaves may be without a lease until it goes, since nobody decides any more.
const ADRIFT_MAX: Duration = Duration::from_secs(1);

/// Pause between two looks at the table while leaving.
const LOOK_EVERY: Duration = Duration::from_millis(20);
