//! The call: its state, and which part handles which letter.

use std::sync::Arc;

use fabric::letters::control::{Control, ControlAnswer};
use fabric::letters::flow::{Flow, SipIn};
use fabric::letters::record::Record;
use fabric::{Asks, Envelope, Fault, Home, Instant, Key, Letter, Machine, Now, Outbox, Part, Thread, Timers, Trace};
use serde::{Deserialize, Serialize};
use sip::{Message, Method, Name};
use tracing::debug;

use crate::admission::Admission;
use crate::attempt::Attempt;
use crate::desk::{Desk, Identity};
use crate::ending::Answered;
use crate::pair::{Pair, Which};
use crate::relay::Relay;
use crate::settings::Settings;
use crate::transactions::{Role, Transactions, Up};
use crate::transfer::Transfer;

/// One call: the caller's leg, the callees' legs, and everything between them.
pub struct Call {
    pub(crate) identity: Identity,
    pub(crate) settings: Arc<Settings>,
    pub(crate) transactions: Transactions,
    pub(crate) attempts: Vec<Box<Attempt>>,
    pub(crate) pairs: Vec<Box<Pair>>,
    pub(crate) relays: Vec<Box<Relay>>,
    pub(crate) answered: Option<Box<Answered>>,
    pub(crate) transfer: Option<Box<Transfer>>,
    pub(crate) asks: Asks<Purpose>,
    pub(crate) timers: Timers<Timer>,
    pub(crate) admission: Box<Admission>,
    pub(crate) numbers: Numbers,
    /// A media session was asked for and has not been ended.
    pub(crate) media_open: bool,
}

/// Numbers given out so far.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Numbers {
    pub leg: u16,
    pub pair: u16,
    pub relay: u16,
    pub transfer: u16,
    /// CSeq number of the latest attempt.
    pub attempt: u32,
}

/// What an answer is for.
#[derive(Serialize, Deserialize)]
pub(crate) enum Purpose {
    /// The caller's account.
    Caller(u32),
    /// The callee's account.
    Callee(u32),
    /// The callee's bindings.
    Contacts(u32),
    /// Where a contact without Path leads.
    Names { attempt: u32, leg: u16 },
    /// Session description of the INVITE for a leg.
    Offer { attempt: u32, leg: u16 },
    /// Session description of a provisional response.
    Early { attempt: u32, pair: u16, response: Message },
    /// Session description of the 2xx that answers the call.
    Answer { attempt: u32, pair: u16, response: Message },
    /// Session description of a request under way.
    Request(u16),
    /// Session description of its response.
    Response { relay: u16, response: Message },
    /// Session description of an ACK.
    Ack { pair: u16, from: Which, ack: Message },
    /// Where a phone is whose connection has broken.
    Moved(Role),
    /// Session description of the transferred party's answer.
    Transfer(Message),
    /// Statistics of the media session.
    Stats,
    /// A record that is to be kept.
    Record { record: Box<Record>, tries: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// Longest ringing of a group, `Settings::ring_max_s`.
    Ring(u32),
    /// Longest call, `Settings::length_max_s`.
    Length,
    /// Used nonces must still be known, `Settings::nonce_life_s`.
    Linger,
}

impl Call {
    /// A call that knows nothing yet; the letter that founded it follows.
    pub fn new(home: &Home, key: Key, settings: Arc<Settings>, _now: Now) -> Call {
        Call {
            identity: Identity { home: *home, key },
            transactions: Transactions::new(settings.timings),
            settings,
            attempts: Vec::new(),
            pairs: Vec::new(),
            relays: Vec::new(),
            answered: None,
            transfer: None,
            asks: Asks::new(),
            timers: Timers::new(),
            admission: Box::default(),
            numbers: Numbers::default(),
            media_open: false,
        }
    }

    fn on_sip(&mut self, sip: SipIn, desk: &mut Desk<'_>) {
        let view = sip.message.view();
        if !view.is_request() {
            if !self.transactions.on_response(sip.message, desk) {
                debug!(call = %self.identity.key, "response without transaction");
            }
            return;
        }
        match view.method() {
            Method::Cancel => self.on_cancel(sip, desk),
            Method::Ack => {
                if let Some(ack) = self.transactions.on_request(sip.message, desk) {
                    self.on_ack(ack, desk);
                }
            }
            _ => {
                let SipIn { message, source, nat, .. } = sip;
                self.follow(&message, &source);
                let Some(request) = self.transactions.on_request(message, desk) else { return };
                let inside = request.view().to().is_ok_and(|to| to.tag().is_some());
                if inside {
                    self.on_inside(request, source, nat, desk);
                } else {
                    self.on_outside(request, source, nat, desk);
                }
            }
        }
    }

