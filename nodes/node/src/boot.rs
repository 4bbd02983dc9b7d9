//! Boot and end of a node.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fabric::{Address, Clock, Home, NodeId, Post};
use ports::{flow, names, records, relay, store, tracer};
use roles::{RoleSettings, Roles};
use shell::{Exchange, SystemClock};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{debug, info, warn};
use web::serve::{Limits, Serving, serve};
use web::{Failed, Switch};

use crate::config::{Config, Listen};
use crate::facts::Facts;
use crate::logging::LogLevel;
use crate::{logging, secret};

/// Why a node did not start, in a sentence that says what to do.
#[derive(Debug)]
pub struct BootError(String);

impl std::fmt::Display for BootError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BootError {}

impl From<ports::StartError> for BootError {
    fn from(error: ports::StartError) -> BootError {
        BootError(error.to_string())
    }
}

impl From<String> for BootError {
    fn from(what: String) -> BootError {
        BootError(what)
    }
}

/// Runs a node until SIGTERM or SIGINT; a second signal ends it at once.
pub fn run(config: Config) -> Result<(), BootError> {
    let level = logging::start(&config.log)?;
    // A lone worker needs none of what workers use to share their work, which costs it at every wake-up.
    let mut builder = match config.worker_count() {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(config.worker_count())
        .thread_name("tandem")
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(async {
        let mut terminate = signals(SignalKind::terminate())?;
        let mut interrupt = signals(SignalKind::interrupt())?;
        let node = tokio::select! {
            node = Node::start(config, level) => node?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::select! {
            () = node.stop() => {}
            _ = terminate.recv() => warn!("ended without waiting"),
            _ = interrupt.recv() => warn!("ended without waiting"),
        }
        Ok(())
    })
}

fn signals(kind: SignalKind) -> Result<tokio::signal::unix::Signal, BootError> {
    signal(kind).map_err(|error| BootError(format!("cannot listen to signals: {error}")))
}

/// A running node.
pub struct Node {
    config: Config,
    switch: Arc<Switch>,
    ports: Ports,
    api: Option<Serving>,
    control: Option<Serving>,
    /// Held as long as the node lives.
    _lock: File,
}

/// Handles of the ports.
#[derive(Clone)]
pub(crate) struct Ports {
    pub store: store::Handle,
    pub records: records::Handle,
    pub names: names::Handle,
    pub relay: relay::Handle,
    pub tracer: tracer::Handle,
    pub flow: flow::Handle,
}

impl Node {
    /// Boots a node inside a tokio runtime. Errors: what could not be had, in a sentence.
    pub async fn start(config: Config, level: LogLevel) -> Result<Node, BootError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|error| format!("cannot make the data directory {}: {error}", config.data_dir.display()))?;
        let lock = lock(&config.data_dir)?;
        let home = Home::new(NodeId(config.node), secret::load(&config.secret_file())?, config.shards);
        let founder = Arc::new(Roles::new(home, role_settings(&config)));
        let exchange = Exchange::new(home.node, founder, clock.clone(), config.shell.clone());
        let ports = open_ports(&config, &exchange, &home, &clock).await?;
        let facts = Arc::new(Facts::new(&config, ports.clone(), clock, level));
        let switch = Arc::new(Switch {
            exchange,
            home,
            store: ports.store.provisioning(),
            node: facts,
            ask_timeout: Duration::from_millis(config.api.ask_timeout_ms.max(config.control.ask_timeout_ms)),
        });
        let mut node = Node { config, switch, ports, api: None, control: None, _lock: lock };
        node.serve().await?;
        info!(name = %node.config.name, node = node.config.node, listeners = ?node.listeners(), api = ?node.api_address(), control = ?node.control_address(), "tandem runs");
        Ok(node)
    }

    async fn serve(&mut self) -> Result<(), BootError> {
        if let Some(listen) = self.config.control.listen {
            let settings = self.config.control.clone();
            let limits = limits(settings.connections_max, settings.header_timeout_ms);
            let router = web::control::router(self.switch.clone(), settings);
            let serving = serve(listen, None, limits, router);
            self.control = Some(serving.map_err(|error| format!("cannot listen on {listen} (control): {error}"))?);
        }
        if let Some(listen) = self.config.api.listen {
            let (certificate, key) = self.config.certificate();
            let tls = web::serve::tls(listen, &certificate, &key)?;
            let settings = self.config.api.clone();
            let limits = limits(settings.connections_max, settings.header_timeout_ms);
            let router = web::api::router(self.switch.clone(), settings)
                .map_err(|(name, why)| format!("api.users.{name}: {why}"))?;
            let serving = serve(listen, Some(tls), limits, router);
            self.api = Some(serving.map_err(|error| format!("cannot listen on {listen} (api): {error}"))?);
        }
        Ok(())
    }

    /// Bound SIP listeners, as peers are told them.
    pub fn listeners(&self) -> Vec<String> {
        let all = self.ports.flow.listeners().iter();
        all.map(|listener| format!("{}:{}", listener.transport.param(), listener.local)).collect()
    }

    /// Address of the SIP listener of this number.
    pub fn sip_address(&self, number: u16) -> Option<SocketAddr> {
        self.ports.flow.listeners().iter().find(|listener| listener.number == number).map(|listener| listener.bound)
    }

    pub fn api_address(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(|serving| serving.address)
    }

    pub fn control_address(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(|serving| serving.address)
    }

    /// Ends the node: no new work, bounded patience for what runs, everything durable.
    pub async fn stop(self) {
        info!("stopping: new calls and registrations are refused");
        if let Err(Failed::Refused(why) | Failed::Unavailable(why)) = self.switch.drain(true).await {
            warn!(%why, "balancers could not be drained");
        }
        self.settle().await;
        self.farewell().await;
        for serving in [self.api, self.control].into_iter().flatten() {
            serving.stop(WEB_PATIENCE).await;
        }
        let exchange = &self.switch.exchange;
        exchange.stop().await;
        self.ports.flow.stop().await;
        self.ports.relay.stop().await;
        self.ports.names.stop().await;
        self.ports.tracer.stop().await;
        self.ports.records.stop().await;
        self.ports.store.stop().await;
        info!("stopped");
    }

    /// Waits until no call is being set up or ended, `stop_s` at most.
    async fn settle(&self) {
        let patience = Duration::from_secs(u64::from(self.config.stop_s));
        if !self.wait_until_no_call_is(&["trying", "ringing", "ending"], patience).await {
            warn!(seconds = self.config.stop_s, "calls were still being set up");
        }
    }

    /// Ends established calls with BYE to both sides: nobody would route their BYE later, and their records get the right end.
    async fn farewell(&self) {
        let calls = self.switch.calls(SETTLING_MAX).await;
        let established: Vec<_> = calls.iter().filter(|call| call.state == "established").collect();
        if established.is_empty() {
            return;
        }
        info!(calls = established.len(), "established calls are ended");
        for call in established {
            if let Err(Failed::Refused(why) | Failed::Unavailable(why)) = self.switch.hang_up(call.key).await {
                debug!(call = %call.key, %why, "ended by itself");
            }
        }
        if !self.wait_until_no_call_is(&["established", "ending"], FAREWELL_PATIENCE).await {
            warn!("phones did not answer BYE");
        }
    }

    /// Whether calls have left these states within `patience`.
    async fn wait_until_no_call_is(&self, states: &[&str], patience: Duration) -> bool {
        let gone = async {
            while self.switch.calls(SETTLING_MAX).await.iter().any(|call| states.contains(&call.state.as_str())) {
                tokio::time::sleep(SETTLE_PAUSE).await;
            }
        };
        tokio::time::timeout(patience, gone).await.is_ok()
    }
}

