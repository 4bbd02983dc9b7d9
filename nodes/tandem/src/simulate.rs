//! `tandem simulate`: a whole carrier on the production machines, hours of it in seconds, broken by plan and by chance.

mod keep;
mod table;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use simulations::campaign::{Campaign, Progress, Seeds};
use simulations::cluster::Plan;
use simulations::cluster::outcome::Outcome;
use simulations::cluster::shrink::{Shrunk, shrink};
use simulations::html::Page;
use simulations::mutants::{Mutant, play};

use crate::{Failure, say, screen};

/// What `--help` says beyond the options.
pub const HELP: &str = "\
A plan names chassis, countries, phones, faults and what must hold; a seed draws the rest. The same seed of the same
commit goes the same way, every time. `tandem simulate --list` names the supplied plans; docs/SIMULATOR.md says how to
write one.

Examples:
  tandem simulate quiet-day
  tandem simulate everything-at-once --seeds 1000 --report everything.html
  tandem simulate everything-at-once --from 17 --seeds 1      one seed again
  tandem simulate my-plan.toml --seeds 100000 --minutes 30    what half an hour is enough for
  tandem simulate simulations/regressions/0001.toml           a failure that was kept

Exit status:
  0  no invariant broke
  1  one did, or the plan demands what never happened
  2  wrong usage, or no such plan

Ctrl-C ends it early, with what there is; a second one at once.";

#[derive(Args)]
pub struct Arguments {
    /// A supplied plan, or a file.
    #[arg(value_name = "PLAN", required_unless_present_any = ["list", "by_option"])]
    plan: Option<String>,
    /// The same, as an option.
    #[arg(long = "plan", id = "by_option", value_name = "PLAN", conflicts_with = "plan", hide = true)]
    by_option: Option<String>,
    /// Name the supplied plans and what they are about.
    #[arg(long)]
    list: bool,
    /// Seeds to run [default: 100; 1 for a plan that names its seed].
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed [default: 1, or the one that the plan names].
    #[arg(long, value_name = "SEED")]
    from: Option<u64>,
    /// Threads [default: all cores].
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Begin no seed after so many minutes.
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// Write a page with pictures.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// End when so many seeds have failed [default: 0: never].
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    stop_after: u64,
    /// Do not look for the shortest plan that still fails.
    #[arg(long)]
    no_shrink: bool,
    /// Keep the shortest plan that fails as simulations/regressions/NAME.toml.
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
    /// Put a deliberate fault of the switch to work: the judges must notice.
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
}

/// A failure made small, and the command that shows it again.
pub struct Kept {
    pub toml: String,
    pub replay: String,
    pub shrunk: Shrunk,
    pub seed: u64,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.list {
        say(&table::plans(screen::width()));
        return Ok(());
    }
    let name = arguments.plan.as_ref().or(arguments.by_option.as_ref());
    let name = name.ok_or_else(|| Failure::usage("which plan? `tandem simulate --list` names them"))?;
    let plan = Plan::open(name).map_err(|error| Failure::usage(error.to_string()))?;
    let mutant = arguments.mutant.as_deref().map(Mutant::named).transpose().map_err(Failure::usage)?;
    let seeds = seeds(arguments, &plan)?;
    // What a machine's panic says stands among the failures.
    std::panic::set_hook(Box::new(|_| {}));
    let stop = on_ctrl_c();
    let bar = bar(&seeds, arguments.json);
    let runs = |seed: u64| play(&plan, seed, mutant, false);
    let mut campaign = Campaign::run(&seeds, &runs, &stop, &|progress| tell(&bar, progress));
    bar.finish_and_clear();
    if campaign.seeds >= SEEDS_ENOUGH {
        let wanted: Vec<String> = plan.must.happen.iter().map(|name| name.get_ref().clone()).collect();
        campaign.demand(&wanted);
    }
    campaign.plan.clone_from(&plan.name);
    let kept = after_failure(arguments, name, &plan, mutant, &mut campaign)?;
    if let Some(file) = &arguments.report {
        write_page(file, &plan, &campaign, mutant, kept.as_ref())?;
    }
    match arguments.json {
        true => say(&format!("{}\n", as_json(&campaign, kept.as_ref(), mutant))),
        false => say(&table::result(&campaign, &plan, name, mutant, kept.as_ref(), screen::width())),
    }
    match campaign.is_good() {
        true => Ok(()),
        false => Err(Failure::refused("")),
    }
}

fn seeds(arguments: &Arguments, plan: &Plan) -> Result<Seeds, Failure> {
    let first = arguments.from.or(plan.seed).unwrap_or(1);
    let count = arguments.seeds.unwrap_or(if plan.seed.is_some() || arguments.from.is_some() { 1 } else { 100 });
    if count == 0 {
        return Err(Failure::usage("--seeds: at least one"));
    }
    let length = match arguments.minutes {
        Some(minutes) if minutes > 0.0 && minutes.is_finite() => Some(Duration::from_secs_f64(minutes * 60.0)),
        Some(_) => return Err(Failure::usage("--minutes: more than none")),
        None => None,
    };
    let seeds = Seeds { length, failed_max: arguments.stop_after, ..Seeds::new(first, count) };
    Ok(match arguments.jobs {
        Some(0) => return Err(Failure::usage("--jobs: at least one")),
        Some(jobs) => Seeds { jobs, ..seeds },
        None => seeds,
    })
}

