//! What is heard (I22): every phone that is in a call says something once a second, through the relay that its session
//! description names; nobody hears another call, and both hear each other once the call is settled. A call and what a
//! transfer makes of it are one.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::cluster::event::Event;
use crate::cluster::lab::ClusterLab;
use crate::phone::{Phone, Stage};
use crate::relay::RELAY_ADDRESS;

/// Who waits to be heard: seconds in vain, by call and speaker.
#[derive(Default)]
pub struct Voices {
    /// Who speaks in a call, and for how many seconds just these.
    settled: BTreeMap<usize, (Vec<usize>, u64)>,
    in_vain: BTreeMap<(usize, usize), u64>,
    /// When a link of each node broke last, milliseconds.
    broken_ms: BTreeMap<usize, u64>,
    pub heard: u64,
}

/// A packet that carries the mark of its call.
struct Word {
    attempt: usize,
    speaker: usize,
    from: SocketAddr,
    to: SocketAddr,
}

impl ClusterLab {
    /// Everybody says a word.
    pub(super) fn speak(&mut self) {
        self.heap.push(self.now + PERIOD_US, Event::Speak);
        let words = self.words();
        let mut speakers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        words.iter().for_each(|word| speakers.entry(word.attempt).or_default().push(word.speaker));
        speakers.retain(|_, speakers| speakers.len() == 2);
        let before = std::mem::take(&mut self.voices.settled);
        let same = |attempt: usize| before.get(&attempt).filter(|(who, _)| speakers.get(&attempt) == Some(who));
        self.voices.in_vain.retain(|(attempt, _), _| same(*attempt).is_some());
        let settled = speakers.iter().map(|(attempt, who)| {
            let seconds = same(*attempt).map_or(0, |(_, seconds)| *seconds);
            (*attempt, (who.clone(), seconds + 1))
        });
        self.voices.settled = settled.collect();
        for word in words {
            let heard = self.carry(&word);
            self.judge(&word, heard);
        }
    }

    fn words(&self) -> Vec<Word> {
        let now_ms = self.now_ms();
        let mut words = Vec::new();
        for phone in self.street.phones().iter().filter(|phone| !phone.is_silent(now_ms)) {
            for line in phone.lines.iter().filter(|line| line.stage == Stage::Up && !line.bye_sent) {
                let (Some(attempt), Some(media)) = (line.attempt, line.media) else { continue };
                if media.wanted {
                    let from = SocketAddr::new(phone.device.private.ip(), line.port());
                    let attempt = self.street.script().joined(attempt);
                    words.push(Word { attempt, speaker: phone.index, from, to: media.to });
                }
            }
        }
        words
    }

    /// Where a word arrives.
    fn carry(&self, word: &Word) -> Option<SocketAddr> {
        match self.relay_at(word.to) {
            Some(site) if self.relays[site].dead => None,
            Some(site) => self.relays[site].relay.forward(word.to.port(), word.from),
            None => Some(word.to),
        }
    }

    fn relay_at(&self, address: SocketAddr) -> Option<usize> {
        let number: usize = address.ip().to_string().strip_prefix(RELAY_ADDRESS)?.parse().ok()?;
        number.checked_sub(1).filter(|site| *site < self.relays.len())
    }

    fn judge(&mut self, word: &Word, at: Option<SocketAddr>) {
        let Word { attempt, speaker, .. } = *word;
        let listener = at.and_then(|at| listener(self.street.phones(), at));
        match listener {
            Some((device, other)) if self.street.script().joined(other) != attempt => {
                let text = format!("device {device} hears call {attempt} in its call {other}");
                self.watch.fail_call(22, self.now, Some(attempt), text);
            }
            Some(_) => {
                self.voices.heard += 1;
                self.voices.in_vain.remove(&(attempt, speaker));
            }
            None => self.unheard(word),
        }
    }

    fn unheard(&mut self, word: &Word) {
        let Word { attempt, speaker, to, .. } = *word;
        if self.voices.settled.get(&attempt).is_none_or(|(_, seconds)| *seconds < SETTLED_S) || self.is_disturbed(word)
        {
            return;
        }
        let in_vain = self.voices.in_vain.entry((attempt, speaker)).or_default();
        *in_vain += 1;
        if *in_vain == GAP_MAX_S {
            let text = format!("device {speaker} is not heard for {GAP_MAX_S} s, speaking to {to}");
            self.watch.fail_call(22, self.now, Some(attempt), text);
        }
    }

    /// Whether the call may have lost a relay, or the way to it: it is without voice on one side until its next offer, and
    /// that is said elsewhere (P7). Who has no relay may stand behind a NAT that lets nobody in.
    fn is_disturbed(&self, word: &Word) -> bool {
        let Some(site) = self.relay_at(word.to) else { return true };
        let country = |site: usize| self.scene.nodes[self.scene.sites[site]].country;
        let dialled = self.street.book.facts[word.attempt].dialled_ms.unwrap_or(0);
        let recent = |at_ms: u64| at_ms > 0 && at_ms + SHAKEN_MS > dialled;
        let shaken = |site: usize| {
            let (relay, node) = (&self.relays[site], &self.nodes[self.scene.sites[site]]);
            relay.dead
                || relay.hangs
                || recent(relay.whole_since_ms)
                || node.host.is_none()
                || node.paused
                || recent(self.voices.broken_ms.get(&self.scene.sites[site]).copied().unwrap_or(0))
        };
        (0..self.relays.len()).any(|other| country(other) == country(site) && shaken(other))
    }

    /// A session between two nodes has ended: what is asked of an anchor there may have been in vain.
    pub(super) fn link_broke(&mut self, one: usize, other: usize) {
        let now_ms = self.now_ms();
        self.voices.broken_ms.insert(one, now_ms);
        self.voices.broken_ms.insert(other, now_ms);
    }
}

/// The phone that listens at an address, and the call it is in.
fn listener(phones: &[Phone], at: SocketAddr) -> Option<(usize, usize)> {
    let phone = phones.iter().find(|phone| phone.device.private.ip() == at.ip())?;
    let line = phone.lines.iter().find(|line| line.port() == at.port() && line.stage != Stage::Over)?;
    Some((phone.index, line.attempt?))
}

/// Pause between two words.
const PERIOD_US: u64 = 1_000_000;

/// A call is settled when both sides have been up for so long: ACKs have got through.
const SETTLED_S: u64 = 3;

/// Longest silence of a call whose relay lives.
const GAP_MAX_S: u64 = 5;

/// What an rtpengine has lost is found out so much later.
const SHAKEN_MS: u64 = 5_000;
