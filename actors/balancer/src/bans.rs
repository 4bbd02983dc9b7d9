//! Banned addresses: bounded, each with its end.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use fabric::hash::FixedMap;
use fabric::letters::control::BanEntry;
use fabric::{Instant, Now};

/// The bans of a balancer.
#[derive(Debug)]
pub struct Bans {
    bans: FixedMap<IpAddr, Ban>,
    ends: BinaryHeap<Reverse<(Instant, IpAddr)>>,
    max: usize,
}

#[derive(Debug)]
struct Ban {
    until: Instant,
    since_ms: u64,
    until_ms: u64,
    reason: Cow<'static, str>,
    dropped: u64,
}

impl Bans {
    pub fn new(max: u32) -> Bans {
        Bans { bans: FixedMap::default(), ends: BinaryHeap::new(), max: max as usize }
    }

    /// Bans an address for `seconds` from now, longer or shorter than it was; zero seconds ban nobody.
    pub fn ban(&mut self, address: IpAddr, seconds: u32, reason: Cow<'static, str>, now: Now) {
        let address = party(address);
        if seconds == 0 || self.max == 0 {
            return;
        }
        let end = now.after(Duration::from_secs(seconds.into()));
        let dropped = self.bans.remove(&address).map_or(0, |ban| ban.dropped);
        while self.bans.len() >= self.max {
            let Some(Reverse((until, first))) = self.ends.pop() else { break };
            self.end(first, until);
        }
        let (until, since_ms, until_ms) = (end.instant, now.unix_ms, end.unix_ms);
        self.bans.insert(address, Ban { until, since_ms, until_ms, reason, dropped });
        self.ends.push(Reverse((until, address)));
        // Ends of bans that were renewed or lifted stay in the heap until they are due; operators must not pile them up.
        if self.ends.len() > 2 * self.bans.len() + ENDS_SPARE {
            self.ends = self.bans.iter().map(|(address, ban)| Reverse((ban.until, *address))).collect();
        }
    }

    /// Lifts a ban; whether there was one.
    pub fn unban(&mut self, address: IpAddr) -> bool {
        self.bans.remove(&party(address)).is_some()
    }

    /// Whether a message from this address is to be dropped; counts it if so.
    pub fn drops(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.bans.is_empty() {
            return false;
        }
        match self.bans.get_mut(&party(address)) {
            Some(ban) if ban.until > now => {
                ban.dropped += 1;
                true
            }
            _ => false,
        }
    }

    /// Ends the bans that are over.
    pub fn expire(&mut self, now: Instant) {
        while let Some(Reverse((until, address))) = self.ends.peek().copied() {
            if until > now {
                break;
            }
            self.ends.pop();
            self.end(address, until);
        }
    }

    /// When the next ban may be over.
    pub fn earliest(&self) -> Option<Instant> {
        self.ends.peek().map(|Reverse((until, _))| *until)
    }

    /// All bans in the order of their addresses.
    pub fn list(&self, now: Instant) -> Vec<BanEntry> {
        let current = self.bans.iter().filter(|(_, ban)| ban.until > now);
        let mut list: Vec<BanEntry> = current
            .map(|(address, ban)| BanEntry {
                address: *address,
                since_ms: ban.since_ms,
                until_ms: ban.until_ms,
                reason: ban.reason.to_string(),
                dropped: ban.dropped,
            })
            .collect();
        list.sort_unstable_by_key(|ban| ban.address);
        list
    }

    pub fn len(&self) -> usize {
        self.bans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    /// Removes a ban unless it was renewed beyond `until`.
    fn end(&mut self, address: IpAddr, until: Instant) {
        if self.bans.get(&address).is_some_and(|ban| ban.until <= until) {
            self.bans.remove(&address);
        }
    }
}

/// Who an address stands for: an IPv6 host owns its whole /64.
pub fn party(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

/// Ends that the heap may hold beyond two a ban, count.
const ENDS_SPARE: usize = 64;

#[cfg(test)]
mod tests;
