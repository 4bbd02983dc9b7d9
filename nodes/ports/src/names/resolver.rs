//! The door to hickory: three kinds of lookups as plain values.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::Settings;

/// The name servers could not tell; that something does not exist is an empty answer, no failure.
#[derive(Debug)]
pub(super) struct Failure(pub String);

/// A NAPTR record that leads to SRV records: RFC 3263 4.1, RFC 3403.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naptr {
    pub order: u16,
    pub preference: u16,
    /// `SIP+D2U` ...
    pub service: String,
    pub replacement: String,
}

/// An SRV record: RFC 2782.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    /// Empty for `.`: the service is decidedly not available.
    pub target: String,
}

/// What the plan asks of DNS.
pub(super) trait Lookups: Sync {
    fn naptr(&self, name: &str) -> impl Future<Output = Result<Vec<Naptr>, Failure>> + Send;
    fn srv(&self, name: &str) -> impl Future<Output = Result<Vec<Srv>, Failure>> + Send;
    /// IPv4 addresses first.
    fn addresses(&self, name: &str) -> impl Future<Output = Result<Vec<IpAddr>, Failure>> + Send;
}

pub(super) struct Hickory {
    resolver: TokioResolver,
}

impl Hickory {
    pub fn new(settings: &Settings) -> Result<Hickory, String> {
        let servers = match settings.servers.is_empty() {
            true => system_servers()?,
            false => settings.servers.clone(),
        };
        let servers = servers.into_iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        // Two tries fit into the deadline; two servers are asked at once, so that a dead one costs nothing.
        options.timeout = Duration::from_millis((settings.deadline_ms / 2).max(1).into());
        options.attempts = 1;
        options.cache_size = settings.cache_max.into();
        options.positive_max_ttl = Some(Duration::from_secs(settings.ttl_max_s.into()));
        options.negative_max_ttl = Some(Duration::from_secs(settings.negative_ttl_max_s.into()));
        let resolver = builder.build().map_err(|e| e.to_string())?;
        Ok(Hickory { resolver })
    }

    async fn lookup<T>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, Failure> {
        // A name that DNS cannot hold leads nowhere.
        let Ok(mut name) = Name::from_ascii(name) else { return Ok(Vec::new()) };
        name.set_fqdn(true);
        match self.resolver.lookup(name, kind).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|record| pick(&record.data)).take(RECORDS_MAX).collect()),
            Err(error) if is_nothing(&error) => Ok(Vec::new()),
            Err(error) => Err(Failure(error.to_string())),
        }
    }
}

impl Lookups for Hickory {
    async fn naptr(&self, name: &str) -> Result<Vec<Naptr>, Failure> {
        let pick = |data: &RData| match data {
            // Only "s" leads on to SRV; a regular expression in its place is not for SIP (RFC 3263 4.1).
            RData::NAPTR(naptr) if naptr.flags.eq_ignore_ascii_case(b"s") && naptr.regexp.is_empty() => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                service: String::from_utf8_lossy(&naptr.services).to_ascii_uppercase(),
                replacement: naptr.replacement.to_ascii(),
            }),
            _ => None,
        };
        self.lookup(name, RecordType::NAPTR, pick).await
    }

    async fn srv(&self, name: &str) -> Result<Vec<Srv>, Failure> {
        let pick = |data: &RData| match data {
            RData::SRV(srv) => {
                let target = if srv.target.is_root() { String::new() } else { srv.target.to_ascii() };
                Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target })
            }
            _ => None,
        };
        self.lookup(name, RecordType::SRV, pick).await
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let v4 = self.lookup(name, RecordType::A, |data| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            _ => None,
        });
        let v6 = self.lookup(name, RecordType::AAAA, |data| match data {
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        });
        match tokio::join!(v4, v6) {
            (Ok(mut v4), Ok(v6)) => {
                v4.extend(v6);
                Ok(v4)
            }
            // One family that answers is enough to go on.
            (Ok(found), Err(failure)) | (Err(failure), Ok(found)) => match found.is_empty() {
                true => Err(failure),
                false => Ok(found),
            },
            (Err(failure), Err(_)) => Err(failure),
        }
    }
}

fn is_nothing(error: &NetError) -> bool {
    error.is_nx_domain() || error.is_no_records_found()
}

/// Servers of `/etc/resolv.conf`.
fn system_servers() -> Result<Vec<SocketAddr>, String> {
    let text = std::fs::read_to_string(RESOLV_CONF).map_err(|e| format!("{RESOLV_CONF}: {e}"))?;
    let servers = text.lines().filter_map(|line| {
        let address = line.trim().strip_prefix("nameserver")?.split_whitespace().next()?;
        Some(SocketAddr::new(address.parse().ok()?, 53))
    });
    let servers: Vec<SocketAddr> = servers.take(3).collect();
    // As resolv.conf(5) says of a file without servers.
    Ok(if servers.is_empty() { vec![SocketAddr::from(([127, 0, 0, 1], 53))] } else { servers })
}

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Records of one answer that are looked at, count.
const RECORDS_MAX: usize = 64;
