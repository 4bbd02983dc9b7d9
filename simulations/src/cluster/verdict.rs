//! The end of a run: what is left behind, what every caller must have seen, what must be billed, and the outcome.

use fabric::GroupId;
use fabric::letters::record::Record;

use crate::cluster::lab::ClusterLab;
use crate::cluster::outcome::{Failure, FaultReport, Ladder, NodeReport, Outcome, Sample};
use crate::judges::{self, Remains};
use crate::plan::Callee;

impl ClusterLab {
    pub(super) fn sample(&mut self) {
        let calls = &mut self.street.calls;
        let nodes = self.nodes.iter().filter(|node| node.host.is_some() && !node.paused).count();
        let sample = Sample {
            at_s: self.now / 1_000_000,
            up: calls.up.len(),
            ringing: calls.ringing.len(),
            dialled: std::mem::take(&mut calls.dialled),
            nodes,
        };
        self.samples.push(sample);
        self.heap.push(self.now + 1_000_000, crate::cluster::event::Event::Sample);
    }

    /// I3: some time after the healing everything has one owner and a full standby on another chassis.
    pub(super) fn calm(&mut self) {
        let chassis = self.scene.plan.topology.chassis;
        let mut wrongs = Vec::new();
        if self.watch.table.groups.is_empty() {
            wrongs.push("nobody owns anything".to_owned());
        }
        for row in &self.watch.table.groups {
            let lives = |node: Option<fabric::NodeId>| {
                node.and_then(|node| self.scene.place(node)).is_some_and(|place| self.nodes[place].host.is_some())
            };
            if !lives(row.active) {
                wrongs.push(format!("group {} has no owner that lives", row.group.0));
            }
            if chassis > 1 && (!lives(row.standby) || !row.full) {
                wrongs.push(format!("group {} has no full standby", row.group.0));
            }
        }
        for wrong in wrongs {
            self.watch.fail(3, self.now, wrong);
        }
    }

    /// I4: what the owner has and what the standby has are the same.
    fn compare(&mut self) -> Vec<String> {
        let sum = |node: Option<fabric::NodeId>, group: GroupId| {
            let place = self.scene.place(node?)?;
            self.nodes[place].host.as_ref()?.office.sums().get(&group).copied()
        };
        let rows = self.watch.table.groups.iter();
        let differ = rows.filter(|row| row.full && sum(row.active, row.group) != sum(row.standby, row.group));
        differ.map(|row| format!("the replicas of group {} differ", row.group.0)).collect()
    }

    pub(super) fn finish(mut self) -> Outcome {
        // A record may be on its way at any one moment, not at all of them.
        let mut differ = self.compare();
        for _ in 0..20 {
            if differ.is_empty() {
                break;
            }
            let until = self.now + 37_000;
            while self.heap.next().is_some_and(|at| at <= until) {
                let Some((at, event)) = self.heap.pop() else { break };
                self.now = at;
                self.play(event);
            }
            self.now = until;
            differ = self.compare();
        }
        for text in differ {
            self.watch.fail(4, self.now, text);
        }
        for text in self.miscounted() {
            self.watch.fail(24, self.now, text);
        }
        let mut remains = Remains::default();
        for node in 0..self.nodes.len() {
            if let Some(host) = &self.nodes[node].host {
                remains.calls += host.count("call");
                remains.media += host.count("media");
                remains.registrations += host.count("registration");
            }
            self.bury(node);
        }
        remains.relay_sessions = self.relay_leftovers();
        remains.panics = std::mem::take(&mut self.menu.panics);
        remains.letters_max = self.menu.letters_max;
        remains.loops = self.menu.loops;
        if self.menu.differences > 0 || self.menu.unreadable > 0 {
            let text = format!(
                "{} comparisons found different replicas, {} images could not be read",
                self.menu.differences, self.menu.unreadable
            );
            self.watch.fail(4, self.now, text);
        }
        self.bill();
        judges::finish(&mut self.street.book, &remains);
        self.outcome()
    }

    /// Sessions that an rtpengine still has though nobody disturbed it since their calls ended.
    fn relay_leftovers(&self) -> Vec<String> {
        let calm = |relay: &&crate::cluster::ports::RelaySite| {
            relay.whole_since_ms + 60_000 < self.scene.script.end_ms && !relay.dead
        };
        self.relays.iter().filter(calm).flat_map(|relay| relay.relay.names()).collect()
    }

    /// Gives the central store's records to the book, starts first.
    fn bill(&mut self) {
        let end_ms = self.now_ms();
        let mut records: Vec<Record> = self.billed().cloned().collect();
        for node in &self.nodes {
            for (_, record) in node.disk.waiting(usize::MAX) {
                self.central.record(record);
            }
        }
        records.clear();
        records.extend(self.billed().cloned());
        records.sort_by_key(|record| matches!(record, Record::Stop { .. }));
        for record in records {
            self.street.book.record(end_ms, &record);
        }
    }

