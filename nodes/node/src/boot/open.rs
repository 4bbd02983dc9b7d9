//! What a node opens for its roles: who lives in it, and its ports.

use std::collections::BTreeMap;
use std::sync::Arc;

use fabric::{Address, Clock, Home, NodeId, Post};
use office::Office;
use ports::{flow, journal, names, records, relay, store, tracer};
use roles::{RoleSettings, Roles};
use shell::Exchange;

use super::BootError;
use super::mirror::Mirror;
use crate::config::{Config, Listen};
use crate::crew::Crew;

/// Handles of the ports; what the node's roles do not need is not there.
#[derive(Clone)]
pub(crate) struct Ports {
    pub store: Option<store::Handle>,
    pub records: Option<records::Handle>,
    pub names: Option<names::Handle>,
    pub relay: Option<relay::Handle>,
    /// What the director has promised.
    pub journal: Option<journal::Handle>,
    pub tracer: tracer::Handle,
    /// Sockets of every site that this node may hold, its own first.
    pub flows: Vec<(NodeId, flow::Handle)>,
}

impl Ports {
    /// Closes all of them, what is durable last.
    pub async fn stop(&self) {
        for (_, flow) in &self.flows {
            flow.stop().await;
        }
        if let Some(relay) = &self.relay {
            relay.stop().await;
        }
        if let Some(names) = &self.names {
            names.stop().await;
        }
        self.tracer.stop().await;
        if let Some(records) = &self.records {
            records.stop().await;
        }
        if let Some(store) = &self.store {
            store.stop().await;
        }
        if let Some(journal) = &self.journal {
            journal.stop().await;
        }
    }
}

/// Registers every port at the exchange and starts the residents; sockets come last, when letters find everybody.
pub(super) async fn ports(
    config: &Config,
    exchange: &Exchange,
    home: &Home,
    clock: &Arc<dyn Clock>,
    office: Option<&Arc<Office>>,
) -> Result<Ports, BootError> {
    let post: Arc<dyn Post> = Arc::new(exchange.clone());
    let tracer = tracer::start(config.trace.clone(), post.clone());
    exchange.register_port(home.tracer(), Arc::new(tracer.clone()));
    let (store, records, names, relay, journal) = (None, None, None, None, None);
    let mut ports = Ports { store, records, names, relay, journal, tracer, flows: Vec::new() };
    if config.is_director() {
        let settings = journal::Settings { dir: config.data_dir.join("director"), ..Default::default() };
        let journal = journal::start(settings, post.clone()).await?;
        exchange.register_port(Address::Journal(home.node), Arc::new(journal.clone()));
        ports.journal = Some(journal);
    }
    if config.is_proxy() {
        let mirror = office.map(|office| Mirror { me: home.node, office: office.clone(), exchange: exchange.clone() });
        proxy(config, exchange, home, clock, mirror, &mut ports).await?;
    }
    if config.is_balancer() {
        balancer(config, exchange, home, clock, &post, &mut ports).await?;
    }
    Ok(ports)
}

async fn proxy(
    config: &Config,
    exchange: &Exchange,
    home: &Home,
    clock: &Arc<dyn Clock>,
    mirror: Option<Mirror>,
    ports: &mut Ports,
) -> Result<(), BootError> {
    let post: Arc<dyn Post> = Arc::new(exchange.clone());
    let settings = store::Settings { file: config.data_dir.join(&config.store.file), ..config.store.clone() };
    let store = store::start(settings, post.clone(), home, clock.clone()).await?;
    exchange.register_port(home.store(), Arc::new(store.clone()));
    let settings = records::Settings {
        journal_dir: config.data_dir.join(&config.records.journal_dir),
        cdr_dir: config.data_dir.join(&config.records.cdr_dir),
        ..config.records.clone()
    };
    let records = match mirror {
        None => records::start(settings, post.clone(), clock.clone(), Some(&store)).await?,
        Some(mirror) => {
            let (post, clock) = (post.clone(), clock.clone());
            records::start_in_cluster(settings, post, home, clock, Some(&store), Arc::new(mirror)).await?
        }
    };
    exchange.register_port(home.records(), Arc::new(records.clone()));
    let names = names::start(config.names.clone(), post.clone(), home).await?;
    exchange.register_port(home.names(), Arc::new(names.clone()));
    (ports.store, ports.records, ports.names) = (Some(store), Some(records), Some(names));
    if config.cluster.is_none() {
        for shard in 0..home.shards {
            resident(exchange, Address::Location(shard)).await?;
        }
    }
    Ok(())
}

