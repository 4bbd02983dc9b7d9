//! From a plan that fails to the shortest one that still does: faults taken away in halves and one by one, a shorter time,
//! fewer phones and calls. Every step is a run, and their number is bounded.

use std::sync::Arc;

use toml::Spanned;

use crate::cluster::plan::{FaultPlan, Must, Plan, Range};
use crate::cluster::scene::{LEAD_MS, Scene, Strike};

/// The result.
#[derive(Clone, Debug)]
pub struct Shrunk {
    pub plan: Plan,
    /// Runs that it took, count.
    pub runs: usize,
}

/// The shortest plan found for which `fails` still holds, with at most `runs_max` runs. `plan` is known to fail.
pub fn shrink(plan: &Plan, seed: u64, runs_max: usize, fails: &dyn Fn(&Plan) -> bool) -> Shrunk {
    let mut search = Search { best: plan.clone(), runs: 0, runs_max, fails };
    // What the seed drew, written down: then one fault can go without moving the others.
    let frozen = freeze(plan, seed);
    search.offer(frozen);
    search.drop_faults();
    search.shorten();
    search.drop_faults();
    search.thin_out();
    Shrunk { plan: search.best, runs: search.runs }
}

/// The same plan with the faults that this seed draws, each with its time.
pub fn freeze(plan: &Plan, seed: u64) -> Plan {
    let scene = Scene::new(&Arc::new(plan.clone()), seed);
    let faults = scene.strikes.iter().map(|strike| fixed(strike, plan)).collect();
    let busy_s = seconds(scene.healed_ms.saturating_sub(LEAD_MS));
    // A part of a plan need not have everything happen that the whole was made for.
    let must = Must { happen: Vec::new(), faults_min: 0, calls_min: 0, ..plan.must.clone() };
    Plan { faults, busy_s, must, ..plan.clone() }
}

fn fixed(strike: &Strike, plan: &Plan) -> FaultPlan {
    let at = |ms: u64| Range::of(seconds(ms), seconds(ms));
    let like = plan.faults.iter().find(|fault| *fault.kind.get_ref() == strike.kind);
    let much = strike.much_milli as f64 / 1_000.0;
    FaultPlan {
        kind: Spanned::new(0..0, strike.kind),
        target: like.and_then(|fault| fault.target.as_ref()).map(|_| strike.target.text()),
        from: strike.from.map(|from| from.text()),
        at_s: Some(at(strike.at_ms.saturating_sub(LEAD_MS))),
        for_s: Some(at(strike.until_ms.saturating_sub(strike.at_ms))),
        times: 1,
        much: like.and_then(|fault| fault.much).map(|_| Range::of(much, much)),
        disk_lost: strike.disk_lost,
        together: true,
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

struct Search<'a> {
    best: Plan,
    runs: usize,
    runs_max: usize,
    fails: &'a dyn Fn(&Plan) -> bool,
}

impl Search<'_> {
    /// Takes a plan if it still fails.
    fn offer(&mut self, plan: Plan) -> bool {
        if self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        let still = (self.fails)(&plan);
        if still {
            self.best = plan;
        }
        still
    }

    /// Halves, quarters, and so on down to single faults.
    fn drop_faults(&mut self) {
        let mut size = self.best.faults.len().div_ceil(2);
        while size > 0 && !self.best.faults.is_empty() {
            let mut at = 0;
            while at < self.best.faults.len() {
                let mut plan = self.best.clone();
                let end = (at + size).min(plan.faults.len());
                plan.faults.drain(at..end);
                if !self.offer(plan) {
                    at = end;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// Half the time, then three quarters; faults after the end go with it.
    fn shorten(&mut self) {
        for share in [0.25, 0.5, 0.75, 0.5, 0.75] {
            let mut plan = self.best.clone();
            plan.busy_s = (plan.busy_s * share).max(BUSY_S_MIN);
            let busy_s = plan.busy_s;
            plan.faults.retain(|fault| fault.at_s.is_none_or(|at| at.to <= busy_s));
            if plan.busy_s < self.best.busy_s {
                self.offer(plan);
            }
        }
    }

    /// Fewer calls, then fewer phones.
    fn thin_out(&mut self) {
        let parts: [fn(&mut Plan) -> (&mut usize, usize); 2] =
            [|plan| (&mut plan.workload.calls, 1), |plan| (&mut plan.workload.phones, 2)];
        for part in parts {
            for share in [8, 4, 2, 2, 2] {
                let mut plan = self.best.clone();
                let (count, least) = part(&mut plan);
                let fewer = (*count / share).max(least);
                if fewer < *count {
                    *count = fewer;
                    self.offer(plan);
                }
            }
        }
    }
}

/// The least that a plan may have.
const BUSY_S_MIN: f64 = 5.0;

#[cfg(test)]
mod tests;
