//! The machine: one call's media, one ask after the other.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use fabric::letters::control::Description;
use fabric::letters::media::{MediaAsk, MediaDone, MediaStats, RelayAsk, RelayDone, RelayVerb};
use fabric::{
    Address, Envelope, Fault, FaultKind, Home, Instant, Key, Letter, Machine, Now, Outbox, Part, Thread, Trace,
};
use serde::{Deserialize, Serialize};
use tracing::{debug, info};

use crate::chores::{Chores, Session, Site};
use crate::legs::{Legs, Offer};
use crate::prepare::{Prepared, prepare};
use crate::settings::Settings;

/// The media session of a call.
pub struct Media {
    key: Key,
    /// The anchor that has the session, or would get one.
    site: Site,
    /// The anchor of the node that this machine lives on now.
    home: Site,
    settings: Arc<Settings>,
    /// Where the session is; `None` before the first offer and after its relay was lost.
    relay: Option<u16>,
    /// Number of the session on a relay; a new relay gets a new one, and with it a new call-id.
    generation: u16,
    answered: bool,
    legs: Legs,
    /// Asks that wait for their turn.
    queue: VecDeque<Job>,
    /// The ask whose command is under way.
    flight: Option<Box<Flight>>,
    chores: Chores,
    ending: Option<Box<Ending>>,
    next_thread: u32,
    /// When the session is too old, answered or not.
    age_out: Instant,
    offer_age_out: Instant,
}

/// An ask of the call, and where its answer goes.
#[derive(Serialize, Deserialize)]
struct Job {
    sender: Sender,
    ask: MediaAsk,
    since: Instant,
    /// How often it has lost its relay and was tried on another.
    tries: u8,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Sender {
    address: Address,
    thread: Thread,
    trace: Trace,
}

/// A job with its command under way.
#[derive(Serialize, Deserialize)]
struct Flight {
    job: Job,
    thread: Thread,
    overdue: Instant,
    /// m-lines of the description that was sent.
    lines: u8,
}

/// The command a job needs.
struct Step {
    verb: RelayVerb,
    tags: (String, String),
    prepared: Prepared,
}

/// The call is over; the session goes as soon as the relay lets it.
#[derive(Default, Serialize, Deserialize)]
struct Ending {
    /// Those who want the statistics, until when.
    waiting: Vec<(Sender, Instant)>,
    /// The caller's tag: its streams stand first in the statistics.
    caller: Option<Box<str>>,
    stats: MediaStats,
}

impl Media {
    pub fn new(home: &Home, key: Key, settings: Arc<Settings>, now: Now) -> Media {
        Media {
            key,
            site: Site::choose(Site::of(home.anchor()), key, 0, &settings.anchors),
            home: Site::of(home.anchor()),
            relay: None,
            generation: 0,
            answered: false,
            legs: Legs::default(),
            queue: VecDeque::new(),
            flight: None,
            chores: Chores::default(),
            ending: None,
            next_thread: 1,
            age_out: now.instant + settings.session_age_max(),
            offer_age_out: now.instant + settings.offer_age_max(),
            settings,
        }
    }

    fn on_ask(&mut self, mail: &Envelope, ask: MediaAsk, now: Now, out: &mut Outbox) {
        let sender = Sender { address: mail.from, thread: mail.thread, trace: mail.trace };
        if self.is_doing(sender, &ask) {
            return;
        }
        match ask {
            MediaAsk::End => self.on_end(sender, now, out),
            // It went with everything else.
            MediaAsk::Drop { .. } if self.ending.is_some() => answer(sender, *done(MediaDone::Dropped), out),
            _ if self.ending.is_some() => {
                answer(sender, Letter::Returned(Fault::refused("media session has ended")), out);
            }
            _ if self.queue.len() >= self.settings.asks_max => {
                let fault = Fault::new(FaultKind::Overload, "media session: too many asks").retry(true);
                answer(sender, Letter::Returned(fault), out);
            }
            ask => {
                let job = Job { sender, ask, since: now.instant, tries: 0 };
                match self.flight.is_some() {
                    true => self.queue.push_back(job),
                    false => self.begin(job, now, out),
                }
                self.pump(now, out);
            }
        }
    }

    /// Whether this very ask is being worked on: the next owner of a call asks again what is open.
    fn is_doing(&self, sender: Sender, ask: &MediaAsk) -> bool {
        // A drop is answered before its command is.
        let open = |job: &&Job| !matches!(job.ask, MediaAsk::Drop { .. });
        let flight = self.flight.iter().map(|flight| &flight.job).filter(open);
        let same = |job: &Job| job.sender == sender && job.ask == *ask;
        sender.thread != Thread::NONE && self.queue.iter().chain(flight).any(same)
    }

