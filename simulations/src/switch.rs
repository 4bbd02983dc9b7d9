//! The switch under test: the same roles that a node founds, with settings that fit a short run.

use std::sync::Arc;

use anchor::RelaySettings;
use balancer::ListenerInfo;
use call::{Outbound, WithoutRelay};
use fabric::letters::flow::Transport;
use fabric::{Address, Founder, Home};
use roles::{RoleSettings, Roles};

use crate::plan::{DOMAIN, Plan, switch_address};
use crate::world::{NODE, SHARDS};

/// Facts of the simulated node; the secret depends on the seed.
pub fn home(plan: &Plan) -> Home {
    let mut secret = *b"secret of a lab.";
    secret[..8].copy_from_slice(&plan.seed.to_le_bytes());
    Home::new(NODE, secret, SHARDS)
}

/// Who founds the machines of a run.
pub fn founder(plan: &Plan) -> Arc<dyn Founder> {
    Arc::new(Roles::new(home(plan), settings(plan)))
}

pub fn settings(plan: &Plan) -> RoleSettings {
    let local = switch_address();
    let listeners = [Transport::Udp, Transport::Tcp].map(|transport| ListenerInfo { transport, local });
    let outbound = [Transport::Udp, Transport::Tcp].into_iter().enumerate().map(|(listener, transport)| Outbound {
        site: NODE,
        listener: listener as u16,
        transport,
        local,
    });
    RoleSettings {
        balancer: Arc::new(balancer::Settings {
            listeners: listeners.to_vec(),
            hosts: vec![DOMAIN.to_owned()],
            flood_messages_per_s: 0,
            ..balancer::Settings::default()
        }),
        registration: Arc::new(registration::Settings::default()),
        location: Arc::new(location::Settings::default()),
        call: Arc::new(call::Settings {
            length_max_s: plan.length_max_s,
            session_expires_s: plan.session_expires_s,
            ring_max_s: plan.ring_max_s,
            without_relay: if plan.seed.is_multiple_of(2) { WithoutRelay::Refuse } else { WithoutRelay::Unanchored },
            outbound: outbound.collect(),
            ..call::Settings::default()
        }),
        media: Arc::new(media::Settings::default()),
        anchor: Arc::new(anchor::Settings {
            relays: vec![RelaySettings::new("media1", "203.0.113.9:2223")],
            ..anchor::Settings::default()
        }),
        hives: 2,
        clustered: false,
    }
}

/// The residents that a node starts.
pub fn residents() -> Vec<Address> {
    let shards = (0..SHARDS).map(Address::Location);
    [Address::Balancer(NODE, 0), Address::Anchor(NODE, 0)].into_iter().chain(shards).collect()
}
