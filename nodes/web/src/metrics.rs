//! Prometheus text: what the shell and the machines count, and the node's own part.

use std::fmt::Write;
use std::sync::Arc;

use fabric::letters::control::Description;

use crate::switch::Switch;

/// The whole exposition.
pub async fn text(switch: &Arc<Switch>) -> String {
    let mut page = Page::default();
    shell(&mut page, switch);
    facts(&mut page, switch).await;
    let mut text = page.text;
    text.push_str(&switch.node.metrics());
    text
}

/// Metrics as text, one family after the other.
#[derive(Default)]
pub struct Page {
    pub text: String,
}

impl Page {
    /// A family with one value without labels.
    pub fn one(&mut self, name: &str, kind: &str, about: &str, value: u64) {
        self.family(name, kind, about);
        self.sample(name, &[], value as f64);
    }

    /// Opens a family; its samples follow.
    pub fn family(&mut self, name: &str, kind: &str, about: &str) {
        let _ = writeln!(self.text, "# HELP tandem_{name} {about}\n# TYPE tandem_{name} {kind}");
    }

    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escape(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "tandem_{name}{labels} {value}");
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn shell(page: &mut Page, switch: &Switch) {
    let counters = switch.exchange.counters();
    page.family("letters_total", "counter", "Letters posted, by kind.");
    for (kind, count) in &counters.letters {
        page.sample("letters_total", &[("kind", kind)], *count as f64);
    }
    page.family("machines", "gauge", "Machines alive, by kind.");
    for (kind, count) in &counters.machines {
        page.sample("machines", &[("kind", kind)], *count as f64);
    }
    for (name, kind, about, value) in [
        ("parked_machines", "gauge", "Machines that wait without an actor.", counters.parked),
        ("panics_total", "counter", "Machines lost by a panic.", counters.panics),
        ("restarts_total", "counter", "Residents and hives founded again.", counters.restarts),
        ("returned_letters_total", "counter", "Letters sent back to their sender.", counters.returned),
        ("dropped_letters_total", "counter", "Letters that nobody took.", counters.dropped),
        ("overloads_total", "counter", "Letters refused because something was full.", counters.overloads),
        ("loops_total", "counter", "Chains of letters that were cut.", counters.loops),
        ("wakes_total", "counter", "Deadlines met.", counters.wakes),
        ("mailbox_letters", "gauge", "Letters that wait in all mailboxes.", counters.mailbox_letters),
        ("mailbox_letters_max", "gauge", "Most letters that ever waited in one mailbox.", counters.mailbox_letters_max),
        ("alarms", "gauge", "Deadlines ahead.", counters.alarms),
    ] {
        page.one(name, kind, about, value);
    }
}

/// Facts of residents that are numbers: one family per kind of machine, a label for the fact.
async fn facts(page: &mut Page, switch: &Arc<Switch>) {
    for kind in ["balancer", "location", "anchor"] {
        let mut sums: Vec<(String, u64)> = Vec::new();
        for (_, description) in switch.describe(kind, usize::from(u16::MAX)).await {
            let Description::Machine { facts, .. } = description else { continue };
            for (name, value) in facts {
                let Ok(value) = value.parse::<u64>() else { continue };
                match sums.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, sum)) => *sum += value,
                    None => sums.push((name, value)),
                }
            }
        }
        if sums.is_empty() {
            continue;
        }
        let family = format!("{kind}_facts");
        page.family(&family, "gauge", "What the machines of this kind count, summed over all of them.");
        for (name, value) in &sums {
            page.sample(&family, &[("fact", name)], *value as f64);
        }
        if kind == "location" {
            let bindings = sums.iter().find(|(name, _)| name == "bindings").map_or(0, |(_, value)| *value);
            page.one("registrations", "gauge", "Bindings that are current.", bindings);
        }
    }
}
