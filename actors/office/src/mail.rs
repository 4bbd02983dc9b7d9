//! Letters for other nodes, kept until they have had their effect there.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fabric::{Envelope, Instant, NodeId};

/// Mail on its way to other nodes, by receipt number.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    last: u64,
    kept: BTreeMap<u64, Kept>,
    /// Oldest first, with holes for what was received.
    ages: VecDeque<(Instant, u64)>,
    pub given_up: u64,
    pub resent: u64,
}

#[derive(Debug)]
struct Kept {
    mail: Envelope,
    to: Option<NodeId>,
}

impl Outgoing {
    /// Keeps a letter; its receipt number. The oldest makes room where there are too many.
    pub fn keep(&mut self, mail: &Envelope, to: Option<NodeId>, now: Instant, most: usize) -> u64 {
        while self.kept.len() >= most.max(1) {
            let Some((_, oldest)) = self.ages.pop_front() else { break };
            self.given_up += u64::from(self.kept.remove(&oldest).is_some());
        }
        self.last = (self.last + 1) & RECEIPT_MASK;
        self.last = self.last.max(1);
        self.kept.insert(self.last, Kept { mail: mail.clone(), to });
        self.ages.push_back((now, self.last));
        self.last
    }

    pub fn received(&mut self, receipt: u64) {
        self.kept.remove(&receipt);
        while self.ages.front().is_some_and(|(_, oldest)| !self.kept.contains_key(oldest)) {
            self.ages.pop_front();
        }
    }

    /// Gives up what is older than `hold`.
    pub fn expire(&mut self, now: Instant, hold: Duration) {
        while let Some((since, receipt)) = self.ages.front().copied() {
            if self.kept.contains_key(&receipt) && now.since(since) < hold {
                break;
            }
            self.ages.pop_front();
            self.given_up += u64::from(self.kept.remove(&receipt).is_some());
        }
    }

    /// What has another addressee than before, by what `target` says; oldest first.
    pub fn redirect(&mut self, target: impl Fn(&Envelope) -> Option<NodeId>) -> Vec<(u64, NodeId, Envelope)> {
        let mut moved = Vec::new();
        for (receipt, kept) in &mut self.kept {
            let to = target(&kept.mail);
            if to != kept.to {
                kept.to = to;
                moved.extend(to.map(|to| (*receipt, to, kept.mail.clone())));
            }
        }
        self.resent += moved.len() as u64;
        moved
    }

    /// Takes out what nobody will ever answer; oldest first.
    pub fn give_up(&mut self, is_lost: impl Fn(&Envelope, NodeId) -> bool) -> Vec<Envelope> {
        let lost = |kept: &Kept| kept.to.is_some_and(|to| is_lost(&kept.mail, to));
        let receipts: Vec<u64> = self.kept.iter().filter(|(_, kept)| lost(kept)).map(|(receipt, _)| *receipt).collect();
        receipts.iter().filter_map(|receipt| self.kept.remove(receipt)).map(|kept| kept.mail).collect()
    }

    /// Everything for a node, oldest first: a new session knows nothing of the last one.
    pub fn for_node(&mut self, node: NodeId) -> Vec<(u64, Envelope)> {
        let its = self.kept.iter().filter(|(_, kept)| kept.to == Some(node));
        let all: Vec<_> = its.map(|(receipt, kept)| (*receipt, kept.mail.clone())).collect();
        self.resent += all.len() as u64;
        all
    }

    /// Takes a letter back: it need not go to another node any more.
    pub fn take(&mut self, receipt: u64) -> Option<Envelope> {
        self.kept.remove(&receipt).map(|kept| kept.mail)
    }
}

/// Receipt numbers leave room for the number of the node that wants the receipt.
const RECEIPT_MASK: u64 = (1 << 48) - 1;

/// A receipt as it travels inside a node: who wants it, and its number.
pub(crate) fn seal(node: NodeId, receipt: u64) -> u64 {
    u64::from(node.0) << 48 | receipt & RECEIPT_MASK
}

/// The opposite of `seal`.
pub(crate) fn open(sealed: u64) -> (NodeId, u64) {
    (NodeId((sealed >> 48) as u16), sealed & RECEIPT_MASK)
}
