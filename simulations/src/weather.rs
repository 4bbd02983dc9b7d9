//! What the network does to a packet. Drawn from (seed, packet, occurrence), never from the order of events, so that two
//! hosts of the same switch meet the same weather.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use fabric::hash::{FixedMap, hash64};

use crate::dice::Dice;

/// How bad it is.
#[derive(Clone, Debug, Default)]
pub struct Climate {
    /// Packets of a thousand that are lost, delivered twice, or overtaken.
    pub loss_permille: u64,
    pub duplicate_permille: u64,
    pub reorder_permille: u64,
    /// One-way delay, milliseconds, least and most.
    pub delay_ms: (u64, u64),
    /// Longest extra delay of a duplicate or an overtaken packet, milliseconds.
    pub late_ms: u64,
    /// Peers cut off, from and until: nothing passes in between.
    pub cuts: Vec<(SocketAddr, u64, u64)>,
}

pub struct Weather {
    seed: u64,
    climate: Climate,
    seen: FixedMap<u64, u32>,
    /// The last delivery on a stream, by direction and peer: streams keep their order.
    streams: BTreeMap<(bool, SocketAddr), u64>,
    pub tally: Tally,
}

/// What took effect; a fault that never fired proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub packets: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub cut: u64,
}

/// When the copies of a packet arrive: milliseconds from now; and a number that tells them from all others.
pub struct Fate {
    pub copies: [Option<u64>; 2],
    pub identity: u64,
}

impl Weather {
    pub fn new(seed: u64, climate: Climate) -> Weather {
        Weather { seed, climate, seen: FixedMap::default(), streams: BTreeMap::new(), tally: Tally::default() }
    }

    /// A datagram between the switch and `peer`.
    pub fn datagram(&mut self, inbound: bool, peer: SocketAddr, bytes: &[u8], now_ms: u64) -> Fate {
        let (identity, mut dice) = self.identify(inbound, peer, bytes);
        self.tally.packets += 1;
        let climate = &self.climate;
        let mut copies = [None, None];
        let (lost, doubled, late) = (
            dice.permille(climate.loss_permille),
            dice.permille(climate.duplicate_permille),
            dice.permille(climate.reorder_permille),
        );
        let delay = dice.between(climate.delay_ms.0, climate.delay_ms.1).max(1);
        let extra = dice.between(1, climate.late_ms.max(1));
        let second = dice.between(1, climate.late_ms.max(1));
        if self.is_cut(peer, now_ms) {
            self.tally.cut += 1;
        } else if lost {
            self.tally.lost += 1;
        } else {
            self.tally.reordered += u64::from(late);
            self.tally.duplicated += u64::from(doubled);
            copies[0] = Some(delay + if late { extra } else { 0 });
            copies[1] = doubled.then_some(delay + second);
        }
        Fate { copies, identity }
    }

    /// A message on a stream: never lost, never overtaken; a cut holds it back.
    pub fn segment(&mut self, inbound: bool, peer: SocketAddr, bytes: &[u8], now_ms: u64) -> Fate {
        let (identity, mut dice) = self.identify(inbound, peer, bytes);
        self.tally.packets += 1;
        let mut at = now_ms + dice.between(self.climate.delay_ms.0, self.climate.delay_ms.1).max(1);
        for (cut, from, until) in &self.climate.cuts {
            if *cut == peer && (*from..*until).contains(&now_ms) {
                self.tally.cut += 1;
                at = at.max(*until);
            }
        }
        let last = self.streams.entry((inbound, peer)).or_default();
        at = at.max(*last + 1);
        *last = at;
        Fate { copies: [Some(at - now_ms), None], identity }
    }

    pub fn is_cut(&self, peer: SocketAddr, now_ms: u64) -> bool {
        self.climate.cuts.iter().any(|(cut, from, until)| *cut == peer && (*from..*until).contains(&now_ms))
    }

    fn identify(&mut self, inbound: bool, peer: SocketAddr, bytes: &[u8]) -> (u64, Dice) {
        let peer = crate::world::socket_bytes(peer);
        let key = u128::from(self.seed).to_le_bytes();
        let packet = hash64(&key, &[&[u8::from(inbound)], &peer, bytes]);
        let occurrence = self.seen.entry(packet).or_default();
        *occurrence += 1;
        let identity = hash64(&key, &[&packet.to_le_bytes(), &occurrence.to_le_bytes()]);
        (identity, Dice::new(identity))
    }
}
