//! The state of a media session as its standby keeps it: one part, a version byte and postcard.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fabric::codec::{decode_part, encode_part};
use fabric::{Home, Instant, Key};

use super::{Chores, Ending, Flight, Job, Legs, Media, Settings, Site};

/// Version of the state that this build writes, and the only one that it reads.
const VERSION: u8 = 1;

/// What stands behind the version byte, as the fields of `Media` without those that its owner brings.
type State = (
    Site,
    Option<u16>,
    u16,
    bool,
    Legs,
    VecDeque<Job>,
    Option<Box<Flight>>,
    Chores,
    Option<Box<Ending>>,
    u32,
    (Instant, Instant),
);

impl Media {
    /// The session that these bytes describe; `None` when they are damaged or of another version.
    pub fn restore(home: &Home, key: Key, settings: Arc<Settings>, bytes: &[u8]) -> Option<Media> {
        let (&VERSION, state) = bytes.split_first()? else { return None };
        let (site, relay, generation, answered, legs, queue, flight, chores, ending, next_thread, ages) =
            decode_part::<State>(state)?;
        let home = Site::of(home.anchor());
        // Without a session the anchor is free to choose.
        let free = relay.is_none() && flight.is_none();
        Some(Media {
            key,
            site: if free { Site::choose(home, key, generation, &settings.anchors) } else { site },
            home,
            settings,
            relay,
            generation,
            answered,
            legs,
            queue,
            flight,
            chores,
            ending,
            next_thread,
            age_out: ages.0,
            offer_age_out: ages.1,
        })
    }

    /// The state as a replica keeps it.
    pub(super) fn write(&self) -> Bytes {
        let ages = (self.age_out, self.offer_age_out);
        let (queue, flight, chores, ending) = (&self.queue, &self.flight, &self.chores, &self.ending);
        let (site, relay, generation, answered, legs) =
            (self.site, self.relay, self.generation, self.answered, &self.legs);
        let state = (site, relay, generation, answered, legs, queue, flight, chores, ending, self.next_thread, ages);
        encode_part(&(VERSION, state))
    }
}

#[cfg(test)]
mod tests;