async fn balancer(
    config: &Config,
    exchange: &Exchange,
    home: &Home,
    clock: &Arc<dyn Clock>,
    post: &Arc<dyn Post>,
    ports: &mut Ports,
) -> Result<(), BootError> {
    let relays = config.relays().map_err(|problem| format!("{}: {}", problem.key, problem.what))?;
    let relay = relay::start(relay::Settings { relays, local: None }, post.clone(), home).await?;
    exchange.register_port(home.relay(), Arc::new(relay.clone()));
    ports.relay = Some(relay);
    resident(exchange, home.anchor()).await?;
    for site in config.sites() {
        let balancers = config.balancers(site);
        if site != home.node {
            // The balancers of another site trace here.
            exchange.register_port(Address::Tracer(site), Arc::new(ports.tracer.clone()));
        }
        for shard in 0..balancers {
            resident(exchange, Address::Balancer(site, shard)).await?;
        }
        let settings = flow::Settings {
            listen: config.listeners(site).map(|one| listen(one, config.sockets(one))).collect(),
            balancers,
            udp: config.udp.clone(),
            tcp: config.tcp.clone(),
        };
        let mut there = *home;
        there.node = site;
        let flow = flow::start(settings, post.clone(), &there, clock.clone()).await?;
        exchange.register_port(Address::Flow(site), Arc::new(flow.clone()));
        ports.flows.push((site, flow));
    }
    Ok(())
}

pub(super) async fn resident(exchange: &Exchange, address: Address) -> Result<(), BootError> {
    exchange.start_resident(address).await.map_err(|error| BootError(error.to_string()))
}

fn listen(listen: &Listen, sockets: u16) -> flow::Listen {
    flow::Listen {
        transport: listen.transport.transport(),
        address: listen.address,
        advertise: listen.advertise,
        sockets,
        wildcard: listen.wildcard,
        floating: listen.floating,
    }
}

/// Who lives here, and what every machine is told: its section, and what the node fills in.
pub(super) fn crew(config: &Config, home: Home, boot: u64) -> Crew {
    let sites: BTreeMap<NodeId, Arc<balancer::Settings>> =
        config.sites().into_iter().map(|site| (site, Arc::new(balancer_settings(config, site)))).collect();
    let mut call = config.call.clone();
    call.outbound = config
        .known_sites()
        .into_iter()
        .flat_map(|site| config.listeners(site).enumerate().map(move |(number, listen)| (site, number, listen)))
        .map(|(site, number, listen)| call::Outbound {
            site,
            listener: number as u16,
            transport: listen.transport.transport(),
            local: listen.advertised(),
        })
        .collect();
    let mut media = config.media.clone();
    if let Some(cluster) = &config.cluster
        && media.anchors.is_empty()
    {
        media.anchors = cluster.balancers().map(|member| member.node).collect();
    }
    let settings = RoleSettings {
        balancer: sites.get(&home.node).cloned().unwrap_or_else(|| Arc::new(config.balancer.clone())),
        registration: Arc::new(config.registration.clone()),
        location: Arc::new(config.location.clone()),
        call: Arc::new(call),
        media: Arc::new(media),
        anchor: Arc::new(config.anchor.clone()),
        hives: config.hive_count(),
        clustered: config.cluster.is_some(),
    };
    Crew {
        home,
        roles: Roles::new(home, settings),
        sites,
        boot,
        director: config.cluster.as_ref().filter(|_| config.is_director()).map(|cluster| Arc::new(cluster.director())),
    }
}

fn balancer_settings(config: &Config, site: NodeId) -> balancer::Settings {
    let mut balancer = config.balancer.clone();
    balancer.listeners = config
        .listeners(site)
        .map(|listen| balancer::ListenerInfo { transport: listen.transport.transport(), local: listen.advertised() })
        .collect();
    balancer.siblings = config.balancers(site);
    let peers = config.cluster.iter().flat_map(|cluster| cluster.balancers());
    balancer.peers = peers.map(|member| NodeId(member.node)).collect();
    balancer.zone = config.cluster.as_ref().map(|cluster| cluster.zone(site.0)).unwrap_or_default();
    balancer.trace = config.trace.messages_max > 0 && config.trace.bytes_max > 0;
    let trunks = config.call.trusted.iter().filter_map(|address| address.to_string().parse::<balancer::Net>().ok());
    balancer.trusted.extend(trunks);
    balancer
}