    /// A phone that has lost its stream repeats its request on the next one: ringing, answer and what we ask find it there.
    fn follow(&mut self, request: &Message, source: &Flow) {
        let Some(left) = self.transactions.follow(&request.view(), source) else { return };
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.source == left) {
            attempt.source = *source;
        }
        for end in self.pairs.iter_mut().flat_map(|pair| [&mut pair.caller, &mut pair.callee]) {
            if end.flow == left {
                end.flow = *source;
            }
        }
    }

    /// Carries out what transactions have said, until they fall silent.
    fn listen(&mut self, desk: &mut Desk<'_>) {
        while let Some(up) = self.transactions.next_up() {
            match up {
                Up::Failed { role, status } if self.search(role, status, desk) => {}
                Up::Response { tx, role: Role::Branch { attempt, leg }, message } => {
                    self.on_branch_response(attempt, leg, tx, message, desk);
                }
                Up::Failed { role: Role::Branch { attempt, leg }, status, .. } => {
                    self.on_branch_failed(attempt, leg, status, desk);
                }
                Up::Overdue { role: Role::Branch { attempt, .. } } => self.on_ring_timeout(attempt, desk),
                Up::Response { tx, role: Role::Relay(id), message } => self.on_relay_response(id, tx, message, desk),
                Up::Failed { role: Role::Relay(id), status, .. } => self.on_relay_failed(id, status, desk),
                Up::Response { tx, role: Role::Refresh { pair, end }, message } => {
                    self.on_refresh_response(pair, end, tx, &message, desk);
                }
                Up::Failed { role: Role::Refresh { pair, end }, .. } => self.on_refresh_failed(pair, end, desk),
                Up::Response { role: Role::Bye { pair, end }, message, .. } => {
                    if message.status().is_some_and(|status| status.is_final()) {
                        self.on_bye_done(pair, end);
                    }
                }
                Up::Failed { role: Role::Bye { pair, end }, .. } => self.on_bye_done(pair, end),
                Up::Response { role: Role::Farewell { pair, end }, message, .. } => {
                    if message.status().is_some_and(|status| status.is_final()) {
                        self.say_bye(pair, end, desk);
                    }
                }
                Up::Failed { role: Role::Farewell { pair, end }, .. } => self.say_bye(pair, end, desk),
                Up::Response { tx, role: Role::Transfer, message } => self.on_transfer_response(tx, message, desk),
                Up::Failed { role: Role::Transfer, status } => self.on_transfer_failed(status, desk),
                Up::Ack { message } => self.on_ack(message, desk),
                Up::Response { .. } | Up::Failed { .. } | Up::Overdue { .. } => {}
            }
        }
    }

    fn on_answer(&mut self, purpose: Purpose, answer: Result<Letter, Fault>, desk: &mut Desk<'_>) {
        match purpose {
            Purpose::Caller(attempt) => self.on_caller_account(attempt, answer, desk),
            Purpose::Callee(attempt) => self.on_callee_account(attempt, answer, desk),
            Purpose::Contacts(attempt) => self.on_contacts(attempt, answer, desk),
            Purpose::Names { attempt, leg } => self.on_names(attempt, leg, answer, desk),
            Purpose::Offer { attempt, leg } => self.on_offer_ready(attempt, leg, answer, desk),
            Purpose::Early { attempt, pair, response } => self.on_early_ready(attempt, pair, response, answer, desk),
            Purpose::Answer { attempt, pair, response } => self.on_answer_ready(attempt, pair, response, answer, desk),
            Purpose::Request(relay) => self.on_request_ready(relay, answer, desk),
            Purpose::Response { relay, response } => self.on_response_ready(relay, response, answer, desk),
            Purpose::Ack { pair, from, ack } => self.on_ack_ready(pair, from, ack, answer, desk),
            Purpose::Moved(role) => self.on_moved(role, answer, desk),
            Purpose::Transfer(response) => self.on_transfer_ready(response, answer, desk),
            Purpose::Stats => self.on_stats(answer, desk),
            Purpose::Record { record, tries } => self.on_record(record, tries, answer, desk),
        }
    }

