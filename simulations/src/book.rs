//! The book of a run: what crossed the edge of the switch and what the phones say, checked line by line. The checks that
//! need the whole run are in `judges`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fabric::hash::{FixedMap, hash64};
use fabric::letters::location::Binding;
use fabric::letters::record::{Record, RecordId};
use sip::{Limits, Method};

use crate::edge::{Asked, Dialog, Served, Transaction};
use crate::ladder::Rung;
use crate::phone::Note;
use crate::plan::{Plan, Side};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Number of the invariant in RELIABILITY.md; 0 is conservation.
    pub invariant: u8,
    pub at_ms: u64,
    pub attempt: Option<usize>,
    pub what: String,
}

/// What is known of one attempt.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub dialled_ms: Option<u64>,
    pub call_ids: Vec<String>,
    /// At the caller's phone.
    pub finals: Vec<(u64, u16)>,
    pub provisionals: Vec<u16>,
    pub gave_up_ms: Option<u64>,
    /// Devices of the callee as the model had them when the call began: bound for sure, perhaps.
    pub sure: Vec<usize>,
    pub perhaps: Vec<usize>,
    /// When each device began to ring, and when it stopped, with the status it sent.
    pub rang: BTreeMap<usize, (u64, Option<(u64, u16)>)>,
    /// When the caller's phone was in the call, and each of the callee's: from and until.
    pub caller: Option<(u64, Option<u64>)>,
    pub callees: BTreeMap<usize, (u64, Option<u64>)>,
    pub hung_up: Vec<(u64, Side)>,
    /// When a phone forgot the call instead of hanging up.
    pub dropped_ms: Option<u64>,
    /// When a phone sent a REFER, and how it was told that the transfer ended.
    pub referred_ms: Option<u64>,
    pub refer_status: Option<u16>,
    /// At the edge of the switch.
    pub ok_to_caller_ms: Option<u64>,
    pub ok_from_callee: BTreeMap<usize, u64>,
    /// The first phone whose 2xx reached the switch.
    pub winner: Option<usize>,
    /// The first BYE to or from each phone.
    pub byes: BTreeMap<usize, u64>,
    pub timed_out: Vec<String>,
    pub no_ack: bool,
    /// The machine was killed on purpose.
    pub killed: bool,
}

impl Facts {
    fn up(&mut self, device: usize, side: Side, now_ms: u64) {
        match side {
            Side::Caller => self.caller = Some((now_ms, None)),
            Side::Callee => {
                self.callees.insert(device, (now_ms, None));
            }
        }
    }

    fn down(&mut self, device: usize, side: Side, now_ms: u64) {
        let period = match side {
            Side::Caller => self.caller.as_mut(),
            Side::Callee => self.callees.get_mut(&device),
        };
        if let Some((_, until)) = period {
            *until = Some(now_ms);
        }
    }
}

/// An account of one record id.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub starts: u32,
    pub stops: u32,
    pub attempts: u32,
    pub attempt: Option<usize>,
    pub start_ms: u64,
    pub end_ms: u64,
    pub duration_ms: u64,
    pub status: u16,
    pub cause: String,
    texts: Vec<u64>,
}

/// A binding as the phone knows it.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    pub until_ms: Option<u64>,
    pub ever: bool,
    pub pending: bool,
    pub unsure: bool,
}

pub struct Book {
    pub plan: Arc<Plan>,
    pub violations: Vec<Violation>,
    pub facts: Vec<Facts>,
    pub accounts: BTreeMap<RecordId, Account>,
    pub bound: Vec<Bound>,
    pub rebooted: BTreeMap<usize, u64>,
    /// When the streams of devices broke, milliseconds.
    pub broken_streams: BTreeMap<usize, Vec<u64>>,
    /// Devices whose NAT box forgot them, from and until they registered anew, milliseconds.
    pub forgotten: BTreeMap<usize, Vec<(u64, u64)>>,
    /// When the node at the far end of a phone's stream died, which the phone learns later.
    pub orphaned_streams: BTreeMap<usize, Vec<u64>>,
    /// How long a message may be under way inside the switch, milliseconds: what crosses it there is nobody's mistake.
    pub transit_ms: u64,
    /// How wrong the clocks of nodes may run, thousandths, where that is more than a promise allows for.
    pub drift_permille: u64,
    pub(crate) calls: FixedMap<Vec<u8>, usize>,
    pub(crate) served: FixedMap<Transaction, Served>,
    pub(crate) asked: FixedMap<Transaction, Asked>,
    pub(crate) dialogs: FixedMap<(usize, Vec<u8>), Dialog>,
    pub(crate) initial: FixedMap<(usize, usize), Vec<u8>>,
    pub tally: Events,
    pub(crate) ladder: Option<Vec<Rung>>,
    pub(crate) limits: Limits,
}

