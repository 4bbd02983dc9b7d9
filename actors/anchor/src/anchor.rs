//! The machine: asks of media sessions in, NG datagrams out, and the other way round.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fabric::letters::control::Description;
use fabric::letters::media::{MediaStats, RelayAsk, RelayDone, RelayVerb};
use fabric::{Address, Envelope, Fault, FaultKind, Home, Instant, Key, Letter, Machine, Now, Outbox};
use tracing::{debug, info, warn};

use crate::commands::{Command, Commands, Due, Leftover, Purpose, Question};
use crate::ng::{self, Reply};
use crate::relays::{NoRelay, Relays};
use crate::settings::Settings;
use crate::stats;

/// All rtpengines of a balancer node.
pub struct Anchor {
    home: Home,
    number: u16,
    settings: Arc<Settings>,
    relays: Relays,
    commands: Commands,
    leftovers: VecDeque<Leftover>,
    /// Start of every cookie; made at the first wake-up, so that it differs after a restart.
    cookie: Option<String>,
    next_ping: Instant,
    next_sweep: Instant,
}

impl Anchor {
    pub fn new(home: &Home, n: u16, settings: Arc<Settings>) -> Anchor {
        Anchor {
            home: *home,
            number: n,
            relays: Relays::new(&settings),
            settings,
            commands: Commands::default(),
            leftovers: VecDeque::new(),
            cookie: None,
            next_ping: Instant::default(),
            next_sweep: Instant::default(),
        }
    }

    fn on_ask(&mut self, mail: &Envelope, ask: RelayAsk, now: Now, out: &mut Outbox) {
        if self.commands.is_asked(mail.from, mail.thread, &ask) {
            return;
        }
        let question = Box::new(Question::new(mail, ask, now.instant + self.settings.ask_deadline()));
        self.place(question, now, out);
    }

    /// Finds an rtpengine for a question and sends the command, or answers that there is none.
    fn place(&mut self, mut question: Box<Question>, now: Now, out: &mut Outbox) {
        let what = ng::verb(question.ask.verb);
        if self.commands.len() >= self.settings.commands_max {
            return fail(
                &question,
                Fault::new(FaultKind::Overload, format!("rtpengine {what}: too many commands")).retry(true),
                out,
            );
        }
        let relay = match self.target(&question, now) {
            Ok(relay) => relay,
            Err(fault) => return fail(&question, fault, out),
        };
        if question.ask.verb == RelayVerb::Offer {
            self.forget_leftover(relay, &question.ask.call_id);
        }
        question.tried.push(relay);
        let deadline = question.give_up.min(now.instant + self.settings.command_deadline());
        let number = self.commands.number();
        let bytes = ng::command(&self.cookie(number, now), &question.ask, self.settings.delete_delay_s);
        self.send(
            number,
            Command::new(Purpose::Ask(question), relay, bytes, self.settings.resend(), deadline),
            now,
            out,
        );
    }

    fn target(&self, question: &Question, now: Now) -> Result<u16, Fault> {
        let ask = &question.ask;
        let what = ng::verb(ask.verb);
        if let Some(relay) = ask.relay.or_else(|| self.relays.of_session(&ask.call_id)) {
            return match self.relays.is_alive(relay) {
                true => Ok(relay),
                false => Err(Fault::unavailable(format!("rtpengine {what}: {relay} is dead")).retry(true)),
            };
        }
        if ask.verb != RelayVerb::Offer {
            return Err(Fault::refused(format!("rtpengine {what}: no such session")));
        }
        if !self.relays.has_room() {
            return Err(Fault::new(FaultKind::Overload, "rtpengine offer: too many sessions").retry(true));
        }
        match self.relays.choose(&ask.call_id, &question.tried, now.instant) {
            Ok(relay) => Ok(relay),
            Err(NoRelay::Full) => Err(Fault::new(FaultKind::Overload, "rtpengine offer: all are full").retry(true)),
            Err(NoRelay::Dead) if question.full => {
                Err(Fault::new(FaultKind::Overload, "rtpengine offer: all are full").retry(true))
            }
            Err(NoRelay::Dead) => Err(Fault::unavailable("rtpengine offer: none is alive").retry(true)),
        }
    }

