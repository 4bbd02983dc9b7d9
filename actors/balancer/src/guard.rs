//! How much an address may send, and who is shut out.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use fabric::hash::hash64;
use fabric::letters::control::{SharedBan, Verdict};
use fabric::letters::flow::Flow;
use fabric::{Instant, NodeId, Now};

use crate::Settings;
use crate::bans::{Bans, party};
use crate::generations::Generations;

/// Bans and rates of one balancer.
#[derive(Debug)]
pub struct Guard {
    pub bans: Bans,
    addresses: Generations<Meter>,
    verified_flows: Generations<Meter>,
    verified_parties: Generations<()>,
    rate: Option<Rate>,
    drops_to_ban: u32,
    ban_s: u32,
    secret: [u8; 16],
}

/// What a message may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Whatever it wants.
    Free,
    /// Only go on with what is under way: a request or response with a token of ours.
    Scarce,
    /// Nothing: the limit is far exceeded.
    Closed,
    /// Nothing, and nobody listens.
    Banned,
}

/// A token bucket that needs one number: the moment at which it will be full again, microseconds.
#[derive(Debug, Default)]
struct Meter {
    full_at: u64,
    /// Messages dropped since it was full, count.
    drops: u32,
}

/// The flood limit, microseconds.
#[derive(Clone, Copy, Debug)]
struct Rate {
    interval: u64,
    burst: u64,
}

/// How many bursts may pass when only what is under way counts.
const UNDER_WAY_BURSTS: u64 = 4;

/// How long the rate of a silent address is kept.
const ADDRESS_PERIOD: Duration = Duration::from_secs(60);

impl Guard {
    pub fn new(me: NodeId, settings: &Settings, secret: [u8; 16]) -> Guard {
        let verified = Duration::from_secs(settings.verified_s.into());
        let rate = (settings.flood_messages_per_s > 0).then(|| {
            let interval = (1_000_000 / u64::from(settings.flood_messages_per_s)).max(1);
            Rate { interval, burst: interval * u64::from(settings.flood_burst.max(1)) }
        });
        Guard {
            bans: Bans::new(me, settings.bans_max),
            addresses: Generations::new(settings.addresses_max, ADDRESS_PERIOD),
            verified_flows: Generations::new(settings.verified_max, verified),
            verified_parties: Generations::new(settings.verified_max, verified),
            rate,
            drops_to_ban: settings.flood_drops_to_ban,
            ban_s: settings.flood_ban_s,
            secret,
        }
    }

    /// Counts a message that has come in over `flow`.
    pub fn admit(&mut self, flow: &Flow, now: Instant) -> Entry {
        if self.bans.drops(flow.remote.ip(), now) {
            return Entry::Banned;
        }
        let Some(rate) = self.rate else { return Entry::Free };
        let flow_key = self.flow_key(flow);
        // A verified flow has a rate of its own: who forges its address alone cannot use it up.
        match self.verified_flows.get(flow_key, now) {
            Some(meter) => meter.admit(rate, now),
            None => {
                let key = self.party_key(flow.remote.ip());
                self.addresses.at(key, now).admit(rate, now)
            }
        }
    }

    /// Charges a message that was let through although the address has no more than what is under way.
    pub fn charge(&mut self, flow: &Flow, now: Instant) {
        let Some(rate) = self.rate else { return };
        let flow_key = self.flow_key(flow);
        match self.verified_flows.get(flow_key, now) {
            Some(meter) => meter.full_at += rate.interval,
            None => {
                let key = self.party_key(flow.remote.ip());
                self.addresses.at(key, now).full_at += rate.interval;
            }
        }
    }

    /// Counts a message that the limit has dropped; the ban of its address, when that is one too many.
    ///
    /// The source address of a datagram proves nothing: an address with a verified flow, here or at another balancer, is
    /// not banned.
    pub fn on_drop(&mut self, flow: &Flow, now: Now) -> Option<SharedBan> {
        let flow_key = self.flow_key(flow);
        if self.verified_flows.get(flow_key, now.instant).is_some() {
            return None;
        }
        let address = flow.remote.ip();
        let key = self.party_key(address);
        let meter = self.addresses.at(key, now.instant);
        meter.drops = meter.drops.saturating_add(1);
        let enough = self.drops_to_ban != 0 && meter.drops >= self.drops_to_ban && self.ban_s != 0;
        let vouched = || self.bans.is_vouched(address, now.instant);
        if !enough || self.verified_parties.get(key, now.instant).is_some() || vouched() {
            return None;
        }
        meter.drops = 0;
        self.bans.ban(address, self.ban_s, Cow::Borrowed("flood"), false, now)
    }

    /// Takes in what another balancer has decided; what was news, and what this one has to say against it.
    pub fn on_news(&mut self, told: Vec<SharedBan>, now: Now) -> (Vec<SharedBan>, Vec<SharedBan>) {
        let (mut news, mut objections) = (Vec::new(), Vec::new());
        for ban in told {
            if !self.bans.take(&ban, now) {
                continue;
            }
            let key = self.party_key(ban.address);
            if ban.verdict == Verdict::Banned && !ban.by_hand && self.verified_parties.get(key, now.instant).is_some() {
                objections.extend(self.bans.vouch(ban.address, now));
            } else {
                news.push(ban);
            }
        }
        (news, objections)
    }

    /// The flow has answered a challenge.
    pub fn verify(&mut self, flow: &Flow, now: Instant) {
        if self.rate.is_none() {
            return;
        }
        let (flow_key, party_key) = (self.flow_key(flow), self.party_key(flow.remote.ip()));
        self.verified_flows.at(flow_key, now);
        self.verified_parties.at(party_key, now);
    }

    /// The flow is gone.
    pub fn forget(&mut self, flow: &Flow) {
        let key = self.flow_key(flow);
        self.verified_flows.remove(key);
    }

    /// Addresses and verified flows that are known, count each.
    pub fn known(&self) -> (usize, usize) {
        (self.addresses.len(), self.verified_flows.len())
    }

    fn flow_key(&self, flow: &Flow) -> u64 {
        let port = flow.remote.port().to_be_bytes();
        let rest = [flow.transport as u8, port[0], port[1]];
        self.key(flow.remote.ip().to_canonical(), &[&rest, &flow.connection.to_be_bytes()])
    }

    fn party_key(&self, address: IpAddr) -> u64 {
        self.key(party(address), &[])
    }

    fn key(&self, address: IpAddr, rest: &[&[u8]]) -> u64 {
        let (short, long);
        let octets: &[u8] = match address {
            IpAddr::V4(address) => {
                short = address.octets();
                &short
            }
            IpAddr::V6(address) => {
                long = address.octets();
                &long
            }
        };
        match rest {
            [one, other] => hash64(&self.secret, &[octets, one, other]),
            _ => hash64(&self.secret, &[octets]),
        }
    }
}

impl Meter {
    fn admit(&mut self, rate: Rate, now: Instant) -> Entry {
        if self.full_at <= now.0 {
            self.full_at = now.0;
            self.drops = 0;
        }
        let debt = self.full_at - now.0 + rate.interval;
        if debt > rate.burst.saturating_mul(UNDER_WAY_BURSTS) {
            return Entry::Closed;
        }
        // What is dropped costs nothing, or a flood would shut the address out for as long as it lasts and longer.
        if debt > rate.burst {
            return Entry::Scarce;
        }
        self.full_at += rate.interval;
        Entry::Free
    }
}