    fn outcome(mut self) -> Outcome {
        self.tally_sometimes();
        let mut failures: Vec<Failure> = Vec::new();
        for wrong in std::mem::take(&mut self.watch.wrongs) {
            failures.push(Failure {
                invariant: number_of(wrong.invariant),
                at_ms: wrong.at / 1_000,
                attempt: wrong.attempt,
                text: wrong.text,
            });
        }
        for wrong in &self.street.book.violations {
            failures.push(Failure {
                invariant: number_of(wrong.invariant),
                at_ms: wrong.at_ms,
                attempt: wrong.attempt,
                text: wrong.what.clone(),
            });
        }
        let mut outcome = Outcome {
            plan: self.scene.plan.name.clone(),
            seed: self.scene.seed,
            hash: self.street.trace,
            length_ms: self.scene.script.end_ms,
            faults: std::mem::take(&mut self.menu.reports),
            sometimes: self.watch.sometimes.all(),
            takeovers: std::mem::take(&mut self.watch.takeovers),
            timeline: std::mem::take(&mut self.watch.timeline),
            samples: std::mem::take(&mut self.samples),
            nodes: self.node_reports(),
            counts: self.menu.counts,
            ..Outcome::default()
        };
        self.count(&mut outcome, &mut failures);
        self.hold_plan(&mut outcome, &mut failures);
        outcome.ladders = self.ladders(&failures);
        outcome.failures = failures;
        outcome
    }

    fn node_reports(&self) -> Vec<NodeReport> {
        let specs = self.scene.nodes.iter().enumerate();
        specs
            .map(|(place, spec)| NodeReport {
                node: spec.id.0,
                name: self.scene.name(place),
                chassis: spec.chassis,
                country: spec.country,
                role: spec.role.name().to_owned(),
            })
            .collect()
    }

    /// Conservation: what became of every call.
    fn count(&self, outcome: &mut Outcome, failures: &mut Vec<Failure>) {
        let (book, script) = (&self.street.book, &self.scene.script);
        let counts = &mut outcome.counts;
        for (number, facts) in book.facts.iter().enumerate() {
            if facts.dialled_ms.is_none() {
                continue;
            }
            counts.offered += 1;
            let plan = &script.attempts[number];
            let wrong = failures
                .iter()
                .any(|failure| failure.attempt == Some(number) && CALL_LOST.contains(&failure.invariant.as_str()));
            let status = facts.finals.first().map(|(_, status)| *status);
            match status {
                _ if wrong => counts.failed_by_switch += 1,
                Some(200..=299) => counts.answered += 1,
                Some(487) if facts.gave_up_ms.is_some() => counts.cancelled += 1,
                Some(404) if plan.callee == Callee::Unknown => counts.rejected += 1,
                Some(403) if plan.callee == Callee::Foreign => counts.rejected += 1,
                Some(408 | 480 | 486 | 603) => counts.rejected += 1,
                _ if book.was_away(Some(number)) || script.devices[plan.caller].wrong_password => {
                    counts.failed_by_phone += 1;
                }
                _ => {
                    counts.failed_by_switch += 1;
                    let heard = status.map_or("nothing".to_owned(), |status| status.to_string());
                    failures.push(Failure {
                        invariant: number_of(0),
                        at_ms: facts.dialled_ms.unwrap_or(0),
                        attempt: Some(number),
                        text: format!(
                            "the caller heard {heard}: neither answered, refused, cancelled nor its phone's fault"
                        ),
                    });
                }
            }
        }
        counts.registrations = self.watch.registrations;
        counts.records = self.central.records.len() as u64;
        counts.duplicate_records = self.central.duplicates;
        counts.parcels = self.net.parcels;
        counts.links_broken = self.net.broken;
        counts.events = self.heap.events;
        let weather = self.street.weather.tally;
        (counts.packets, counts.packets_lost) = (weather.packets, weather.lost + self.menu.lost);
    }