    fn send(&mut self, number: u64, command: Command, now: Now, out: &mut Outbox) {
        if let Some(relay) = self.relays.get_mut(command.relay) {
            relay.commands += 1;
        }
        out.post(self.home.relay(), Letter::RelaySend(command.relay, command.bytes.clone()));
        self.commands.open(number, command, now.instant);
    }

    fn on_datagram(&mut self, relay: u16, datagram: &[u8], now: Now, out: &mut Outbox) {
        let Some(number) = self.number_of(datagram) else {
            debug!(relay, "datagram without a cookie of ours");
            return;
        };
        let Some(command) = self.commands.close(number, relay) else {
            debug!(relay, number, "reply to nothing under way");
            return;
        };
        if self.relays.heard(relay) {
            info!(relay = self.name(relay), "rtpengine is back");
        }
        let document = ng::split(datagram).map(|(_, document)| document).unwrap_or_default();
        let reply = ng::reply(document).unwrap_or_else(|error| Reply::Refused(error.to_string()));
        match command.purpose {
            Purpose::Ping => self.clear_leftovers(relay, now, out),
            Purpose::Leftover(_) => {}
            Purpose::Ask(question) => self.on_reply(question, relay, reply, now, out),
        }
    }

    fn on_reply(&mut self, mut question: Box<Question>, relay: u16, reply: Reply<'_>, now: Now, out: &mut Outbox) {
        let what = ng::verb(question.ask.verb);
        let whole = question.ask.to_tag.is_none();
        match (question.ask.verb, reply) {
            (RelayVerb::Offer | RelayVerb::Answer, Reply::Done(value)) => match value.bytes("sdp") {
                Some(sdp) if !sdp.is_empty() => {
                    if question.ask.verb == RelayVerb::Offer
                        && self.relays.of_session(&question.ask.call_id) != Some(relay)
                    {
                        self.relays.session_opened(&question.ask.call_id, relay, now.instant);
                    }
                    let sdp = Bytes::copy_from_slice(sdp);
                    done(&question, RelayDone { relay, sdp, stats: None }, out);
                }
                _ => self.refuse(&question, relay, format!("rtpengine {what}: no SDP in the reply"), out),
            },
            (RelayVerb::Delete | RelayVerb::Query, Reply::Done(value)) => {
                let stats = MediaStats { relay: Some(self.name(relay).to_owned()), streams: stats::streams(&value) };
                self.close_session(&question, whole);
                done(&question, RelayDone { relay, sdp: Bytes::new(), stats: Some(stats) }, out);
            }
            (RelayVerb::Delete, Reply::Unknown(_)) => {
                self.close_session(&question, whole);
                done(&question, RelayDone { relay, sdp: Bytes::new(), stats: Some(MediaStats::default()) }, out);
            }
            (RelayVerb::Offer, Reply::Full(reason))
                if question.ask.relay.is_none() && self.relays.of_session(&question.ask.call_id).is_none() =>
            {
                info!(relay = self.name(relay), reason, "rtpengine is full");
                self.relays.full(relay, now.instant);
                question.full = true;
                self.place(question, now, out);
            }
            (_, Reply::Full(reason)) => {
                self.relays.full(relay, now.instant);
                let fault = Fault::new(FaultKind::Overload, format!("rtpengine {what}: {reason}")).retry(true);
                fail(&question, fault, out);
            }
            (_, Reply::Unknown(reason)) => {
                // It was restarted: the session is gone, not the description wrong.
                self.relays.session_closed(&question.ask.call_id);
                fail(&question, Fault::unavailable(format!("rtpengine {what}: {reason}")), out);
            }
            (_, Reply::Refused(reason)) => self.refuse(&question, relay, format!("rtpengine {what}: {reason}"), out),
            (_, Reply::Pong) => self.refuse(&question, relay, format!("rtpengine {what}: a pong for an answer"), out),
        }
    }

    fn refuse(&mut self, question: &Question, relay: u16, what: String, out: &mut Outbox) {
        if let Some(relay) = self.relays.get_mut(relay) {
            relay.refusals += 1;
        }
        fail(question, Fault::refused(what), out);
    }

