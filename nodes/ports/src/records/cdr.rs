//! The call record as it is exported: one JSON line, one CSV row; the names are the interface to billing.

use fabric::letters::media::{MediaStats, StreamStats};
use fabric::letters::record::{CallParties, CallStop, RecordId, StopCause};
use serde::{Deserialize, Serialize};

/// Defines the record, the names of its columns and its cells in one place.
macro_rules! columns {
    ($(#[$about:meta])* struct Cdr { $($(#[$doc:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Cdr {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl Cdr {
            /// Names of the CSV columns, in their order.
            pub const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];

            /// The values in the order of the columns.
            pub(super) fn cells(&self, mut each: impl FnMut(Cell<'_>)) {
                $(each(Cell::from(&self.$field));)*
            }
        }
    };
}

/// A value of the record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Text(&'a str),
    Number(u64),
    Nothing,
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Cell::Text(text)
    }
}

impl From<&u64> for Cell<'_> {
    fn from(number: &u64) -> Self {
        Cell::Number(*number)
    }
}

impl From<&u16> for Cell<'_> {
    fn from(number: &u16) -> Self {
        Cell::Number((*number).into())
    }
}

impl<N: Copy + Into<u64>> From<&Option<N>> for Cell<'_> {
    fn from(number: &Option<N>) -> Self {
        number.map_or(Cell::Nothing, |number| Cell::Number(number.into()))
    }
}

columns! {
    /// A finished call record. Times are RFC 3339 in UTC with milliseconds, empty when the moment never came.
    struct Cdr {
        /// Call key, first INVITE in milliseconds since 1970 and leg: the same on every delivery.
        id: String,
        call_id: String,
        callee_call_id: String,
        update_time: String,
        /// 0 when the party is not ours.
        source_user_id: u64,
        source_uuid: String,
        source_user: String,
        source_domain: String,
        source_cli: String,
        source_customer_id: u64,
        source_ip: String,
        destination_user_id: u64,
        destination_uuid: String,
        destination_user: String,
        destination_domain: String,
        destination_user_dialed: String,
        destination_uri_dialed: String,
        destination_uri_routed: String,
        destination_customer_id: u64,
        /// `call`.
        call_type: String,
        /// `ok`, `busy`, `noanswer`, `cancel`, `offline` or `other`.
        call_status: String,
        /// SIP status of the final response.
        call_code: u16,
        call_reason: String,
        /// Who or what ended it: `caller`, `callee`, `failed`, `cancelled`, `session_expired`, `max_length`, `operator`, `lost`.
        stop_cause: String,
        init_time: String,
        ring_time: String,
        start_time: String,
        end_time: String,
        /// From answer to end.
        duration_ms: u64,
        /// From the first INVITE to the answer, or to the end of an attempt.
        setup_ms: u64,
        media_relay: String,
        packets_from_caller: u64,
        packets_from_callee: u64,
        bytes_from_caller: u64,
        bytes_from_callee: u64,
        /// From RTCP; absent when there was none.
        lost_from_caller: Option<u64>,
        lost_from_callee: Option<u64>,
        /// Largest interarrival jitter, RTP timestamp units; absent without RTCP.
        jitter_from_caller: Option<u32>,
        jitter_from_callee: Option<u32>,
    }
}

impl Cdr {
    /// Builds the record of a call that has ended.
    pub fn new(parties: &CallParties, stop: &CallStop) -> Cdr {
        let CallParties { source, destination, .. } = parties;
        let answered = parties.start_ms > 0;
        let set_up_ms = if answered { parties.start_ms } else { stop.end_ms };
        Cdr {
            id: id_text(&parties.id),
            call_id: parties.call_id.clone(),
            callee_call_id: parties.callee_call_id.clone(),
            update_time: rfc3339(stop.end_ms),
            source_user_id: source.subscriber_id,
            source_uuid: source.uuid.clone(),
            source_user: source.user.clone(),
            source_domain: source.domain.clone(),
            source_cli: source.cli.clone(),
            source_customer_id: source.customer_id,
            source_ip: parties.source_ip.clone(),
            destination_user_id: destination.subscriber_id,
            destination_uuid: destination.uuid.clone(),
            destination_user: destination.user.clone(),
            destination_domain: destination.domain.clone(),
            destination_user_dialed: user_of(&parties.dialled).to_owned(),
            destination_uri_dialed: parties.dialled.clone(),
            destination_uri_routed: parties.routed.clone(),
            destination_customer_id: destination.customer_id,
            call_type: "call".to_owned(),
            call_status: status_word(answered, stop).to_owned(),
            call_code: stop.status,
            call_reason: stop.reason.clone(),
            stop_cause: cause_word(stop.cause).to_owned(),
            init_time: rfc3339(parties.init_ms),
            ring_time: rfc3339(parties.ring_ms),
            start_time: rfc3339(parties.start_ms),
            end_time: rfc3339(stop.end_ms),
            duration_ms: if answered { stop.duration_ms } else { 0 },
            setup_ms: set_up_ms.saturating_sub(parties.init_ms),
            ..Cdr::default()
        }
        .with_media(&stop.media)
    }

