//! Names port: RFC 3263, from a SIP URI's host to addresses in the order to be tried.
//!
//! NAPTR, SRV and addresses come from hickory's resolver and its cache; the order (RFC 3263 4, RFC 2782) is made here.
//! What DNS says is not believed blindly: an egress policy keeps out addresses and ports that a stranger's zone could
//! point at to make the switch knock at its own doors.

mod dice;
mod plan;
mod policy;
mod resolver;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fabric::letters::flow::Transport;
use fabric::letters::names::{NamesAsk, Target};
use fabric::{Envelope, Fault, FaultKind, Home, Letter, Post};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tracing::debug;

use crate::StartError;
use crate::counters::{Counter, Snapshot};
use crate::flow::returned;
use dice::Dice;
use plan::Plan;
use policy::Policy;
use resolver::{Failure, Hickory};

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Name servers; default none, which means those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// Time for one question with all its steps, milliseconds; default 3000.
    pub deadline_ms: u32,
    /// Longest time an answer is believed, seconds; default 60.
    pub ttl_max_s: u32,
    /// Longest time that something is believed not to exist, seconds; default 10.
    pub negative_ttl_max_s: u32,
    /// Answers kept, count; default 8192.
    pub cache_max: u32,
    /// Questions at a time, count; default 500, beyond it they come back with `Overload`.
    pub asks_max: usize,
    /// Targets in an answer, count; default 16.
    pub targets_max: usize,
    /// Transports that may be chosen, best first: `udp`, `tcp`; default both.
    pub transports: Vec<String>,
    /// Allows loopback addresses; default false.
    pub allow_loopback: bool,
    /// Allows private addresses (RFC 1918, RFC 4193); default false.
    pub allow_private: bool,
    /// Lowest port that a target may have; default 1024.
    pub port_min: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            servers: Vec::new(),
            deadline_ms: 3000,
            ttl_max_s: 60,
            negative_ttl_max_s: 10,
            cache_max: 8192,
            asks_max: 500,
            targets_max: 16,
            transports: vec!["udp".to_owned(), "tcp".to_owned()],
            allow_loopback: false,
            allow_private: false,
            port_min: 1024,
        }
    }
}

/// The running port.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    post: Arc<dyn Post>,
    resolver: Hickory,
    policy: Policy,
    transports: Vec<Transport>,
    targets_max: usize,
    deadline: Duration,
    dice: Dice,
    slots: Arc<Semaphore>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    asks: Counter,
    literals: Counter,
    failures: Counter,
    timeouts: Counter,
    refused_targets: Counter,
    overloads: Counter,
}

/// Sets the resolver up.
pub async fn start(settings: Settings, post: Arc<dyn Post>, home: &Home) -> Result<Handle, StartError> {
    let mut transports = Vec::new();
    for text in &settings.transports {
        match Transport::parse(text) {
            Some(transport) => transports.push(transport),
            None => return Err(StartError::new("names.transports", format!("`{text}` is not a transport"))),
        }
    }
    let resolver = Hickory::new(&settings).map_err(|e| StartError::new("cannot set up DNS", e))?;
    let shared = Shared {
        post,
        resolver,
        policy: Policy::new(&settings),
        transports,
        targets_max: settings.targets_max,
        deadline: Duration::from_millis(settings.deadline_ms.into()),
        dice: Dice::new(home.secret()),
        slots: Arc::new(Semaphore::new(settings.asks_max)),
        counters: Counters::default(),
    };
    Ok(Handle { shared: Arc::new(shared) })
}

impl Handle {
    pub fn counters(&self) -> Snapshot {
        let counters = &self.shared.counters;
        vec![
            ("asks", counters.asks.get()),
            ("literals", counters.literals.get()),
            ("failures", counters.failures.get()),
            ("timeouts", counters.timeouts.get()),
            ("refused_targets", counters.refused_targets.get()),
            ("overloads", counters.overloads.get()),
        ]
    }

    /// Questions that are on their way end by their own deadline.
    pub async fn stop(&self) {
        self.shared.slots.close();
    }
}

impl Post for Handle {
    fn post(&self, envelope: Envelope) {
        let Letter::NamesAsk(ask) = &envelope.letter else { return };
        let shared = &self.shared;
        shared.counters.asks.one();
        if let Some(target) = plan::literal(ask) {
            shared.counters.literals.one();
            let targets = shared.allowed(vec![target]);
            return shared.post.post(envelope.answer(Letter::Names(targets)));
        }
        let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
            shared.counters.overloads.one();
            return returned(&*shared.post, &envelope, FaultKind::Overload, "names queue");
        };
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let answer = shared.resolve(&envelope).await;
            drop(slot);
            shared.post.post(envelope.answer(answer));
        });
    }
}

impl Shared {
    async fn resolve(&self, envelope: &Envelope) -> Letter {
        let Letter::NamesAsk(ask) = &envelope.letter else { return Letter::Names(Vec::new()) };
        match tokio::time::timeout(self.deadline, self.targets(ask)).await {
            Ok(Ok(targets)) => Letter::Names(self.allowed(targets)),
            Ok(Err(Failure(why))) => {
                self.counters.failures.one();
                debug!(%why, "dns");
                Letter::Returned(Fault::unavailable("dns").retry(true))
            }
            Err(_) => {
                self.counters.timeouts.one();
                Letter::Returned(Fault::timeout("dns").retry(true))
            }
        }
    }

    async fn targets(&self, ask: &NamesAsk) -> Result<Vec<Target>, Failure> {
        Plan { resolver: &self.resolver, transports: &self.transports, dice: &self.dice, targets_max: self.targets_max }
            .targets(ask)
            .await
    }

    fn allowed(&self, mut targets: Vec<Target>) -> Vec<Target> {
        let before = targets.len();
        targets.retain(|target| self.policy.allows(target.address));
        self.counters.refused_targets.add((before - targets.len()) as u64);
        targets
    }
}

#[cfg(test)]
mod tests;
