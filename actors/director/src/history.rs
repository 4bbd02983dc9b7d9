//! Flap damping: who was lost lately, and how long it must have been up before it is a standby again.

use std::collections::BTreeMap;
use std::time::Duration;

use fabric::{Instant, NodeId};

use crate::settings::Settings;
use crate::state::Decided;

#[derive(Default)]
pub(crate) struct History {
    nodes: BTreeMap<NodeId, Past>,
}

#[derive(Default)]
struct Past {
    losses: Vec<Instant>,
    up_since: Option<Instant>,
}

impl History {
    /// Takes note of what a decision says about who is up. A node that said before that it leaves was not lost.
    pub fn on_decided(&mut self, old: &Decided, new: &Decided, said_leaving: impl Fn(NodeId) -> bool, now: Instant) {
        for member in &new.table.members {
            let node = member.node;
            let (was_up, was, is) = (old.is_up(node), old.boot(node), new.boot(node));
            let reborn = was != 0 && was != is;
            let past = self.nodes.entry(node).or_default();
            if was_up && (!member.up || reborn) && !said_leaving(node) {
                past.losses.push(now);
                let surplus = past.losses.len().saturating_sub(LOSSES_MAX);
                past.losses.drain(..surplus);
            }
            if member.up && (!was_up || reborn) {
                past.up_since = Some(now);
            }
        }
    }

    /// Whether a node must still prove that it stays.
    pub fn is_quarantined(&self, node: NodeId, settings: &Settings, now: Instant) -> bool {
        let Some(past) = self.nodes.get(&node) else { return false };
        let window = Duration::from_secs(settings.flap_window_s.into());
        let losses = past.losses.iter().filter(|at| now.since(**at) < window).count();
        let Some(up_since) = past.up_since.filter(|_| losses > 0) else { return false };
        let wait_ms = u64::from(settings.quarantine_ms) << losses.min(16);
        now.since(up_since) < Duration::from_millis(wait_ms.min(settings.quarantine_ms_max.into()))
    }
}

/// Losses of a node that are remembered, count.
const LOSSES_MAX: usize = 16;
