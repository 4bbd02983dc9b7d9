//! One page about a campaign that needs nothing but itself: pictures drawn here as SVG, colours for light and dark, narrow
//! enough for a telephone.

mod calls;
mod draw;
mod lanes;
mod spread;
mod tables;

use std::collections::BTreeMap;

use crate::campaign::{Campaign, Failed};
use crate::cluster::outcome::{Failure, Outcome};
use draw::escape;

/// What a page is made of.
pub struct Page<'a> {
    pub campaign: &'a Campaign,
    /// What the plan says of itself.
    pub about: &'a str,
    /// The command that did this.
    pub command: &'a str,
    /// The mutant that was at work.
    pub mutant: Option<&'a str>,
    /// The shortest plan that still fails, and the command that replays it.
    pub shrunk: Option<(&'a str, &'a str)>,
}

impl Page<'_> {
    /// The page, as a file.
    pub fn render(&self) -> String {
        let campaign = self.campaign;
        let mut page = String::with_capacity(200_000);
        let title = escape(&campaign.plan);
        page.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
        page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        page.push_str("<meta name=\"color-scheme\" content=\"light dark\">");
        page.push_str(&format!("<title>{title} · Tandem simulation</title>"));
        page.push_str(&format!("<style>{}</style></head><body><main>", include_str!("html/style.css")));
        page.push_str(&format!("<header><h1>{title}</h1><span class=\"about\">{}</span></header>", escape(self.about)));
        page.push_str(&self.verdict());
        page.push_str(&tiles(campaign));
        if let Some(shown) = &campaign.shown {
            page.push_str(&seed(shown));
        }
        page.push_str(&spread::section(campaign));
        page.push_str(&self.failures());
        page.push_str(&tables::sections(campaign));
        page.push_str(&format!(
            "<footer><p>Made by <code>{}</code>. The same seed of the same commit goes the same way, every time; the \
             numbers of the invariants are those of docs/RELIABILITY.md.</p></footer></main></body></html>\n",
            escape(self.command)
        ));
        page
    }

    fn verdict(&self) -> String {
        let campaign = self.campaign;
        let (failed, seeds) = (campaign.failed.len(), campaign.seeds);
        let until = (campaign.first + seeds).saturating_sub(1);
        let range = match seeds {
            1 => format!("seed {until}"),
            _ => format!("seeds {} to {until}", campaign.first),
        };
        let mut more = vec![range];
        if campaign.cut_short {
            more.push("ended early".to_owned());
        }
        if let Some(mutant) = self.mutant {
            more.push(format!("with the deliberate fault {mutant}"));
        }
        if campaign.twice > 0 {
            more.push(format!("{} of them run twice, to the same hash", tables::thousands(campaign.twice)));
        }
        more.extend(campaign.missing.iter().cloned());
        let (class, text) = match (failed, campaign.missing.len()) {
            _ if seeds == 0 => ("bad", "No seed was run".to_owned()),
            (0, 0) if seeds == 1 => ("good", "No invariant broke".to_owned()),
            (0, 0) => ("good", format!("No invariant broke in {} seeds", tables::thousands(seeds))),
            (0, _) => ("bad", "No invariant broke, but not everything happened that should".to_owned()),
            _ if seeds == 1 => ("bad", "This seed broke an invariant".to_owned()),
            _ => ("bad", format!("{failed} of {} seeds broke an invariant", tables::thousands(seeds))),
        };
        format!("<div class=\"verdict {class}\">{text}<span>{}</span></div>", escape(&more.join(" · ")))
    }

    fn failures(&self) -> String {
        if self.campaign.failed.is_empty() {
            return String::new();
        }
        let mut text = String::from("<h2>What broke</h2>");
        for Failed { seed, failures } in self.campaign.failed.iter().take(SEEDS_MAX) {
            text.push_str(&format!("<h3>Seed {seed}</h3><div class=\"card\"><table>"));
            let shown = telling(failures);
            for failure in &shown {
                let call = failure.attempt.map_or(String::new(), |call| format!("call {call}"));
                text.push_str(&format!(
                    "<tr><td class=\"k no\">{}</td><td class=\"n\">{:.3} s</td><td class=\"k\">{call}</td><td>{}</td></tr>",
                    escape(&failure.invariant),
                    failure.at_ms as f64 / 1e3,
                    escape(&failure.text)
                ));
            }
            text.push_str("</table></div>");
            if failures.len() > shown.len() {
                let more = failures.len() - shown.len();
                text.push_str(&format!("<p class=\"note\">and {more} more in this seed</p>"));
            }
        }
        if self.campaign.failed.len() > SEEDS_MAX {
            let more = self.campaign.failed.len() - SEEDS_MAX;
            text.push_str(&format!("<p class=\"note\">and {more} more seeds</p>"));
        }
        if let Some((plan, command)) = self.shrunk {
            text.push_str(&format!(
                "<h3>The shortest plan that still fails</h3><p class=\"note\">Play it again with <code>{}</code></p>\
                 <pre>{}</pre>",
                escape(command),
                escape(plan)
            ));
        }
        let ladders = self.campaign.shown.iter().flat_map(|shown| shown.ladders.iter());
        for ladder in ladders.take(LADDERS_MAX) {
            text.push_str(&format!(
                "<h3>{} as a ladder</h3><p class=\"note\">{}</p><pre>{}</pre>",
                ladder.attempt.map_or("A phone".to_owned(), |attempt| format!("Call {attempt}")),
                escape(&ladder.about),
                escape(&ladder.text)
            ));
        }
        text
    }
}

