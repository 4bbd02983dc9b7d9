//! Tracer port: a bounded ring of the SIP messages seen last, the material of `tandem ctl trace`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use fabric::letters::control::{Control, ControlAnswer};
use fabric::letters::flow::Traced;
use fabric::{Envelope, Key, Letter, Post};
use serde::Deserialize;

use crate::counters::{Counter, Snapshot};

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Messages kept, count; default 5000, 0 keeps none.
    pub messages_max: u32,
    /// Bytes of messages kept; default 16 MiB, 0 keeps none.
    pub bytes_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { messages_max: 5000, bytes_max: 16 << 20 }
    }
}

/// The running tracer.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    post: Arc<dyn Post>,
    ring: Mutex<Ring>,
    traced: Counter,
}

#[derive(Default)]
struct Ring {
    messages: VecDeque<Traced>,
    bytes: usize,
}

/// Starts the tracer; it has no task of its own.
pub fn start(settings: Settings, post: Arc<dyn Post>) -> Handle {
    Handle { shared: Arc::new(Shared { settings, post, ring: Mutex::default(), traced: Counter::default() }) }
}

impl Handle {
    /// The last `messages_max` messages, of one key or of all, oldest first.
    pub fn recent(&self, key: Option<Key>, messages_max: usize) -> Vec<Traced> {
        let ring = self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Traced> = ring
            .messages
            .iter()
            .rev()
            .filter(|traced| key.is_none_or(|key| traced.key == key))
            .take(messages_max)
            .cloned()
            .collect();
        found.reverse();
        found
    }

    pub fn counters(&self) -> Snapshot {
        let ring = self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner);
        vec![
            ("messages_traced", self.shared.traced.get()),
            ("messages_held", ring.messages.len() as u64),
            ("bytes_held", ring.bytes as u64),
        ]
    }

    pub async fn stop(&self) {}
}

impl Post for Handle {
    fn post(&self, envelope: Envelope) {
        match envelope.letter {
            Letter::Traced(traced) => {
                self.shared.traced.one();
                let mut ring = self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner);
                ring.push(*traced, &self.shared.settings);
            }
            Letter::Control(ref control) => {
                if let Control::Trace { key, messages_max } = **control {
                    let answer = ControlAnswer::Trace(self.recent(key, messages_max as usize));
                    self.shared.post.post(envelope.answer(Letter::ControlAnswer(Box::new(answer))));
                }
            }
            _ => {}
        }
    }
}

impl Ring {
    fn push(&mut self, traced: Traced, settings: &Settings) {
        self.bytes += traced.bytes.len();
        self.messages.push_back(traced);
        while self.messages.len() > settings.messages_max as usize || self.bytes > settings.bytes_max as usize {
            match self.messages.pop_front() {
                Some(oldest) => self.bytes -= oldest.bytes.len(),
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests;