    /// Milliseconds since 1970 of the first INVITE, read out of the id.
    pub fn init_ms(&self) -> u64 {
        self.id.split('-').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Milliseconds since 1970 of the end, by the times in the record.
    pub fn end_ms(&self) -> u64 {
        self.init_ms().saturating_add(self.setup_ms).saturating_add(self.duration_ms)
    }
}

/// Text of a record's identity.
pub(super) fn id_text(id: &RecordId) -> String {
    format!("{}-{}-{}", id.call, id.init_ms, id.leg)
}

fn status_word(answered: bool, stop: &CallStop) -> &'static str {
    match (answered, stop.cause, stop.status) {
        (true, ..) => "ok",
        (_, StopCause::Cancelled, _) | (_, _, 487) => "cancel",
        (_, _, 486 | 600) => "busy",
        (_, _, 408) => "noanswer",
        (_, _, 480) => "offline",
        _ => "other",
    }
}

fn cause_word(cause: StopCause) -> &'static str {
    match cause {
        StopCause::CallerHangup => "caller",
        StopCause::CalleeHangup => "callee",
        StopCause::Failed => "failed",
        StopCause::Cancelled => "cancelled",
        StopCause::SessionExpired => "session_expired",
        StopCause::MaxLength => "max_length",
        StopCause::Operator => "operator",
        StopCause::Lost => "lost",
    }
}

/// User part of a dialled URI, for people: between the scheme and `@`.
fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let user = rest.split_once('@').map_or(rest, |(user, _)| user);
    user.split([';', '?']).next().unwrap_or(user)
}

/// `2026-11-21T08:15:00.123Z`; empty for 0.
pub(super) fn rfc3339(unix_ms: u64) -> String {
    if unix_ms == 0 {
        return String::new();
    }
    let (seconds, ms) = (unix_ms / 1000, unix_ms % 1000);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z", day_of(unix_ms))
}

/// `2026-11-21`, UTC: the name of a day's files. Days to civil date after H. Hinnant's `civil_from_days`.
pub(crate) fn day_of(unix_ms: u64) -> String {
    let days = (unix_ms / 86_400_000) as i64 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// What one side sent.
#[derive(Default)]
struct Side {
    packets: u64,
    bytes: u64,
    lost: Option<u64>,
    jitter: Option<u32>,
}

impl Side {
    fn add(&mut self, stream: &StreamStats) {
        self.packets += stream.packets;
        self.bytes += stream.bytes;
        self.lost = self.lost.max(stream.lost.map(|lost| lost + self.lost.unwrap_or(0)));
        self.jitter = self.jitter.max(stream.jitter);
    }
}

impl Cdr {
    /// The caller's streams come first in `MediaStats`; whatever has another tag comes from the callee.
    fn with_media(self, media: &MediaStats) -> Cdr {
        let (mut caller, mut callee) = (Side::default(), Side::default());
        let caller_tag = media.streams.first().map(|stream| stream.tag.as_str());
        for stream in &media.streams {
            if Some(stream.tag.as_str()) == caller_tag { caller.add(stream) } else { callee.add(stream) }
        }
        Cdr {
            media_relay: media.relay.clone().unwrap_or_default(),
            packets_from_caller: caller.packets,
            packets_from_callee: callee.packets,
            bytes_from_caller: caller.bytes,
            bytes_from_callee: callee.bytes,
            lost_from_caller: caller.lost,
            lost_from_callee: callee.lost,
            jitter_from_caller: caller.jitter,
            jitter_from_callee: callee.jitter,
            ..self
        }
    }
}
