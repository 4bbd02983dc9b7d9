//! The book of a run: what crossed the edge of the switch and what the phones say, checked line by line. The checks that
//! need the whole run are in `judges`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fabric::hash::{FixedMap, hash64};
use fabric::letters::location::Binding;
use fabric::letters::record::{Record, RecordId};
use sip::{Limits, Method, MethodName, Name, Status, View};

use crate::phone::Note;
use crate::plan::{Plan, Side};
use crate::relay::RELAY_ADDRESS;

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
    pub up: [Option<u64>; 2],
    pub hung_up: Vec<(u64, Side)>,
    pub down: [Option<u64>; 2],
    /// At the edge of the switch.
    pub ok_to_caller_ms: Option<u64>,
    pub ok_from_callee: BTreeMap<usize, u64>,
    pub bye_in_ms: Option<u64>,
    pub bye_out_ms: Option<u64>,
    pub timed_out: Vec<String>,
    pub no_ack: bool,
    /// The machine was killed on purpose.
    pub killed: bool,
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

/// A request of a phone as the switch saw it.
#[derive(Default)]
pub(crate) struct Served {
    pub copies: u32,
    pub replies: u32,
    /// To tags, one for each early dialog, with the last RSeq in it.
    tags: BTreeMap<Vec<u8>, u32>,
    last: Option<(u64, u16)>,
    /// It came without a To tag.
    opens: bool,
}

/// A request of the switch.
struct Asked {
    bytes: u64,
    answered: bool,
}

#[derive(Default)]
struct Dialog {
    cseq: u32,
    /// INVITEs that are not answered: the switch's and the phone's, with their times.
    ours: Option<(Vec<u8>, u64)>,
    theirs: Option<(Vec<u8>, u64)>,
    initial: bool,
}

type Transaction = (usize, Vec<u8>, MethodName);

pub struct Book {
    pub plan: Arc<Plan>,
    pub violations: Vec<Violation>,
    pub facts: Vec<Facts>,
    pub accounts: BTreeMap<RecordId, Account>,
    pub bound: Vec<Bound>,
    pub rebooted: BTreeMap<usize, u64>,
    calls: FixedMap<Vec<u8>, usize>,
    pub(crate) served: FixedMap<Transaction, Served>,
    asked: FixedMap<Transaction, Asked>,
    dialogs: FixedMap<(usize, Vec<u8>), Dialog>,
    initial: FixedMap<(usize, usize), Vec<u8>>,
    pub tally: Events,
    ladder: Option<Vec<Rung>>,
    limits: Limits,
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
    pub probes: u64,
    pub pages: u64,
    pub expired: u64,
    pub too_long: u64,
}

impl Events {
    /// All counts with their names.
    pub fn all(&self) -> [(&'static str, u64); 15] {
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
            ("probes", self.probes),
            ("MESSAGEs", self.pages),
            ("expired", self.expired),
            ("ended by time", self.too_long),
        ]
    }
}

/// A step of the ladder.
struct Rung {
    at_ms: u64,
    device: usize,
    inbound: bool,
    edge: bool,
    call_id: Vec<u8>,
    text: String,
}

const INVITE_MS: u64 = 32_500;

