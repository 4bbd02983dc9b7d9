//! What is still to be deleted on a relay, with growing pauses.

use std::time::Duration;

use fabric::hash::hash64;
use fabric::{Address, Instant, Key, NodeId, Thread};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// Sessions of a call that a relay may still hold.
#[derive(Default, Serialize, Deserialize)]
pub struct Chores {
    chores: Vec<Chore>,
}

/// Where the relays of a session are: an anchor of a balancer node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site(NodeId, u16);

impl Site {
    /// The site of an anchor's address.
    pub fn of(anchor: Address) -> Site {
        match anchor {
            Address::Anchor(node, number) => Site(node, number),
            other => unreachable!("{other:?} is no anchor"),
        }
    }

    /// Where the session of this generation of a call is opened: each of `anchors` has its share of the calls
    /// (rendezvous hashing), and every further generation goes to the next one. None: `own`.
    pub fn choose(own: Site, key: Key, generation: u16, anchors: &[u16]) -> Site {
        let rank = |place: &usize| hash64(b"anchor of a call", &[&key.0.to_be_bytes(), &anchors[*place].to_be_bytes()]);
        match (0..anchors.len()).min_by_key(rank) {
            // Its neighbour comes next: the list says whose chassis does not fail together.
            Some(first) => Site(NodeId(anchors[(first + usize::from(generation)) % anchors.len()]), 0),
            None => own,
        }
    }

    pub fn anchor(self) -> Address {
        Address::Anchor(self.0, self.1)
    }
}

/// A session on a relay; `relay` is `None` where the anchor is to find it by its call-id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub site: Site,
    pub relay: Option<u16>,
    pub generation: u16,
}

/// One session to delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chore {
    pub site: Site,
    /// `None`: the anchor is to find it by its call-id.
    pub relay: Option<u16>,
    /// Which of the call's sessions it is: part of the call-id.
    pub generation: u16,
    /// A tag the relay knows, for the statistics; empty: none are wanted.
    pub tag: Box<str>,
    since: Instant,
    pause: Duration,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// To be tried from then on.
    Waiting(Instant),
    /// Asked; the answer is overdue from then on.
    Asked(Thread, Instant),
}

impl Chores {
    /// Adds a session, to be deleted at once.
    pub fn add(&mut self, session: Session, tag: Box<str>, now: Instant, settings: &Settings) {
        let Session { site, relay, generation } = session;
        if self.chores.iter().any(|chore| chore.relay == relay && chore.generation == generation) {
            return;
        }
        let (pause, state) = (settings.delete_retry(), State::Waiting(now));
        self.chores.push(Chore { site, relay, generation, tag, since: now, pause, state });
    }

    pub fn is_empty(&self) -> bool {
        self.chores.is_empty()
    }

    pub fn len(&self) -> usize {
        self.chores.len()
    }

    /// Whether the statistics of a session are still to come.
    pub fn wants_statistics(&self) -> bool {
        self.chores.iter().any(|chore| !chore.tag.is_empty())
    }

    /// The next chore that is to be tried now; it counts as asked on `thread` until `overdue`.
    pub fn start(&mut self, thread: Thread, now: Instant, overdue: Instant) -> Option<Chore> {
        let chore = self.chores.iter_mut().find(|chore| matches!(chore.state, State::Waiting(at) if at <= now))?;
        chore.state = State::Asked(thread, overdue);
        Some(chore.clone())
    }

    /// Whether a deletion was asked for on this thread.
    pub fn waits_for(&self, thread: Thread) -> bool {
        self.chores.iter().any(|chore| chore.is_asked(thread))
    }

    /// The relay has deleted it, or never had it.
    pub fn done(&mut self, thread: Thread) -> Option<Chore> {
        let place = self.chores.iter().position(|chore| chore.is_asked(thread))?;
        Some(self.chores.remove(place))
    }

    /// It was not deleted: try again later, unless it is too old. Says whether it was one of ours.
    pub fn failed(&mut self, thread: Thread, now: Instant, settings: &Settings) -> bool {
        let Some(place) = self.chores.iter().position(|chore| chore.is_asked(thread)) else { return false };
        self.again(place, now, settings);
        true
    }

    /// Puts back what was asked and never answered.
    pub fn overdue(&mut self, now: Instant, settings: &Settings) {
        let late = |chore: &Chore| matches!(chore.state, State::Asked(_, at) if at <= now);
        while let Some(place) = self.chores.iter().position(late) {
            self.again(place, now, settings);
        }
    }

    pub fn earliest(&self) -> Option<Instant> {
        self.chores
            .iter()
            .map(|chore| match chore.state {
                State::Waiting(at) | State::Asked(_, at) => at,
            })
            .min()
    }

    fn again(&mut self, place: usize, now: Instant, settings: &Settings) {
        let chore = &mut self.chores[place];
        if now.since(chore.since) >= settings.delete_age_max() {
            self.chores.remove(place);
            return;
        }
        chore.state = State::Waiting(now + chore.pause);
        chore.pause = chore.pause.saturating_mul(2).min(settings.delete_retry() * PAUSE_FACTOR_MAX);
    }
}

impl Chore {
    fn is_asked(&self, thread: Thread) -> bool {
        matches!(self.state, State::Asked(own, _) if own == thread)
    }
}

/// Longest pause against the first one.
const PAUSE_FACTOR_MAX: u32 = 16;

#[cfg(test)]
mod tests;
