//! What must have happened: a campaign that never met these has proved nothing about them.

use std::collections::BTreeMap;

/// Everything that is watched for, by name.
pub const NAMES: &[&str] = &[
    "take-over",
    "take-over before the first replica",
    "take-over before the 100",
    "take-over while dialling",
    "take-over while ringing",
    "take-over between 2xx and its forwarding",
    "take-over between 2xx and ACK",
    "take-over while talking",
    "take-over with a PRACK pending",
    "take-over with a re-INVITE of the caller pending",
    "take-over with a re-INVITE of the callee pending",
    "take-over with a REFER pending",
    "take-over with a record not on disk",
    "take-over while cancelling",
    "take-over while ending",
    "take-over of a take-over",
    "standby promoted while it was filled",
    "two owners inside their leases",
    "site taken over",
    "call answered after its owner died",
    "call ended after its owner died",
    "lease ran out while paused",
    "stale letter refused",
    "stale letter refused by a balancer",
    "stale letter refused by an anchor",
    "stale letter refused by an actor",
    "stale record refused",
    "stale write refused",
    "letter sent again to the next owner",
    "unprotected effect",
    "machine restored",
    "group filled again",
    "duplicate record made one",
    "stream broken in a call",
    "stream made anew in a call",
    "session given up",
    "leader lost",
    "operator moved a group",
    "two releases side by side",
    "letter unknown to the older release",
    "records waited for the store",
    "crossing of CANCEL and 2xx",
    "glare",
    "fork",
    "two phones answered at once",
    "call forgotten by its phone",
    "call transferred",
    "transfer that came to nothing",
    "NAT mapping held open",
    "NAT mapping ran out",
    "NAT box forgot a phone",
    "NAT box kept a message out",
    "write torn by a crash",
    "replica of the store outvoted",
    "replay refused",
    "disk lost",
    "word heard",
    "flooder banned",
];

#[derive(Default)]
pub struct Sometimes {
    counts: BTreeMap<&'static str, u64>,
}

impl Sometimes {
    pub fn hit(&mut self, name: &'static str) {
        self.add(name, 1);
    }

    pub fn add(&mut self, name: &'static str, times: u64) {
        debug_assert!(NAMES.contains(&name), "{name} is not among the names");
        if times > 0 {
            *self.counts.entry(name).or_default() += times;
        }
    }

    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    pub fn all(&self) -> Vec<(String, u64)> {
        NAMES.iter().map(|name| ((*name).to_owned(), self.count(name))).filter(|(_, count)| *count > 0).collect()
    }
}
