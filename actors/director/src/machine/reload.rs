//! The operator's file has changed while the director runs: nodes and pairs come and go without a restart.

use std::sync::Arc;

use fabric::letters::control::{ControlAnswer, Members};
use fabric::{Address, Envelope, Instant, Letter, NodeId, Outbox};
use tracing::info;

use super::{Director, refused};
use crate::settings::{MemberSetting, PairSetting, Settings};
use crate::state::Plan;

impl Director {
    /// Takes nodes and pairs over as its own; they count once a majority of the voters has the same. Answers `Refused` when
    /// they contradict themselves, leave out a voter or the holder of a site, or do not come from this node's operator.
    pub(super) fn on_members(&mut self, mail: &Envelope, members: &Members, now: Instant, out: &mut Outbox) {
        if mail.from != Address::Control(self.me) {
            return out.answer(mail, refused("only the operator of the node itself may say so"));
        }
        let settings = with(&self.settings, members);
        if let Err(why) = settings.check() {
            return out.answer(mail, refused(why));
        }
        if settings != *self.settings {
            info!(nodes = settings.members.len(), pairs = settings.pairs.len(), "nodes and pairs are read again");
            self.plan = Plan::of(&settings);
            self.settings = Arc::new(settings);
            // Whoever leads is told at once, and whatever this one leads is decided anew.
            (self.dirty, self.next_report) = (true, now);
        }
        out.answer(mail, Letter::ControlAnswer(Box::new(ControlAnswer::Done)));
    }
}

fn with(old: &Settings, members: &Members) -> Settings {
    let member = |(node, chassis, name): &(NodeId, u16, String)| MemberSetting {
        node: *node,
        chassis: *chassis,
        name: name.clone(),
    };
    Settings {
        members: members.nodes.iter().map(member).collect(),
        pairs: members.pairs.iter().map(|(pair, nodes)| PairSetting { pair: *pair, nodes: *nodes }).collect(),
        ..old.clone()
    }
}
