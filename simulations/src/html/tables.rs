//! Tables: faults of a run, and invariants, faults, calls and coincidences of all runs.

use crate::campaign::Campaign;
use crate::cluster::outcome::Outcome;
use crate::invariants::INVARIANTS;

use super::draw::escape;

/// 12345 as 12,345.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + 4);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The faults of a run, with the numbers that stand in its pictures.
pub fn strikes(outcome: &Outcome) -> String {
    if outcome.faults.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "<details open><summary>Faults of this run</summary><div class=\"card\"><table><tr><th class=\"n\">#</th><th \
         class=\"n\">at</th><th class=\"n\">for</th><th>fault</th><th>whom</th><th>what it did</th></tr>",
    );
    for (number, fault) in outcome.faults.iter().enumerate() {
        let effect = if fault.effect { escape(&fault.what) } else { "<span class=\"no\">nothing</span>".to_owned() };
        text.push_str(&format!(
            "<tr><td class=\"n\">{}</td><td class=\"n\">{:.1} s</td><td class=\"n\">{:.1} s</td><td \
             class=\"k\">{}</td><td class=\"k\">{}</td><td class=\"dim\">{effect}</td></tr>",
            number + 1,
            fault.at_ms as f64 / 1e3,
            fault.until_ms.saturating_sub(fault.at_ms) as f64 / 1e3,
            escape(&fault.kind),
            escape(&fault.target)
        ));
    }
    text.push_str("</table></div></details>");
    text
}

pub fn sections(campaign: &Campaign) -> String {
    let mut text = String::from("<h2>All seeds</h2><div class=\"columns\"><div>");
    text.push_str(&calls(campaign));
    text.push_str("</div><div>");
    text.push_str(&faults(campaign));
    text.push_str("</div></div>");
    text.push_str(&invariants(campaign));
    text.push_str("<div class=\"columns\"><div>");
    text.push_str(&sometimes(campaign));
    text.push_str("</div><div>");
    text.push_str(&counts(campaign));
    text.push_str("</div></div>");
    text
}

fn table(heading: &str, head: &str, rows: &str) -> String {
    format!("<h3>{heading}</h3><div class=\"card\"><table>{head}{rows}</table></div>")
}

/// Conservation: what was offered became one of the others.
fn calls(campaign: &Campaign) -> String {
    let counts = &campaign.counts;
    let parts = [
        ("answered", counts.answered, ""),
        ("rejected by the other side or by policy", counts.rejected, ""),
        ("cancelled by the caller", counts.cancelled, ""),
        ("failed by a phone", counts.failed_by_phone, ""),
        ("failed by the switch", counts.failed_by_switch, if counts.failed_by_switch > 0 { "no" } else { "ok" }),
    ];
    let share = |count: u64| 100.0 * count as f64 / counts.offered.max(1) as f64;
    let mut rows: String = parts
        .iter()
        .map(|(name, count, class)| {
            format!(
                "<tr><td>{name}</td><td class=\"n {class}\">{}</td><td class=\"n dim\">{:.1} %</td></tr>",
                thousands(*count),
                share(*count)
            )
        })
        .collect();
    let sum: u64 = parts.iter().map(|(_, count, _)| count).sum();
    let (class, word) = if sum == counts.offered { ("ok", "adds up") } else { ("no", "does not add up") };
    rows.push_str(&format!(
        "<tr><td><b>offered</b></td><td class=\"n\"><b>{}</b></td><td class=\"n {class}\">{word}</td></tr>",
        thousands(counts.offered)
    ));
    table("What became of every call", "", &rows)
}

fn faults(campaign: &Campaign) -> String {
    let head = "<tr><th>fault</th><th class=\"n\">struck</th><th class=\"n\">took effect</th></tr>";
    let rows: String = campaign
        .faults
        .iter()
        .map(|(kind, count)| {
            let class = if count.took_effect == 0 { "no" } else { "" };
            format!(
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n {class}\">{}</td></tr>",
                escape(kind),
                thousands(count.struck),
                thousands(count.took_effect)
            )
        })
        .collect();
    if rows.is_empty() {
        return table("Faults", "", "<tr><td class=\"dim\">none: a quiet day</td></tr>");
    }
    table("Faults", head, &rows)
}

fn invariants(campaign: &Campaign) -> String {
    let head = "<tr><th>number</th><th>what must hold</th><th>judged</th><th class=\"n\">seeds that broke it</th></tr>";
    let mut rows = String::new();
    for invariant in INVARIANTS {
        let broken = campaign.broken.get(invariant.number).copied();
        let verdict = match (broken, invariant.judged) {
            (Some(broken), _) => {
                format!("<span class=\"no\">{}, first {}</span>", thousands(broken.seeds), broken.first_seed)
            }
            (None, "") => "<span class=\"dim\">not judged</span>".to_owned(),
            (None, _) => "<span class=\"ok\">none</span>".to_owned(),
        };
        rows.push_str(&format!(
            "<tr><td class=\"k\">{}</td><td>{}</td><td class=\"k dim\">{}</td><td class=\"n\">{verdict}</td></tr>",
            invariant.number,
            escape(invariant.text),
            invariant.judged
        ));
    }
    table("Invariants", head, &rows)
}

fn sometimes(campaign: &Campaign) -> String {
    let known = crate::cluster::sometimes::NAMES.iter().map(|name| (*name).to_owned());
    let rows: String = known
        .map(|name| {
            let hits = campaign.sometimes.get(&name).copied().unwrap_or(0);
            let wanted = campaign.missing.iter().any(|missing| missing.ends_with(&name));
            let class = match (hits, wanted) {
                (0, true) => "no",
                (0, false) => "dim",
                _ => "",
            };
            format!(
                "<tr><td class=\"{class}\">{}</td><td class=\"n {class}\">{}</td></tr>",
                escape(&name),
                thousands(hits)
            )
        })
        .collect();
    table("What should happen now and then", "<tr><th></th><th class=\"n\">times</th></tr>", &rows)
}

fn counts(campaign: &Campaign) -> String {
    let rows: String = campaign
        .counts
        .all()
        .into_iter()
        .skip(6)
        .map(|(name, count)| {
            format!("<tr><td>{}</td><td class=\"n\">{}</td></tr>", name.replace('_', " "), thousands(count))
        })
        .collect();
    table("What was counted", "<tr><th></th><th class=\"n\">all seeds</th></tr>", &rows)
}
