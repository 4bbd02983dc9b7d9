//! Zones: parts of the slots. A balancer with a zone keeps its calls and registrations in slots of it, which only pairs of
//! that zone hold, say those of its own chassis; without one it uses all slots, and so all pairs.

use crate::{Key, SLOTS};

/// A zone, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// From 1; 0 is none.
    number: u16,
    /// Zones that there are, count.
    count: u16,
}

impl Zone {
    /// Zone `number` of `count`; none when the number is 0.
    pub fn new(number: u16, count: u16) -> Zone {
        Zone { number: number.min(count), count }
    }

    /// This key with a slot of the zone, always the same one: it depends on nothing but the count of zones, so that a CANCEL
    /// finds its INVITE whatever pairs have come and gone.
    pub fn place(self, key: Key) -> Key {
        if self.number == 0 || self.count < 2 {
            return key;
        }
        let slot = key.slot() / self.count * self.count + self.number - 1;
        // The last run of slots may be a short one.
        let slot = if slot < SLOTS { slot } else { slot - self.count };
        Key(key.0 << 12 >> 12 | u128::from(slot) << 116)
    }
}

/// The zone of a slot, when there are so many; 0 when there are none.
pub fn of_slot(slot: u16, count: u16) -> u16 {
    if count == 0 { 0 } else { slot % count + 1 }
}

/// A pair's number as directors have it: the zone stands above it, so that what they have agreed on reads as ever.
pub fn numbered(pair: u16, zone: u16) -> u16 {
    zone << PAIR_BITS | pair & PAIR_MAX
}

/// Zone and number of a pair.
pub fn of_pair(numbered: u16) -> (u16, u16) {
    (numbered >> PAIR_BITS, numbered & PAIR_MAX)
}

const PAIR_BITS: u16 = 12;

/// Highest number of a pair.
pub const PAIR_MAX: u16 = (1 << PAIR_BITS) - 1;

/// Most zones, count.
pub const ZONES_MAX: u16 = (1 << (16 - PAIR_BITS)) - 1;

#[cfg(test)]
mod tests;
