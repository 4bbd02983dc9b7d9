//! Call records: a start and a stop for an answered call, an attempt for any other. Each is posted until it is kept;
//! its identity makes repetitions harmless (I23).

use std::time::Duration;

use fabric::letters::media::{MediaAsk, MediaDone, MediaStats};
use fabric::letters::record::{CallParties, CallStop, Party, Record, RecordId, StopCause};
use fabric::letters::subscriber::{Account, Subscriber};
use fabric::{Fault, Key, Letter, Reject};
use sip::{NameAddr, Status};
use tracing::error;

use crate::attempt::Attempt;
use crate::call::{Call, Purpose, Timer};
use crate::desk::Desk;
use crate::ending::Answered;

impl Call {
    /// The call was answered.
    pub(crate) fn start_record(&mut self, attempt: u32, pair: u16, desk: &mut Desk<'_>) {
        let Some(held) = self.pair(pair) else { return };
        let (leg, callee_call_id) = (held.leg, lossy(held.callee.dialog.call_id()));
        let Some(attempt) = self.attempts.iter().find(|held| held.id == attempt) else { return };
        let mut parties = parties(attempt, self.identity.key, leg);
        (parties.callee_call_id, parties.start_ms) = (callee_call_id, desk.now.unix_ms);
        let id = parties.id;
        self.answered =
            Some(Box::new(Answered { id, pair, since: desk.now.instant, start_ms: desk.now.unix_ms, stop: None }));
        if self.settings.length_max_s > 0 {
            let length = Duration::from_secs(self.settings.length_max_s.into());
            self.timers.set(Timer::Length, desk.now.instant + length);
        }
        self.post_record(Box::new(Record::Start(parties)), 0, desk);
    }

    /// The answered call has ended; its record follows when the media session has told its statistics.
    pub(crate) fn stop_record(&mut self, cause: StopCause, desk: &mut Desk<'_>) {
        self.timers.cancel(&Timer::Length);
        let Some(answered) = &mut self.answered else { return };
        if answered.stop.is_some() {
            return;
        }
        let duration_ms = desk.now.instant.since(answered.since).as_millis();
        answered.stop = Some((cause, desk.now.unix_ms, u64::try_from(duration_ms).unwrap_or(u64::MAX)));
        if !std::mem::take(&mut self.media_open) {
            return self.finish_record(MediaStats::default(), desk);
        }
        let thread = self.asks.open(Purpose::Stats, desk.now.instant, self.settings.media_timeout());
        desk.out.ask(desk.identity.media(), thread, Letter::MediaAsk(Box::new(MediaAsk::End)));
    }

    /// A party leaves the call and another comes: the record ends here, the media session goes on.
    pub(crate) fn split_record(&mut self, cause: StopCause, desk: &mut Desk<'_>) {
        let open = std::mem::take(&mut self.media_open);
        self.stop_record(cause, desk);
        self.media_open = open;
    }

    pub(crate) fn on_stats(&mut self, answer: Result<Letter, Fault>, desk: &mut Desk<'_>) {
        let stats = match answer {
            Ok(Letter::MediaDone(done)) => match *done {
                MediaDone::Ended(stats) => stats,
                _ => MediaStats::default(),
            },
            _ => MediaStats::default(),
        };
        self.finish_record(stats, desk);
    }

    fn finish_record(&mut self, media: MediaStats, desk: &mut Desk<'_>) {
        let Some(answered) = self.answered.take() else { return };
        let Some((cause, end_ms, duration_ms)) = answered.stop else {
            self.answered = Some(answered);
            return;
        };
        let (status, reason) = (Status::OK.code(), Status::OK.reason().to_owned());
        let stop = CallStop { end_ms, duration_ms, cause, status, reason, media };
        self.post_record(Box::new(Record::Stop { id: answered.id, stop }), 0, desk);
    }

    /// The call was refused, cancelled or not answered.
    pub(crate) fn record_attempt(&mut self, id: u32, reject: &Reject, desk: &mut Desk<'_>) {
        let Some(attempt) = self.attempts.iter().find(|attempt| attempt.id == id) else { return };
        if !attempt.is_invite() {
            return;
        }
        let mut parties = parties(attempt, self.identity.key, 0);
        if let Some(branch) = attempt.branches.iter().find(|branch| branch.sent.is_some()) {
            parties.callee_call_id = self.identity.call_id(attempt.id, branch.leg);
            parties.routed = branch.contact.to_string();
        }
        let cancelled = reject.status == Status::REQUEST_TERMINATED;
        let stop = CallStop {
            end_ms: desk.now.unix_ms,
            duration_ms: 0,
            cause: if cancelled { StopCause::Cancelled } else { StopCause::Failed },
            status: reject.status.code(),
            reason: reject.status.reason().to_owned(),
            media: MediaStats::default(),
        };
        self.post_record(Box::new(Record::Attempt { parties, stop }), 0, desk);
    }

    fn post_record(&mut self, record: Box<Record>, tries: u8, desk: &mut Desk<'_>) {
        let letter = Letter::Record(record.clone());
        let purpose = Purpose::Record { record, tries: tries + 1 };
        let thread = self.asks.open(purpose, desk.now.instant, self.settings.record_timeout());
        desk.out.ask(desk.identity.home.records(), thread, letter);
    }

    pub(crate) fn on_record(
        &mut self,
        record: Box<Record>,
        tries: u8,
        answer: Result<Letter, Fault>,
        desk: &mut Desk<'_>,
    ) {
        if matches!(answer, Ok(Letter::Kept)) {
            return;
        }
        if tries >= self.settings.record_tries_max {
            error!(call = %self.identity.key, tries, "record not kept");
            return;
        }
        self.post_record(record, tries, desk);
    }
}

/// Who calls whom in this attempt.
fn parties(attempt: &Attempt, call: Key, leg: u16) -> CallParties {
    let view = attempt.request.view();
    let routed = attempt.branches.iter().find(|branch| branch.leg == leg).map(|branch| branch.contact.to_string());
    let callee = match &attempt.callee {
        Some(Account::Subscriber(callee)) => Some(callee.as_ref()),
        _ => None,
    };
    CallParties {
        id: RecordId { call, init_ms: attempt.init_ms, leg },
        call_id: lossy(view.call_id().unwrap_or_default()),
        callee_call_id: String::new(),
        source: party(attempt.caller.as_deref(), view.from().ok()),
        destination: party(callee, view.to().ok()),
        dialled: lossy(view.uri()),
        routed: routed.unwrap_or_default(),
        source_ip: attempt.source.remote.ip().to_canonical().to_string(),
        init_ms: attempt.init_ms,
        ring_ms: attempt.ring_ms,
        start_ms: 0,
    }
}

fn party(subscriber: Option<&Subscriber>, address: Option<NameAddr<'_>>) -> Party {
    let uri = address.and_then(|address| address.uri().ok());
    let user = uri.map(|uri| lossy(&uri.user_decoded())).unwrap_or_default();
    match subscriber {
        Some(subscriber) => Party {
            subscriber_id: subscriber.id,
            uuid: subscriber.uuid.clone(),
            customer_id: subscriber.customer_id,
            user: subscriber.username.clone(),
            domain: subscriber.domain.clone(),
            cli: subscriber.numbers.first().cloned().unwrap_or(user),
        },
        None => {
            let domain = uri.map(|uri| crate::admission::host_of(&uri)).unwrap_or_default();
            Party { cli: user.clone(), user, domain, ..Party::default() }
        }
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