    /// Works off the queue until something has to be waited for.
    fn pump(&mut self, now: Now, out: &mut Outbox) {
        while self.flight.is_none() && self.ending.is_none() {
            let Some(job) = self.queue.pop_front() else {
                // Most calls never wait again: the room goes back.
                self.queue.shrink_to_fit();
                return;
            };
            self.begin(job, now, out);
        }
    }

    fn begin(&mut self, job: Job, now: Now, out: &mut Outbox) {
        let sender = job.sender;
        if let Err(letter) = self.start(job, now, out) {
            answer(sender, *letter, out);
        }
    }

    /// Starts a job; an error is its answer.
    fn start(&mut self, job: Job, now: Now, out: &mut Outbox) -> Result<(), Box<Letter>> {
        if now.instant.since(job.since) >= self.settings.ask_deadline() {
            return Err(returned(Fault::timeout("media session: waited too long").retry(true)));
        }
        let step = match &job.ask {
            MediaAsk::Offer { from_leg, to_leg, sdp, from_profile, to_profile } => {
                let (from, to) = (*from_leg, *to_leg);
                let prepared = prepare(sdp, from_profile, to_profile, false, &self.settings).map_err(refused)?;
                let new = usize::from(!self.legs.knows(from)) + usize::from(!self.legs.knows(to));
                if from == to || self.legs.len() + new > self.settings.legs_max {
                    return Err(returned(Fault::new(FaultKind::Overload, "media session: too many legs")));
                }
                let tags = (self.legs.tag(from, from_profile).to_owned(), self.legs.tag(to, to_profile).to_owned());
                Step { verb: RelayVerb::Offer, tags, prepared }
            }
            MediaAsk::Answer { from_leg, to_leg, sdp, from_profile, to_profile } => {
                let (from, to) = (*from_leg, *to_leg);
                let Some(offer) = self.legs.offer(to, from) else {
                    return Err(refused("an answer without an offer".to_owned()));
                };
                let prepared = prepare(sdp, from_profile, to_profile, true, &self.settings).map_err(refused)?;
                if prepared.lines != offer.lines {
                    return Err(refused(format!("{} m-lines answer {}", prepared.lines, offer.lines)));
                }
                if !offer.anchored || self.relay.is_none() {
                    return Err(done(MediaDone::Unanchored));
                }
                let tags = (self.legs.tag(to, to_profile).to_owned(), self.legs.tag(from, from_profile).to_owned());
                Step { verb: RelayVerb::Answer, tags, prepared }
            }
            MediaAsk::Drop { leg } => {
                answer(job.sender, *done(MediaDone::Dropped), out);
                match self.drop_leg(*leg, now, out) {
                    Some(tags) => Step { verb: RelayVerb::Delete, tags, prepared: Prepared::default() },
                    None => return Ok(()),
                }
            }
            MediaAsk::End => return Ok(()),
        };
        self.launch(job, step, now, out);
        Ok(())
    }

    /// Forgets a leg; the tags to delete it by when the relay has something for it alone.
    fn drop_leg(&mut self, leg: u16, now: Now, out: &mut Outbox) -> Option<(String, String)> {
        let tag = self.legs.tag_of(leg)?.to_owned();
        self.legs.remove(leg);
        match self.legs.first_tag() {
            Some(first) => self.relay.is_some().then(|| (first.to_owned(), tag)),
            None => {
                // The last leg is gone: nobody will say `End` any more.
                self.discard(&tag, now, out);
                None
            }
        }
    }

    fn launch(&mut self, job: Job, step: Step, now: Now, out: &mut Outbox) {
        let thread = self.thread();
        let Step { verb, tags, prepared } = step;
        out.set_trace(job.sender.trace);
        let ask = RelayAsk {
            verb,
            relay: self.relay,
            call_id: self.call_id(self.generation),
            from_tag: tags.0,
            to_tag: Some(tags.1),
            // Tags are ours and known from the start, so they keep the branches of a fork apart.
            via_branch: None,
            sdp: prepared.sdp,
            flags: prepared.flags,
            replace: prepared.replace,
            keys: prepared.keys,
        };
        out.ask(self.site.anchor(), thread, Letter::RelayAsk(Box::new(ask)));
        let overdue = now.instant + self.settings.relay_deadline();
        self.flight = Some(Box::new(Flight { job, thread, overdue, lines: prepared.lines }));
    }