/// How long phones have to answer the BYE of a switch that stops.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(3);

/// How long the web listeners wait for open requests.
const WEB_PATIENCE: Duration = Duration::from_secs(1);

/// Pause between two looks at the calls while stopping.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// Calls that are looked at while stopping, count.
const SETTLING_MAX: usize = 100_000;

/// Takes the data directory for this process: a second switch would end the first one's calls as lost.
fn lock(data_dir: &Path) -> Result<File, BootError> {
    let path = data_dir.join("lock");
    let file = File::create(&path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    file.try_lock().map_err(|error| format!("{} is in use by another switch ({error})", data_dir.display()))?;
    Ok(file)
}

fn limits(connections_max: usize, header_timeout_ms: u64) -> Limits {
    Limits { connections_max, header_timeout: Duration::from_millis(header_timeout_ms) }
}

/// Registers every port at the exchange and starts the residents; sockets come last, when letters find everybody.
async fn open_ports(
    config: &Config,
    exchange: &Exchange,
    home: &Home,
    clock: &Arc<dyn Clock>,
) -> Result<Ports, BootError> {
    let post: Arc<dyn Post> = Arc::new(exchange.clone());
    let store_settings = store::Settings { file: config.data_dir.join(&config.store.file), ..config.store.clone() };
    let store = store::start(store_settings, post.clone(), home, clock.clone()).await?;
    exchange.register_port(home.store(), Arc::new(store.clone()));
    let records_settings = records::Settings {
        journal_dir: config.data_dir.join(&config.records.journal_dir),
        cdr_dir: config.data_dir.join(&config.records.cdr_dir),
        ..config.records.clone()
    };
    let records = records::start(records_settings, post.clone(), clock.clone(), Some(&store)).await?;
    exchange.register_port(home.records(), Arc::new(records.clone()));
    let names = names::start(config.names.clone(), post.clone(), home).await?;
    exchange.register_port(home.names(), Arc::new(names.clone()));
    let relays = config.relays().map_err(|problem| format!("{}: {}", problem.key, problem.what))?;
    let relay = relay::start(relay::Settings { relays, local: None }, post.clone(), home).await?;
    exchange.register_port(home.relay(), Arc::new(relay.clone()));
    let tracer = tracer::start(config.trace.clone(), post.clone());
    exchange.register_port(home.tracer(), Arc::new(tracer.clone()));

    for shard in 0..home.shards {
        resident(exchange, Address::Location(shard)).await?;
    }
    resident(exchange, home.anchor()).await?;
    for shard in 0..config.balancers() {
        resident(exchange, Address::Balancer(home.node, shard)).await?;
    }
    let settings = flow::Settings {
        listen: config.listen.iter().map(|one| listen(one, config.sockets(one))).collect(),
        balancers: config.balancers(),
        udp: config.udp.clone(),
        tcp: config.tcp.clone(),
    };
    let flow = flow::start(settings, post, home, clock.clone()).await?;
    exchange.register_port(home.flow(), Arc::new(flow.clone()));
    Ok(Ports { store, records, names, relay, tracer, flow })
}

async fn resident(exchange: &Exchange, address: Address) -> Result<(), BootError> {
    exchange.start_resident(address).await.map_err(|error| BootError(error.to_string()))
}

fn listen(listen: &Listen, sockets: u16) -> flow::Listen {
    flow::Listen {
        transport: listen.transport.transport(),
        address: listen.address,
        advertise: listen.advertise,
        sockets,
        wildcard: listen.wildcard,
    }
}

/// What every machine is told: its section, and what the node fills in.
fn role_settings(config: &Config) -> RoleSettings {
    let listeners = config.listen.iter();
    let mut balancer = config.balancer.clone();
    balancer.listeners = listeners
        .clone()
        .map(|listen| balancer::ListenerInfo { transport: listen.transport.transport(), local: listen.advertised() })
        .collect();
    balancer.siblings = config.balancers();
    balancer.trace = config.trace.messages_max > 0 && config.trace.bytes_max > 0;
    let trunks = config.call.trusted.iter().filter_map(|address| address.to_string().parse::<balancer::Net>().ok());
    balancer.trusted.extend(trunks);
    let mut call = config.call.clone();
    call.outbound = listeners
        .enumerate()
        .map(|(number, listen)| call::Outbound {
            listener: number as u16,
            transport: listen.transport.transport(),
            local: listen.advertised(),
        })
        .collect();
    RoleSettings {
        balancer: Arc::new(balancer),
        registration: Arc::new(config.registration.clone()),
        location: Arc::new(config.location.clone()),
        call: Arc::new(call),
        media: Arc::new(config.media.clone()),
        anchor: Arc::new(config.anchor.clone()),
        hives: config.hive_count(),
        clustered: false,
    }
}

#[cfg(test)]
mod tests;