/// How often the interesting things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    pub registers: u64,
    pub dialled: u64,
    pub answered: u64,
    pub cancels: u64,
    pub crossings: u64,
    pub reinvites: u64,
    pub glares: u64,
    pub pracks: u64,
    pub updates: u64,
    pub infos: u64,
    pub forks: u64,
    pub double_answers: u64,
    pub probes: u64,
    pub pages: u64,
    pub expired: u64,
    pub too_long: u64,
}

impl Events {
    /// All counts with their names.
    pub fn all(&self) -> [(&'static str, u64); 16] {
        [
            ("registers", self.registers),
            ("dialled", self.dialled),
            ("answered", self.answered),
            ("cancels", self.cancels),
            ("crossings", self.crossings),
            ("re-INVITEs", self.reinvites),
            ("glares", self.glares),
            ("PRACKs", self.pracks),
            ("UPDATEs", self.updates),
            ("INFOs", self.infos),
            ("forks", self.forks),
            ("double 2xx", self.double_answers),
            ("probes", self.probes),
            ("MESSAGEs", self.pages),
            ("expired", self.expired),
            ("ended by time", self.too_long),
        ]
    }
}

impl Book {
    pub fn new(plan: Arc<Plan>) -> Book {
        Book {
            violations: Vec::new(),
            facts: vec![Facts::default(); plan.attempts.len()],
            accounts: BTreeMap::new(),
            bound: vec![Bound::default(); plan.devices.len()],
            rebooted: BTreeMap::new(),
            broken_streams: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            orphaned_streams: BTreeMap::new(),
            transit_ms: 0,
            drift_permille: 0,
            calls: FixedMap::default(),
            served: FixedMap::default(),
            asked: FixedMap::default(),
            dialogs: FixedMap::default(),
            initial: FixedMap::default(),
            tally: Events::default(),
            ladder: None,
            limits: Limits::default(),
            plan,
        }
    }

    pub fn fail(&mut self, invariant: u8, at_ms: u64, attempt: Option<usize>, what: impl Into<String>) {
        if attempt.is_some_and(|attempt| self.facts[attempt].killed) {
            return;
        }
        self.violations.push(Violation { invariant, at_ms, attempt, what: what.into() });
    }

    /// The machine of this Call-ID was killed by the lab.
    pub fn killed(&mut self, call_id: &[u8]) {
        if let Some(attempt) = self.calls.get(call_id) {
            self.facts[*attempt].killed = true;
        }
    }

    pub fn attempt_of(&self, call_id: &[u8]) -> Option<usize> {
        self.calls.get(call_id).copied()
    }

    /// A letter for a place where no phone is.
    pub fn astray(&mut self, now_ms: u64, remote: SocketAddr) {
        self.fail(28, now_ms, None, format!("a message to {remote}, where nobody is"));
    }

    /// A phone tells something.
    pub fn note(&mut self, now_ms: u64, device: usize, note: Note) {
        match note {
            Note::Binding => self.bound[device].pending = true,
            Note::Bound { until_ms, contacts } => {
                self.bound[device] = Bound { until_ms, ever: true, pending: false, unsure: false };
                if let Some((_, until)) = self.forgotten.get_mut(&device).and_then(|all| all.last_mut()) {
                    *until = now_ms.min(*until);
                }
                if contacts > CONTACTS_MAX {
                    self.fail(18, now_ms, None, format!("{contacts} contacts in a 200"));
                }
            }
            Note::Unbound { status } => {
                self.bound[device].pending = false;
                self.bound[device].unsure |= status == 0 || status >= 500;
                self.refused_register(now_ms, device, status);
            }
            Note::Dialled { attempt, call_id } => self.dialled(now_ms, attempt, call_id),
            Note::Provisional { attempt, status } => self.facts[attempt].provisionals.push(status),
            Note::Final { attempt, status } => {
                self.facts[attempt].finals.push((now_ms, status));
            }
            Note::GaveUp { attempt } => {
                self.facts[attempt].gave_up_ms.get_or_insert(now_ms);
            }
            Note::Ringing { attempt } => {
                self.facts[attempt].rang.entry(device).or_insert((now_ms, None));
            }
            Note::Quiet { attempt, status } => {
                let rang = self.facts[attempt].rang.entry(device).or_insert((now_ms, None));
                rang.1 = Some((now_ms, status));
            }
            Note::Up { attempt, side } => self.facts[attempt].up(device, side, now_ms),
            Note::Down { attempt, side } => self.facts[attempt].down(device, side, now_ms),
            Note::HungUp { attempt, side } => self.facts[attempt].hung_up.push((now_ms, side)),
            Note::Dropped { attempt } => self.facts[attempt].dropped_ms = Some(now_ms),
            Note::Referred { attempt } => self.facts[attempt].referred_ms = Some(now_ms),
            Note::ReferDone { attempt, status } => self.facts[attempt].refer_status = Some(status),
            Note::TimedOut { method, branch, attempt } => self.timed_out(now_ms, device, method, branch, attempt),
            Note::NoAck { attempt } => {
                if let Some(attempt) = attempt {
                    self.facts[attempt].no_ack = true;
                }
            }
            Note::Rebooted => {
                self.rebooted.insert(device, now_ms);
                // What it asked for cannot be answered any more.
                let own = self.dialogs.iter_mut().filter(|((other, _), _)| *other == device);
                own.for_each(|(_, dialog)| dialog.theirs = None);
            }
            Note::Wrong { invariant, attempt, what } => {
                self.fail(invariant, now_ms, attempt, format!("device {device}: {what}"));
            }
        }
    }