    fn close_session(&mut self, question: &Question, whole: bool) {
        if question.ask.verb == RelayVerb::Delete && whole {
            self.relays.session_closed(&question.ask.call_id);
        }
    }

    /// A command got no reply in time.
    fn on_overdue(&mut self, command: Command, now: Now, out: &mut Outbox) {
        let relay = command.relay;
        if let Some(relay) = self.relays.get_mut(relay) {
            relay.timeouts += 1;
        }
        let died = self.relays.missed(relay);
        self.give_up(command, now, out);
        if died {
            warn!(relay = self.name(relay), "rtpengine is dead");
            for command in self.commands.close_all(relay) {
                self.give_up(command, now, out);
            }
        }
    }

    /// Tries the next rtpengine for a new session; anything else comes back.
    fn give_up(&mut self, command: Command, now: Now, out: &mut Outbox) {
        match command.purpose {
            Purpose::Ping => {}
            Purpose::Leftover(leftover) => self.keep_leftover(leftover, now),
            Purpose::Ask(question) => {
                let ask = &question.ask;
                let free = ask.relay.is_none() && self.relays.of_session(&ask.call_id).is_none();
                if ask.verb == RelayVerb::Offer && free {
                    self.keep_leftover(
                        Leftover {
                            relay: command.relay,
                            call_id: ask.call_id.clone(),
                            from_tag: ask.from_tag.clone(),
                            since: now.instant,
                        },
                        now,
                    );
                    if now.instant < question.give_up && (question.tried.len() as u16) < self.relays.len() {
                        return self.place(question, now, out);
                    }
                }
                let what = ng::verb(question.ask.verb);
                fail(&question, Fault::timeout(format!("rtpengine {what}")).retry(true), out);
            }
        }
    }

    fn keep_leftover(&mut self, leftover: Leftover, now: Now) {
        if now.instant.since(leftover.since) >= Duration::from_secs(u64::from(self.settings.leftover_age_max_s)) {
            debug!(relay = self.name(leftover.relay), "leftover session given up");
            return;
        }
        if self.leftovers.len() >= self.settings.leftovers_max {
            self.leftovers.pop_front();
        }
        if self.settings.leftovers_max > 0 {
            self.leftovers.push_back(leftover);
        }
    }

    /// A new offer under the same call-id takes a leftover over: it must not be deleted any more.
    fn forget_leftover(&mut self, relay: u16, call_id: &str) {
        self.leftovers.retain(|leftover| leftover.relay != relay || leftover.call_id != call_id);
        self.commands.close_where(|command| {
            command.relay == relay
                && matches!(&command.purpose, Purpose::Leftover(leftover) if leftover.call_id == call_id)
        });
    }

    /// Deletes what was left on an rtpengine that answers (again), a few at a time.
    fn clear_leftovers(&mut self, relay: u16, now: Now, out: &mut Outbox) {
        for _ in 0..LEFTOVERS_AT_ONCE {
            let Some(place) = self.leftovers.iter().position(|leftover| leftover.relay == relay) else { return };
            if self.commands.len() >= self.settings.commands_max {
                return;
            }
            let leftover = self.leftovers.remove(place).expect("the place was just found");
            let ask = delete(&leftover);
            let number = self.commands.number();
            let bytes = ng::command(&self.cookie(number, now), &ask, self.settings.delete_delay_s);
            let deadline = now.instant + self.settings.command_deadline();
            let command = Command::new(Purpose::Leftover(leftover), relay, bytes, self.settings.resend(), deadline);
            self.send(number, command, now, out);
        }
    }

    fn ping_all(&mut self, now: Now, out: &mut Outbox) {
        for relay in 0..self.relays.len() {
            let number = self.commands.number();
            let bytes = ng::ping(&self.cookie(number, now));
            let deadline = now.instant + self.settings.ping_deadline();
            self.send(number, Command::new(Purpose::Ping, relay, bytes, Duration::ZERO, deadline), now, out);
        }
    }

