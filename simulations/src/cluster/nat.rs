//! NAT boxes in front of phones: where a mapping leads, whom it lets in and when it is forgotten. RFC 4787 4.1 (mapping),
//! 4.3 (refresh by what goes out, not by what comes in), 5 (filtering); the four kinds by their older names (RFC 3489 5).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NatKind {
    /// One mapping for everybody, and everybody may use it.
    FullCone,
    /// One mapping; in comes who has been sent something, from any port.
    Restricted,
    /// One mapping; in comes who has been sent something, from that port.
    PortRestricted,
    /// A mapping for each destination, which alone may use it.
    Symmetric,
}

impl NatKind {
    pub const ALL: [NatKind; 4] = [NatKind::FullCone, NatKind::Restricted, NatKind::PortRestricted, NatKind::Symmetric];
}

/// A box with one phone behind it.
#[derive(Clone, Debug)]
pub struct NatBox {
    kind: NatKind,
    /// A mapping that nothing has gone out by for so long is forgotten, microseconds.
    idle_us: u64,
    /// The next port is one higher.
    next: SocketAddr,
    mappings: Vec<Mapping>,
}

#[derive(Clone, Debug)]
struct Mapping {
    outside: SocketAddr,
    /// A symmetric box: for this destination.
    only: Option<SocketAddr>,
    peers: BTreeSet<SocketAddr>,
    since_us: u64,
    used_us: u64,
    /// It was told of already that something keeps it open.
    old: bool,
}

/// What the box did with a packet that goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Out {
    /// By the mapping that there was; for the first time it is older than an idle one could be.
    Kept { outlived: bool },
    /// By a new one; there was one before, and it has run out.
    New { ran_out: bool },
}

/// What it did with one that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum In {
    Passed,
    /// Nobody is mapped there, or not any more.
    Closed,
    /// The mapping is for others.
    Filtered,
}

impl NatBox {
    /// `first`: the address of its first mapping.
    pub fn new(kind: NatKind, first: SocketAddr, idle_us: u64) -> NatBox {
        NatBox { kind, idle_us, next: first, mappings: Vec::new() }
    }

    /// A packet goes out to `to`: the address that it comes from, as `to` sees it.
    pub fn out(&mut self, to: SocketAddr, now_us: u64) -> (SocketAddr, Out) {
        let symmetric = self.kind == NatKind::Symmetric;
        let wanted = |mapping: &Mapping| !symmetric || mapping.only == Some(to);
        let before = self.mappings.len();
        let idle_us = self.idle_us;
        self.mappings.retain(|mapping| mapping.used_us + idle_us > now_us);
        let ran_out = self.mappings.len() < before;
        if let Some(mapping) = self.mappings.iter_mut().find(|mapping| wanted(mapping)) {
            mapping.used_us = now_us;
            mapping.peers.insert(to);
            let outlived = !mapping.old && mapping.since_us + 2 * idle_us <= now_us;
            mapping.old |= outlived;
            return (mapping.outside, Out::Kept { outlived });
        }
        let outside = self.next;
        self.next.set_port(if outside.port() == u16::MAX { 1_024 } else { outside.port() + 1 });
        let only = symmetric.then_some(to);
        let peers = BTreeSet::from([to]);
        self.mappings.push(Mapping { outside, only, peers, since_us: now_us, used_us: now_us, old: false });
        (outside, Out::New { ran_out })
    }

    /// A packet of `from` arrives at `at`.
    pub fn come_in(&self, at: SocketAddr, from: SocketAddr, now_us: u64) -> In {
        let lives = |mapping: &&Mapping| mapping.outside == at && mapping.used_us + self.idle_us > now_us;
        let Some(mapping) = self.mappings.iter().find(lives) else { return In::Closed };
        let may = match self.kind {
            NatKind::FullCone => true,
            NatKind::Restricted => mapping.peers.iter().any(|peer| peer.ip() == from.ip()),
            NatKind::PortRestricted | NatKind::Symmetric => mapping.peers.contains(&from),
        };
        if may { In::Passed } else { In::Filtered }
    }

    /// The box restarts: all mappings are forgotten. Whether there was one.
    pub fn reset(&mut self) -> bool {
        let some = !self.mappings.is_empty();
        self.mappings.clear();
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// Who gets in after the phone has sent something to 192.0.2.1:5060, and where it comes from towards 192.0.2.2:5060.
    #[test]
    fn each_kind_maps_and_filters_as_its_name_says() {
        let (phone, one, two) = (address("198.18.0.1:40000"), address("192.0.2.1:5060"), address("192.0.2.2:5060"));
        let other_port = address("192.0.2.1:5080");
        use In::{Filtered, Passed};
        // kind, same address, its other port, another address, mapped port towards the other one
        let rows = [
            (NatKind::FullCone, [Passed, Passed, Passed], 40_000),
            (NatKind::Restricted, [Passed, Passed, Filtered], 40_000),
            (NatKind::PortRestricted, [Passed, Filtered, Filtered], 40_000),
            (NatKind::Symmetric, [Passed, Filtered, Filtered], 40_001),
        ];
        for (kind, expected, port) in rows {
            let mut nat = NatBox::new(kind, phone, 60);
            assert_eq!(nat.out(one, 0), (phone, Out::New { ran_out: false }), "{kind:?}");
            let found = [one, other_port, two].map(|from| nat.come_in(phone, from, 1));
            assert_eq!(found, expected, "{kind:?}");
            assert_eq!(nat.out(two, 2).0.port(), port, "{kind:?}");
        }
    }

    #[test]
    fn a_mapping_lives_by_what_goes_out() {
        let (phone, switch) = (address("198.18.0.1:40000"), address("192.0.2.1:5060"));
        let mut nat = NatBox::new(NatKind::PortRestricted, phone, 60);
        nat.out(switch, 0);
        // What comes in does not keep it.
        assert_eq!(nat.come_in(phone, switch, 59), In::Passed);
        assert_eq!(nat.come_in(phone, switch, 60), In::Closed);
        let next = address("198.18.0.1:40001");
        assert_eq!(nat.out(switch, 60), (next, Out::New { ran_out: true }));
        assert_eq!((nat.come_in(phone, switch, 61), nat.come_in(next, switch, 61)), (In::Closed, In::Passed));
        // What goes out does, for ever.
        for now in [119, 178, 200, 259] {
            assert_eq!(nat.out(switch, now), (next, Out::Kept { outlived: now == 200 }), "at {now}");
        }
        assert_eq!(nat.come_in(next, switch, 300), In::Passed);
    }

    #[test]
    fn a_box_that_restarts_has_forgotten_everything() {
        let (phone, switch) = (address("198.18.0.1:65535"), address("192.0.2.1:5060"));
        let mut nat = NatBox::new(NatKind::FullCone, phone, 60);
        assert!(!nat.reset());
        nat.out(switch, 0);
        assert!(nat.reset());
        assert_eq!(nat.come_in(phone, switch, 1), In::Closed);
        assert_eq!(nat.out(switch, 1), (address("198.18.0.1:1024"), Out::New { ran_out: false }));
    }
}
