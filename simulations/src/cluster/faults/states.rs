//! What calls were doing when something happened to their node: a campaign that never met a state has proved nothing
//! about it.

use fabric::{Address, SLOTS};

use crate::cluster::lab::ClusterLab;
use crate::cluster::scene::Role;

impl ClusterLab {
    /// Notes what the calls of a node were doing when something happened to it.
    pub(in crate::cluster) fn watch_calls(&mut self, node: usize) {
        if self.role(node) != Role::Proxy {
            return;
        }
        if self.owes_records(node) {
            self.watch.sometimes.hit("take-over with a record not on disk");
        }
        let id = self.id(node);
        for attempt in 0..self.street.book.facts.len() {
            let facts = &self.street.book.facts[attempt];
            let Some(call_id) = facts.call_ids.first() else { continue };
            let key = self.street.home.keys.call(call_id.as_bytes(), b"");
            let slot = key.slot() % SLOTS;
            let table = &self.watch.table;
            let owner = table.group_of_slot(slot).and_then(|group| table.group(group));
            if owner.is_none_or(|row| row.active != Some(id) || row.standby.is_none()) {
                continue;
            }
            let over = facts.caller.is_some_and(|(_, until)| until.is_some())
                || (facts.caller.is_none() && !facts.finals.is_empty());
            if over {
                continue;
            }
            let ringing = facts.provisionals.iter().any(|status| *status > 100);
            let name = if facts.finals.is_empty() && facts.gave_up_ms.is_some() {
                "take-over while cancelling"
            } else if facts.ok_to_caller_ms.is_none() && !facts.ok_from_callee.is_empty() {
                "take-over between 2xx and its forwarding"
            } else if facts.ok_to_caller_ms.is_some() && facts.callees.is_empty() {
                "take-over between 2xx and ACK"
            } else if !facts.hung_up.is_empty() {
                "take-over while ending"
            } else if facts.caller.is_some() {
                "take-over while talking"
            } else if ringing {
                "take-over while ringing"
            } else if !facts.provisionals.is_empty() {
                "take-over while dialling"
            } else if self.watch.images.contains(&Address::Call(key)) {
                "take-over before the 100"
            } else if self.nodes[node].host.as_ref().is_some_and(|host| host.houses(&Address::Call(key))) {
                "take-over before the first replica"
            } else {
                // The INVITE is on its way.
                continue;
            };
            self.watch.sometimes.hit(name);
            if facts.referred_ms.is_some() && facts.refer_status.is_none() {
                self.watch.sometimes.hit("take-over with a REFER pending");
            }
            self.street.pending(attempt).into_iter().for_each(|name| self.watch.sometimes.hit(name));
            self.watch.orphans.insert(attempt, self.now / 1_000);
        }
    }
}
