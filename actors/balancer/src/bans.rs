//! Banned addresses: bounded, each with its end. All balancers of a cluster hold the same ones: every decision about an
//! address carries a stamp, and the highest counts everywhere.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use fabric::hash::{FixedMap, hash64};
use fabric::letters::control::{BanEntry, SharedBan, Verdict};
use fabric::{Instant, NodeId, Now};

/// The bans of a balancer.
#[derive(Debug)]
pub struct Bans {
    me: NodeId,
    bans: FixedMap<IpAddr, Ban>,
    ends: BinaryHeap<Reverse<(Instant, IpAddr)>>,
    max: usize,
    /// Over each part of the table.
    sums: [u64; PARTS],
}

#[derive(Debug)]
struct Ban {
    until: Instant,
    since_ms: u64,
    until_ms: u64,
    reason: Cow<'static, str>,
    dropped: u64,
    verdict: Verdict,
    origin: NodeId,
    stamp: u64,
    by_hand: bool,
}

impl Bans {
    pub fn new(me: NodeId, max: u32) -> Bans {
        Bans { me, bans: FixedMap::default(), ends: BinaryHeap::new(), max: max as usize, sums: [0; PARTS] }
    }

    /// Bans an address for `seconds` from now, longer or shorter than it was; zero seconds ban nobody. What others are to
    /// be told.
    pub fn ban(
        &mut self,
        address: IpAddr,
        seconds: u32,
        reason: Cow<'static, str>,
        by_hand: bool,
        now: Now,
    ) -> Option<SharedBan> {
        if seconds == 0 || self.max == 0 {
            return None;
        }
        self.decide(address, Verdict::Banned, u64::from(seconds) * 1_000, reason, by_hand, now)
    }

    /// Lifts a ban, if there is one.
    pub fn unban(&mut self, address: IpAddr, now: Now) -> Option<SharedBan> {
        let left_ms = self.banned(address, now.instant)?;
        self.decide(address, Verdict::Lifted, left_ms, Cow::Borrowed("lifted"), true, now)
    }

    /// Says for an address that a flood of datagrams has banned that it has proven itself here.
    pub fn vouch(&mut self, address: IpAddr, now: Now) -> Option<SharedBan> {
        let left_ms = self.banned(address, now.instant)?;
        self.decide(address, Verdict::Vouched, left_ms, Cow::Borrowed("vouched for"), false, now)
    }

    /// Whether some balancer vouches for an address.
    pub fn is_vouched(&self, address: IpAddr, now: Instant) -> bool {
        let known = self.bans.get(&party(address));
        known.is_some_and(|ban| ban.verdict == Verdict::Vouched && ban.until > now)
    }

    /// What a ban has left, milliseconds.
    fn banned(&self, address: IpAddr, now: Instant) -> Option<u64> {
        let ban = self.bans.get(&party(address))?;
        (ban.verdict == Verdict::Banned && ban.until > now).then(|| left_ms(ban.until, now))
    }

    fn decide(
        &mut self,
        address: IpAddr,
        verdict: Verdict,
        left_ms: u64,
        reason: Cow<'static, str>,
        by_hand: bool,
        now: Now,
    ) -> Option<SharedBan> {
        let address = party(address);
        let stamp = self.bans.get(&address).map_or(now.unix_ms, |known| now.unix_ms.max(known.stamp.saturating_add(1)));
        let reason_told = reason.to_string();
        let told = SharedBan { address, verdict, origin: self.me, stamp, left_ms, by_hand, reason: reason_told };
        self.put(&told, reason, now);
        Some(told)
    }

    /// Takes in what another balancer has decided; whether it was news.
    pub fn take(&mut self, news: &SharedBan, now: Now) -> bool {
        let address = party(news.address);
        let rank = |stamp, origin: NodeId, verdict| (stamp, origin, verdict);
        let newer = self.bans.get(&address).is_none_or(|known| {
            rank(news.stamp, news.origin, news.verdict) > rank(known.stamp, known.origin, known.verdict)
        });
        let sane = news.stamp <= now.unix_ms.saturating_add(LEFT_MS_MAX);
        if !newer || !sane || news.left_ms == 0 || self.max == 0 {
            return false;
        }
        // Every full table keeps those that end last.
        let end = now.after(Duration::from_millis(news.left_ms.min(LEFT_MS_MAX))).instant;
        let full = self.bans.len() >= self.max && !self.bans.contains_key(&address);
        if full && self.earliest().is_some_and(|first| end <= first) {
            return false;
        }
        let news = SharedBan { address, left_ms: news.left_ms.min(LEFT_MS_MAX), ..news.clone() };
        let reason: String = news.reason.chars().take(REASON_MAX).collect();
        self.put(&news, reason.into(), now);
        true
    }

