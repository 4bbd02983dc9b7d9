//! Configuration of a node: one TOML file, unknown keys refused with their line, and checks that look across sections.

mod check;
pub mod cluster;

pub use check::warnings;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use fabric::letters::flow::Transport;
use serde::Deserialize;
use web::{ApiSettings, ControlSettings};

use cluster::Cluster;
use fabric::NodeId;
use ports::links::roles::Roles;

/// The whole file; every section is the `Settings` of the crate that acts on it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    #[serde(skip)]
    pub origin: Option<Origin>,
    /// Number of the node in its cluster, 0 to 65535; default 1.
    pub node: u16,
    /// Name for people; default `solo`.
    pub name: String,
    /// What this node is there for: `balancer`, `proxy`, `director`, `witness`. Default: what `[[cluster.nodes]]` says of it;
    /// a node that is alone is all there is.
    pub roles: Option<Roles>,
    /// File with the cluster secret, 32 hex digits. A node that is alone makes it at its first start; in a cluster it must
    /// be there, and the same on all nodes. Default `secret` in the data directory.
    pub secret_file: Option<PathBuf>,
    /// Directory of database, records and certificates; default `/var/lib/tandem`.
    pub data_dir: PathBuf,
    /// Threads of the runtime, count; default 0: one a processor.
    pub workers: usize,
    /// Location shards, count; default 64, from 1 to 4096; the same on all nodes of a cluster.
    pub shards: u16,
    /// Actors that share registrations, and as many that share media sessions, count; default 0: two a worker.
    pub hives: u16,
    /// Longest wait for running transactions at a graceful stop, seconds; established calls are then ended with BYE. Default 5, 0 waits for none.
    /// In a cluster as long, but 10 at least, for other nodes to take everything over.
    pub stop_s: u32,
    /// Listeners of this node; in a cluster also those of sites that it may hold or that its calls leave by.
    pub listen: Vec<Listen>,
    pub cluster: Option<Cluster>,
    pub balancer: balancer::Settings,
    pub registration: registration::Settings,
    pub location: location::Settings,
    pub call: call::Settings,
    pub media: media::Settings,
    pub anchor: anchor::Settings,
    pub shell: shell::Settings,
    pub store: ports::store::Settings,
    pub records: ports::records::Settings,
    pub names: ports::names::Settings,
    pub udp: ports::udp::Settings,
    pub tcp: ports::tcp::Settings,
    pub api: ApiSettings,
    pub control: ControlSettings,
    pub trace: ports::tracer::Settings,
    pub log: LogSettings,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            origin: None,
            node: 1,
            name: "solo".to_owned(),
            roles: None,
            secret_file: None,
            data_dir: PathBuf::from("/var/lib/tandem"),
            workers: 0,
            shards: 64,
            hives: 0,
            stop_s: 5,
            listen: Vec::new(),
            cluster: None,
            balancer: Default::default(),
            registration: Default::default(),
            location: Default::default(),
            call: Default::default(),
            media: Default::default(),
            anchor: Default::default(),
            shell: Default::default(),
            store: Default::default(),
            records: Default::default(),
            names: Default::default(),
            udp: Default::default(),
            tcp: Default::default(),
            api: Default::default(),
            control: Default::default(),
            trace: Default::default(),
            log: Default::default(),
        }
    }
}

/// Where a configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub file: PathBuf,
    pub text: String,
}

/// One SIP listener (`[[listen]]`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// `udp` or `tcp`.
    pub transport: Protocol,
    /// Address to bind.
    pub address: SocketAddr,
    /// Balancer site that it belongs to, a node's number; default this node.
    #[serde(default)]
    pub site: Option<u16>,
    /// The address moves between the holders of the site: it is bound although the machine may not have it now
    /// (IP_FREEBIND). Default false.
    #[serde(default)]
    pub floating: bool,
    /// Address that peers are told (Via, Contact, Path); default the bound one.
    #[serde(default)]
    pub advertise: Option<SocketAddr>,
    /// Sockets that share the address (SO_REUSEPORT), UDP only, count; default 1, 0: one a worker.
    #[serde(default = "one")]
    pub sockets: u16,
    /// Allows an unspecified address (`0.0.0.0`, `[::]`); needs `advertise`. Default false.
    #[serde(default)]
    pub wildcard: bool,
}

fn one() -> u16 {
    1
}

/// Transports that a listener can have in this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Udp,
    Tcp,
}

impl Protocol {
    pub fn transport(self) -> Transport {
        match self {
            Protocol::Udp => Transport::Udp,
            Protocol::Tcp => Transport::Tcp,
        }
    }
}