    fn on_done(&mut self, from: Address, thread: Thread, relayed: RelayDone, now: Now, out: &mut Outbox) {
        if let Some(chore) = self.chores.done(thread) {
            if !chore.tag.is_empty() {
                self.on_stats(relayed.stats.unwrap_or_default(), out);
            }
            return;
        }
        let Some(flight) = self.flight.take_if(|flight| flight.thread == thread) else {
            self.on_late(from, thread, &relayed, now);
            return;
        };
        let Flight { job, lines, .. } = *flight;
        match job.ask {
            MediaAsk::Offer { from_leg, to_leg, .. } => {
                self.relay = Some(relayed.relay);
                self.legs.offered(Offer { from: from_leg, to: to_leg, lines, anchored: true });
                self.legs.keep(job.ask);
                answer(job.sender, *done(MediaDone::Sdp(relayed.sdp)), out);
            }
            MediaAsk::Answer { .. } => {
                // The offer stays until the next one: an answer in a 183 comes again in the 2xx, perhaps to another relay.
                self.answered = true;
                self.legs.shrink();
                answer(job.sender, *done(MediaDone::Sdp(relayed.sdp)), out);
            }
            MediaAsk::Drop { .. } | MediaAsk::End => {}
        }
        self.settle(now, out);
    }

    /// An answer nobody waits for any more. If it opened a session that is not the present one, that one must go.
    fn on_late(&mut self, from: Address, thread: Thread, relayed: &RelayDone, now: Now) {
        let generation = (thread.0 >> 32) as u16;
        let present = generation == self.generation && self.relay == Some(relayed.relay) && self.ending.is_none();
        if !relayed.sdp.is_empty() && !present {
            debug!(call = %self.key, relay = relayed.relay, "a session opened too late");
            let site = if matches!(from, Address::Anchor(..)) { Site::of(from) } else { self.site };
            let session = Session { site, relay: Some(relayed.relay), generation };
            self.chores.add(session, Box::default(), now.instant, &self.settings);
        }
    }

    fn on_fault(&mut self, thread: Thread, fault: Fault, now: Now, out: &mut Outbox) {
        if fault.kind == FaultKind::Refused && self.chores.done(thread).is_some() {
            // "No such session": there is nothing to delete, and nothing to tell.
            self.on_stats(MediaStats::default(), out);
            return;
        }
        if self.chores.failed(thread, now.instant, &self.settings) {
            return;
        }
        if let Some(flight) = self.flight.take_if(|flight| flight.thread == thread) {
            self.fail(*flight, fault, now, out);
        }
    }

    /// The command under way has failed.
    fn fail(&mut self, flight: Flight, fault: Fault, now: Now, out: &mut Outbox) {
        let Flight { mut job, lines, .. } = flight;
        let lost = !matches!(fault.kind, FaultKind::Refused | FaultKind::Overload);
        let had_relay = self.relay.is_some();
        // After a take-over the anchor may have been lost as well; the next one is tried.
        let other = had_relay || self.site != self.first() || self.settings.anchors.len() > 1;
        match &job.ask {
            MediaAsk::Offer { .. } if lost && other && job.tries < self.tries_max() && self.ending.is_none() => {
                self.lose_relay(now);
                job.tries += 1;
                self.queue.push_front(job);
            }
            MediaAsk::Offer { from_leg, to_leg, .. } => {
                if lost || !had_relay {
                    self.lose_relay(now);
                }
                if fault.kind != FaultKind::Refused {
                    self.legs.offered(Offer { from: *from_leg, to: *to_leg, lines, anchored: false });
                }
                answer(job.sender, Letter::Returned(fault), out);
            }
            MediaAsk::Answer { from_leg, to_leg, .. } => {
                if lost {
                    self.lose_relay(now);
                }
                let offer =
                    self.legs.take(*to_leg, *from_leg).filter(|_| lost && other && job.tries < self.tries_max());
                match offer.filter(|_| self.ending.is_none()) {
                    // Another relay hears the offer once more, then its answer: the caller is heard there, the callee
                    // after its next offer.
                    Some(ask) => {
                        let sender = Sender { address: Address::Nobody, thread: Thread::NONE, ..job.sender };
                        let since = job.since;
                        job.tries += 1;
                        let tries = job.tries;
                        self.queue.push_front(job);
                        self.queue.push_front(Job { sender, ask, since, tries });
                    }
                    None => answer(job.sender, Letter::Returned(fault), out),
                }
            }
            // What a dropped leg leaves goes with the whole session.
            MediaAsk::Drop { .. } | MediaAsk::End => {}
        }
        self.settle(now, out);
    }

    /// How often an ask moves on to the next anchor: past all of them, as two of them may be lost at once.
    fn tries_max(&self) -> u8 {
        let others = self.settings.anchors.len().saturating_sub(1);
        u8::try_from(others).unwrap_or(u8::MAX).clamp(1, TRIES_MAX)
    }

