//! Bans are everybody's: what one balancer decides the others are told at once, and sums that are compared twice a second
//! find what somebody has missed. The first shard of a site speaks for the others of its node.

use std::time::Duration;

use fabric::letters::control::{Control, SharedBan};
use fabric::{Address, Instant, Letter, NodeId, Outbox};

use crate::Settings;

/// Whom this balancer tells of its bans.
#[derive(Debug)]
pub struct Sharing {
    me: Address,
    /// The other shards of this site.
    siblings: Vec<Address>,
    /// First shards of the other sites.
    peers: Vec<Address>,
    /// When sums are sent next; the first time to learn what is in force.
    next: Instant,
    greeted: bool,
}

impl Sharing {
    pub fn new(node: NodeId, shard: u16, settings: &Settings) -> Sharing {
        let first = |node| Address::Balancer(node, 0);
        let others = settings.peers.iter().copied().filter(|peer| *peer != node).map(first).collect();
        let shards = (0..settings.siblings).filter(|other| *other != shard);
        let (siblings, peers) = match shard {
            0 => (shards.map(|shard| Address::Balancer(node, shard)).collect(), others),
            _ => (vec![first(node)], Vec::new()),
        };
        Sharing { me: Address::Balancer(node, shard), siblings, peers, next: Instant(0), greeted: false }
    }

    /// Whether somebody is one of those who share bans with us.
    pub fn knows(&self, other: Address) -> bool {
        self.siblings.contains(&other) || self.peers.contains(&other)
    }

    /// Passes decisions of this balancer on.
    pub fn tell(&self, bans: &[SharedBan], out: &mut Outbox) {
        self.pass_on(bans, self.me, out);
    }

    /// Passes on what `from` has told: to the rest of the node, and from inside the node to the others.
    pub fn pass_on(&self, bans: &[SharedBan], from: Address, out: &mut Outbox) {
        let inside = from == self.me || self.siblings.contains(&from);
        let peers = self.peers.iter().filter(|_| inside);
        for to in self.siblings.iter().chain(peers).filter(|to| **to != from) {
            send(bans, *to, out);
        }
    }

    /// Tells the other nodes only: the shards of this one have been told the same by whoever decided it.
    pub fn tell_peers(&self, bans: &[SharedBan], out: &mut Outbox) {
        self.peers.iter().for_each(|to| send(bans, *to, out));
    }

    /// Answers the sums of another balancer with what it lacks.
    pub fn on_sums(
        &self,
        theirs: &[u64],
        ours: Vec<u64>,
        answer: bool,
        told: impl FnOnce(&dyn Fn(usize) -> bool) -> Vec<SharedBan>,
        from: Address,
        out: &mut Outbox,
    ) {
        if theirs.len() != ours.len() || theirs == ours {
            return;
        }
        send(&told(&|part| theirs[part] != ours[part]), from, out);
        if !answer {
            out.post(from, Letter::Control(Box::new(Control::BanSums { sums: ours, answer: true })));
        }
    }

    /// Sends sums when it is time: with nothing in force only once, to learn.
    pub fn wake(&mut self, sums: impl FnOnce() -> Vec<u64>, is_empty: bool, now: Instant, out: &mut Outbox) {
        if now < self.next {
            return;
        }
        self.next = now + PERIOD;
        if is_empty && self.greeted {
            return;
        }
        // A shard hears from the first one; that one from the other sites.
        let to = if self.peers.is_empty() && self.me != self.first() { &self.siblings } else { &self.peers };
        if !to.is_empty() {
            let sums = Control::BanSums { sums: sums(), answer: false };
            to.iter().for_each(|to| out.post(*to, Letter::Control(Box::new(sums.clone()))));
        }
        self.greeted = true;
    }

    /// When `wake` has something to do.
    pub fn deadline(&self, is_empty: bool) -> Option<Instant> {
        let alone = self.peers.is_empty() && self.siblings.is_empty();
        (!alone && (!is_empty || !self.greeted)).then_some(self.next)
    }

    fn first(&self) -> Address {
        match self.me {
            Address::Balancer(node, _) => Address::Balancer(node, 0),
            other => other,
        }
    }
}

fn send(bans: &[SharedBan], to: Address, out: &mut Outbox) {
    for bans in bans.chunks(BANS_MAX) {
        out.post(to, Letter::Control(Box::new(Control::BanNews(bans.to_vec()))));
    }
}

/// Pause between two comparisons: who has missed something has it in less than a second.
const PERIOD: Duration = Duration::from_millis(400);

/// Bans in one letter, count: with the longest reasons some 100 KB.
const BANS_MAX: usize = 500;

#[cfg(test)]
mod tests;
