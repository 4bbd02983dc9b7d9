//! The ladder of a run: what phones and switch said, kept when somebody wants to read it.

use sip::{Name, View};

use crate::book::Book;

/// A step of the ladder.
pub(crate) struct Rung {
    at_ms: u64,
    device: usize,
    inbound: bool,
    edge: bool,
    call_id: Vec<u8>,
    text: String,
}

impl Book {
    /// Keeps every message from here on.
    pub fn keep_ladder(&mut self) {
        self.ladder = Some(Vec::new());
    }

    /// A phone sent this; the weather decides what becomes of it.
    pub fn said(&mut self, now_ms: u64, device: usize, bytes: &[u8]) {
        self.rung(now_ms, device, true, false, bytes);
    }

    /// A phone got this.
    pub fn heard(&mut self, now_ms: u64, device: usize, bytes: &[u8]) {
        self.rung(now_ms, device, false, false, bytes);
    }

    pub(crate) fn rung(&mut self, at_ms: u64, device: usize, inbound: bool, edge: bool, bytes: &[u8]) {
        let Some(ladder) = &mut self.ladder else { return };
        let Ok(view) = View::parse(bytes, &self.limits) else { return };
        let call_id = view.call_id().unwrap_or_default().to_vec();
        let line = String::from_utf8_lossy(view.start_line()).into_owned();
        let cseq = view.header(Name::CSeq).map(String::from_utf8_lossy).unwrap_or_default();
        let branch = view.top_via().ok().and_then(|via| via.branch()).map(String::from_utf8_lossy).unwrap_or_default();
        let tail = branch.len().saturating_sub(10);
        let branch = branch.get(tail..).unwrap_or_default();
        let text = format!("{line}  [{cseq}; ..{branch}]");
        ladder.push(Rung { at_ms, device, inbound, edge, call_id, text });
    }

    /// The ladder of an attempt.
    pub fn ladder(&self, attempt: usize) -> String {
        self.rungs(|rung| self.calls.get(&rung.call_id) == Some(&attempt))
    }

    /// What a phone said and heard outside of calls, around a moment.
    pub fn ladder_of_device(&self, device: usize, at_ms: u64) -> String {
        self.rungs(|rung| {
            rung.device == device && rung.at_ms.abs_diff(at_ms) < 40_000 && !self.calls.contains_key(&rung.call_id)
        })
    }

    fn rungs(&self, wanted: impl Fn(&Rung) -> bool) -> String {
        let mut out = String::new();
        for rung in self.ladder.iter().flatten().filter(|rung| wanted(rung)) {
            let arrow = match (rung.inbound, rung.edge) {
                (true, false) => "phone -> ",
                (true, true) => "      -> switch",
                (false, true) => "      <- switch",
                (false, false) => "phone <- ",
            };
            out.push_str(&format!(
                "{:9.3} device{:<2} {arrow:16} {}\n",
                rung.at_ms as f64 / 1e3,
                rung.device,
                rung.text
            ));
        }
        out
    }
}
