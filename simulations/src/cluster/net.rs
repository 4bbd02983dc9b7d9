//! The links between nodes: parcels in order, urgent ones first; cut, stalled, given up and made again.

use std::collections::VecDeque;

use fabric::Parcel;

use crate::cluster::scene::{NodeSpec, Scene};
use crate::dice::Dice;

/// One direction of a link.
#[derive(Default)]
struct Lane {
    /// Cuts in force.
    cuts: u32,
    clogs: u32,
    /// Moment of the last delivery, plain and urgent, microseconds.
    last: [u64; 2],
    in_flight: usize,
    /// Parcels that a cut or a clog holds back.
    waiting: VecDeque<Parcel>,
    stalled_since: Option<u64>,
}

/// What is to be done with a parcel.
pub enum Sent {
    /// Arrives then.
    At(u64),
    /// Held back; look at this session again then.
    Stalled(u64),
    Waits,
    /// The window is full, or nobody is there: the session is over.
    Over,
}

pub struct Net {
    nodes: usize,
    lanes: Vec<Lane>,
    /// Number of the session of each pair; odd while there is one.
    sessions: Vec<u32>,
    /// One-way delay of each pair, microseconds: least and most.
    delays: Vec<(u64, u64)>,
    window: usize,
    dead_us: u64,
    dice: Dice,
    pub parcels: u64,
    pub broken: u64,
}

impl Net {
    pub fn new(scene: &Scene) -> Net {
        let nodes = scene.nodes.len();
        let mut delays = Vec::with_capacity(nodes * nodes);
        for one in &scene.nodes {
            for other in &scene.nodes {
                delays.push(delay(one, other, scene));
            }
        }
        Net {
            nodes,
            lanes: (0..nodes * nodes).map(|_| Lane::default()).collect(),
            sessions: vec![0; nodes * nodes],
            delays,
            window: scene.plan.links.window,
            dead_us: scene.plan.links.dead_ms * 1_000,
            dice: Dice::named(scene.seed, &[b"links"]),
            parcels: 0,
            broken: 0,
        }
    }

    fn pair(&self, one: usize, other: usize) -> usize {
        one.min(other) * self.nodes + one.max(other)
    }

    fn lane(&mut self, from: usize, to: usize) -> &mut Lane {
        &mut self.lanes[from * self.nodes + to]
    }

    pub fn session(&self, one: usize, other: usize) -> u32 {
        self.sessions[self.pair(one, other)]
    }

    pub fn is_up(&self, one: usize, other: usize) -> bool {
        self.session(one, other) % 2 == 1
    }

    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.lanes[from * self.nodes + to].cuts > 0
    }

    /// Whether what is sent arrives.
    pub fn flows(&self, from: usize, to: usize) -> bool {
        let lane = &self.lanes[from * self.nodes + to];
        self.is_up(from, to) && lane.cuts == 0 && lane.clogs == 0
    }

    /// A session begins.
    pub fn begin(&mut self, one: usize, other: usize) {
        let pair = self.pair(one, other);
        debug_assert!(self.sessions[pair] % 2 == 0, "a pair has one session");
        self.sessions[pair] += 1;
        for (from, to) in [(one, other), (other, one)] {
            let lane = self.lane(from, to);
            lane.waiting.clear();
            lane.stalled_since = None;
            lane.in_flight = 0;
        }
    }

    /// The session is over: what is held back is lost.
    pub fn end(&mut self, one: usize, other: usize) {
        let pair = self.pair(one, other);
        if self.sessions[pair] % 2 == 1 {
            self.sessions[pair] += 1;
            self.broken += 1;
        }
        for (from, to) in [(one, other), (other, one)] {
            let lane = self.lane(from, to);
            lane.waiting.clear();
            lane.stalled_since = None;
            lane.in_flight = 0;
        }
    }

    /// How long a first message takes, microseconds.
    pub fn latency(&mut self, from: usize, to: usize) -> u64 {
        let (least, most) = self.delays[from * self.nodes + to];
        self.dice.between(least, most)
    }

    pub fn send(&mut self, from: usize, to: usize, parcel: &mut Option<Parcel>, now: u64) -> Sent {
        if !self.is_up(from, to) {
            return Sent::Over;
        }
        self.parcels += 1;
        let (window, dead) = (self.window, self.dead_us);
        let latency = self.latency(from, to);
        let lane = self.lane(from, to);
        lane.in_flight += 1;
        if lane.in_flight > window {
            return Sent::Over;
        }
        let Some(own) = parcel else { return Sent::Waits };
        if lane.cuts > 0 || lane.clogs > 0 || !lane.waiting.is_empty() {
            lane.waiting.extend(parcel.take());
            if lane.cuts > 0 && lane.stalled_since.is_none() {
                lane.stalled_since = Some(now);
                return Sent::Stalled(now + dead);
            }
            return Sent::Waits;
        }
        let class = usize::from(own.is_urgent());
        // Urgent parcels overtake plain ones, never each other.
        lane.last[class] = (now + latency).max(lane.last[class] + 1);
        Sent::At(lane.last[class])
    }

    pub fn arrived(&mut self, from: usize, to: usize) {
        let lane = self.lane(from, to);
        lane.in_flight = lane.in_flight.saturating_sub(1);
    }

    /// Whether a session that stalled by `since` is to be given up now.
    pub fn is_dead(&self, from: usize, to: usize, now: u64) -> bool {
        let lane = &self.lanes[from * self.nodes + to];
        lane.cuts > 0 && lane.stalled_since.is_some_and(|since| since + self.dead_us <= now)
    }

    pub fn cut(&mut self, from: usize, to: usize) {
        self.lane(from, to).cuts += 1;
    }

    pub fn clog(&mut self, from: usize, to: usize) {
        self.lane(from, to).clogs += 1;
    }

    /// Takes a cut or clog away; what waited arrives then, in order.
    pub fn heal(&mut self, from: usize, to: usize, clog: bool, now: u64) -> Vec<(u64, Parcel)> {
        let up = self.is_up(from, to);
        let latency = self.latency(from, to);
        let lane = self.lane(from, to);
        match clog {
            true => lane.clogs = lane.clogs.saturating_sub(1),
            false => lane.cuts = lane.cuts.saturating_sub(1),
        }
        if lane.cuts > 0 || lane.clogs > 0 {
            return Vec::new();
        }
        lane.stalled_since = None;
        let waiting = std::mem::take(&mut lane.waiting);
        if !up {
            return Vec::new();
        }
        let (urgent, plain): (Vec<Parcel>, Vec<Parcel>) = waiting.into_iter().partition(Parcel::is_urgent);
        let mut due = Vec::new();
        for (class, parcels) in [(1, urgent), (0, plain)] {
            for parcel in parcels {
                lane.last[class] = (now + latency).max(lane.last[class] + 1);
                due.push((lane.last[class], parcel));
            }
        }
        due
    }
}

fn delay(one: &NodeSpec, other: &NodeSpec, scene: &Scene) -> (u64, u64) {
    let links = &scene.plan.links;
    let range = if one.chassis == other.chassis {
        links.chassis_ms
    } else if one.country == other.country {
        links.country_ms
    } else {
        links.abroad_ms
    };
    ((range.from * 1_000.0) as u64, (range.to * 1_000.0) as u64)
}