    /// The anchor that a session of this generation would get.
    fn first(&self) -> Site {
        Site::choose(self.home, self.key, self.generation, &self.settings.anchors)
    }

    /// The relay does not answer (or took nothing): the next offer starts a new session, the old one is to be deleted.
    fn lose_relay(&mut self, now: Now) {
        if let Some(relay) = self.relay.take() {
            info!(call = %self.key, relay, "relay lost");
            let session = Session { site: self.site, relay: Some(relay), generation: self.generation };
            self.chores.add(session, Box::default(), now.instant, &self.settings);
        }
        self.generation = self.generation.wrapping_add(1);
        self.site = self.first();
        self.answered = false;
    }

    /// After a command: the next job, or the end that waited for it.
    fn settle(&mut self, now: Now, out: &mut Outbox) {
        if self.ending.is_some() {
            self.begin_delete(now, out);
        } else {
            self.pump(now, out);
        }
    }

    fn on_end(&mut self, sender: Sender, now: Now, out: &mut Outbox) {
        let untouched = self.next_thread == 1 && self.ending.is_none();
        let until = now.instant + self.settings.end_deadline();
        let waiting = &mut self.ending.get_or_insert_default().waiting;
        if !waiting.iter().any(|(other, _)| *other == sender) {
            waiting.push((sender, until));
        }
        if untouched {
            // Ended before anything began here: this machine may stand in for one that was lost, with its session.
            let session = Session { site: self.site, relay: None, generation: 0 };
            self.chores.add(session, Box::default(), now.instant, &self.settings);
        }
        self.begin_delete(now, out);
        self.chore(now, out);
    }

    /// Sends the queue back and hands the session over to the chores, once no command is under way.
    fn begin_delete(&mut self, now: Now, out: &mut Outbox) {
        for job in mem::take(&mut self.queue) {
            answer(job.sender, Letter::Returned(Fault::refused("media session has ended")), out);
        }
        if self.flight.is_some() {
            return;
        }
        match self.relay.take().filter(|_| !fabric::mutant!(MediaLeft)) {
            Some(relay) => {
                let tag = self.legs.first_tag().unwrap_or_default().into();
                let session = Session { site: self.site, relay: Some(relay), generation: self.generation };
                self.chores.add(session, tag, now.instant, &self.settings);
            }
            None if !self.chores.wants_statistics() => self.tell_end(out),
            None => {}
        }
        if let (Some(ending), Some(caller)) = (&mut self.ending, self.legs.tag_of(CALLER)) {
            ending.caller = Some(caller.into());
        }
        self.legs.clear();
    }

    /// The session is deleted; `stats` is what it did.
    fn on_stats(&mut self, stats: MediaStats, out: &mut Outbox) {
        let Some(ending) = &mut self.ending else { return };
        if stats != MediaStats::default() {
            ending.stats = stats;
            let caller = ending.caller.as_deref();
            ending.stats.streams.sort_by_key(|stream| Some(&*stream.tag) != caller);
        }
        self.tell_end(out);
    }

    fn tell_end(&mut self, out: &mut Outbox) {
        let Some(ending) = &mut self.ending else { return };
        for (sender, _) in mem::take(&mut ending.waiting) {
            answer(sender, *done(MediaDone::Ended(ending.stats.clone())), out);
        }
    }

    /// Ends without anybody who asked: all legs are gone, or the call has forgotten us.
    fn discard(&mut self, tag: &str, now: Now, out: &mut Outbox) {
        self.ending.get_or_insert_default();
        if self.flight.is_none()
            && let Some(relay) = self.relay.take()
        {
            let session = Session { site: self.site, relay: Some(relay), generation: self.generation };
            self.chores.add(session, tag.into(), now.instant, &self.settings);
        }
        self.begin_delete(now, out);
    }

    /// Deletes what is due.
    fn chore(&mut self, now: Now, out: &mut Outbox) {
        loop {
            let thread = self.thread();
            let overdue = now.instant + self.settings.relay_deadline();
            let Some(chore) = self.chores.start(thread, now.instant, overdue) else { return };
            let ask = RelayAsk {
                verb: RelayVerb::Delete,
                relay: chore.relay,
                call_id: self.call_id(chore.generation),
                from_tag: chore.tag.into(),
                to_tag: None,
                via_branch: None,
                sdp: Bytes::new(),
                flags: Vec::new(),
                replace: Vec::new(),
                keys: Vec::new(),
            };
            out.ask(chore.site.anchor(), thread, Letter::RelayAsk(Box::new(ask)));
        }
    }