impl Listen {
    /// The address that peers are told.
    pub fn advertised(&self) -> SocketAddr {
        self.advertise.unwrap_or(self.address)
    }
}

/// Logging (`[log]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter like `info,call=debug`; default `info`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { format: LogFormat::Human, level: "info".to_owned() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// What is wrong with a configuration: each line says where and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1, where it is known.
    pub line: Option<usize>,
    /// Key that is to blame: `listen[1].address`.
    pub key: String,
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            match (problem.line, problem.key.as_str()) {
                (Some(line), "") => write!(f, "line {line}: {}", problem.what)?,
                (Some(line), key) => write!(f, "line {line}: {key}: {}", problem.what)?,
                (None, "") => write!(f, "{}", problem.what)?,
                (None, key) => write!(f, "{key}: {}", problem.what)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads and checks a file. Errors: everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot read {}: {error}", path.display());
            ConfigError { problems: vec![Problem { line: None, key: String::new(), what }] }
        })?;
        let config = Config::parse(&text)?;
        Ok(Config { origin: Some(Origin { file: path.to_owned(), text }), ..config })
    }

    /// Reads and checks a text.
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            let what = error.message().trim().replace('\n', " ");
            ConfigError { problems: vec![Problem { line, key: String::new(), what }] }
        })?;
        let mut problems = check::problems(&config);
        for problem in &mut problems {
            problem.line = find_key(text, &problem.key);
        }
        match problems.is_empty() {
            true => Ok(config),
            false => Err(ConfigError { problems }),
        }
    }

    pub fn secret_file(&self) -> PathBuf {
        self.secret_file.clone().unwrap_or_else(|| self.data_dir.join("secret"))
    }

    /// Certificate and key of the API.
    pub fn certificate(&self) -> (PathBuf, PathBuf) {
        match (&self.api.certificate, &self.api.key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            _ => (self.data_dir.join("api-cert.pem"), self.data_dir.join("api-key.pem")),
        }
    }

    /// Threads that the runtime will have.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }

    /// Listeners of a site; their places are their numbers there.
    pub fn listeners(&self, site: NodeId) -> impl Iterator<Item = &Listen> {
        self.listen.iter().filter(move |listen| listen.site.unwrap_or(self.node) == site.0)
    }

    /// Balancer actors of a site: as many as its largest listener has sockets.
    pub fn balancers(&self, site: NodeId) -> u16 {
        let most = self.listeners(site).map(|listen| self.sockets(listen)).max();
        most.unwrap_or(1)
    }

    /// Sockets of a listener, with 0 read as one a worker.
    pub fn sockets(&self, listen: &Listen) -> u16 {
        match (listen.transport, listen.sockets) {
            (Protocol::Tcp, _) => 1,
            (Protocol::Udp, 0) => u16::try_from(self.worker_count()).unwrap_or(u16::MAX),
            (Protocol::Udp, sockets) => sockets,
        }
    }

    /// Hives for registrations, and as many for media sessions.
    pub fn hive_count(&self) -> u16 {
        match self.hives {
            0 => u16::try_from(self.worker_count() * 2).unwrap_or(u16::MAX),
            hives => hives,
        }
    }

    /// NG addresses of the relays in their order. Errors: the first that is no address.
    pub fn relays(&self) -> Result<Vec<SocketAddr>, Problem> {
        let relays = self.anchor.relays.iter().enumerate().map(|(place, relay)| {
            relay.address.parse().map_err(|_| Problem {
                line: None,
                key: format!("anchor.relays[{place}].address"),
                what: format!("\"{}\" is not ip:port", relay.address),
            })
        });
        relays.collect()
    }
}

/// Line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// Line on which a key like `listen[1].address` stands: its table's header, then the key below it.
fn find_key(text: &str, key: &str) -> Option<usize> {
    let (table, leaf) = key.rsplit_once('.').unwrap_or(("", key));
    let (table, place) = match table.split_once('[') {
        Some((name, place)) => (name, place.trim_end_matches(']').parse().ok()?),
        None => (table, 0usize),
    };
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut inside = table.is_empty();
    let mut header = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            let name = line.trim_matches(|c| c == '[' || c == ']' || c == ' ');
            let count = seen.entry(name).or_default();
            inside = name == table && *count == place;
            *count += 1;
            if inside {
                header = Some(number + 1);
            }
        } else if inside && line.split('=').next().is_some_and(|name| name.trim() == leaf) {
            return Some(number + 1);
        }
    }
    header
}

#[cfg(test)]
mod tests;
