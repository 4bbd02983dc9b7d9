//! The checks at the end of a run: every attempt against its script, records against calls, nothing left behind.

use crate::book::{Book, Facts};
use crate::plan::{Attempt, Callee, Plan, Reply};

/// What the host found in the switch when the run was over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    pub calls: usize,
    pub media: usize,
    pub registrations: usize,
    pub relay_sessions: Vec<String>,
    /// Machines that panicked though nobody told them to.
    pub panics: Vec<String>,
    /// Letters that waited at once, at most; chains that were cut.
    pub letters_max: usize,
    pub loops: u64,
}

/// Letters that may wait at once in one node of this size.
const LETTERS_MAX: usize = 2_000;

/// All checks of the end.
pub fn finish(book: &mut Book, remains: &Remains) {
    left_behind(book, remains);
    for number in 0..book.facts.len() {
        let facts = book.facts[number].clone();
        let script = book.plan.attempts[number].clone();
        if script.by_transfer {
            connected(book, &script, &facts);
        }
        if facts.dialled_ms.is_none() || facts.killed {
            continue;
        }
        conservation(book, &script, &facts);
        if !script.page {
            ended(book, &script, &facts);
            told(book, &script, &facts);
            records(book, &script, &facts);
        }
    }
    strangers(book);
}

fn left_behind(book: &mut Book, remains: &Remains) {
    let end = book.plan.end_ms;
    if remains.calls > 0 || remains.media > 0 {
        let what = format!("{} calls and {} media sessions are still there", remains.calls, remains.media);
        book.fail(30, end, None, what);
    }
    let registrations_max = 3 * book.plan.devices.len();
    if remains.registrations > registrations_max {
        book.fail(30, end, None, format!("{} registrations are still there", remains.registrations));
    }
    if remains.letters_max > LETTERS_MAX || remains.loops > 0 {
        let what = format!("{} letters waited at once, {} chains were cut", remains.letters_max, remains.loops);
        book.fail(30, end, None, what);
    }
    if !remains.relay_sessions.is_empty() {
        let what = format!("relay sessions never deleted: {}", remains.relay_sessions.join(", "));
        book.fail(20, end, None, what);
    }
    for panic in &remains.panics {
        book.fail(31, end, None, format!("a machine panicked: {panic}"));
    }
}

/// Offered = answered + rejected + cancelled + failed by a phone; failed by the switch = 0.
fn conservation(book: &mut Book, script: &Attempt, facts: &Facts) {
    let plan = book.plan.clone();
    let end = plan.end_ms;
    let attempt = Some(script.number);
    let Some((at, status)) = facts.finals.first().copied() else {
        if !book.was_away(attempt) {
            book.fail(0, end, attempt, "the caller never got a final response");
        }
        return;
    };
    let caller = &plan.devices[script.caller];
    let sick = plan.store_sick.is_some() || plan.relay_sick.is_some() || plan.relay_restart.is_some();
    if caller.wrong_password {
        let expected = matches!(status, 0 | 403 | 407 | 487) || sick && matches!(status, 500 | 503 | 504);
        if !expected {
            book.fail(0, at, attempt, format!("{status} for a caller with a wrong password"));
        }
        return;
    }
    let gave_up = facts.gave_up_ms.is_some();
    book.tally.crossings += u64::from(gave_up && (200..300).contains(&status));
    let allowed = match status {
        // No answer at all: the phone's own time-out, judged by I14.
        0 => facts.timed_out.iter().any(|method| method == "INVITE" || method == "MESSAGE"),
        200..=299 => may_answer(script),
        404 => script.callee == Callee::Unknown,
        403 => script.callee == Callee::Foreign,
        480 | 408 => true,
        486 => script.reply == Reply::Busy,
        603 => script.reply == Reply::Decline,
        487 => gave_up,
        500 | 503 | 504 => sick,
        // The reliable provisional of the callee was never acknowledged: the phones' own doing.
        _ => false,
    };
    if !allowed {
        book.fail(0, at, attempt, format!("{status} to a call that was to be {:?}", script.reply));
    }
    let must = must_end_with(&plan, script, facts);
    let excused = book.was_away(attempt) || sick || !facts.timed_out.is_empty() || facts.no_ack;
    if let Some(wanted) = must
        && wanted != status
        && !excused
    {
        book.fail(0, at, attempt, format!("{status} where {wanted} was due"));
    }
}

fn may_answer(script: &Attempt) -> bool {
    matches!(script.callee, Callee::User(_)) && (script.page || script.reply == Reply::Answer)
}

