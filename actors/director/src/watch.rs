//! What one director hears of the nodes, and whom it has promised not to grant a lease.
//!
//! A director that has told a leader "silent" grants that node nothing until the leader has answered a later report that
//! says "heard". So whatever the leader does with the report, and however late, no lease of that node can begin meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use fabric::letters::cluster::{Beat, GroupReport, Silences};
use fabric::{Instant, NodeId};

use crate::state::Decided;

pub(crate) struct Watch {
    nodes: BTreeMap<NodeId, Heard>,
    /// Since when nothing was missed: the start, or the end of a pause.
    since: Instant,
    silence: Duration,
    /// Reports so far.
    round: u64,
}

#[derive(Default)]
pub(crate) struct Heard {
    pub boot: u64,
    pub at: Option<Instant>,
    pub version: u64,
    pub leaving: bool,
    pub reports: Vec<GroupReport>,
    /// May be granted a lease.
    pardoned: bool,
    /// Version of the table that the leader had when it said so.
    pardoned_at: u64,
    /// The first report that says `heard` without a `silent` behind it.
    heard_since: u64,
    silent: bool,
}

/// Whether a beat said something new: to whoever leads, or at least to this director if it leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub for_leader: bool,
    pub any: bool,
}

impl Watch {
    pub fn new(now: Instant, silence: Duration) -> Watch {
        Watch { nodes: BTreeMap::new(), since: now, silence, round: 0 }
    }

    pub fn node(&self, node: NodeId) -> Option<&Heard> {
        self.nodes.get(&node)
    }

    /// The director was not awake for a while: nobody counts as unheard during that time.
    pub fn on_gap(&mut self, now: Instant) {
        self.since = now;
    }

    /// Takes a beat in.
    pub fn on_beat(&mut self, beat: Beat, decided: &Decided, now: Instant) -> News {
        let heard = self.nodes.entry(beat.node).or_default();
        if decided.known(beat.node).is_some_and(|known| known.old.contains(&beat.boot)) {
            return News::default();
        }
        let reborn = heard.boot != beat.boot;
        if reborn {
            heard.pardoned = false;
        }
        if reborn || heard.silent || heard.at.is_none() {
            heard.heard_since = self.round + 1;
        }
        let for_leader = reborn || heard.silent || heard.leaving != beat.leaving || heard.at.is_none();
        let any = for_leader || heard.reports != beat.reports || heard.version != beat.version;
        (heard.boot, heard.at, heard.silent) = (beat.boot, Some(now), false);
        (heard.version, heard.leaving, heard.reports) = (beat.version, beat.leaving, beat.reports);
        News { for_leader, any }
    }

    /// Whether this beat may count for a lease.
    pub fn grants(&self, beat: &Beat, decided: &Decided) -> bool {
        let (Some(heard), Some(known)) = (self.nodes.get(&beat.node), decided.known(beat.node)) else { return false };
        let pardoned = heard.pardoned || fabric::mutant!(SilentGranted);
        let knows = beat.version >= known.since || fabric::mutant!(LossUntold);
        pardoned
            && knows
            && heard.boot == beat.boot
            && decided.boot(beat.node) == beat.boot
            && decided.version() >= heard.pardoned_at
    }

    /// Notices who has become silent; `true` when somebody has.
    pub fn on_time(&mut self, decided: &Decided, now: Instant) -> bool {
        let mut news = false;
        for member in &decided.table.members {
            let unheard = self.unheard(member.node, now);
            let heard = self.nodes.entry(member.node).or_default();
            let silent = unheard >= self.silence;
            if silent && !heard.silent {
                (heard.silent, heard.pardoned) = (true, false);
                news = true;
            } else if !silent && heard.silent {
                // Only after a gap, when it is not known any more.
                heard.silent = false;
                heard.heard_since = self.round + 1;
            }
        }
        news
    }

    /// For how long a node has not been heard, as far as this director can know.
    pub fn unheard(&self, node: NodeId, now: Instant) -> Duration {
        let at = self.nodes.get(&node).and_then(|heard| heard.at).unwrap_or_default();
        now.since(at.max(self.since))
    }

    /// The next report.
    pub fn report(&mut self, decided: &Decided, now: Instant) -> Silences {
        self.round += 1;
        let mut report = Silences { round: self.round, ..Silences::default() };
        for member in &decided.table.members {
            let Some(heard) = self.nodes.get(&member.node) else { continue };
            if heard.silent {
                report.silent.push(member.node);
            } else if heard.at.is_some_and(|at| now.since(at) < self.silence) {
                report.heard.push((member.node, heard.boot));
                if heard.leaving {
                    report.leaving.push(member.node);
                }
            }
        }
        report
    }

    /// The leader knows that these were heard in this round and does nothing on what it was told before.
    pub fn on_pardon(&mut self, answer: &Silences, version: u64) {
        for (node, boot) in &answer.heard {
            let Some(heard) = self.nodes.get_mut(node) else { continue };
            if heard.boot == *boot && !heard.silent && answer.round >= heard.heard_since {
                (heard.pardoned, heard.pardoned_at) = (true, version);
            }
        }
    }

    /// Forgets nodes that are no members.
    pub fn trim(&mut self, decided: &Decided) {
        self.nodes.retain(|node, _| decided.is_member(*node));
    }
}

#[cfg(test)]
mod tests;
