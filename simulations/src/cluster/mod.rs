//! A whole carrier from one seed: countries, chassis, balancers, proxy pairs, directors, stores, rtpengines and phones on the
//! production machines, broken by plan and by chance, judged at every step.
//!
//! A [`Plan`] (TOML, `simulations/plans/`) and a seed make a scene: nodes, phones, calls and faults with their times. The lab
//! plays it on one heap of events in simulated time; each node has its own [`office::Office`], rooms, clocks and disk.
//!
//! | module | what |
//! |---|---|
//! | `plan` | what people write; errors name the line |
//! | `scene` | plan and seed expanded: nodes, calls, strikes |
//! | `lab`, `event`, `node`, `net` | the heap, processes and the links between them |
//! | `street`, `nat` | phones, their streams and NAT boxes, whose address is where |
//! | `ports`, `disk`, `central` | what stands for sockets, journals, the store and the records |
//! | `faults` | the fault menu: strike, effect, repair |
//! | `watch`, `verdict` | judges while it happens (I1, I2, I5, I6, I8, I27) and at the end; the book of the solo lab has the rest |
//! | `flood` | floods, and whether everybody bans who sends them (I29) |
//! | `voice` | what phones in a call hear of each other (I22) |
//! | `mutant` | deliberate faults of the switch, to see whether the judges notice |
//! | `outcome` | what a run has to say |
//! | `shrink` | the shortest plan that still fails |

mod central;
mod clock;
mod disk;
mod event;
mod faults;
mod flood;
mod lab;
mod mutant;
pub mod nat;
mod net;
mod node;
pub mod outcome;
pub mod plan;
mod ports;
mod scene;
pub mod shrink;
pub mod sometimes;
mod street;
mod switch;
mod verdict;
mod voice;
mod watch;

use std::sync::Arc;

pub use mutant::Mutant;
pub use outcome::Outcome;
pub use plan::Plan;

/// Runs one seed of a plan.
pub fn run(plan: &Plan, seed: u64, mutant: Option<Mutant>) -> Outcome {
    lab(plan, seed, mutant).run()
}

/// The same, with the ladders of calls that went wrong.
pub fn run_with_ladders(plan: &Plan, seed: u64, mutant: Option<Mutant>) -> Outcome {
    lab(plan, seed, mutant).keep_ladder().run()
}

fn lab(plan: &Plan, seed: u64, mutant: Option<Mutant>) -> lab::ClusterLab {
    lab::ClusterLab::new(Arc::new(scene::Scene::new(&Arc::new(plan.clone()), seed)), mutant)
}