/// The first few failures of each invariant.
fn telling(failures: &[Failure]) -> Vec<&Failure> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut told = Vec::new();
    for failure in failures {
        let count = seen.entry(failure.invariant.as_str()).or_default();
        *count += 1;
        if *count <= FAILURES_MAX {
            told.push(failure);
        }
    }
    told
}

/// Seeds, failures of an invariant in a seed, and ladders that are printed; more of them say little more.
const SEEDS_MAX: usize = 10;
const FAILURES_MAX: usize = 3;
const LADDERS_MAX: usize = 5;

fn tiles(campaign: &Campaign) -> String {
    let tile = |class: &str, value: String, label: &str| {
        format!("<div class=\"tile {class}\"><b>{value}</b><span>{label}</span></div>")
    };
    let counts = &campaign.counts;
    let faults: u64 = campaign.faults.values().map(|count| count.took_effect).sum();
    let by_switch = if counts.failed_by_switch == 0 { "good" } else { "bad" };
    let mut text = String::from("<div class=\"tiles\">");
    text.push_str(&tile("", tables::thousands(campaign.seeds), "seeds"));
    text.push_str(&tile("", hours(campaign.simulated_s), "of the carrier's life"));
    text.push_str(&tile("", format!("{:.0}×", campaign.speed()), "faster than life"));
    text.push_str(&tile("", tables::thousands(counts.offered), "calls offered"));
    text.push_str(&tile(by_switch, tables::thousands(counts.failed_by_switch), "failed by the switch"));
    text.push_str(&tile("", tables::thousands(faults), "faults took effect"));
    if let (Some(half), Some(most)) = (campaign.take_over_at(0.5), campaign.take_over_at(1.0)) {
        text.push_str(&tile("", format!("{half} ms"), &format!("median take-over, longest {most} ms")));
    }
    text.push_str("</div>");
    text
}

fn hours(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3_600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}

/// The pictures of one run.
fn seed(shown: &Outcome) -> String {
    let about = match shown.is_good() {
        true => "one run of many, from its first second to its last",
        false => "the first one that failed",
    };
    let mut text = format!("<h2>Seed {}</h2><p class=\"note\">{about}; hash {:016x}</p>", shown.seed, shown.hash);
    text.push_str(&calls::figure(shown));
    text.push_str(&lanes::nodes(shown));
    text.push_str(&lanes::owners(shown));
    text.push_str(&tables::strikes(shown));
    text
}

#[cfg(test)]
mod tests;
