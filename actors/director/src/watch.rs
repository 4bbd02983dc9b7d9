//! What one director hears of the nodes, and whom it has promised not to grant a lease.
//!
//! A director that has told a leader "silent" grants that node nothing until the leader has answered a later report that
//! says "heard". So whatever the leader does with the report, and however late, no lease of that node can begin meanwhile.
//!
//! A node that the table shuts out is granted nothing either. It is *resting* once no lease can come of what this director
//! granted before: the node has given up what was granted to beats up to the last one that was, or that beat is older than
//! a lease can be. A majority of such directors is as good as a majority that does not hear the node.

use std::collections::BTreeMap;
use std::time::Duration;

use fabric::letters::cluster::{Beat, Divides, GroupReport, Hearing, Silences};
use fabric::{Instant, NodeId};

use crate::state::Decided;

pub(crate) struct Watch {
    nodes: BTreeMap<NodeId, Heard>,
    /// What came just before a beat and belongs to it.
    hearings: BTreeMap<NodeId, Hearing>,
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
    /// Whom it does not hear.
    pub deaf: Vec<NodeId>,
    /// Grants for beats before this moment on its clock are void.
    rests: Option<Instant>,
    /// Since when it says so in every beat although this director grants them.
    idle_since: Option<Instant>,
    /// The last beat that was granted: when it was sent and when it came.
    granted: (Instant, Instant),
}

/// Whether a beat said something new: to whoever leads, or at least to this director if it leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub for_leader: bool,
    pub any: bool,
}

impl Watch {
    pub fn new(now: Instant, silence: Duration) -> Watch {
        Watch { nodes: BTreeMap::new(), hearings: BTreeMap::new(), since: now, silence, round: 0 }
    }

    pub fn node(&self, node: NodeId) -> Option<&Heard> {
        self.nodes.get(&node)
    }

    /// The director was not awake for a while: nobody counts as unheard during that time.
    pub fn on_gap(&mut self, now: Instant) {
        self.since = now;
    }

    /// What the next beat of this node means by its silence about others.
    pub fn on_hearing(&mut self, hearing: Hearing) {
        self.hearings.insert(hearing.node, hearing);
    }

    /// A beat of a node was granted.
    pub fn on_granted(&mut self, beat: &Beat, now: Instant) {
        if let Some(heard) = self.nodes.get_mut(&beat.node) {
            heard.granted = (beat.sent, now);
        }
    }

    /// Takes a beat in.
    pub fn on_beat(&mut self, beat: Beat, decided: &Decided, now: Instant) -> News {
        let hearing = self.hearings.remove(&beat.node);
        let heard = self.nodes.entry(beat.node).or_default();
        if decided.known(beat.node).is_some_and(|known| known.old.contains(&beat.boot)) {
            return News::default();
        }
        let hearing = hearing.filter(|hearing| hearing.boot == beat.boot && hearing.sent == beat.sent);
        let (deaf, rests) = hearing.map_or((Vec::new(), None), |hearing| (hearing.deaf, hearing.rests));
        let reborn = heard.boot != beat.boot;
        if reborn {
            heard.pardoned = false;
        }
        let is_granted = heard.granted == (beat.sent, now);
        heard.idle_since = rests.filter(|_| is_granted && !reborn).map(|_| heard.idle_since.unwrap_or(now));
        if reborn || heard.at.is_none() {
            // An earlier process of this director may have granted anything up to now.
            heard.granted = (beat.sent, now);
        }
        if reborn || heard.silent || heard.at.is_none() {
            heard.heard_since = self.round + 1;
        }
        let for_leader = reborn
            || heard.silent
            || heard.leaving != beat.leaving
            || heard.at.is_none()
            || heard.deaf != deaf
            || heard.rests != rests;
        let any = for_leader || heard.reports != beat.reports || heard.version != beat.version;
        (heard.boot, heard.at, heard.silent) = (beat.boot, Some(now), false);
        (heard.version, heard.leaving, heard.reports) = (beat.version, beat.leaving, beat.reports);
        (heard.deaf, heard.rests) = (deaf, rests);
        News { for_leader, any }
    }

    /// Whether this beat may count for a lease.
    pub fn grants(&self, beat: &Beat, decided: &Decided) -> bool {
        let (Some(heard), Some(known)) = (self.nodes.get(&beat.node), decided.known(beat.node)) else { return false };
        let pardoned = heard.pardoned || fabric::mutant!(SilentGranted);
        let knows = beat.version >= known.since || fabric::mutant!(LossUntold);
        pardoned
            && knows
            && decided.is_up(beat.node)
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

    /// Who does not hear whom, by what this director hears, and who does not act; goes with the report made last.
    pub fn divides(&self, decided: &Decided, now: Instant) -> Divides {
        let mut divides = Divides { round: self.round, version: decided.version(), ..Divides::default() };
        let is_fresh = |node: NodeId| decided.is_member(node) && self.unheard(node, now) < FRESH;
        for (node, heard) in self.nodes.iter().filter(|(node, _)| is_fresh(**node)) {
            let others = heard.deaf.iter().copied().filter(|other| other != node && is_fresh(*other));
            divides.apart.extend(others.map(|other| (*node, other)));
            let Some(member) = decided.member(*node).filter(|member| member.boot == heard.boot) else { continue };
            if member.up && heard.idle_since.is_some_and(|since| now.since(since) >= IDLE) {
                divides.idle.push(*node);
            } else if !member.up && self.is_void(heard, now) {
                divides.resting.push(*node);
            }
        }
        divides
    }

    /// Nothing that this director has granted to a node can be, or become, a lease.
    fn is_void(&self, heard: &Heard, now: Instant) -> bool {
        let (sent, at) = heard.granted;
        heard.rests.is_some_and(|rests| rests > sent) || now.since(at.max(self.since)) >= self.silence
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
        self.hearings.retain(|node, _| decided.is_member(*node));
    }
}

/// A node whose last beat is older says nothing about others, and others nothing about it: two beats and a little.
const FRESH: Duration = Duration::from_millis(125);

/// A node that is heard and has had no lease for so long does not hear the directors: three beats.
const IDLE: Duration = Duration::from_millis(150);

#[cfg(test)]
mod tests;