    fn tally_sometimes(&mut self) {
        let counts = self.menu.counts;
        let tally = self.street.book.tally;
        let stale = self.central.stale;
        let duplicates = self.central.duplicates;
        let broken = self.net.broken;
        let (mut answered, mut ended) = (0, 0);
        for (attempt, since) in &self.watch.orphans {
            let facts = &self.street.book.facts[*attempt];
            answered += u64::from(facts.ok_to_caller_ms.is_some_and(|at| at > *since));
            ended += u64::from(facts.caller.is_some_and(|(_, until)| until.is_some_and(|until| until > *since)));
        }
        let sometimes = &mut self.watch.sometimes;
        sometimes.add("call answered after its owner died", answered);
        sometimes.add("call ended after its owner died", ended);
        sometimes.add("stale letter refused", counts.stale_letters);
        sometimes.add("stale record refused", counts.stale_records);
        sometimes.add("stale write refused", stale);
        sometimes.add("letter sent again to the next owner", counts.resent);
        sometimes.add("machine restored", counts.restored);
        sometimes.add("group filled again", counts.fills);
        sometimes.add("duplicate record made one", duplicates);
        sometimes.add("session given up", broken);
        sometimes.add("crossing of CANCEL and 2xx", tally.crossings);
        sometimes.add("glare", tally.glares);
        sometimes.add("fork", tally.forks);
        sometimes.add("two phones answered at once", tally.double_answers);
        let dropped = self.street.book.facts.iter().filter(|facts| facts.dropped_ms.is_some()).count();
        sometimes.add("call forgotten by its phone", dropped as u64);
        let transfers = |good: bool| {
            let ends = self.street.book.facts.iter().filter_map(|facts| facts.refer_status);
            ends.filter(|status| (*status < 300) == good).count() as u64
        };
        sometimes.add("call transferred", transfers(true));
        sometimes.add("transfer that came to nothing", transfers(false));
        sometimes.add("letter unknown to the older release", self.menu.unread);
        sometimes.add("replica of the store outvoted", self.central.outvoted);
        sometimes.add("word heard", self.voices.heard);
        sometimes.add("flooder banned", self.floods.banned);
    }

    /// What the plan itself asks for.
    fn hold_plan(&self, outcome: &mut Outcome, failures: &mut Vec<Failure>) {
        let must = &self.scene.plan.must;
        let mut fail = |text: String| {
            let invariant = "plan".to_owned();
            failures.push(Failure { invariant, at_ms: outcome.length_ms, attempt: None, text });
        };
        for fault in outcome.faults.iter().filter(|fault| !fault.effect) {
            let FaultReport { kind, target, at_ms, what, .. } = fault;
            fail(format!("the fault {kind} at {at_ms} ms had no effect: {target} {what}"));
        }
        if outcome.faults.len() < must.faults_min {
            fail(format!("{} faults, {} are the least", outcome.faults.len(), must.faults_min));
        }
        if (outcome.counts.offered as usize) < must.calls_min {
            fail(format!("{} calls, {} are the least", outcome.counts.offered, must.calls_min));
        }
        if must.takeover_ms_max > 0 {
            let late = outcome.takeovers.iter().filter(|one| !one.planned && one.owned_ms > must.takeover_ms_max);
            for one in late {
                fail(format!("{} was taken over after {} ms", one.what, one.owned_ms));
            }
        }
        let (failed, most) = (outcome.counts.failed_by_switch as usize, must.failed_by_switch_max);
        if must.safety_only {
            failures.retain(|failure| !LIVENESS.contains(&failure.invariant.as_str()) && !is_unfinished(failure));
        } else if failed > most {
            fail(format!("{failed} calls failed by the switch, at most {most} may"));
        }
    }

    fn ladders(&self, failures: &[Failure]) -> Vec<Ladder> {
        let mut ladders: Vec<Ladder> = Vec::new();
        for failure in failures {
            if ladders.len() >= LADDERS_MAX {
                break;
            }
            let Some(attempt) = failure.attempt else {
                ladders.extend(self.ladder_of_device(failure));
                continue;
            };
            if ladders.iter().any(|ladder| ladder.attempt == Some(attempt)) {
                continue;
            }
            let facts = &self.street.book.facts[attempt];
            let about = format!("{:?}\n{facts:?}", self.scene.script.attempts[attempt]);
            ladders.push(Ladder { attempt: Some(attempt), about, text: self.street.book.ladder(attempt) });
        }
        ladders
    }

    /// What a phone said and heard outside of calls around a failure that names it.
    fn ladder_of_device(&self, failure: &Failure) -> Option<Ladder> {
        let (_, rest) = failure.text.split_once("device ")?;
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let device: usize = rest[..digits].parse().ok()?;
        let about = format!("{:?}", self.scene.script.devices.get(device)?);
        let text = self.street.book.ladder_of_device(device, failure.at_ms);
        Some(Ladder { attempt: None, about, text })
    }
}

fn number_of(invariant: u8) -> String {
    match invariant {
        0 => "conservation".to_owned(),
        number => format!("I{number}"),
    }
}

/// Failures that mean that a call was lost or ruined by the switch.
const CALL_LOST: &[&str] = &["conservation", "I7", "I11", "I13", "I14", "I15"];

/// What a run that is only about safety does not judge.
const LIVENESS: &[&str] = &["conservation", "I7", "I13", "I14", "I15", "I16", "I19", "I20", "I30"];

/// A call that nobody could end has no stop record: it lives until its session timer. Two of a record are wrong even then,
/// and so is a word that is heard in another call; one that is not heard at all is not.
fn is_unfinished(failure: &Failure) -> bool {
    failure.invariant == "I22" && failure.text.contains("not heard")
        || failure.invariant == "I23" && !failure.text.contains(" 2 ") && !failure.text.contains("no call")
}

const LADDERS_MAX: usize = 5;
