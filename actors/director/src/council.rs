//! What the voters tell the leader about the nodes, and what their majority says.

use std::collections::BTreeMap;
use std::time::Duration;

use fabric::letters::cluster::{Divides, Silences};
use fabric::{Instant, NodeId};

use crate::state::Decided;

#[derive(Default)]
pub(crate) struct Council {
    voices: BTreeMap<NodeId, Voice>,
    /// What came just before a report and belongs to it.
    divides: BTreeMap<NodeId, Divides>,
}

struct Voice {
    at: Instant,
    report: Silences,
    divides: Divides,
    answered: bool,
    /// Ended processes of this director: what they said may still be on its way.
    ended: Vec<u64>,
}

impl Council {
    /// What the next report of this director leaves out.
    pub fn on_divides(&mut self, divides: Divides) {
        self.divides.insert(divides.director, divides);
    }

    /// Takes a report in; `true` when it says something else than the one before.
    pub fn on_report(&mut self, report: Silences, now: Instant) -> bool {
        let its = |divides: &Divides| (divides.boot, divides.round) == (report.boot, report.round);
        let divides = self.divides.remove(&report.director).filter(its).unwrap_or_default();
        match self.voices.get_mut(&report.director) {
            None => {
                let voice = Voice { at: now, report, divides, answered: false, ended: Vec::new() };
                self.voices.insert(voice.report.director, voice);
                true
            }
            Some(voice) => {
                let last = &voice.report;
                let stale = match last.boot == report.boot {
                    true => report.round <= last.round || report.term < last.term,
                    false => voice.ended.contains(&report.boot),
                };
                if stale {
                    return false;
                }
                if last.boot != report.boot {
                    voice.ended.push(last.boot);
                    let surplus = voice.ended.len().saturating_sub(ENDED_MAX);
                    voice.ended.drain(..surplus);
                }
                let was = &voice.divides;
                let news = (&last.silent, &last.heard, &last.leaving)
                    != (&report.silent, &report.heard, &report.leaving)
                    || (&was.apart, &was.resting, &was.idle) != (&divides.apart, &divides.resting, &divides.idle);
                (voice.at, voice.report, voice.divides, voice.answered) = (now, report, divides, false);
                news
            }
        }
    }

    /// Nothing that was said before counts any more.
    pub fn forget(&mut self) {
        for voice in self.voices.values_mut() {
            voice.at = Instant(0);
            voice.answered = true;
        }
    }

    /// Reports of this term that are young enough.
    pub fn fresh(&self, term: u64, now: Instant, age: Duration) -> Vec<&Silences> {
        self.young(term, now, age).map(|voice| &voice.report).collect()
    }

    /// What came with them.
    pub fn fresh_divides(&self, term: u64, now: Instant, age: Duration) -> Vec<&Divides> {
        self.young(term, now, age).map(|voice| &voice.divides).collect()
    }

    fn young(&self, term: u64, now: Instant, age: Duration) -> impl Iterator<Item = &Voice> {
        let young =
            move |voice: &&Voice| voice.report.term == term && voice.at > Instant(0) && now.since(voice.at) < age;
        self.voices.values().filter(young)
    }

    /// Answers to what has not been answered. To be asked for only while nothing is proposed that stands on what was
    /// reported before.
    pub fn answers(&mut self, term: u64, me: NodeId, decided: &Decided) -> Vec<(NodeId, Silences)> {
        let mut answers = Vec::new();
        for (director, voice) in &mut self.voices {
            if voice.answered || voice.report.term != term {
                continue;
            }
            voice.answered = true;
            let pardoned = voice.report.heard.iter().copied();
            let heard = pardoned.filter(|(node, boot)| decided.boot(*node) == *boot).collect();
            let answer = Silences {
                director: me,
                boot: voice.report.boot,
                term,
                round: voice.report.round,
                heard,
                answer: Some(decided.version()),
                ..Silences::default()
            };
            answers.push((*director, answer));
        }
        answers
    }
}

/// What a majority of the reports says of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub silent: bool,
    pub boot: u64,
    pub leaving: bool,
}

/// Of `majority` or more reports.
pub(crate) fn verdict(reports: &[&Silences], node: NodeId, majority: usize) -> Verdict {
    let enough = if fabric::mutant!(OneVoiceEnough) { 1 } else { majority };
    let silent = reports.iter().filter(|report| report.silent.contains(&node)).count() >= enough;
    let heard = |report: &&Silences| report.heard.iter().find(|(other, _)| *other == node).map(|(_, boot)| *boot);
    let mut boots: BTreeMap<u64, usize> = BTreeMap::new();
    for boot in reports.iter().filter_map(heard) {
        *boots.entry(boot).or_default() += 1;
    }
    let boot = boots.into_iter().find(|(_, count)| *count >= majority).map_or(0, |(boot, _)| boot);
    Verdict { silent, boot, leaving: reports.iter().any(|report| report.leaving.contains(&node)) }
}

/// Whether a majority of the directors knows that this process has no lease and gets none before the table changes: it is
/// silent, or rests since the table of version `since` has shut it out.
pub(crate) fn is_safe(
    reports: &[&Silences],
    divides: &[&Divides],
    node: NodeId,
    since: Option<u64>,
    majority: usize,
) -> bool {
    let rests = |director: NodeId| {
        since.is_some_and(|since| {
            let mut said = divides.iter().filter(|divides| divides.director == director && divides.version >= since);
            said.any(|divides| divides.resting.contains(&node))
        })
    };
    reports.iter().filter(|report| report.silent.contains(&node) || rests(report.director)).count() >= majority
}

/// Ended processes of a director that are remembered, count.
const ENDED_MAX: usize = 8;

#[cfg(test)]
mod tests;
