//! Between registration, location and the store: who is reachable where.

use serde::{Deserialize, Serialize};

use crate::Reject;

/// One contact of an address-of-record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The Contact URI as registered.
    pub contact: Box<str>,
    /// Path values in order (RFC 3327), comma-joined; the first URI's user is a flow token of ours. Empty: resolve the contact.
    pub path: Box<str>,
    /// Call-ID of the REGISTER (RFC 3261 10.3 step 7).
    pub call_id: Box<str>,
    pub cseq: u32,
    /// Preference in thousandths, 0 to 1000.
    pub q: u16,
    /// Wall-clock end, milliseconds since 1970; `u64::MAX` for a permanent one.
    pub expires_ms: u64,
    /// `+sip.instance` (RFC 5626), without quotes.
    pub instance: Option<Box<str>>,
    /// `reg-id` (RFC 5626), 0 when absent.
    pub reg_id: u32,
    pub user_agent: Option<Box<str>>,
    /// The address packets came from, `ip:port`, for people.
    pub received: Option<Box<str>>,
    pub nat: bool,
}

/// A REGISTER's demand on an address-of-record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    pub aor: Box<str>,
    pub call_id: Box<str>,
    pub cseq: u32,
    pub change: BindChange,
    /// Most contacts this subscriber may have, count; 0 means the shard's default.
    pub contacts_max: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindChange {
    /// No Contact: only tell.
    Fetch,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    /// Add, refresh or (where `expires_ms` is not after now) remove these.
    Contacts(Vec<Binding>),
    /// Operator: remove the binding with this contact URI whatever its Call-ID.
    Remove(Box<str>),
}

/// Answer to `Bind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// All bindings now current; durable when the shard's settings say so.
    Bindings(Vec<Binding>),
    Refused(Reject),
}

/// The whole state of an address-of-record, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBindings {
    pub aor: Box<str>,
    pub bindings: Vec<Binding>,
}