    /// Cookies of two runs never meet: rtpengine would repeat the reply to the older command.
    fn cookie(&mut self, number: u64, now: Now) -> String {
        let (home, anchor) = (&self.home, self.number);
        let start = self.cookie.get_or_insert_with(|| {
            let start =
                home.derive(Key(u128::from(anchor)), "ng cookie", now.unix_ms.wrapping_mul(1_000_000) ^ now.instant.0);
            format!("{:016x}", start as u64)
        });
        format!("{start}_{number}")
    }

    fn number_of(&self, datagram: &[u8]) -> Option<u64> {
        let (cookie, _) = ng::split(datagram)?;
        cookie.strip_prefix(self.cookie.as_deref()?)?.strip_prefix('_')?.parse().ok()
    }

    fn name(&self, relay: u16) -> &str {
        self.relays.get(relay).map_or("?", |relay| &relay.settings.name)
    }

    fn describe(&self) -> Description {
        let mut facts = vec![
            ("commands".to_owned(), self.commands.len().to_string()),
            ("leftovers".to_owned(), self.leftovers.len().to_string()),
        ];
        for place in 0..self.relays.len() {
            let Some(relay) = self.relays.get(place) else { continue };
            let mut fact = |name: &str, value: String| facts.push((format!("relay.{place}.{name}"), value));
            fact("name", relay.settings.name.clone());
            fact("address", relay.settings.address.clone());
            fact("healthy", relay.alive.to_string());
            fact("draining", relay.settings.drain.to_string());
            fact("sessions", relay.sessions.to_string());
            fact("commands", relay.commands.to_string());
            fact("timeouts", relay.timeouts.to_string());
            fact("refusals", relay.refusals.to_string());
            fact("deaths", relay.deaths.to_string());
        }
        Description::Machine { name: "anchor".to_owned(), facts }
    }
}

impl Machine for Anchor {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        match &mail.letter {
            Letter::RelayReceived(relay, bytes) => self.on_datagram(*relay, bytes, now, out),
            Letter::RelayAsk(ask) => self.on_ask(&mail, (**ask).clone(), now, out),
            Letter::Describe => out.answer(&mail, Letter::Described(Box::new(self.describe()))),
            other => debug!(kind = other.kind(), "not for an anchor"),
        }
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        while let Some(due) = self.commands.due(now.instant) {
            match due {
                Due::Resend(relay, bytes) => out.post(self.home.relay(), Letter::RelaySend(relay, bytes)),
                Due::Overdue(command) => self.on_overdue(command, now, out),
            }
        }
        if now.instant >= self.next_ping {
            self.next_ping = now.instant + self.settings.ping_interval();
            self.ping_all(now, out);
        }
        if now.instant >= self.next_sweep {
            self.next_sweep = now.instant + SWEEP_INTERVAL;
            self.relays.sweep(now);
            let age_max = Duration::from_secs(u64::from(self.settings.leftover_age_max_s));
            self.leftovers.retain(|leftover| now.instant.since(leftover.since) < age_max);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.relays.len() == 0 {
            return None;
        }
        Some(self.commands.earliest().map_or(self.next_ping, |due| due.min(self.next_ping)))
    }

    /// A resident: it pings as long as the node lives.
    fn is_idle(&self) -> bool {
        false
    }
}

fn delete(leftover: &Leftover) -> RelayAsk {
    RelayAsk {
        verb: RelayVerb::Delete,
        relay: Some(leftover.relay),
        call_id: leftover.call_id.clone(),
        from_tag: leftover.from_tag.clone(),
        to_tag: None,
        via_branch: None,
        sdp: Bytes::new(),
        flags: Vec::new(),
        replace: Vec::new(),
        keys: Vec::new(),
    }
}

fn done(question: &Question, done: RelayDone, out: &mut Outbox) {
    answer(question, Letter::RelayDone(Box::new(done)), out);
}

fn fail(question: &Question, fault: Fault, out: &mut Outbox) {
    answer(question, Letter::Returned(fault), out);
}

fn answer(question: &Question, letter: Letter, out: &mut Outbox) {
    let (to, thread, trace) = question.sender();
    if to != Address::Nobody {
        out.set_trace(trace);
        out.ask(to, thread, letter);
    }
}

/// Leftovers deleted with each pong, count.
const LEFTOVERS_AT_ONCE: usize = 50;

/// Time between two looks for forgotten sessions.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