    fn refused_register(&mut self, now_ms: u64, device: usize, status: u16) {
        let plan = &self.plan.devices[device];
        let crowded = self.plan.users[plan.user].devices.len() > CONTACTS_MAX;
        let expected = match status {
            0 => true,
            // A request that failed for the store has spent its nonce.
            401 => plan.wrong_password || self.plan.store_sick.is_some(),
            403 => plan.wrong_password || crowded,
            // A late copy of an older REGISTER may be under way: 500 with Retry-After.
            500 => self.plan.store_sick.is_some() || self.plan.climate.duplicate_permille > 0,
            501..=599 => self.plan.store_sick.is_some(),
            _ => false,
        };
        if !expected {
            self.fail(16, now_ms, None, format!("device {device}: {status} to REGISTER"));
        }
    }

    fn dialled(&mut self, now_ms: u64, attempt: usize, call_id: String) {
        self.calls.insert(call_id.clone().into_bytes(), attempt);
        self.tally.dialled += 1;
        let script = self.plan.attempts[attempt].clone();
        let mut facts = Facts { dialled_ms: Some(now_ms), call_ids: vec![call_id], ..Facts::default() };
        if let crate::plan::Callee::User(user) = script.callee {
            for device in self.plan.users[user].devices.clone() {
                let bound = &self.bound[device];
                let stays = bound.until_ms.is_some_and(|until| until > now_ms + 45_000);
                let leaves = self.plan.devices[device]
                    .unregister_at_ms
                    .is_some_and(|at| (now_ms..now_ms + 45_000).contains(&at));
                if stays && !bound.pending && !bound.unsure && !leaves {
                    facts.sure.push(device);
                } else if bound.pending
                    || bound.unsure
                    || bound.until_ms.is_some_and(|until| until + 3_000 > now_ms)
                    || bound.until_ms.is_some()
                {
                    facts.perhaps.push(device);
                }
            }
        }
        self.facts[attempt] = facts;
    }

    /// I14: a request that reached the switch was answered; only the weather may keep the answer away.
    fn timed_out(&mut self, now_ms: u64, device: usize, method: String, branch: String, attempt: Option<usize>) {
        if let Some(attempt) = attempt {
            self.facts[attempt].timed_out.push(method.clone());
        }
        let key = (device, branch.into_bytes(), Method::of(&method).to_owned());
        let Some(served) = self.served.get(&key) else { return };
        let (copies, came_ms) = (served.copies, served.came_ms);
        // What a balancer had in hand when it died came by a stream whose end is no more: only its phone can ask again, and
        // it may notice later than it gives up.
        let in_hand = came_ms..=came_ms + IN_HAND_MS;
        let orphaned =
            self.orphaned_streams.get(&device).is_some_and(|times| times.iter().any(|at| in_hand.contains(at)));
        if copies > 0 && served.replies == 0 && !orphaned && !self.was_away(attempt) {
            self.fail(
                14,
                now_ms,
                attempt,
                format!("device {device}: {method} reached the switch {copies} times, no answer"),
            );
        }
    }

    /// Whether somebody has hung up, or a phone of this call may not know it any more.
    pub(crate) fn is_ending(&self, attempt: Option<usize>) -> bool {
        let Some(facts) = attempt.map(|attempt| &self.facts[attempt]) else { return true };
        !facts.hung_up.is_empty()
            || !facts.byes.is_empty()
            || facts.dropped_ms.is_some()
            || facts.referred_ms.is_some()
            || self.was_away(attempt)
    }

