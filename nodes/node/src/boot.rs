//! Boot and end of a node.

mod addresses;
mod cluster;
mod links;
mod mirror;
mod open;
mod reload;

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fabric::{Clock, Home, NodeId};
use shell::{Exchange, SystemClock};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{debug, info, warn};
use web::serve::{Limits, Serving, serve};
use web::{Failed, Switch};

use crate::config::Config;
use crate::facts::Facts;
use crate::logging::LogLevel;
use crate::{logging, secret};
pub(crate) use cluster::Membership;
pub(crate) use open::Ports;

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

/// Runs a node until SIGTERM or SIGINT; a second signal ends it at once. SIGHUP has it read its file again.
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
        let mut hang_up = signals(SignalKind::hangup())?;
        let node = tokio::select! {
            node = Node::start(config, level) => node?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                Some(()) = hang_up.recv() => node.reload().await,
            }
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
    /// What ties it to the other nodes; `None` when it is alone.
    membership: Option<Membership>,
    api: Option<Serving>,
    control: Option<Serving>,
    /// Held as long as the node lives.
    _lock: File,
}

impl Node {
    /// Boots a node inside a tokio runtime. Errors: what could not be had, in a sentence.
    pub async fn start(config: Config, level: LogLevel) -> Result<Node, BootError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|error| format!("cannot make the data directory {}: {error}", config.data_dir.display()))?;
        let lock = lock(&config.data_dir)?;
        let secret = match &config.cluster {
            None => secret::load(&config.secret_file())?,
            Some(_) => secret::load_shared(&config.secret_file())?,
        };
        let home = Home::new(NodeId(config.node), secret, config.shards);
        let boot = (clock.now().unix_ms ^ secret::random()?).max(1);
        let crew = Arc::new(open::crew(&config, home, boot));
        let (exchange, joining) = match &config.cluster {
            None => (Exchange::new(home.node, crew, clock.clone(), config.shell.clone()), None),
            Some(_) => {
                let joining = cluster::Joining::new(&config, &home, crew, boot)?;
                let office = joining.office.clone();
                (Exchange::with_office(home.node, office, clock.clone(), config.shell.clone()), Some(joining))
            }
        };
        let office = joining.as_ref().map(|joining| &joining.office);
        let ports = open::ports(&config, &exchange, &home, &clock, office).await?;
        let membership = match joining {
            None => None,
            Some(joining) => Some(joining.join(&config, &exchange).await?),
        };
        let facts = Facts::new(&config, ports.clone(), membership.clone(), clock, level);
        let switch = Arc::new(Switch {
            exchange,
            home,
            store: ports.store.as_ref().map(ports::store::Handle::provisioning),
            node: Arc::new(facts),
            ask_timeout: Duration::from_millis(config.api.ask_timeout_ms.max(config.control.ask_timeout_ms)),
        });
        let mut node = Node { config, switch, ports, membership, api: None, control: None, _lock: lock };
        node.serve().await?;
        info!(name = %node.config.node_name(), node = node.config.node, roles = %node.config.roles(), listeners = ?node.listeners(), api = ?node.api_address(), control = ?node.control_address(), "tandem runs");
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
            let store =
                self.switch.store.clone().ok_or_else(|| "api.listen: the API needs the store of a proxy".to_owned())?;
            let router = web::api::router(self.switch.clone(), store, settings)
                .map_err(|(name, why)| format!("api.users.{name}: {why}"))?;
            let serving = serve(listen, Some(tls), limits, router);
            self.api = Some(serving.map_err(|error| format!("cannot listen on {listen} (api): {error}"))?);
        }
        Ok(())
    }

    /// Bound SIP listeners, as peers are told them.
    pub fn listeners(&self) -> Vec<String> {
        let all = self.ports.flows.iter().flat_map(|(_, flow)| flow.listeners());
        all.map(|listener| format!("{}:{}", listener.transport.param(), listener.local)).collect()
    }

    /// Address of the SIP listener of this number at the node's own site.
    pub fn sip_address(&self, number: u16) -> Option<SocketAddr> {
        let (_, flow) = self.ports.flows.first()?;
        flow.listeners().iter().find(|listener| listener.number == number).map(|listener| listener.bound)
    }

    pub fn api_address(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(|serving| serving.address)
    }

    pub fn control_address(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(|serving| serving.address)
    }

    /// Reads the configuration again, and says in the log what came of it.
    async fn reload(&self) {
        match &self.membership {
            None => info!("a node that is alone reads its configuration when it starts"),
            Some(membership) => {
                if let Err(why) = membership.reload().await {
                    warn!(why, "the configuration is not followed");
                }
            }
        }
    }

    /// Ends the node: no new work, bounded patience for what runs, everything durable.
    pub async fn stop(self) {
        if !self.hand_over().await {
            info!("stopping: new calls and registrations are refused");
            if self.config.is_balancer()
                && let Err(Failed::Refused(why) | Failed::Unavailable(why)) = self.switch.drain(true).await
            {
                warn!(%why, "balancers could not be drained");
            }
            if self.config.is_proxy() {
                self.settle().await;
                self.farewell().await;
            }
        }
        for serving in [self.api, self.control].into_iter().flatten() {
            serving.stop(WEB_PATIENCE).await;
        }
        if let Some(membership) = &self.membership {
            membership.stop().await;
        }
        self.switch.exchange.stop().await;
        self.ports.stop().await;
        info!("stopped");
    }

    /// Gives everything to other nodes of the cluster. Whether calls go on without this node.
    async fn hand_over(&self) -> bool {
        let Some(membership) = &self.membership else { return false };
        info!("stopping");
        let patience = Duration::from_secs(u64::from(self.config.stop_s.max(LEAVE_MIN_S)));
        let go_on = membership.leave(patience, &*self.switch.clock()).await;
        if go_on {
            self.tell_records().await;
        }
        go_on
    }

    /// Calls that others have now may have been answered here, and this node may never come back: their new owners get the
    /// starts that they have not seen.
    async fn tell_records(&self) {
        let Some(records) = &self.ports.records else { return };
        let all_told = async {
            while records.tell().await > 0 {
                tokio::time::sleep(TELL_PAUSE).await;
            }
        };
        if tokio::time::timeout(TELL_PATIENCE, all_told).await.is_err() {
            warn!(owed = records.tell().await, "other nodes do not know of all calls that were answered here");
        }
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

/// How long other nodes have to take over what is known of calls, and the pause between two looks.
const TELL_PATIENCE: Duration = Duration::from_secs(5);
const TELL_PAUSE: Duration = Duration::from_millis(20);

/// Shortest patience for other nodes to take over, seconds.
const LEAVE_MIN_S: u32 = 10;

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

#[cfg(test)]
mod tests;
