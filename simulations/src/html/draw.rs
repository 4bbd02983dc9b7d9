//! Drawing: a canvas that collects SVG, axes with round numbers, text that is safe.

use std::fmt::Write as _;

/// Text as HTML may hold it.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(letter),
        }
    }
    out
}

/// A picture that grows.
pub struct Canvas {
    body: String,
    pub width: f64,
    pub height: f64,
}

impl Canvas {
    pub fn new(width: f64, height: f64) -> Canvas {
        Canvas { body: String::new(), width, height }
    }

    pub fn rect(&mut self, (x, y): (f64, f64), (w, h): (f64, f64), style: &str, title: &str) {
        let title = if title.is_empty() { String::new() } else { format!("<title>{}</title>", escape(title)) };
        let _ = write!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{h:.1}\" style=\"{style}\">{title}</rect>",
            w.max(0.5)
        );
    }

    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str, style: &str) {
        let _ = write!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\" style=\"{style}\"/>"
        );
    }

    /// `anchor`: start, middle or end.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
        let _ = write!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>",
            escape(text)
        );
    }

    pub fn path(&mut self, data: &str, style: &str) {
        let _ = write!(self.body, "<path d=\"{data}\" style=\"{style}\"/>");
    }

    /// The picture; `label` says what it shows to who cannot see it.
    pub fn done(self, label: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" aria-label=\"{}\">{}</svg>",
            self.width,
            self.height,
            escape(label),
            self.body
        )
    }
}

/// Round steps of an axis up to `most`, about `count` of them.
pub fn ticks(most: f64, count: usize) -> Vec<f64> {
    let rough = most / count.max(1) as f64;
    let scale = 10f64.powf(rough.max(1e-9).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * scale).find(|step| *step >= rough);
    let step = step.unwrap_or(scale * 10.0).max(1.0);
    (0..).map(|number| f64::from(number) * step).take_while(|value| *value <= most + 1e-9).collect()
}

/// Seconds as minutes and seconds.
pub fn clock(seconds: f64) -> String {
    format!("{}:{:02}", seconds as u64 / 60, seconds as u64 % 60)
}

/// An axis of time below a picture.
pub struct Time {
    pub left: f64,
    pub width: f64,
    pub end_ms: f64,
}

impl Time {
    pub fn x(&self, at_ms: u64) -> f64 {
        self.left + self.width * (at_ms as f64).min(self.end_ms) / self.end_ms.max(1.0)
    }

    /// Lines and labels between `top` and `bottom`.
    pub fn draw(&self, canvas: &mut Canvas, top: f64, bottom: f64) {
        let end_s = self.end_ms / 1e3;
        let step = [5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
        let step = step.into_iter().find(|step| end_s / step <= 12.0).unwrap_or(7_200.0);
        let mut at = 0.0;
        while at <= end_s {
            let x = self.x((at * 1e3) as u64);
            canvas.line((x, top), (x, bottom), "grid", "");
            canvas.text((x, bottom + 14.0), "middle", "", &clock(at));
            at += step;
        }
    }
}

/// `<figure>` around a picture with its legend: swatch colour, edge, words.
pub fn figure(title: &str, svg: &str, legend: &[(&str, &str)], note: &str) -> String {
    let keys: String = legend
        .iter()
        .map(|(colour, words)| format!("<span class=\"key\" style=\"--swatch:{colour}\">{}</span>", escape(words)))
        .collect();
    let note = if note.is_empty() { String::new() } else { format!("<span>{}</span>", escape(note)) };
    format!(
        "<h3>{}</h3><figure><div class=\"scroll wide\">{svg}</div><figcaption>{keys}{note}</figcaption></figure>",
        escape(title)
    )
}
