//! One lane for each node and each group of slots: who was there, and who owned what since which epoch.

use std::collections::BTreeMap;

use crate::cluster::outcome::{Moment, Outcome};

use super::draw::{Canvas, Time, figure};

const LEFT: f64 = 104.0;
const WIDTH: f64 = 1_000.0;
const LANE: f64 = 17.0;
const TOP: f64 = 22.0;

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Down,
    Up,
    Paused,
}

/// Stretches of a node's life: state, from, to, what began it.
pub fn stretches(moments: &[&Moment], end_ms: u64) -> Vec<(State, u64, u64, String)> {
    let mut found = Vec::new();
    let mut current = (State::Down, 0, String::new());
    for moment in moments {
        let next = match moment.event.as_str() {
            "up" | "resumed" => State::Up,
            "down" => State::Down,
            "paused" => State::Paused,
            _ => continue,
        };
        if moment.at_ms > current.1 {
            found.push((current.0, current.1, moment.at_ms, current.2));
        }
        current = (next, moment.at_ms, moment.text.clone());
    }
    if end_ms > current.1 {
        found.push((current.0, current.1, end_ms, current.2));
    }
    found
}

pub fn nodes(outcome: &Outcome) -> String {
    if outcome.nodes.is_empty() {
        return String::new();
    }
    let mut order: Vec<usize> = (0..outcome.nodes.len()).collect();
    order.sort_by_key(|place| (outcome.nodes[*place].chassis, *place));
    let gaps = order.windows(2).filter(|two| outcome.nodes[two[0]].chassis != outcome.nodes[two[1]].chassis).count();
    let bottom = TOP + LANE * order.len() as f64 + 7.0 * gaps as f64;
    let mut canvas = Canvas::new(WIDTH, bottom + 24.0);
    let time = Time { left: LEFT, width: WIDTH - LEFT - 10.0, end_ms: outcome.length_ms.max(1) as f64 };
    time.draw(&mut canvas, TOP - 4.0, bottom);
    let mut y = TOP;
    let mut chassis = None;
    for place in order {
        let node = &outcome.nodes[place];
        if chassis.is_some_and(|chassis| chassis != node.chassis) {
            y += 7.0;
        }
        chassis = Some(node.chassis);
        canvas.text((LEFT - 8.0, y + 12.0), "end", "name", &node.name);
        let moments: Vec<&Moment> = outcome.timeline.iter().filter(|moment| moment.node == Some(place)).collect();
        for (state, from, to, text) in stretches(&moments, outcome.length_ms) {
            let (style, word) = match state {
                State::Up => ("fill:var(--up);stroke:var(--up-edge);stroke-width:.6", "up"),
                State::Paused => ("fill:var(--paused)", "paused"),
                State::Down if from == 0 => continue,
                State::Down => ("fill:var(--bad);opacity:.75", "down"),
            };
            let title = format!("{} {word} {:.1} to {:.1} s {text}", node.name, from as f64 / 1e3, to as f64 / 1e3);
            let thick = if state == State::Down { 5.0 } else { LANE - 5.0 };
            let at = (time.x(from), y + (LANE - thick) / 2.0);
            canvas.rect(at, (time.x(to) - time.x(from), thick), style, &title);
        }
        troubles(&mut canvas, outcome, place, &time, y + LANE - 6.0);
        y += LANE;
    }
    marks(&mut canvas, outcome, &time, bottom);
    let legend = [
        ("var(--up)", "runs"),
        ("var(--paused)", "paused"),
        ("var(--bad)", "down"),
        ("var(--area)", "cut off"),
        ("var(--slow-edge)", "slow disk, wrong clock or sick relay"),
    ];
    let note = format!("{} countries; c1 is the first chassis", countries(outcome));
    figure("Nodes", &canvas.done("When each node ran, was paused or down"), &legend, &note)
}

/// What made life hard for a node that ran: stripes at the foot of its lane.
fn troubles(canvas: &mut Canvas, outcome: &Outcome, place: usize, time: &Time, y: f64) {
    let node = &outcome.nodes[place];
    let chassis = format!("chassis {}", node.chassis + 1);
    for fault in outcome.faults.iter().filter(|fault| fault.target == node.name || fault.target == chassis) {
        let colour = match fault.kind.as_str() {
            "cut" | "cut-one-way" | "cut-partial" | "flap" | "clog" => "var(--area)",
            "gray" | "disk-stall" | "clock-drift" | "clock-step" | "relay-hang" | "relay-death" => "var(--slow-edge)",
            _ => continue,
        };
        let (from, to) = (time.x(fault.at_ms), time.x(fault.until_ms));
        let title = format!("{}: {} {}", node.name, fault.kind, fault.what);
        canvas.rect((from, y), ((to - from).max(2.0), 3.5), &format!("fill:{colour}"), &title);
    }
}

