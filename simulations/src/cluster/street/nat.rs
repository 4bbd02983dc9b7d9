//! Phones behind NAT boxes: where their datagrams come from, and what gets in to them.

use std::net::SocketAddr;

use crate::cluster::lab::ClusterLab;
use crate::cluster::nat::{In, Out};
use crate::cluster::scene::site_address;
use crate::phone::Stage;
use crate::plan::Side;

use super::Street;

impl Street {
    /// What the phones of an attempt wait for, besides the call itself.
    pub fn pending(&self, attempt: usize) -> Vec<&'static str> {
        let mut names = Vec::new();
        for line in self.phones.iter().flat_map(|phone| &phone.lines).filter(|line| line.attempt == Some(attempt)) {
            if line.theirs.as_ref().is_some_and(|theirs| theirs.provisional.is_some()) && line.stage == Stage::Early {
                names.push("take-over with a PRACK pending");
            }
            if line.ours.is_some() && line.stage == Stage::Up {
                names.push(match line.side {
                    Side::Caller => "take-over with a re-INVITE of the caller pending",
                    Side::Callee => "take-over with a re-INVITE of the callee pending",
                });
            }
        }
        names
    }

    /// Whether a phone is in a call.
    pub fn talks(&self, device: usize) -> bool {
        self.phones[device].lines.iter().any(|line| line.stage == Stage::Up)
    }
}

impl ClusterLab {
    /// A datagram leaves a phone: its box gives it an address.
    pub(super) fn nat_out(&mut self, device: usize) {
        let street = &mut self.street;
        let Some(nat) = &mut street.nats[device] else { return };
        let (address, out) = nat.out(site_address(street.script.devices[device].site), self.now);
        match out {
            Out::Kept { outlived: true } => self.watch.sometimes.hit("NAT mapping held open"),
            Out::Kept { .. } => return,
            Out::New { ran_out } => {
                if ran_out {
                    self.watch.sometimes.hit("NAT mapping ran out");
                }
                street.public[device] = address;
                street.places.insert(address, device);
            }
        }
    }

    /// A datagram from `from` arrives at `at`: whether the phone gets it.
    pub(super) fn nat_in(&mut self, device: usize, at: SocketAddr, from: SocketAddr) -> bool {
        let Some(nat) = &self.street.nats[device] else { return true };
        let passes = nat.come_in(at, from, self.now) == In::Passed;
        if !passes {
            self.watch.sometimes.hit("NAT box kept a message out");
        }
        passes
    }

    /// The box of a phone restarts. Who calls it before it says something does not reach it, and calls may break.
    pub(in crate::cluster) fn reset_nat(&mut self, device: usize) -> bool {
        let some = self.street.nats[device].as_mut().is_some_and(|nat| nat.reset());
        if some {
            let now_ms = self.now_ms();
            self.street.book.box_forgot(now_ms, device);
            self.watch.sometimes.hit("NAT box forgot a phone");
        }
        some
    }
}
