//! The lease: until when this node may act. A beat earns it when a majority of the directors has granted it; it runs from
//! the moment the beat was sent, on our own monotonic clock.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use fabric::{Instant, NodeId};

#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// Beats that may still earn one, oldest first, and who granted them.
    beats: VecDeque<(Instant, BTreeSet<NodeId>)>,
    until: Instant,
}

/// Beats that are waited for, count: older ones could not earn anything any more.
const BEATS_MAX: usize = 16;

impl Lease {
    pub fn sent(&mut self, at: Instant) {
        if self.beats.len() >= BEATS_MAX {
            self.beats.pop_front();
        }
        self.beats.push_back((at, BTreeSet::new()));
    }

    /// A director has granted the beat that was sent then; `majority` of them make a lease of `length`.
    pub fn granted(&mut self, director: NodeId, sent: Instant, majority: usize, length: Duration) {
        let Some(place) = self.beats.iter().position(|(at, _)| *at == sent) else { return };
        let (at, granted) = &mut self.beats[place];
        granted.insert(director);
        if granted.len() >= majority {
            self.until = self.until.max(*at + length);
            self.beats.drain(..=place);
        }
    }

    pub fn until(&self) -> Instant {
        self.until
    }
}