fn countries(outcome: &Outcome) -> usize {
    outcome.nodes.iter().map(|node| node.country).max().map_or(0, |most| most + 1)
}

/// Thin lines where faults struck, dots where they hit a node of its own.
fn marks(canvas: &mut Canvas, outcome: &Outcome, time: &Time, bottom: f64) {
    let mut free = f64::MIN;
    for (number, fault) in outcome.faults.iter().enumerate() {
        let x = time.x(fault.at_ms);
        canvas.line((x, TOP - 4.0), (x, bottom), "", "stroke:var(--fault);opacity:.5;stroke-dasharray:2 3");
        if free <= x {
            free = x + 15.0;
            canvas.text((x, TOP - 8.0), "middle", "strong", &(number + 1).to_string());
        }
    }
}

/// Ownership of a group over time: epoch and node, from, to.
pub fn holdings(outcome: &Outcome) -> BTreeMap<u32, Vec<(u64, usize, u64, u64)>> {
    let mut groups: BTreeMap<u32, Vec<(u64, usize, u64, u64)>> = BTreeMap::new();
    for moment in outcome.timeline.iter().filter(|moment| moment.event == "owns") {
        let mut words = moment.text.split_whitespace();
        let (Some("group"), Some(group), Some("epoch"), Some(epoch)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let (Ok(group), Ok(epoch)) = (group.parse(), epoch.parse()) else { continue };
        let all = groups.entry(group).or_default();
        if let Some(last) = all.last_mut() {
            last.3 = moment.at_ms;
        }
        all.extend(moment.node.map(|node| (epoch, node, moment.at_ms, outcome.length_ms)));
    }
    groups
}

pub fn owners(outcome: &Outcome) -> String {
    let groups = holdings(outcome);
    if groups.is_empty() {
        return String::new();
    }
    let bottom = TOP + (LANE + 3.0) * groups.len() as f64;
    let mut canvas = Canvas::new(WIDTH, bottom + 24.0);
    let time = Time { left: LEFT, width: WIDTH - LEFT - 10.0, end_ms: outcome.length_ms.max(1) as f64 };
    time.draw(&mut canvas, TOP - 4.0, bottom);
    let mut y = TOP;
    for (group, all) in &groups {
        canvas.text((LEFT - 8.0, y + 13.0), "end", "name", &format!("group {group}"));
        for (epoch, node, from, to) in all {
            let Some(owner) = outcome.nodes.get(*node) else { continue };
            let (x, width) = (time.x(*from), time.x(*to) - time.x(*from));
            let title = format!(
                "group {group}, epoch {epoch}: {} from {:.1} to {:.1} s",
                owner.name,
                *from as f64 / 1e3,
                *to as f64 / 1e3
            );
            let style = format!("fill:var(--c{});stroke:var(--card);stroke-width:1", owner.chassis % 8 + 1);
            canvas.rect((x, y + 1.0), (width, LANE - 1.0), &style, &title);
            let label = format!("{epoch} · {}", owner.name);
            if width > 6.2 * label.len() as f64 {
                canvas.text((x + 6.0, y + 12.5), "start", "on", &label);
            } else if width > 14.0 {
                canvas.text((x + width / 2.0, y + 12.5), "middle", "on", &epoch.to_string());
            }
        }
        y += LANE + 3.0;
    }
    marks(&mut canvas, outcome, &time, bottom);
    let mut chassis: Vec<usize> = outcome.nodes.iter().map(|node| node.chassis).collect();
    chassis.sort_unstable();
    chassis.dedup();
    let owning = |chassis: &usize| {
        groups.values().flatten().any(|held| outcome.nodes.get(held.1).is_some_and(|node| node.chassis == *chassis))
    };
    let legend: Vec<(String, String)> = chassis
        .into_iter()
        .filter(owning)
        .map(|chassis| (format!("var(--c{})", chassis % 8 + 1), format!("chassis {}", chassis + 1)))
        .collect();
    let legend: Vec<(&str, &str)> = legend.iter().map(|(colour, words)| (colour.as_str(), words.as_str())).collect();
    let note = "each bar is an epoch of one owner; a new bar is a take-over or a hand-over";
    figure("Owners", &canvas.done("Owner and epoch of every group of slots over time"), &legend, note)
}
