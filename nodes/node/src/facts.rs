//! What a node tells of itself: status, and its part of the metrics.

mod cluster;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fabric::{Clock, Instant, NodeId};
use ports::counters::Snapshot;
use serde_json::{Value, json};
use web::metrics::Page;

use crate::boot::{Membership, Ports};
use crate::config::Config;
use crate::logging::LogLevel;

/// The node as the web asks for it.
pub struct Facts {
    name: String,
    node: u16,
    roles: Vec<&'static str>,
    /// Sockets of every listener, by site and number.
    sockets: BTreeMap<(NodeId, u16), u16>,
    ports: Ports,
    membership: Option<Membership>,
    clock: Arc<dyn Clock>,
    started: Instant,
    draining: AtomicBool,
    level: LogLevel,
}

impl Facts {
    pub(crate) fn new(
        config: &Config,
        ports: Ports,
        membership: Option<Membership>,
        clock: Arc<dyn Clock>,
        level: LogLevel,
    ) -> Facts {
        let mut sockets = BTreeMap::new();
        for site in config.sites() {
            for (number, listen) in config.listeners(site).enumerate() {
                sockets.insert((site, number as u16), config.sockets(listen));
            }
        }
        Facts {
            name: config.node_name().to_owned(),
            node: config.node,
            roles: config.roles().iter().map(|role| role.name()).collect(),
            sockets,
            ports,
            membership,
            started: clock.now().instant,
            clock,
            draining: AtomicBool::new(false),
            level,
        }
    }

    fn uptime_s(&self) -> u64 {
        self.clock.now().instant.since(self.started).as_secs()
    }

    /// What each port counts; several sites are one flow port to people.
    fn counters(&self) -> Vec<(&'static str, Snapshot)> {
        let ports = &self.ports;
        let mut flow = Snapshot::new();
        for (name, value) in ports.flows.iter().flat_map(|(_, port)| port.counters()) {
            match flow.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += value,
                None => flow.push((name, value)),
            }
        }
        let all = [
            ("flow", (!ports.flows.is_empty()).then_some(flow)),
            ("store", ports.store.as_ref().map(|port| port.counters())),
            ("records", ports.records.as_ref().map(|port| port.counters())),
            ("names", ports.names.as_ref().map(|port| port.counters())),
            ("relay", ports.relay.as_ref().map(|port| port.counters())),
            ("journal", ports.journal.as_ref().map(|port| port.counters())),
            ("tracer", Some(ports.tracer.counters())),
            ("links", self.membership.as_ref().map(|membership| membership.links.counters())),
        ];
        all.into_iter().filter_map(|(name, snapshot)| Some((name, snapshot?))).collect()
    }
}

impl web::Node for Facts {
    fn status(&self) -> Value {
        let all = self.ports.flows.iter().flat_map(|(site, flow)| flow.listeners().iter().map(|one| (*site, one)));
        let listeners = all.map(|(site, listener)| {
            json!({
                "site": site.0,
                "number": listener.number,
                "transport": listener.transport.param(),
                "address": listener.bound.to_string(),
                "advertise": listener.local.to_string(),
                "sockets": self.sockets.get(&(site, listener.number)).copied().unwrap_or(1),
            })
        });
        json!({
            "name": self.name,
            "node": self.node,
            "roles": self.roles,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": self.uptime_s(),
            "draining": web::Node::is_draining(self),
            "listeners": listeners.collect::<Vec<_>>(),
        })
    }

    fn metrics(&self) -> String {
        let mut page = Page::default();
        page.one("uptime_seconds", "gauge", "Time since the start.", self.uptime_s());
        page.one(
            "draining",
            "gauge",
            "1 while new calls and registrations are refused.",
            u64::from(web::Node::is_draining(self)),
        );
        let counters = self.counters();
        for (port, snapshot) in &counters {
            let family = format!("{port}_counters");
            page.family(&family, "gauge", "What this port counts: totals since the start, and levels.");
            for (name, value) in snapshot {
                page.sample(&family, &[("counter", name)], *value as f64);
            }
        }
        if self.ports.records.is_some() {
            calls(&mut page, &counters);
        }
        if let Some(membership) = &self.membership {
            cluster::metrics(&mut page, membership, self.clock.now());
        }
        page.text
    }

    fn cluster(&self) -> Option<Value> {
        let membership = self.membership.as_ref()?;
        Some(cluster::status(membership, self.clock.now()))
    }

    fn directors(&self) -> Vec<NodeId> {
        self.membership.as_ref().map(|membership| membership.voters.clone()).unwrap_or_default()
    }

    fn reload(&self) -> web::Reloading<'_> {
        Box::pin(async {
            match &self.membership {
                None => Err("this node is alone: it reads its configuration when it starts".to_owned()),
                Some(membership) => membership.reload().await,
            }
        })
    }

    fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn set_log_level(&self, filter: &str) -> Result<(), String> {
        self.level.set(filter)
    }
}

/// Calls as RFC 6076 counts them, out of the call records: a record is written when a call has ended.
fn calls(page: &mut Page, counters: &[(&'static str, Snapshot)]) {
    let records = counters.iter().find(|(port, _)| *port == "records").map(|(_, snapshot)| snapshot.as_slice());
    let records = records.unwrap_or_default();
    let count = |name: &str| records.iter().find(|(counter, _)| *counter == name).map_or(0, |(_, value)| *value);
    let (attempts, answered, ineffective) = (count("cdrs"), count("answered"), count("ineffective"));
    page.one("calls_established", "gauge", "Answered calls that go on.", count("open"));
    page.one("call_attempts_total", "counter", "Calls that have ended, answered or not.", attempts);
    page.one("calls_answered_total", "counter", "Of these, the answered ones.", answered);
    let about = "Of these, the ones that failed for want of the network: 408, 500, 503, 504 (RFC 6076 4.8).";
    page.one("calls_ineffective_total", "counter", about, ineffective);
    let share = |part: u64| if attempts == 0 { 0.0 } else { part as f64 / attempts as f64 };
    page.family("session_establishment_ratio", "gauge", "Answered share of the attempts, 0 to 1 (RFC 6076 4.6).");
    page.sample("session_establishment_ratio", &[], share(answered));
    page.family("ineffective_attempts_ratio", "gauge", "Ineffective share of the attempts, 0 to 1 (RFC 6076 4.8).");
    page.sample("ineffective_attempts_ratio", &[], share(ineffective));
}
