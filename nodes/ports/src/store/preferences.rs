//! Preferences of domains and subscribers: kept whole as JSON; the minds see them as texts, the subscriber's over its domain's.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::Value;

use super::ProvisionError;
use super::change::Kind;
use super::writer::{Touched, Work};

/// Names and values, as the API takes and shows them.
pub type Preferences = BTreeMap<String, Value>;

/// Whose preferences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreferenceOwner {
    /// Id of a domain.
    Domain(u64),
    /// Id of a subscriber.
    Subscriber(u64),
}

impl PreferenceOwner {
    fn tables(self) -> (&'static str, &'static str, &'static str, i64) {
        match self {
            PreferenceOwner::Domain(id) => ("domain_preferences", "domains", "domain", id as i64),
            PreferenceOwner::Subscriber(id) => ("subscriber_preferences", "subscribers", "subscriber", id as i64),
        }
    }
}

pub(super) fn get(db: &Connection, owner: PreferenceOwner) -> Result<Preferences, ProvisionError> {
    let (table, owners, what, id) = owner.tables();
    let exists = format!("SELECT count(*) FROM {owners} WHERE id = ?");
    if db.prepare_cached(&exists)?.query_row([id], |row| row.get::<_, i64>(0))? == 0 {
        return Err(ProvisionError::NotFound(what));
    }
    Ok(read(db, table, id)?)
}

pub(super) fn set(
    work: &mut Work<'_>,
    owner: PreferenceOwner,
    preferences: Preferences,
) -> Result<Preferences, ProvisionError> {
    let (table, ..) = owner.tables();
    get(work.db, owner)?;
    for (name, value) in &preferences {
        check(name, value)?;
    }
    let text = serde_json::to_string(&preferences).map_err(|e| ProvisionError::Storage(e.to_string()))?;
    if text.len() > PREFERENCES_BYTES_MAX {
        return Err(ProvisionError::invalid("preferences", format!("are more than {PREFERENCES_BYTES_MAX} bytes")));
    }
    let replace = format!("INSERT OR REPLACE INTO {table} (owner_id, preferences) VALUES (?, ?)");
    let (.., id) = owner.tables();
    work.db.prepare_cached(&replace)?.execute((id, text))?;
    match owner {
        PreferenceOwner::Domain(id) => {
            work.changed(Kind::Domain, id);
            work.touch(Touched::Domain(id));
        }
        PreferenceOwner::Subscriber(id) => {
            work.changed(Kind::Subscriber, id);
            work.touch(Touched::Subscriber(id));
        }
    }
    Ok(preferences)
}

/// The preferences of a row, empty when there are none.
pub(super) fn read(db: &Connection, table: &'static str, id: i64) -> rusqlite::Result<Preferences> {
    let find = format!("SELECT preferences FROM {table} WHERE owner_id = ?");
    match db.prepare_cached(&find)?.query_row([id], |row| row.get::<_, String>(0)) {
        Ok(text) => Ok(parse(&text)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(Preferences::new()),
        Err(error) => Err(error),
    }
}

/// Reads what `set` wrote.
pub(super) fn parse(text: &str) -> Preferences {
    serde_json::from_str(text).unwrap_or_default()
}

/// A value as the minds read it: switches as `1` and `0`, lists joined by commas; `None` for null.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(on) => Some(if *on { "1" } else { "0" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(text_of).collect::<Vec<_>>().join(",")),
        Value::Object(_) => Some(value.to_string()),
    }
}

fn check(name: &str, value: &Value) -> Result<(), ProvisionError> {
    let is_name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
        return Err(ProvisionError::invalid(name, "is not a preference name"));
    }
    let is_plain = |value: &Value| !matches!(value, Value::Object(_) | Value::Array(_));
    match value {
        Value::Object(_) => Err(ProvisionError::invalid(name, "is neither text, number, switch nor list")),
        Value::Array(items) if !items.iter().all(is_plain) => Err(ProvisionError::invalid(name, "is a list of lists")),
        _ => Ok(()),
    }
}

/// Preferences of one owner as JSON, bytes.
const PREFERENCES_BYTES_MAX: usize = 64 << 10;
