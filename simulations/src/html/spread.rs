//! How long take-overs took, as a distribution.

use crate::campaign::Campaign;

use super::draw::{Canvas, escape, figure};
use super::tables::thousands;

const LEFT: f64 = 40.0;
const WIDTH: f64 = 1_000.0;
const TOP: f64 = 52.0;
const HEIGHT: f64 = 150.0;

pub fn section(campaign: &Campaign) -> String {
    let times = &campaign.take_over_ms;
    let (Some(half), Some(most), Some(longest)) =
        (campaign.take_over_at(0.5), campaign.take_over_at(0.99), campaign.take_over_at(1.0))
    else {
        return String::new();
    };
    let shortest = times.first().copied().unwrap_or(0);
    let step = width(longest - shortest / 2);
    // From nothing, unless nothing ever happens near it.
    let start = if shortest > longest / 4 { shortest / (10 * step) * 10 * step } else { 0 };
    let mut bars = vec![0u64; ((longest - start) / step + 1) as usize];
    for time in times {
        bars[((time - start) / step) as usize] += 1;
    }
    let top = bars.iter().copied().max().unwrap_or(1).max(1) as f64;
    let end = (bars.len() as u64 * step) as f64;
    let start_ms = start as f64;
    let mut canvas = Canvas::new(WIDTH, TOP + HEIGHT + 34.0);
    let floor = TOP + HEIGHT;
    let x = |ms: f64| LEFT + (WIDTH - LEFT - 20.0) * (ms - start_ms) / end;
    for tick in super::draw::ticks(start_ms + end, 12).into_iter().filter(|tick| *tick >= start_ms) {
        canvas.line((x(tick), TOP), (x(tick), floor), "grid", "");
        canvas.text((x(tick), floor + 15.0), "middle", "", &format!("{tick:.0}"));
    }
    canvas.text((WIDTH - 20.0, floor + 30.0), "end", "", "milliseconds");
    let log = |count: u64| (1.0 + count as f64).ln() / (1.0 + top).ln();
    for (number, count) in bars.iter().enumerate().filter(|(_, count)| **count > 0) {
        let from = start + number as u64 * step;
        let height = HEIGHT * log(*count);
        let title = format!("{} take-overs of {from} to {} ms", thousands(*count), from + step);
        let at = (x(from as f64) + 0.5, floor - height);
        let wide = x((from + step) as f64) - x(from as f64) - 1.0;
        canvas.rect(at, (wide, height), "fill:var(--area);opacity:.8", &title);
    }
    for (row, (name, ms)) in [("median", half), ("p99", most), ("longest", longest)].into_iter().enumerate() {
        let (at, y) = (x(ms as f64), 12.0 * row as f64 + 12.0);
        canvas.line((at, y + 4.0), (at, floor), "", "stroke:var(--ink);stroke-width:1.2");
        let (anchor, away) = if at > WIDTH / 2.0 { ("end", -5.0) } else { ("start", 5.0) };
        canvas.text((at + away, y + 8.0), anchor, "strong", &format!("{name} {ms} ms"));
    }
    canvas.line((LEFT, floor), (WIDTH - 20.0, floor), "axis", "");
    let legend = [("var(--area)", "take-overs; the height is logarithmic, so that single ones can be seen")];
    let mut note = format!("{} take-overs of groups and addresses", thousands(times.len() as u64));
    if let Some(most) = campaign.hand_over_ms.last() {
        let count = thousands(campaign.hand_over_ms.len() as u64);
        note.push_str(&format!(
            "; {count} hand-overs that were asked for took up to {most} ms and are not in the picture"
        ));
    }
    let svg = canvas.done("Distribution of take-over times");
    let about = "From the moment a fault struck until the next owner obeyed the directors' table.";
    format!(
        "<h2>How long take-overs took</h2><p class=\"note\">{}</p>{}",
        escape(about),
        figure("All seeds", &svg, &legend, &note)
    )
}

/// A round width of bars, milliseconds.
fn width(longest: u64) -> u64 {
    [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000].into_iter().find(|step| longest / step <= 90).unwrap_or(10_000)
}
