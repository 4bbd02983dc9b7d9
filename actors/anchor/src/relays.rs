//! The rtpengines: which are alive, which have room, and which one gets a new session.

use std::collections::BTreeMap;
use std::time::Duration;

use fabric::hash::hash64;
use fabric::{Instant, Now};

use crate::settings::{RelaySettings, Settings};

/// All rtpengines of an anchor, and which of them has which session.
pub struct Relays {
    all: Vec<Relay>,
    /// Keyed hash of the call-id, and where the session is.
    sessions: BTreeMap<u64, Session>,
    misses_max: u32,
    full_pause: Duration,
    sessions_max: usize,
    session_age_max: Duration,
}

/// One rtpengine as its anchor sees it.
pub struct Relay {
    pub settings: RelaySettings,
    /// Pings and commands in a row without an answer.
    misses: u32,
    pub alive: bool,
    /// Said it had no room; passed over until then.
    full_until: Instant,
    pub sessions: u32,
    /// Counters since the start.
    pub commands: u64,
    pub timeouts: u64,
    pub refusals: u64,
    pub deaths: u64,
}

#[derive(Clone, Copy)]
struct Session {
    relay: u16,
    since: Instant,
}

/// Why no rtpengine can be had for a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRelay {
    /// None is alive and takes new sessions.
    Dead,
    /// Some are alive, and full.
    Full,
}

impl Relays {
    pub fn new(settings: &Settings) -> Relays {
        let all = settings.relays.iter().map(|one| Relay {
            settings: one.clone(),
            misses: 0,
            // Until a ping says otherwise: the first call after a start is not to be refused.
            alive: true,
            full_until: Instant::default(),
            sessions: 0,
            commands: 0,
            timeouts: 0,
            refusals: 0,
            deaths: 0,
        });
        Relays {
            all: all.take(usize::from(u16::MAX)).collect(),
            sessions: BTreeMap::new(),
            misses_max: settings.misses_max.max(1),
            full_pause: settings.full_pause(),
            sessions_max: settings.sessions_max,
            session_age_max: Duration::from_secs(u64::from(settings.session_age_max_s)),
        }
    }

    pub fn len(&self) -> u16 {
        self.all.len() as u16
    }

    pub fn get(&self, relay: u16) -> Option<&Relay> {
        self.all.get(usize::from(relay))
    }

    pub fn get_mut(&mut self, relay: u16) -> Option<&mut Relay> {
        self.all.get_mut(usize::from(relay))
    }

    pub fn is_alive(&self, relay: u16) -> bool {
        self.get(relay).is_some_and(|relay| relay.alive)
    }

    /// The rtpengine that gets a new session, `tried` ones left out: by weight, the same for the same call-id as long as
    /// the same ones are eligible.
    pub fn choose(&self, call_id: &str, tried: &[u16], now: Instant) -> Result<u16, NoRelay> {
        let willing = |(place, relay): &(u16, &Relay)| {
            relay.alive && !relay.settings.drain && relay.settings.weight > 0 && !tried.contains(place)
        };
        let numbered = || (0u16..).zip(&self.all);
        let total: u64 = numbered()
            .filter(willing)
            .filter(|(_, relay)| relay.has_room(now))
            .map(|(_, relay)| u64::from(relay.settings.weight))
            .sum();
        if total == 0 {
            return Err(if numbered().any(|one| willing(&one)) { NoRelay::Full } else { NoRelay::Dead });
        }
        let mut point = hash64(&CHOICE, &[call_id.as_bytes()]) % total;
        for (place, relay) in numbered().filter(willing).filter(|(_, relay)| relay.has_room(now)) {
            let weight = u64::from(relay.settings.weight);
            if point < weight {
                return Ok(place);
            }
            point -= weight;
        }
        Err(NoRelay::Dead)
    }

    /// An answer came: the rtpengine lives. Says whether it was dead.
    pub fn heard(&mut self, relay: u16) -> bool {
        let Some(relay) = self.get_mut(relay) else { return false };
        relay.misses = 0;
        !std::mem::replace(&mut relay.alive, true)
    }

    /// No answer came in time. Says whether it has died by this.
    pub fn missed(&mut self, relay: u16) -> bool {
        let misses_max = self.misses_max;
        let Some(relay) = self.get_mut(relay) else { return false };
        relay.misses = relay.misses.saturating_add(1);
        if relay.alive && relay.misses >= misses_max {
            relay.alive = false;
            relay.deaths += 1;
            return true;
        }
        false
    }

    /// It said it has no room.
    pub fn full(&mut self, relay: u16, now: Instant) {
        let until = now + self.full_pause;
        if let Some(relay) = self.get_mut(relay) {
            relay.full_until = until;
        }
    }

    /// Where the session of this call-id is, as far as it is known.
    pub fn of_session(&self, call_id: &str) -> Option<u16> {
        self.sessions.get(&key(call_id)).map(|session| session.relay)
    }

    /// Whether one more session can be remembered.
    pub fn has_room(&self) -> bool {
        self.sessions.len() < self.sessions_max
    }

    pub fn session_opened(&mut self, call_id: &str, relay: u16, now: Instant) {
        self.session_closed(call_id);
        if let Some(relay) = self.get_mut(relay) {
            relay.sessions += 1;
        }
        self.sessions.insert(key(call_id), Session { relay, since: now });
    }

    pub fn session_closed(&mut self, call_id: &str) {
        if let Some(session) = self.sessions.remove(&key(call_id))
            && let Some(relay) = self.get_mut(session.relay)
            && !fabric::mutant!(CounterLeaked)
        {
            relay.sessions = relay.sessions.saturating_sub(1);
        }
    }

    /// Forgets sessions that nobody ever deleted (their media session was lost).
    pub fn sweep(&mut self, now: Now) {
        let (all, age_max) = (&mut self.all, self.session_age_max);
        self.sessions.retain(|_, session| {
            let keep = now.instant.since(session.since) < age_max;
            if !keep && let Some(relay) = all.get_mut(usize::from(session.relay)) {
                relay.sessions = relay.sessions.saturating_sub(1);
            }
            keep
        });
    }
}

impl Relay {
    fn has_room(&self, now: Instant) -> bool {
        now >= self.full_until && (self.settings.sessions_max == 0 || self.sessions < self.settings.sessions_max)
    }
}

fn key(call_id: &str) -> u64 {
    hash64(&CHOICE, &[b"session", call_id.as_bytes()])
}

/// Call-ids are keyed hashes already: this only spreads them.
const CHOICE: [u8; 16] = *b"tandem ng choice";

#[cfg(test)]
mod tests;
