//! Calls up, ringing and set up, second by second, across the faults.

use crate::cluster::outcome::{Outcome, Sample};

use super::draw::{self, Canvas, Time, ticks};

const LEFT: f64 = 40.0;
const WIDTH: f64 = 1_000.0;
const TOP: f64 = 30.0;
const HEIGHT: f64 = 190.0;
const BARS: f64 = 50.0;

pub fn figure(outcome: &Outcome) -> String {
    let samples = &outcome.samples;
    if samples.is_empty() {
        return String::new();
    }
    let end_ms = outcome.length_ms.max(1) as f64;
    let time = Time { left: LEFT, width: WIDTH - LEFT - 10.0, end_ms };
    let most = samples.iter().map(|sample| sample.up.max(sample.ringing)).max().unwrap_or(0).max(4) as f64 * 1.08;
    let mut canvas = Canvas::new(WIDTH, TOP + HEIGHT + BARS + 40.0);
    let (floor, base) = (TOP + HEIGHT, TOP + HEIGHT + BARS + 12.0);
    let y = |count: f64| floor - HEIGHT * count / most;
    faults(&mut canvas, outcome, &time, base);
    time.draw(&mut canvas, TOP, base);
    for tick in ticks(most, 4) {
        canvas.line((LEFT, y(tick)), (WIDTH - 10.0, y(tick)), "grid", "");
        canvas.text((LEFT - 6.0, y(tick) + 4.0), "end", "", &format!("{tick:.0}"));
    }
    let points = |of: fn(&Sample) -> usize| -> Vec<(f64, f64)> {
        samples.iter().map(|sample| (time.x(sample.at_s * 1_000), y(of(sample) as f64))).collect()
    };
    let up = points(|sample| sample.up);
    let line = path(&up);
    let (first, last) = (up.first().map_or(LEFT, |point| point.0), up.last().map_or(LEFT, |point| point.0));
    canvas.path(&format!("{line} L{last:.1} {floor:.1} L{first:.1} {floor:.1} Z"), "fill:var(--area);opacity:.16");
    canvas.path(&line, "fill:none;stroke:var(--area);stroke-width:2");
    let ringing = path(&points(|sample| sample.ringing));
    canvas.path(&ringing, "fill:none;stroke:var(--ring);stroke-width:1.6");
    let dialled = samples.iter().map(|sample| sample.dialled).max().unwrap_or(0).max(1) as f64;
    let width = time.width / (end_ms / 1e3) * 0.8;
    for sample in samples.iter().filter(|sample| sample.dialled > 0) {
        let height = (BARS - 6.0) * sample.dialled as f64 / dialled;
        let at = (time.x(sample.at_s * 1_000) - width, base - height);
        let title = format!("{} set up in second {}", sample.dialled, sample.at_s);
        canvas.rect(at, (width, height), "fill:var(--bars)", &title);
    }
    canvas.text((LEFT - 6.0, base - BARS + 14.0), "end", "", &format!("{dialled:.0}/s"));
    canvas.line((LEFT, floor), (WIDTH - 10.0, floor), "axis", "");
    canvas.line((LEFT, base), (WIDTH - 10.0, base), "axis", "");
    let legend = [
        ("var(--area)", "calls up"),
        ("var(--ring)", "ringing"),
        ("var(--bars)", "set up in each second"),
        ("var(--fault)", "a fault, numbered as in the table below"),
    ];
    let svg = canvas.done("Calls up, ringing and set up over time");
    draw::figure("Calls across the faults", &svg, &legend, "")
}

/// Bands where faults are at work, with their numbers on top.
fn faults(canvas: &mut Canvas, outcome: &Outcome, time: &Time, bottom: f64) {
    let mut free = [f64::MIN; 2];
    for (number, fault) in outcome.faults.iter().enumerate() {
        let (from, to) = (time.x(fault.at_ms), time.x(fault.until_ms));
        let title = format!("{}: {} {}, {}", number + 1, fault.kind, fault.target, fault.what);
        let band = "fill:var(--fault);opacity:.07";
        canvas.rect((from, TOP), ((to - from).max(2.0), bottom - TOP), band, &title);
        canvas.line((from, TOP - 4.0), (from, bottom), "", "stroke:var(--fault);opacity:.45;stroke-dasharray:2 3");
        // Two rows of numbers, so that neighbours can be told apart.
        let row = usize::from(free[0] > from);
        if free[row] <= from {
            free[row] = from + 15.0;
            canvas.text((from, TOP - 7.0 - 11.0 * row as f64), "middle", "strong", &(number + 1).to_string());
        }
    }
}

fn path(points: &[(f64, f64)]) -> String {
    let mut data = String::with_capacity(points.len() * 12);
    for (number, (x, y)) in points.iter().enumerate() {
        data.push_str(&format!("{}{x:.1} {y:.1} ", if number == 0 { 'M' } else { 'L' }));
    }
    data
}