/// I13: who was called by a transfer does not talk on for ever.
fn connected(book: &mut Book, script: &Attempt, facts: &Facts) {
    let (end, attempt) = (book.plan.end_ms, Some(script.number));
    let stays = facts.callees.iter().find(|(_, (_, until))| until.is_none()).map(|(device, _)| *device);
    if let Some(device) = stays.filter(|_| !book.was_away(attempt)) {
        book.fail(13, end, attempt, format!("device {device} is still connected by a transfer at the end"));
    }
}

/// I14: who asked for a transfer is told how it ended, unless the call ended before.
fn told(book: &mut Book, script: &Attempt, facts: &Facts) {
    let attempt = Some(script.number);
    let Some(asked) = facts.referred_ms.filter(|_| facts.refer_status.is_none()) else { return };
    let excused = !facts.hung_up.is_empty() || !facts.timed_out.is_empty() || book.was_away(attempt);
    if !excused {
        book.fail(14, book.plan.end_ms, attempt, format!("a REFER at {asked} ms, and no word how it ended"));
    }
}

/// The one right end of an attempt, where there is one.
fn must_end_with(plan: &Plan, script: &Attempt, facts: &Facts) -> Option<u16> {
    let user = match script.callee {
        Callee::Unknown => return facts.gave_up_ms.is_none().then_some(404),
        Callee::Foreign => return facts.gave_up_ms.is_none().then_some(403),
        Callee::User(user) => user,
    };
    if facts.gave_up_ms.is_some() {
        return None;
    }
    if facts.sure.is_empty() && facts.perhaps.is_empty() {
        return Some(480);
    }
    let devices = &plan.users[user].devices;
    if devices.len() > crate::book::CONTACTS_MAX {
        return None;
    }
    if script.page {
        return (!facts.sure.is_empty() && facts.perhaps.is_empty()).then_some(200);
    }
    let answering = devices.get(script.answers)?;
    let slow = plan.devices[*answering].slow_ms + script.ring_ms + 8_000;
    if !facts.sure.contains(answering) || slow > u64::from(plan.ring_max_s) * 1_000 {
        return None;
    }
    match script.reply {
        Reply::Answer => Some(200),
        Reply::Decline => Some(603),
        Reply::Busy if devices.len() == 1 => Some(486),
        Reply::Busy | Reply::Ring => None,
    }
}

/// I13, I14, I15: nobody rings or talks on, nothing ends early.
fn ended(book: &mut Book, script: &Attempt, facts: &Facts) {
    let plan = book.plan.clone();
    let attempt = Some(script.number);
    let calm = plan.climate.loss_permille == 0 && plan.climate.cuts.is_empty();
    let away = book.was_away(attempt);
    let over = facts.finals.first().map(|(at, _)| *at).into_iter().chain(facts.gave_up_ms).min();
    for (device, (since, quiet)) in &facts.rang {
        if away {
            break;
        }
        let Some((until, _)) = quiet else {
            book.fail(13, plan.end_ms, attempt, format!("device {device} rings since {since} ms to the end"));
            continue;
        };
        // Without loss a second and the way there; with loss as long as a CANCEL is resent.
        let patience = if calm { 1_500 } else { 34_000 };
        if let Some(over) = over
            && *until > over.max(*since) + patience
        {
            book.fail(13, *until, attempt, format!("device {device} rang {} ms after the end", until - over));
        }
    }
    if facts.no_ack && !away {
        book.fail(14, plan.end_ms, attempt, "a 2xx of a phone was never acknowledged");
    }
    let answers = facts.ok_from_callee.len();
    book.tally.double_answers += u64::from(answers > 1);
    for (device, (_, until)) in &facts.callees {
        if until.is_none() && !away {
            book.fail(13, plan.end_ms, attempt, format!("device {device} is still in the call at the end"));
        }
    }
    let Some((up, down)) = facts.caller else { return };
    let Some(down) = down else {
        if !away {
            book.fail(13, plan.end_ms, attempt, "the caller is still in the call at the end");
        }
        return;
    };
    two_in_a_call(book, script, facts, away);
    // I15: who ended it? If no phone did, it was the switch, and then not before its time.
    let phones = facts.hung_up.iter().map(|(at, _)| *at).min();
    let phones = phones.into_iter().chain(facts.dropped_ms).chain(facts.referred_ms).min();
    if phones.is_none_or(|at| at > down) && !away && facts.timed_out.is_empty() {
        let talked = down - facts.ok_to_caller_ms.unwrap_or(up);
        let longest = u64::from(plan.length_max_s) * 1_000;
        let session = u64::from(plan.session_expires_s.min(plan.length_max_s)) * 1_000;
        if talked + 1_000 < longest.min(session) {
            book.fail(15, down, attempt, format!("the switch ended a call after {talked} ms"));
        } else {
            book.tally.too_long += 1;
        }
    }
    let longest = u64::from(plan.length_max_s) * 1_000;
    if down > up + longest + 34_000 && !away {
        book.fail(15, down, attempt, format!("a call of {} ms, {longest} ms are allowed", down - up));
    }
}

