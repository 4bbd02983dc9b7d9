//! The tables of a plan.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use toml::Spanned;

use crate::cluster::nat::NatKind;
use crate::dice::Dice;

/// A number, or a range that each seed draws from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub from: f64,
    pub to: f64,
}

impl Range {
    pub const fn of(from: f64, to: f64) -> Range {
        Range { from, to }
    }

    /// A draw, in thousandths.
    pub fn draw_milli(&self, dice: &mut Dice) -> u64 {
        dice.between((self.from * 1_000.0).round() as u64, (self.to * 1_000.0).round() as u64)
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Range, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(f64),
            Both([f64; 2]),
        }
        let written = Written::deserialize(from).map_err(|_| D::Error::custom("a number or [from, to]"))?;
        let (from, to) = match written {
            Written::One(value) => (value, value),
            Written::Both([from, to]) => (from, to),
        };
        if from < 0.0 || to < from || !to.is_finite() {
            return Err(D::Error::custom("a range goes upwards from 0 or more"));
        }
        Ok(Range { from, to })
    }
}

/// Machines and where they stand.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topology {
    /// Countries; chassis are spread over them in turn.
    pub countries: usize,
    pub chassis: usize,
    pub balancers_per_chassis: usize,
    pub proxies_per_chassis: usize,
    /// Voters: on the first chassis of each country in turn; when they are more than the chassis, or `witness` is set, the
    /// last one stands alone on a third site.
    pub directors: usize,
    /// The last director is a witness on a site of its own.
    pub witness: bool,
    /// Groups of slots a pair, count.
    pub groups_per_pair: usize,
    /// Balancers stand in for each other within a country.
    pub stand_ins: bool,
}

impl Default for Topology {
    fn default() -> Topology {
        Topology {
            countries: 2,
            chassis: 4,
            balancers_per_chassis: 2,
            proxies_per_chassis: 2,
            directors: 3,
            witness: true,
            groups_per_pair: 2,
            stand_ins: true,
        }
    }
}

/// Phones and what they do. Shares are thousandths.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Workload {
    pub phones: usize,
    pub calls: usize,
    pub tcp_permille: u64,
    /// Behind a NAT.
    pub nat_permille: u64,
    /// Kinds of NAT boxes, each as often as the others.
    pub nat_kinds: Vec<NatKind>,
    /// A UDP mapping that nothing goes out by is forgotten after so long, seconds, drawn for each box; 0: never.
    pub nat_idle_s: Range,
    /// Users with two phones: calls to them fork.
    pub second_phone_permille: u64,
    /// TCP phones that do not send again what was under way when their connection broke.
    pub rude_permille: u64,
    /// Slow to answer anything, up to 1.5 s.
    pub slow_permille: u64,
    /// Fall silent for ever at some moment.
    pub silent_permille: u64,
    /// Restart at some moment, maybe in a call.
    pub reboot_permille: u64,
    /// Unregister at some moment.
    pub leave_permille: u64,
    pub wrong_password_permille: u64,
    /// Calls that the caller gives up while it rings.
    pub cancel_permille: u64,
    /// Calls with hold and resume; with re-INVITEs from both sides at once.
    pub hold_permille: u64,
    pub glare_permille: u64,
    /// Calls whose phone forgets them instead of hanging up.
    pub drop_permille: u64,
    /// Calls in which one side transfers the other one to a third (REFER).
    pub transfer_permille: u64,
    /// Lengths, seconds.
    pub ring_s: Range,
    pub talk_s: Range,
    /// When phones register first, seconds from the start.
    pub register_s: Range,
    /// All phones restart at this moment (within two seconds) and register anew.
    pub storm_at_s: Option<Range>,
    /// Somebody sends again what a phone has registered with, from another place (I26), count.
    pub replays: usize,
    /// Strangers that flood a balancer and must be banned by all of them (I29), count.
    pub scanners: usize,
    /// Floods that carry the address of a phone which is registered elsewhere: it must not be banned (I29), count.
    pub forgers: usize,
}

impl Default for Workload {
    fn default() -> Workload {
        Workload {
            phones: 200,
            calls: 220,
            tcp_permille: 300,
            nat_permille: 300,
            nat_kinds: NatKind::ALL.to_vec(),
            nat_idle_s: Range::of(100.0, 300.0),
            second_phone_permille: 60,
            rude_permille: 100,
            slow_permille: 100,
            silent_permille: 0,
            reboot_permille: 0,
            leave_permille: 40,
            wrong_password_permille: 10,
            cancel_permille: 120,
            hold_permille: 150,
            glare_permille: 80,
            drop_permille: 0,
            transfer_permille: 0,
            ring_s: Range::of(0.0, 8.0),
            talk_s: Range::of(0.5, 40.0),
            register_s: Range::of(1.0, 8.0),
            storm_at_s: None,
            replays: 6,
            scanners: 0,
            forgers: 0,
        }
    }
}

/// The network between phones and balancers. Shares are thousandths.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weather {
    pub loss_permille: u64,
    pub duplicate_permille: u64,
    pub reorder_permille: u64,
    /// One way, milliseconds.
    pub delay_ms: Range,
}

impl Default for Weather {
    fn default() -> Weather {
        Weather { loss_permille: 5, duplicate_permille: 5, reorder_permille: 5, delay_ms: Range::of(2.0, 30.0) }
    }
}

/// The network between nodes: one way, milliseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Links {
    pub chassis_ms: Range,
    pub country_ms: Range,
    pub abroad_ms: Range,
    /// A session without an acknowledgement for so long is given up, milliseconds.
    pub dead_ms: u64,
    /// Parcels under way on a link, count; one more ends the session.
    pub window: usize,
    /// Parcels that go through the codec, thousandths.
    pub codec_permille: u64,
}

impl Default for Links {
    fn default() -> Links {
        Links {
            chassis_ms: Range::of(0.03, 0.1),
            country_ms: Range::of(0.2, 0.6),
            abroad_ms: Range::of(8.0, 14.0),
            dead_ms: 1_500,
            window: 20_000,
            codec_permille: 100,
        }
    }
}

/// What must be true of a run beyond the invariants.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Must {
    /// Call attempts that the switch fails, count at most.
    pub failed_by_switch_max: usize,
    /// Only safety is judged: calls may fail and phones may wait, nothing may be wrong.
    pub safety_only: bool,
    /// Longest take-over, milliseconds: until the next owner obeys; 0: not judged.
    pub takeover_ms_max: u64,
    /// What must have happened at least once, over the seeds of a campaign or in every run of one plan.
    pub happen: Vec<Spanned<String>>,
    /// Faults that must have taken effect in each run, count at least.
    pub faults_min: usize,
    /// Calls that must have been offered in each run, count at least.
    pub calls_min: usize,
}

impl Default for Must {
    fn default() -> Must {
        Must {
            failed_by_switch_max: 0,
            safety_only: false,
            takeover_ms_max: 1_000,
            happen: Vec::new(),
            faults_min: 0,
            calls_min: 1,
        }
    }
}
