//! A plan as people write it: what carrier, what work, what goes wrong when, and what must hold. One TOML file each.
//!
//! Times are seconds; a time or length may be a number or a range `[from, to]`, drawn anew by every seed.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

mod faults;
mod parts;
mod write;

pub use faults::{FaultKind, FaultPlan, Target};
pub use parts::{Links, Must, Range, Topology, Weather, Workload};

/// A plan file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub name: String,
    /// A sentence for people.
    pub about: String,
    /// The seed that it is about: of a failure that was kept.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Time in which calls begin and faults strike, seconds.
    pub busy_s: f64,
    /// Afterwards everything is repaired, calls end and the judges wait, seconds.
    #[serde(default = "default_drain")]
    pub drain_s: f64,
    #[serde(default)]
    pub topology: Topology,
    #[serde(default)]
    pub workload: Workload,
    #[serde(default)]
    pub weather: Weather,
    #[serde(default)]
    pub links: Links,
    #[serde(default, rename = "fault")]
    pub faults: Vec<FaultPlan>,
    #[serde(default)]
    pub must: Must,
}

fn default_drain() -> f64 {
    160.0
}

/// Why a file is no plan: the place and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    pub file: String,
    /// From 1; 0 when it is not about a line.
    pub line: usize,
    pub why: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.why),
            line => write!(f, "{}:{line}: {}", self.file, self.why),
        }
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    /// Reads a file, or one of the supplied plans by its name.
    pub fn open(name: &str) -> Result<Plan, PlanError> {
        if let Some((_, text)) = SUPPLIED.iter().find(|(known, _)| *known == name) {
            return Plan::parse(text, name);
        }
        Plan::read(Path::new(name))
    }

    pub fn read(path: &Path) -> Result<Plan, PlanError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| PlanError {
            file: file.clone(),
            line: 0,
            why: format!("{error}; supplied plans: {}", Plan::supplied().join(", ")),
        })?;
        Plan::parse(&text, &file)
    }

    /// Names of the plans that are built in.
    pub fn supplied() -> Vec<&'static str> {
        SUPPLIED.iter().map(|(name, _)| *name).collect()
    }

    /// Reads a plan; `file` is what errors call it.
    pub fn parse(text: &str, file: &str) -> Result<Plan, PlanError> {
        let plan: Plan = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            PlanError { file: file.to_owned(), line, why: error.message().replace('\n', "; ") }
        })?;
        plan.check().map_err(|(at, why)| {
            let line = at.map_or(0, |at| line_of(text, at));
            PlanError { file: file.to_owned(), line, why }
        })?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), (Option<usize>, String)> {
        let wrong = |why: &str| Err((None, why.to_owned()));
        if !(5.0..=86_400.0).contains(&self.busy_s) || !(5.0..=86_400.0).contains(&self.drain_s) {
            return wrong("busy_s and drain_s lie between 5 and 86400");
        }
        let topology = &self.topology;
        if topology.chassis == 0 || topology.chassis > 40 || topology.countries == 0 {
            return wrong("topology: 1 to 40 chassis in at least one country");
        }
        if topology.countries > topology.chassis {
            return wrong("topology: a country without a chassis");
        }
        if topology.balancers_per_chassis == 0 || topology.proxies_per_chassis == 0 {
            return wrong("topology: every chassis needs a balancer and a proxy");
        }
        if topology.directors == 0 || topology.directors > 7 {
            return wrong("topology: 1 to 7 directors");
        }
        if self.workload.phones < 2 {
            return wrong("workload: two phones make a call, fewer do not");
        }
        if self.workload.nat_permille > 0 && self.workload.nat_kinds.is_empty() {
            return wrong("workload: nat_kinds names no kind");
        }
        for fault in &self.faults {
            fault.check(self).map_err(|why| (Some(fault.kind.span().start), why))?;
        }
        let known = crate::cluster::sometimes::NAMES;
        for wanted in &self.must.happen {
            if !known.contains(&wanted.get_ref().as_str()) {
                let why = format!("nothing is called {:?}; there are: {}", wanted.get_ref(), known.join(", "));
                return Err((Some(wanted.span().start), why));
            }
        }
        Ok(())
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

macro_rules! supplied {
    ($($name:literal),* $(,)?) => {
        const SUPPLIED: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../plans/", $name, ".toml")))),*];
    };
}

supplied!(
    "quiet-day",
    "chassis-loss",
    "cut-cable",
    "country-cut-off",
    "rolling-upgrade",
    "split-brain",
    "scanners",
    "registration-storm",
    "store-outage",
    "slow-disk",
    "gray-node",
    "flapping-link",
    "clock-trouble",
    "rtpengine-loss",
    "slow-answers",
    "everything-at-once",
    "capacity",
);

#[cfg(test)]
mod tests;
