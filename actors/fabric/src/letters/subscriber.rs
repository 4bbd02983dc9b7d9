//! Subscriber data as the minds see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Who is `user` in `domain`? `user` is a user name, a number or an alias number; the store normalises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountAsk {
    pub user: String,
    /// Host part without port, lower case.
    pub domain: String,
}

/// Answer to `AccountAsk`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Account {
    Subscriber(Arc<Subscriber>),
    /// The domain is ours, the user is not known.
    UnknownUser,
    /// The domain is not ours.
    ForeignDomain,
}

/// A subscriber: one address-of-record with its credentials and preferences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    pub id: u64,
    pub uuid: String,
    pub customer_id: u64,
    pub username: String,
    pub domain: String,
    /// `username@domain`, lower case: the key of its bindings.
    pub aor: String,
    /// MD5 of `username:domain:password` (RFC 7616 3.4.2); the password itself is not kept.
    pub ha1_md5: [u8; 16],
    /// SHA-256 of the same.
    pub ha1_sha256: [u8; 32],
    /// Own number first, then alias numbers: digits of cc, ac and sn in a row.
    pub numbers: Vec<String>,
    pub lock: Lock,
    /// Preferences that work, domain's overlaid with the subscriber's: `session_timer` to `90`, say.
    pub preferences: BTreeMap<String, String>,
}

/// What a locked subscriber may not do; levels as Sipwise's operators know them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lock {
    #[default]
    None,
    /// No calls to foreign numbers.
    Foreign,
    /// No outgoing calls.
    Outgoing,
    /// No calls at all.
    All,
    /// No calls, no registration, no self-care.
    Global,
    /// Number was ported away.
    Ported,
}

impl Subscriber {
    /// Value of a preference.
    pub fn preference(&self, name: &str) -> Option<&str> {
        self.preferences.get(name).map(String::as_str)
    }

    /// A preference as a number; `None` when absent or not a number.
    pub fn number_preference(&self, name: &str) -> Option<u32> {
        self.preference(name)?.parse().ok()
    }

    /// A preference as a switch: `1`, `true`, `yes`, `always` are on.
    pub fn flag_preference(&self, name: &str) -> bool {
        matches!(self.preference(name), Some("1" | "true" | "yes" | "always"))
    }
}