/// I11: of several phones that answer one survives; the others are told so at once.
fn two_in_a_call(book: &mut Book, script: &Attempt, facts: &Facts, away: bool) {
    let calm = book.plan.climate.loss_permille == 0;
    let patience = if calm { 1_500 } else { 34_000 };
    let end = book.plan.end_ms;
    let longer = facts.callees.values().filter(|(from, until)| until.unwrap_or(end) > from + patience).count();
    // A call that is shorter than the patience says nothing.
    if longer > 1 && !away {
        book.fail(11, end, Some(script.number), format!("{longer} phones were kept in one call"));
    }
}

/// I23: one record of each answered call, at most one of others, lengths right to a second.
fn records(book: &mut Book, script: &Attempt, facts: &Facts) {
    let attempt = Some(script.number);
    let end = book.plan.end_ms;
    let accounts: Vec<_> = book.accounts.values().filter(|account| account.attempt == attempt).cloned().collect();
    let (starts, stops, attempts) =
        accounts.iter().fold((0, 0, 0), |sum, one| (sum.0 + one.starts, sum.1 + one.stops, sum.2 + one.attempts));
    let answered = facts.ok_to_caller_ms.is_some();
    // A transfer splits the record, or leaves one of the attempt that came to nothing.
    let split = facts.referred_ms.is_some() && starts == stops && (1..=2).contains(&starts) && attempts <= 1;
    if answered && (starts, stops, attempts) != (1, 1, 0) && !split {
        let what = format!("answered, with {starts} start, {stops} stop and {attempts} attempt records");
        return book.fail(23, end, attempt, what);
    }
    // Where an answer and a CANCEL crossed inside the switch, or the caller's stream ended, a start and a stop are as
    // right as an attempt.
    let gone = facts.gave_up_ms.is_some() || book.was_away(attempt);
    let crossed = gone && !facts.ok_from_callee.is_empty();
    if !answered && !crossed && (starts > 0 || stops > 0 || attempts > 1) {
        let what = format!("never answered, with {starts} start, {stops} stop and {attempts} attempt records");
        return book.fail(23, end, attempt, what);
    }
    let known = matches!(facts.finals.first(), Some((_, 408 | 480 | 486 | 487 | 603)));
    if !answered && !crossed && known && attempts == 0 && !book.plan.devices[script.caller].wrong_password {
        return book.fail(23, end, attempt, "refused, without a record");
    }
    if !answered {
        return;
    }
    let account = &accounts[0];
    if account.end_ms < account.start_ms {
        book.fail(23, end, attempt, "the end is before the start");
    }
    // Of several phones that answered, the first one is in the call; of those that did so at once, the one that was not
    // sent away.
    let first_ms = facts.winner.and_then(|device| facts.ok_from_callee.get(&device)).copied().unwrap_or_default();
    let at_once = facts.ok_from_callee.iter().filter(|(_, at)| at.abs_diff(first_ms) <= AT_ONCE_MS);
    let winner =
        at_once.map(|(device, _)| *device).max_by_key(|device| facts.byes.get(device).copied().unwrap_or(u64::MAX));
    let parties = winner.or(facts.winner).into_iter().chain([script.caller]);
    let ended = parties.filter_map(|device| facts.byes.get(&device).copied()).min();
    // Who has lost its stream heard of the answer later than the switch.
    let heard = !book.was_away(attempt) && facts.referred_ms.is_none();
    if let (Some(start), Some(stop), true) = (facts.ok_to_caller_ms, ended, heard) {
        let model = stop.saturating_sub(start);
        if model.abs_diff(account.duration_ms) > 1_000 + model * book.drift_permille / 1_000 {
            let what = format!("billed {} ms of a call of {model} ms ({})", account.duration_ms, account.cause);
            book.fail(23, end, attempt, what);
        }
    }
}

/// Answers closer to each other than this may pass the switch in either order, milliseconds.
const AT_ONCE_MS: u64 = 100;

/// Records of calls that nobody made.
fn strangers(book: &mut Book) {
    let strange: Vec<String> = book
        .accounts
        .iter()
        .filter(|(_, account)| account.attempt.is_none())
        .map(|(id, _)| format!("{id:?}"))
        .collect();
    let end = book.plan.end_ms;
    for id in strange {
        book.fail(23, end, None, format!("a record of no call: {id}"));
    }
}
