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
    /// Grants for beats before this moment are void.
    rests: Option<Instant>,
}

/// Beats that are waited for, count: older ones could not earn anything any more.
const BEATS_MAX: usize = 16;

/// How long a grant may take to come while there is no lease; after it what was granted before is given up.
const RENEWED: Duration = Duration::from_millis(150);

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

    /// The lease is over, whatever was granted for it: the directors have said that this node is out.
    pub fn give_up(&mut self, now: Instant) {
        self.until = self.until.min(now);
        self.rests = Some(now);
        self.beats.clear();
    }

    /// Before a beat is sent: when there is no lease, the moment before which nothing that is granted counts.
    pub fn rests(&mut self, now: Instant) -> Option<Instant> {
        if now < self.until {
            self.rests = None;
        } else if self.rests.is_none_or(|rests| now.since(rests) >= RENEWED) {
            self.give_up(now);
        }
        self.rests
    }

    pub fn until(&self) -> Instant {
        self.until
    }
}
