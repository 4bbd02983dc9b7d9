//! Call records: what billing and statistics are made of. A start and a stop become one CDR in the records port.

use serde::{Deserialize, Serialize};

use super::media::MediaStats;
use crate::Key;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The call was answered.
    Start(CallParties),
    /// An answered call has ended.
    Stop { id: RecordId, stop: CallStop },
    /// The call was never answered.
    Attempt { parties: CallParties, stop: CallStop },
}

/// Identity of a record: the call and its answered leg; the same on a second delivery, so that nothing is billed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    pub call: Key,
    /// The call's first INVITE, milliseconds since 1970: tells two calls with one Call-ID apart.
    pub init_ms: u64,
    pub leg: u16,
}

/// Who called whom, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallParties {
    pub id: RecordId,
    /// Call-ID of the caller's leg and of the callee's.
    pub call_id: String,
    pub callee_call_id: String,
    pub source: Party,
    pub destination: Party,
    /// Request-URI as dialled and as routed.
    pub dialled: String,
    pub routed: String,
    /// IP address the call came from.
    pub source_ip: String,
    /// First INVITE, first ringing (0: never), answer (0: never); milliseconds since 1970.
    pub init_ms: u64,
    pub ring_ms: u64,
    pub start_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// 0 when the party is not ours.
    pub subscriber_id: u64,
    pub uuid: String,
    pub customer_id: u64,
    pub user: String,
    pub domain: String,
    /// Number shown to the other side.
    pub cli: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStop {
    /// Milliseconds since 1970.
    pub end_ms: u64,
    /// From answer to end by the monotonic clock, milliseconds; 0 for an attempt.
    pub duration_ms: u64,
    pub cause: StopCause,
    /// SIP status of an attempt's final response, 200 for an answered call.
    pub status: u16,
    pub reason: String,
    pub media: MediaStats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    CallerHangup,
    CalleeHangup,
    /// Refused, busy, no answer: see the status.
    Failed,
    /// CANCEL by the caller.
    Cancelled,
    /// The session timer (RFC 4028) was not refreshed.
    SessionExpired,
    /// The longest allowed call length was reached.
    MaxLength,
    /// An operator hung up.
    Operator,
    /// The switch lost the call (it was restarted); the end is the last moment known.
    Lost,
}