    /// A thread that also says which session it was about.
    fn thread(&mut self) -> Thread {
        let thread = Thread(u64::from(self.generation) << 32 | u64::from(self.next_thread));
        self.next_thread = self.next_thread.checked_add(1).unwrap_or(1);
        thread
    }

    /// rtpengine's `call-id`: never the caller's own, which would tell rtpengine's log who called.
    fn call_id(&self, generation: u16) -> String {
        format!("{}-{generation}", self.key)
    }

    fn describe(&self) -> Description {
        let state = match (&self.ending, self.relay, self.answered) {
            (Some(_), ..) => "ending",
            (None, None, _) => "unanchored",
            (None, Some(_), false) => "offered",
            (None, Some(_), true) => "answered",
        };
        let facts = [
            ("state", state.to_owned()),
            ("relay", self.relay.map_or_else(String::new, |relay| relay.to_string())),
            ("generation", self.generation.to_string()),
            ("legs", self.legs.len().to_string()),
            ("waiting", self.queue.len().to_string()),
            ("deletions", self.chores.len().to_string()),
        ];
        Description::Machine {
            name: "media".to_owned(),
            facts: facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }
}

impl Machine for Media {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        match &mail.letter {
            Letter::MediaAsk(ask) => self.on_ask(&mail, (**ask).clone(), now, out),
            Letter::RelayDone(relayed) => self.on_done(mail.from, mail.thread, (**relayed).clone(), now, out),
            Letter::Returned(fault) => self.on_fault(mail.thread, fault.clone(), now, out),
            Letter::Describe => out.answer(&mail, Letter::Described(Box::new(self.describe()))),
            other => debug!(kind = other.kind(), "not for a media session"),
        }
        self.chore(now, out);
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        if let Some(flight) = self.flight.take_if(|flight| flight.overdue <= now.instant) {
            self.fail(*flight, Fault::timeout("media relay").retry(true), now, out);
        }
        self.chores.overdue(now.instant, &self.settings);
        if self.ending.is_none() && now.instant >= self.age_limit() {
            info!(call = %self.key, "media session too old");
            let tag = self.legs.first_tag().unwrap_or_default().to_owned();
            self.discard(&tag, now, out);
        }
        let late = |(_, until): &(Sender, Instant)| *until <= now.instant;
        if let Some(ending) = &mut self.ending {
            for (sender, _) in ending.waiting.extract_if(.., |waiting| late(waiting)) {
                answer(sender, *done(MediaDone::Ended(ending.stats.clone())), out);
            }
        }
        self.chore(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        let waiting = self.ending.iter().flat_map(|ending| ending.waiting.iter().map(|(_, until)| *until)).min();
        let age = self.ending.is_none().then(|| self.age_limit());
        let flight = self.flight.as_ref().map(|flight| flight.overdue);
        [waiting, age, flight, self.chores.earliest()].into_iter().flatten().min()
    }

    fn is_idle(&self) -> bool {
        let told = self.ending.as_ref().is_none_or(|ending| ending.waiting.is_empty());
        let empty = self.relay.is_none() && !self.legs.has_offers();
        told && empty && self.flight.is_none() && self.queue.is_empty() && self.chores.is_empty()
    }

    fn is_quiet(&self) -> bool {
        self.flight.is_none() && self.queue.is_empty() && self.chores.is_empty()
    }

    fn waits_for(&self, thread: Thread) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.thread == thread) || self.chores.waits_for(thread)
    }

    fn save(&mut self, _all: bool, parts: &mut Vec<Part>) {
        parts.push(Part { name: "".into(), value: Some(self.write()) });
    }
}

impl Media {
    fn age_limit(&self) -> Instant {
        if self.answered { self.age_out } else { self.age_out.min(self.offer_age_out) }
    }
}

fn answer(sender: Sender, letter: Letter, out: &mut Outbox) {
    if sender.address != Address::Nobody && sender.thread != Thread::NONE {
        out.set_trace(sender.trace);
        out.ask(sender.address, sender.thread, letter);
    }
}

fn done(done: MediaDone) -> Box<Letter> {
    Box::new(Letter::MediaDone(Box::new(done)))
}

fn refused(what: String) -> Box<Letter> {
    returned(Fault::refused(format!("media: {what}")))
}

fn returned(fault: Fault) -> Box<Letter> {
    Box::new(Letter::Returned(fault))
}

/// Most anchors that an ask moves on to, count; its deadline ends it earlier where they are silent.
const TRIES_MAX: u8 = 7;

/// The caller's leg.
const CALLER: u16 = 0;

mod save;

#[cfg(test)]
mod tests;