impl Book {
    pub fn new(plan: Arc<Plan>) -> Book {
        Book {
            violations: Vec::new(),
            facts: vec![Facts::default(); plan.attempts.len()],
            accounts: BTreeMap::new(),
            bound: vec![Bound::default(); plan.devices.len()],
            rebooted: BTreeMap::new(),
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

    /// Keeps every message from here on, for `ladder`.
    pub fn keep_ladder(&mut self) {
        self.ladder = Some(Vec::new());
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

    /// A phone sent this; the weather decides what becomes of it.
    pub fn said(&mut self, now_ms: u64, device: usize, bytes: &[u8]) {
        self.rung(now_ms, device, true, false, bytes);
    }

    /// A phone got this.
    pub fn heard(&mut self, now_ms: u64, device: usize, bytes: &[u8]) {
        self.rung(now_ms, device, false, false, bytes);
    }

    fn rung(&mut self, at_ms: u64, device: usize, inbound: bool, edge: bool, bytes: &[u8]) {
        let Some(ladder) = &mut self.ladder else { return };
        let Ok(view) = View::parse(bytes, &self.limits) else { return };
        let call_id = view.call_id().unwrap_or_default().to_vec();
        let line = String::from_utf8_lossy(view.start_line()).into_owned();
        let cseq = view.header(Name::CSeq).map(String::from_utf8_lossy).unwrap_or_default();
        let branch = view.top_via().ok().and_then(|via| via.branch()).map(String::from_utf8_lossy).unwrap_or_default();
        let tail = branch.len().saturating_sub(10);
        let branch = branch.get(tail..).unwrap_or_default();
        let text = format!("{line}  [{cseq}; ..{branch}]");
        ladder.push(Rung { at_ms, device, inbound, edge, call_id, text });
    }

    /// The ladder of an attempt.
    pub fn ladder(&self, attempt: usize) -> String {
        self.rungs(|rung| self.calls.get(&rung.call_id) == Some(&attempt))
    }

    /// What a phone said and heard outside of calls, around a moment.
    pub fn ladder_of_device(&self, device: usize, at_ms: u64) -> String {
        self.rungs(|rung| {
            rung.device == device && rung.at_ms.abs_diff(at_ms) < 40_000 && !self.calls.contains_key(&rung.call_id)
        })
    }

    fn rungs(&self, wanted: impl Fn(&Rung) -> bool) -> String {
        let mut out = String::new();
        for rung in self.ladder.iter().flatten().filter(|rung| wanted(rung)) {
            let arrow = match (rung.inbound, rung.edge) {
                (true, false) => "phone -> ",
                (true, true) => "      -> switch",
                (false, true) => "      <- switch",
                (false, false) => "phone <- ",
            };
            out.push_str(&format!(
                "{:9.3} device{:<2} {arrow:16} {}\n",
                rung.at_ms as f64 / 1e3,
                rung.device,
                rung.text
            ));
        }
        out
    }

    /// A message of a phone has reached the switch.
    pub fn inbound(&mut self, now_ms: u64, device: usize, bytes: &[u8]) {
        self.rung(now_ms, device, true, true, bytes);
        let limits = self.limits;
        let Ok(view) = View::parse(bytes, &limits) else { return };
        let (branch, method) = (branch(&view), view.method());
        let call_id = view.call_id().unwrap_or_default().to_vec();
        if view.is_request() {
            let served = self.served.entry((device, branch.clone(), method.to_owned())).or_default();
            served.copies += 1;
            let first = served.copies == 1;
            let inside = view.to().is_ok_and(|to| to.tag().is_some());
            served.opens = !inside;
            if method == Method::Invite && first && inside {
                self.dialogs.entry((device, call_id.clone())).or_default().theirs = Some((branch, now_ms));
            }
            self.count(first, method);
            if method == Method::Bye
                && let Some(attempt) = self.calls.get(&call_id).copied()
            {
                self.facts[attempt].bye_in_ms.get_or_insert(now_ms);
            }
            return;
        }
        let status = view.status().map_or(0, Status::code);
        let key = (device, branch, method.to_owned());
        if status >= 200
            && let Some(asked) = self.asked.get_mut(&key)
        {
            asked.answered = true;
            if method == Method::Invite {
                let dialog = self.dialogs.entry((device, call_id.clone())).or_default();
                if dialog.ours.as_ref().is_some_and(|(ours, _)| *ours == key.1) {
                    dialog.ours = None;
                }
                if status < 300
                    && dialog.initial
                    && let Some(attempt) = self.calls.get(&call_id).copied()
                {
                    self.facts[attempt].ok_from_callee.entry(device).or_insert(now_ms);
                }
                if status == 491 {
                    self.tally.glares += 1;
                }
            }
        }
    }

    fn count(&mut self, first: bool, method: Method<'_>) {
        if !first {
            return;
        }
        match method {
            Method::Register => self.tally.registers += 1,
            Method::Cancel => self.tally.cancels += 1,
            Method::Prack => self.tally.pracks += 1,
            Method::Update => self.tally.updates += 1,
            Method::Info => self.tally.infos += 1,
            Method::Message => self.tally.pages += 1,
            _ => {}
        }
    }

    /// The switch sends this to a phone.
    pub fn outbound(&mut self, now_ms: u64, device: usize, bytes: &[u8]) {
        self.rung(now_ms, device, false, true, bytes);
        let limits = self.limits;
        let view = match View::parse(bytes, &limits) {
            Ok(view) => view,
            Err(error) => {
                return self.fail(27, now_ms, None, format!("the switch sends what nobody can read: {error}"));
            }
        };
        if view.is_request() {
            self.outbound_request(now_ms, device, &view);
        } else {
            self.outbound_response(now_ms, device, &view);
        }
        let body = view.body();
        let anchored = self.plan.relay_sick.is_none() && self.plan.relay_restart.is_none();
        if anchored && view.header(Name::ContentType) == Some(b"application/sdp") {
            let text = String::from_utf8_lossy(body);
            if text.lines().any(|line| line.starts_with("c=") && !line.contains(RELAY_ADDRESS)) {
                let attempt = self.calls.get(view.call_id().unwrap_or_default()).copied();
                self.fail(19, now_ms, attempt, "a session description that does not lead to the relay");
            }
        }
    }

    fn outbound_request(&mut self, now_ms: u64, device: usize, view: &View<'_>) {
        let (branch, method) = (branch(view), view.method());
        let call_id = view.call_id().unwrap_or_default().to_vec();
        let attempt = self.calls.get(&call_id).copied();
        let bytes = hash64(b"the same message", &[view.bytes()]);
        let key = (device, branch.clone(), method.to_owned());
        if let Some(asked) = self.asked.get(&key) {
            if asked.bytes != bytes {
                self.fail(9, now_ms, attempt, format!("a resent {} differs from the first", method.as_str()));
            }
            return;
        }
        self.asked.insert(key, Asked { bytes, answered: false });
        if matches!(method, Method::Ack | Method::Cancel) {
            return;
        }
        if method == Method::Bye
            && let Some(attempt) = attempt
        {
            self.facts[attempt].bye_out_ms.get_or_insert(now_ms);
        }
        let inside = view.to().is_ok_and(|to| to.tag().is_some());
        let attempt = match (method, inside) {
            (Method::Invite, false) => self.rings(now_ms, device, view, &call_id, &branch),
            _ => attempt,
        };
        let number = view.cseq().map_or(0, |cseq| cseq.number);
        let dialog = self.dialogs.entry((device, call_id)).or_default();
        let (seen, pending) = (dialog.cseq, dialog.ours.clone());
        let crossing = dialog.theirs.clone();
        dialog.cseq = number.max(seen);
        dialog.initial |= method == Method::Invite && !inside;
        if method == Method::Invite {
            dialog.ours = Some((branch, now_ms));
        }
        if number <= seen {
            self.fail(12, now_ms, attempt, format!("CSeq {number} {} after {seen}", method.as_str()));
        }
        let fresh = |pending: Option<(Vec<u8>, u64)>| pending.is_some_and(|(_, since)| since + INVITE_MS > now_ms);
        if method == Method::Invite && inside {
            self.tally.reinvites += 1;
            if fresh(pending) {
                self.fail(12, now_ms, attempt, "a re-INVITE while another one is pending");
            }
            if fresh(crossing) {
                self.fail(12, now_ms, attempt, "a re-INVITE to a phone whose own one is not answered");
            }
        }
    }

    /// A call rings a phone: which attempt it is, and whether this phone was rung before.
    fn rings(&mut self, now_ms: u64, device: usize, view: &View<'_>, call_id: &[u8], branch: &[u8]) -> Option<usize> {
        let from = view.from().ok()?.uri().ok()?.user_decoded();
        let name = String::from_utf8_lossy(&from).trim_start_matches('+').to_owned();
        let caller = self.plan.users.iter().position(|user| user.name == name || user.number == name)?;
        let attempt = self.plan.attempt_between(caller, self.plan.devices[device].user)?;
        self.calls.insert(call_id.to_vec(), attempt);
        self.facts[attempt].call_ids.push(String::from_utf8_lossy(call_id).into_owned());
        match self.initial.get(&(attempt, device)) {
            None => {
                self.initial.insert((attempt, device), branch.to_vec());
                if self.initial.keys().filter(|(other, _)| *other == attempt).count() == 2 {
                    self.tally.forks += 1;
                }
            }
            Some(known) if known == branch => {}
            Some(_) => {
                self.fail(10, now_ms, Some(attempt), format!("device {device} gets a second INVITE of one call"))
            }
        }
        if self.facts[attempt].finals.iter().any(|(at, _)| *at + 100 < now_ms) {
            self.fail(10, now_ms, Some(attempt), "rings a phone after the caller got a final response");
        }
        Some(attempt)
    }

    fn outbound_response(&mut self, now_ms: u64, device: usize, view: &View<'_>) {
        let (branch, method) = (branch(view), view.method());
        let call_id = view.call_id().unwrap_or_default().to_vec();
        let attempt = self.calls.get(&call_id).copied();
        let status = view.status().map_or(0, Status::code);
        let what = format!("{status} to {}", method.as_str());
        let Some(served) = self.served.get_mut(&(device, branch.clone(), method.to_owned())) else {
            return self.fail(11, now_ms, attempt, format!("{what} that was never asked for"));
        };
        served.replies += 1;
        let mut wrongs: Vec<(u8, String)> = Vec::new();
        let tag = view.to().ok().and_then(|to| to.tag()).map(<[u8]>::to_vec);
        if status > 100 {
            let rseq = view.number(Name::RSeq).ok().flatten().unwrap_or(0);
            match tag {
                None => wrongs.push((9, format!("{what} without To tag"))),
                Some(tag) => {
                    let seen = served.tags.entry(tag).or_default();
                    if rseq > *seen + 1 && *seen != 0 {
                        wrongs.push((12, format!("RSeq {rseq} after {seen}")));
                    }
                    *seen = rseq.max(*seen);
                }
            }
            // One early dialog for each phone that rings, and the switch's own word.
            if served.tags.len() > DIALOGS_MAX {
                wrongs.push((9, format!("{what} with yet another To tag")));
            }
        }
        let bytes = hash64(b"the same message", &[view.bytes()]);
        match served.last {
            Some((_, last)) if status < 200 => wrongs.push((11, format!("{what} after {last}"))),
            // A copy of a REGISTER is answered afresh, without a transaction (RFC 3261 8.2.7): with the time that is left,
            // with a younger nonce, with what the store says now.
            Some(_) if method == Method::Register => {}
            Some((known, last)) if known != bytes => {
                wrongs.push((11, format!("{what} differs from the {last} before")))
            }
            _ => {}
        }
        if status >= 200 {
            served.last = Some((bytes, status));
        }
        let in_dialog = view.to().is_ok_and(|to| to.tag().is_some()) && !served.opens;
        let early = matches!(method, Method::Prack | Method::Bye | Method::Cancel);
        if matches!(status, 408 | 481) && in_dialog && !early && !self.is_ending(attempt) {
            wrongs.push((7, format!("{what} inside a dialog that is alive")));
        }
        if status >= 200 && method == Method::Invite {
            let inside =
                view.to().is_ok() && self.dialogs.get(&(device, call_id.clone())).is_some_and(|d| d.theirs.is_some());
            if let Some(dialog) = self.dialogs.get_mut(&(device, call_id))
                && dialog.theirs.as_ref().is_some_and(|(theirs, _)| *theirs == branch)
            {
                dialog.theirs = None;
            }
            if status == 491 {
                self.tally.glares += 1;
            }
            if status < 300
                && !inside
                && let Some(attempt) = attempt
            {
                let facts = &mut self.facts[attempt];
                if facts.ok_to_caller_ms.is_none() && facts.finals.is_empty() {
                    facts.ok_to_caller_ms = Some(now_ms);
                    self.tally.answered += 1;
                }
            }
        }
        for (invariant, what) in wrongs {
            self.fail(invariant, now_ms, attempt, format!("device {device}: {what}"));
        }
    }

    /// A phone tells something.
    pub fn note(&mut self, now_ms: u64, device: usize, note: Note) {
        match note {
            Note::Binding => self.bound[device].pending = true,
            Note::Bound { until_ms, contacts } => {
                self.bound[device] = Bound { until_ms, ever: true, pending: false, unsure: false };
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
            Note::Up { attempt, side } => self.facts[attempt].up[side as usize] = Some(now_ms),
            Note::Down { attempt, side } => self.facts[attempt].down[side as usize] = Some(now_ms),
            Note::HungUp { attempt, side } => self.facts[attempt].hung_up.push((now_ms, side)),
            Note::TimedOut { method, branch, attempt } => self.timed_out(now_ms, device, method, branch, attempt),
            Note::NoAck { attempt } => {
                if let Some(attempt) = attempt {
                    self.facts[attempt].no_ack = true;
                }
            }
            Note::Rebooted => {
                self.rebooted.insert(device, now_ms);
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
        let (copies, replies) = self.served.get(&key).map_or((0, 0), |served| (served.copies, served.replies));
        if copies > 0 && replies == 0 && !self.was_away(attempt) {
            self.fail(
                14,
                now_ms,
                attempt,
                format!("device {device}: {method} reached the switch {copies} times, no answer"),
            );
        }
    }

    /// Whether somebody has hung up, or a phone of this call may not know it any more.
    fn is_ending(&self, attempt: Option<usize>) -> bool {
        let Some(facts) = attempt.map(|attempt| &self.facts[attempt]) else { return true };
        let hung_up = !facts.hung_up.is_empty() || facts.bye_in_ms.is_some() || facts.bye_out_ms.is_some();
        hung_up || self.was_away(attempt)
    }

    /// Whether a phone of this attempt was cut off, silent or restarted.
    pub fn was_away(&self, attempt: Option<usize>) -> bool {
        let Some(attempt) = attempt else { return false };
        let script = &self.plan.attempts[attempt];
        let mut devices = vec![script.caller];
        if let crate::plan::Callee::User(user) = script.callee {
            devices.extend(&self.plan.users[user].devices);
        }
        devices.into_iter().any(|device| {
            let plan = &self.plan.devices[device];
            plan.silent_from_ms.is_some()
                || plan.reboot_at_ms.is_some()
                || self.plan.climate.cuts.iter().any(|(cut, _, _)| *cut == plan.public)
        })
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

/// Contacts an address-of-record may have.
pub const CONTACTS_MAX: usize = 5;

/// To tags that one INVITE may be answered with: a phone each, and the switch.
const DIALOGS_MAX: usize = CONTACTS_MAX + 1;

fn branch(view: &View<'_>) -> Vec<u8> {
    view.top_via().ok().and_then(|via| via.branch()).unwrap_or_default().to_vec()
}