/// Set when the operator has had enough; a second time ends the process.
fn on_ctrl_c() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = stop.clone();
    let wait = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            if set.swap(true, Relaxed) {
                std::process::exit(130);
            }
        }
    };
    std::thread::spawn(wait);
    stop
}

/// Bar with seeds a second, failures and the time left; nothing where nobody looks.
fn bar(seeds: &Seeds, as_json: bool) -> ProgressBar {
    if as_json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let narrow = screen::width() < 70;
    let template = match narrow {
        true => "{pos}/{len}  {per_sec}  {msg}  {eta} left",
        false => "{bar:32} {pos}/{len} seeds  {per_sec:>9}  {msg}  {eta} left",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let target = ProgressDrawTarget::stderr_with_hz(4);
    let bar = ProgressBar::with_draw_target(Some(seeds.count), target).with_style(style).with_message("none failed");
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

fn tell(bar: &ProgressBar, progress: Progress) {
    if progress.failed > 0 {
        bar.set_message(format!("{} FAILED", progress.failed));
    }
    bar.set_position(progress.done);
}

/// Looks closer at the first seed that failed: its ladders, and the shortest plan that still fails.
fn after_failure(
    arguments: &Arguments,
    name: &str,
    plan: &Plan,
    mutant: Option<Mutant>,
    campaign: &mut Campaign,
) -> Result<Option<Kept>, Failure> {
    let Some(failed) = campaign.failed.first() else {
        return match arguments.keep {
            Some(_) => Err(Failure::usage("--keep: nothing failed, so there is nothing to keep")),
            None => Ok(None),
        };
    };
    let (seed, failure) = (failed.seed, failed.failures.first().cloned());
    let guarded = |plan: &Plan, ladders: bool| -> Option<Outcome> {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(plan, seed, mutant, ladders))).ok()
    };
    if let Some(outcome) = guarded(plan, true) {
        campaign.shown = Some(Box::new(outcome));
    }
    if arguments.no_shrink && arguments.keep.is_none() {
        return Ok(None);
    }
    let wanted = failure.map(|failure| failure.invariant).unwrap_or_default();
    let bar = if arguments.json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    let fails = |plan: &Plan| {
        bar.inc(1);
        bar.set_message(format!("looking for the shortest plan that fails with seed {seed}, run {}", bar.position()));
        match guarded(plan, false) {
            Some(outcome) => outcome.failures.iter().any(|failure| failure.invariant == wanted),
            None => wanted == "panic",
        }
    };
    let shrunk = match wanted.as_str() {
        // Of a run that is run twice only, or a demand that a part of the plan cannot meet.
        "I32" | "plan" => Shrunk { plan: plan.clone(), runs: 0 },
        _ => shrink(plan, seed, SHRINK_RUNS_MAX, &fails),
    };
    bar.finish_and_clear();
    let mut kept = Kept { toml: keep::text(&shrunk.plan, seed, name, &wanted), replay: String::new(), shrunk, seed };
    kept.replay = match &arguments.keep {
        Some(as_name) => format!("tandem simulate {}", keep::store(as_name, &kept.toml)?.display()),
        None => table::again(name, seed, mutant),
    };
    Ok(Some(kept))
}

fn write_page(
    file: &Path,
    plan: &Plan,
    campaign: &Campaign,
    mutant: Option<Mutant>,
    kept: Option<&Kept>,
) -> Result<(), Failure> {
    let command: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("tandem {}", command.join(" "));
    let mutant = mutant.map(Mutant::name);
    let page = Page {
        campaign,
        about: &plan.about,
        command: &command,
        mutant: mutant.as_deref(),
        shrunk: kept.map(|kept| (kept.toml.as_str(), kept.replay.as_str())),
    };
    std::fs::write(file, page.render())
        .map_err(|error| Failure::usage(format!("the report cannot be written to {}: {error}", file.display())))
}

fn as_json(campaign: &Campaign, kept: Option<&Kept>, mutant: Option<Mutant>) -> String {
    let mut value = serde_json::to_value(campaign).unwrap_or_default();
    let times = json!({
        "p50": campaign.take_over_at(0.5), "p99": campaign.take_over_at(0.99), "max": campaign.take_over_at(1.0),
    });
    value["good"] = json!(campaign.is_good());
    value["take_over"] = times;
    value["mutant"] = json!(mutant.map(Mutant::name));
    if let Some(kept) = kept {
        value["shortest"] =
            json!({ "seed": kept.seed, "plan": kept.toml, "runs": kept.shrunk.runs, "replay": kept.replay });
    }
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

/// From so many seeds on a plan's coincidences must have happened.
const SEEDS_ENOUGH: u64 = 20;

/// Runs that shrinking may take, count.
const SHRINK_RUNS_MAX: usize = 60;