    /// Whether a phone of this attempt was cut off, silent or restarted.
    pub fn was_away(&self, attempt: Option<usize>) -> bool {
        let Some(attempt) = attempt else { return false };
        let script = &self.plan.attempts[attempt];
        let since = self.facts[attempt].dialled_ms.unwrap_or(0);
        let mut devices = vec![script.caller];
        if let crate::plan::Callee::User(user) = script.callee {
            devices.extend(&self.plan.users[user].devices);
        }
        devices.into_iter().any(|device| {
            let plan = &self.plan.devices[device];
            plan.silent_from_ms.is_some()
                || plan.reboot_at_ms.is_some()
                || self.plan.climate.cuts.iter().any(|(cut, _, _)| *cut == plan.public)
                || self.forgotten.get(&device).is_some_and(|times| times.iter().any(|(_, until)| *until >= since))
                || self.broken_streams.get(&device).is_some_and(|times| times.iter().any(|at| *at + 2_000 >= since))
        })
    }

    /// The stream of a phone has ended: nobody can reach it until it has registered on the next one.
    pub fn stream_broke(&mut self, now_ms: u64, device: usize) {
        self.broken_streams.entry(device).or_default().push(now_ms);
        self.bound[device].unsure = true;
    }

    /// The NAT box of a phone has forgotten it: nobody can reach it until it has registered anew.
    pub fn box_forgot(&mut self, now_ms: u64, device: usize) {
        self.forgotten.entry(device).or_default().push((now_ms, u64::MAX));
        self.stream_broke(now_ms, device);
    }

    /// The node at the far end of a phone's stream has died; the phone does not know yet.
    pub fn stream_orphaned(&mut self, now_ms: u64, device: usize) {
        self.orphaned_streams.entry(device).or_default().push(now_ms);
    }

    /// A record was written.
    pub fn record(&mut self, now_ms: u64, record: &Record) {
        let (id, call_ids) = match record {
            Record::Start(parties) | Record::Attempt { parties, .. } => (parties.id, Some(parties.call_id.clone())),
            Record::Stop { id, .. } => (*id, None),
        };
        let attempt = call_ids.and_then(|call_id| self.calls.get(call_id.as_bytes()).copied());
        let text = hash64(b"the same record.", &[format!("{record:?}").as_bytes()]);
        let account = self.accounts.entry(id).or_default();
        account.attempt = account.attempt.or(attempt);
        if account.texts.contains(&text) {
            // The same record again: its acknowledgement was late.
            return;
        }
        account.texts.push(text);
        let mut wrong = None;
        match record {
            Record::Start(parties) => {
                account.starts += 1;
                account.start_ms = parties.start_ms;
            }
            Record::Stop { stop, .. } => {
                account.stops += 1;
                account.end_ms = stop.end_ms;
                account.duration_ms = stop.duration_ms;
                account.cause = format!("{:?}", stop.cause);
                if account.starts == 0 {
                    wrong = Some("a stop record without a start");
                }
            }
            Record::Attempt { stop, .. } => {
                account.attempts += 1;
                account.status = stop.status;
                account.cause = format!("{:?}", stop.cause);
            }
        }
        let attempt = account.attempt;
        if let Some(wrong) = wrong {
            self.fail(23, now_ms, attempt, wrong);
        }
    }

    /// I16, I17, I18: what the switch says about a user, against what the phones were told.
    pub fn located(&mut self, now_ms: u64, user: usize, bindings: &[Binding]) {
        self.tally.probes += 1;
        if bindings.len() > CONTACTS_MAX {
            self.fail(18, now_ms, None, format!("user {user} has {} contacts", bindings.len()));
        }
        for device in self.plan.users[user].devices.clone() {
            let bound = self.bound[device].clone();
            let address = format!("@{}", self.plan.devices[device].private);
            let found = bindings.iter().find(|binding| binding.contact.contains(&address));
            if found.is_some_and(|binding| binding.path.is_empty()) {
                self.fail(16, now_ms, None, format!("device {device} is bound without a Path"));
            }
            if bound.pending || bound.unsure {
                continue;
            }
            match bound.until_ms {
                Some(until) if now_ms + 3_000 < until && found.is_none() => {
                    self.fail(16, now_ms, None, format!("device {device} is bound until {until} ms and not found"));
                }
                Some(until) if now_ms > until + 3_000 => {
                    self.tally.expired += 1;
                    if found.is_some() {
                        self.fail(16, now_ms, None, format!("device {device} is found after its end at {until} ms"));
                    }
                }
                None if bound.ever && found.is_some() => {
                    self.fail(17, now_ms, None, format!("device {device} was removed and is back"));
                }
                None if !bound.ever && found.is_some() => {
                    self.fail(17, now_ms, None, format!("device {device} is bound and never was told so"));
                }
                _ => {}
            }
        }
    }
}

/// How long the switch may have a request in hand before it answers, milliseconds: a take-over and what follows.
const IN_HAND_MS: u64 = 1_000;

/// Contacts an address-of-record may have.
pub const CONTACTS_MAX: usize = 5;
