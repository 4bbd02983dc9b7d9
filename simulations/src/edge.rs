//! The edge of the switch: every message that crosses it, checked as it passes (I7, I9 to I12, I19).

use std::collections::BTreeMap;

use fabric::hash::hash64;
use sip::{Method, MethodName, Name, Status, View};

use crate::book::{Book, CONTACTS_MAX};
use crate::relay::RELAY_ADDRESS;

/// A request of a phone as the switch saw it.
#[derive(Default)]
pub(crate) struct Served {
    pub copies: u32,
    pub replies: u32,
    /// When its last copy came.
    pub came_ms: u64,
    /// To tags, one for each early dialog, with the last RSeq in it.
    tags: BTreeMap<Vec<u8>, u32>,
    last: Option<(u64, u16)>,
    /// It came without a To tag.
    opens: bool,
}

/// A request of the switch.
pub(crate) struct Asked {
    bytes: u64,
    answered: bool,
}

#[derive(Default)]
pub(crate) struct Dialog {
    cseq: u32,
    /// INVITEs that are not answered: the switch's and the phone's, with their times.
    ours: Option<(Vec<u8>, u64)>,
    pub theirs: Option<(Vec<u8>, u64)>,
    initial: bool,
}

pub(crate) type Transaction = (usize, Vec<u8>, MethodName);

impl Book {
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
            served.came_ms = now_ms;
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
                self.facts[attempt].byes.entry(device).or_insert(now_ms);
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
                    let facts = &mut self.facts[attempt];
                    facts.winner.get_or_insert(device);
                    facts.ok_from_callee.entry(device).or_insert(now_ms);
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
            let facts = &mut self.facts[attempt];
            facts.byes.entry(device).or_insert(now_ms);
            let early = facts.ok_to_caller_ms.is_none() && self.plan.attempts[attempt].caller == device;
            // RFC 3261 15: not in an early dialog from the called side. A broken stream may have swallowed the answer.
            if early && !self.was_away(Some(attempt)) {
                self.fail(11, now_ms, Some(attempt), "BYE to a caller who has no answer");
            }
        }
        let inside = view.to().is_ok_and(|to| to.tag().is_some());
        let attempt = match (method, inside) {
            (Method::Invite, false) => self.rings(now_ms, device, view, &call_id, &branch),
            (Method::Message, false) => self.recognise(device, view, &call_id),
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
            let transit_ms = self.transit_ms;
            if fresh(crossing.filter(|(_, since)| since + transit_ms <= now_ms)) {
                self.fail(12, now_ms, attempt, "a re-INVITE to a phone whose own one is not answered");
            }
        }
    }

    /// Which attempt a request outside dialogs belongs to: the caller's user name or number is in From.
    fn recognise(&mut self, device: usize, view: &View<'_>, call_id: &[u8]) -> Option<usize> {
        let from = view.from().ok()?.uri().ok()?.user_decoded();
        let name = String::from_utf8_lossy(&from).trim_start_matches('+').to_owned();
        let caller = self.plan.users.iter().position(|user| user.name == name || user.number == name)?;
        let attempt = self.plan.attempt_between(caller, self.plan.devices[device].user)?;
        self.calls.insert(call_id.to_vec(), attempt);
        Some(attempt)
    }

    /// A call rings a phone: which attempt it is, and whether this phone was rung before.
    fn rings(&mut self, now_ms: u64, device: usize, view: &View<'_>, call_id: &[u8], branch: &[u8]) -> Option<usize> {
        let attempt = self.recognise(device, view, call_id)?;
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
        if self.facts[attempt].finals.iter().any(|(at, _)| *at + 100 + self.transit_ms < now_ms) {
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
}

/// How long an INVITE may stay without an answer, milliseconds: timer B, and a little.
const INVITE_MS: u64 = 32_500;

/// To tags that one INVITE may be answered with: a phone each, and the switch.
const DIALOGS_MAX: usize = CONTACTS_MAX + 1;

fn branch(view: &View<'_>) -> Vec<u8> {
    view.top_via().ok().and_then(|via| via.branch()).unwrap_or_default().to_vec()
}