    fn on_timer(&mut self, timer: Timer, desk: &mut Desk<'_>) {
        match timer {
            Timer::Ring(attempt) => self.on_ring_timeout(attempt, desk),
            Timer::Length => self.on_length_reached(desk),
            Timer::Linger => {}
        }
    }

    /// Gives back what is no longer needed, once the letter is dealt with.
    fn settle(&mut self, desk: &mut Desk<'_>) {
        self.listen(desk);
        self.attempts.retain(|attempt| attempt.is_open() || attempt.open_branches() > 0);
        self.pairs.retain(|pair| !pair.is_over());
        self.refuse_orphans(desk);
        if self.attempts.is_empty() && self.answered.is_none() {
            self.end_media(desk);
        }
        if self.is_quiet() {
            self.transactions.shrink();
            self.attempts.shrink_to_fit();
            self.pairs.shrink_to_fit();
            self.relays.shrink_to_fit();
            self.asks.shrink();
            self.timers.shrink();
        }
    }
}

impl Machine for Call {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        let identity = self.identity;
        out.set_trace(Trace(identity.key.0 as u64));
        let mut desk = Desk { now, out, identity: &identity };
        match mail.letter {
            Letter::SipIn(sip) => self.on_sip(*sip, &mut desk),
            Letter::Describe => {
                let description = self.describe();
                desk.out.ask(mail.from, mail.thread, Letter::Described(Box::new(description)));
            }
            Letter::Control(control) => {
                let answer = match *control {
                    Control::HangUp => self.on_operator_hang_up(&mut desk),
                    _ => ControlAnswer::Refused("not for a call".to_owned()),
                };
                desk.out.ask(mail.from, mail.thread, Letter::ControlAnswer(Box::new(answer)));
            }
            Letter::Returned(fault) => {
                if !self.transactions.on_returned(mail.thread, &mut desk) {
                    if let Some(purpose) = self.asks.close(mail.thread) {
                        self.on_answer(purpose, Err(fault), &mut desk);
                    }
                }
            }
            letter => match self.asks.close(mail.thread) {
                Some(purpose) => self.on_answer(purpose, Ok(letter), &mut desk),
                None => debug!(call = %identity.key, kind = letter.kind(), "late letter"),
            },
        }
        self.settle(&mut desk);
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        let identity = self.identity;
        out.set_trace(Trace(identity.key.0 as u64));
        let mut desk = Desk { now, out, identity: &identity };
        self.transactions.wake(&mut desk);
        self.listen(&mut desk);
        while let Some((_, purpose)) = self.asks.overdue(now.instant) {
            self.on_answer(purpose, Err(Fault::timeout("no answer")), &mut desk);
        }
        while let Some(timer) = self.timers.pop(now.instant) {
            self.on_timer(timer, &mut desk);
        }
        self.wake_dialogs(&mut desk);
        self.settle(&mut desk);
    }

    fn deadline(&self) -> Option<Instant> {
        let dialogs = self.pairs.iter().filter_map(|pair| pair.deadline());
        let others = [self.transactions.deadline(), self.asks.earliest(), self.timers.earliest()];
        others.into_iter().flatten().chain(dialogs).min()
    }

    fn is_idle(&self) -> bool {
        self.is_quiet() && self.pairs.is_empty() && self.answered.is_none() && self.timers.is_empty()
    }

    fn is_quiet(&self) -> bool {
        self.attempts.is_empty()
            && self.relays.is_empty()
            && self.transfer.is_none()
            && self.transactions.is_empty()
            && self.asks.is_empty()
            && self.pairs.iter().all(|pair| !pair.is_busy())
    }

    fn waits_for(&self, thread: Thread) -> bool {
        self.asks.is_open(thread)
    }

    fn save(&mut self, _all: bool, parts: &mut Vec<Part>) {
        parts.push(Part { name: "".into(), value: Some(self.write()) });
    }
}

/// The number of a message's CSeq; 0 when it cannot be read (the balancer has refused such ones).
pub(crate) fn cseq_of(message: &Message) -> u32 {
    message.view().cseq().map(|cseq| cseq.number).unwrap_or_default()
}

/// First value of a header as text, lossy.
pub(crate) fn text_of(message: &Message, name: Name) -> String {
    String::from_utf8_lossy(message.view().header(name).unwrap_or_default()).into_owned()
}