    fn put(&mut self, news: &SharedBan, reason: Cow<'static, str>, now: Now) {
        let end = now.after(Duration::from_millis(news.left_ms));
        let SharedBan { address, verdict, origin, stamp, by_hand, .. } = *news;
        let dropped = self.remove(address).map_or(0, |ban| ban.dropped);
        while self.bans.len() >= self.max {
            let Some(Reverse((until, first))) = self.ends.pop() else { break };
            self.end(first, until);
        }
        let (until, since_ms, until_ms) = (end.instant, now.unix_ms, end.unix_ms);
        let ban = Ban { until, since_ms, until_ms, reason, dropped, verdict, origin, stamp, by_hand };
        let sum = &mut self.sums[part_of(address)];
        *sum = sum.wrapping_add(ban.weight(address));
        self.bans.insert(address, ban);
        self.ends.push(Reverse((until, address)));
        // Ends of bans that were renewed or lifted stay in the heap until they are due; operators must not pile them up.
        if self.ends.len() > 2 * self.bans.len() + ENDS_SPARE {
            self.ends = self.bans.iter().map(|(address, ban)| Reverse((ban.until, *address))).collect();
        }
    }

    /// A sum over what each part of the table says; the same on all balancers when nothing is under way.
    pub fn sums(&self) -> Vec<u64> {
        self.sums.to_vec()
    }

    /// Takes an entry out, and its share of the sums.
    fn remove(&mut self, address: IpAddr) -> Option<Ban> {
        let ban = self.bans.remove(&address)?;
        let sum = &mut self.sums[part_of(address)];
        *sum = sum.wrapping_sub(ban.weight(address));
        Some(ban)
    }

    /// What is held in those parts of the table for which `wanted` holds, in the order of the addresses.
    pub fn told(&self, wanted: impl Fn(usize) -> bool, now: Instant) -> Vec<SharedBan> {
        let inside = self.bans.iter().filter(|(address, ban)| ban.until > now && wanted(part_of(**address)));
        let mut told: Vec<SharedBan> = inside
            .map(|(address, ban)| SharedBan {
                address: *address,
                verdict: ban.verdict,
                origin: ban.origin,
                stamp: ban.stamp,
                left_ms: left_ms(ban.until, now),
                by_hand: ban.by_hand,
                reason: ban.reason.to_string(),
            })
            .collect();
        told.sort_unstable_by_key(|ban| ban.address);
        told
    }

    /// Whether a message from this address is to be dropped; counts it if so.
    pub fn drops(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.bans.is_empty() {
            return false;
        }
        match self.bans.get_mut(&party(address)) {
            Some(ban) if ban.until > now && ban.verdict == Verdict::Banned => {
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
        let current = self.bans.iter().filter(|(_, ban)| ban.until > now && ban.verdict == Verdict::Banned);
        let mut list: Vec<BanEntry> = current
            .map(|(address, ban)| BanEntry {
                address: *address,
                since_ms: ban.since_ms,
                until_ms: ban.until_ms,
                reason: ban.reason.to_string(),
                dropped: ban.dropped,
                origin: ban.origin,
            })
            .collect();
        list.sort_unstable_by_key(|ban| ban.address);
        list
    }

    /// Addresses that are banned, count.
    pub fn len(&self) -> usize {
        self.bans.values().filter(|ban| ban.verdict == Verdict::Banned).count()
    }

    /// Whether nothing has been decided about anybody.
    pub fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    /// Removes a ban unless it was renewed beyond `until`.
    fn end(&mut self, address: IpAddr, until: Instant) {
        if self.bans.get(&address).is_some_and(|ban| ban.until <= until) {
            self.remove(address);
        }
    }
}

impl Ban {
    /// What it adds to the sum of its part.
    fn weight(&self, address: IpAddr) -> u64 {
        let (stamp, origin) = (self.stamp.to_le_bytes(), self.origin.0.to_le_bytes());
        hash64(SUMS, &[&octets(address), &stamp, &origin, &[self.verdict as u8]])
    }
}

/// Who an address stands for: an IPv6 host owns its whole /64.
pub fn party(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

/// What is left until then, milliseconds, rounded up: nothing ends early on its way.
fn left_ms(until: Instant, now: Instant) -> u64 {
    u64::try_from(until.since(now).as_micros().div_ceil(1_000)).unwrap_or(LEFT_MS_MAX)
}

/// The part of the table that an address belongs to.
fn part_of(address: IpAddr) -> usize {
    (hash64(SUMS, &[&octets(address)]) % PARTS as u64) as usize
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Parts of the table that are compared, count: of 10,000 bans a difference costs some 300.
const PARTS: usize = 32;

const SUMS: &[u8; 16] = b"sums over bans..";

/// Longest ban that another balancer is believed, and how far its clock may be ahead, milliseconds: a year.
const LEFT_MS_MAX: u64 = 366 * 86_400_000;

/// Longest reason that is kept of another balancer's, characters.
const REASON_MAX: usize = 120;

/// Ends that the heap may hold beyond two a ban, count.
const ENDS_SPARE: usize = 64;

#[cfg(test)]
mod tests;
