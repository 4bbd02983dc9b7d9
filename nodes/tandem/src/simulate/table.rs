//! What a campaign says on a terminal.

use simulations::campaign::Campaign;
use simulations::cluster::Plan;
use simulations::mutants::Mutant;

use super::Kept;
use crate::screen::{cut, span, table};

/// The supplied plans.
pub fn plans(width: usize) -> String {
    let rows: Vec<Vec<String>> = Plan::supplied()
        .into_iter()
        .map(|name| {
            let plan = Plan::open(name);
            vec![name.to_owned(), plan.map_or_else(|error| error.to_string(), |plan| plan.about)]
        })
        .collect();
    match width < NARROW {
        true => rows.iter().map(|row| format!("{}\n  {}\n", row[0], cut(&row[1], width - 2))).collect(),
        false => table(&["PLAN", "ABOUT"], &rows, width),
    }
}

/// The command that plays a seed again.
pub fn again(plan: &str, seed: u64, mutant: Option<Mutant>) -> String {
    let mutant = mutant.map_or(String::new(), |mutant| format!(" --mutant {}", mutant.name()));
    format!("tandem simulate {plan} --from {seed} --seeds 1{mutant} --report seed-{seed}.html")
}

pub fn result(
    campaign: &Campaign,
    plan: &Plan,
    name: &str,
    mutant: Option<Mutant>,
    kept: Option<&Kept>,
    width: usize,
) -> String {
    let mut text = String::new();
    for line in heading(campaign, plan, mutant) {
        text.push_str(&fold(&line, width));
    }
    text.push('\n');
    text.push_str(&calls(campaign, width));
    if let (Some(half), Some(most), Some(longest)) =
        (campaign.take_over_at(0.5), campaign.take_over_at(0.99), campaign.take_over_at(1.0))
    {
        let count = campaign.take_over_ms.len();
        text.push('\n');
        let line = format!("{count} take-overs: median {half} ms, p99 {most} ms, longest {longest} ms");
        text.push_str(&fold(&line, width));
    }
    text.push_str(&faults(campaign, width));
    text.push_str(&broken(campaign, width));
    for missing in &campaign.missing {
        text.push_str(&format!("{}\n", cut(missing, width)));
    }
    if let Some(failed) = campaign.failed.first() {
        text.push_str("\nplay it again:\n");
        for failed in campaign.failed.iter().take(REPLAYS_MAX) {
            text.push_str(&format!("  {}\n", again(name, failed.seed, mutant)));
        }
        if kept.is_none() {
            text.push_str(&format!("  (seed {} was not made smaller)\n", failed.seed));
        }
    }
    if let Some(kept) = kept {
        let line = format!("the shortest plan that still fails, after {} runs:", kept.shrunk.runs);
        text.push_str(&format!("\n{}\n{}", fold(&line, width), kept.toml));
    }
    text
}

fn heading(campaign: &Campaign, plan: &Plan, mutant: Option<Mutant>) -> Vec<String> {
    let last = (campaign.first + campaign.seeds).saturating_sub(1);
    let mut lines = vec![format!("{}: {}", plan.name, plan.about)];
    if let Some(mutant) = mutant {
        lines.push(format!("with the deliberate fault {}", mutant.name()));
    }
    let early = if campaign.cut_short { ", ended early" } else { "" };
    let seeds = match campaign.seeds {
        0 => "no seed was run".to_owned(),
        1 => format!("seed {last}"),
        seeds => format!("{seeds} seeds, {} to {last}{early}", campaign.first),
    };
    lines.push(format!(
        "{seeds}, in {}; {} of the carrier's life, {:.0} times faster than life",
        span(campaign.wall_s.round() as u64),
        span(campaign.simulated_s.round() as u64),
        campaign.speed()
    ));
    if campaign.twice > 0 && !campaign.broken.contains_key("I32") {
        lines.push(format!("{} run twice, to the same hash", campaign.twice));
    }
    lines.push(match (campaign.failed.len(), campaign.missing.len()) {
        (0, 0) if campaign.seeds > 0 => "no invariant broke".to_owned(),
        (0, _) => "no invariant broke, but not everything happened that should".to_owned(),
        (failed, _) => format!("{failed} of {} seeds broke an invariant", campaign.seeds),
    });
    lines
}

fn calls(campaign: &Campaign, width: usize) -> String {
    let counts = &campaign.counts;
    let share = |count: u64| format!("{:.2} %", 100.0 * count as f64 / counts.offered.max(1) as f64);
    let rows: Vec<Vec<String>> = [
        ("offered", counts.offered),
        ("answered", counts.answered),
        ("rejected", counts.rejected),
        ("cancelled", counts.cancelled),
        ("failed by a phone", counts.failed_by_phone),
        ("failed by the switch", counts.failed_by_switch),
    ]
    .into_iter()
    .map(|(name, count)| vec![name.to_owned(), format!("{count:>9}"), format!("{:>9}", share(count))])
    .collect();
    table(&["CALLS", "    COUNT", "    SHARE"], &rows, width)
}

fn faults(campaign: &Campaign, width: usize) -> String {
    if campaign.faults.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = campaign
        .faults
        .iter()
        .map(|(kind, count)| vec![kind.clone(), format!("{:>7}", count.struck), format!("{:>11}", count.took_effect)])
        .collect();
    format!("\n{}", table(&["FAULT", " STRUCK", "TOOK EFFECT"], &rows, width))
}

fn broken(campaign: &Campaign, width: usize) -> String {
    if campaign.broken.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = campaign
        .broken
        .iter()
        .map(|(invariant, broken)| {
            let failed = campaign.failed.iter().find(|failed| failed.seed == broken.first_seed);
            let failure = failed.and_then(|failed| failed.failures.iter().find(|one| one.invariant == *invariant));
            let text = failure.map_or(String::new(), |failure| format!("{} ms: {}", failure.at_ms, failure.text));
            vec![invariant.clone(), broken.seeds.to_string(), broken.first_seed.to_string(), text]
        })
        .collect();
    format!("\n{}", table(&["BROKEN", "SEEDS", "FIRST", "WHAT THE JUDGE SAID THERE"], &rows, width))
}

/// Words in lines that fit.
fn fold(text: &str, width: usize) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            column = 0;
        }
        if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
    out
}

/// Columns from which a table of plans fits.
const NARROW: usize = 60;

/// Seeds whose command is printed.
const REPLAYS_MAX: usize = 5;

#[cfg(test)]
mod tests;
