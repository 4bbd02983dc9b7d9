//! Telephone numbers of subscribers, and how a dialled text becomes one.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::ProvisionError;
use super::writer::Work;

/// A number in its three parts: country code, area code, subscriber number; digits only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    pub cc: String,
    #[serde(default)]
    pub ac: String,
    pub sn: String,
}

impl Number {
    /// The parts in a row: the number as calls use it.
    pub fn digits(&self) -> String {
        format!("{}{}{}", self.cc, self.ac, self.sn)
    }
}

/// Digits of a dialled text: `+`, visual separators (RFC 3966 5.1.1) and the international `00` fall away; `None` when
/// anything but digits remains.
pub(super) fn digits_of(text: &str) -> Option<String> {
    let digits: String =
        text.strip_prefix('+').unwrap_or(text).chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect();
    let is_number = !digits.is_empty() && digits.len() <= DIGITS_MAX && digits.bytes().all(|c| c.is_ascii_digit());
    is_number.then_some(digits)
}

/// Numbers of a subscriber in their order, the primary one first.
pub(super) fn of(db: &Connection, subscriber: u64) -> rusqlite::Result<Vec<(u32, Number)>> {
    let mut find = db.prepare_cached("SELECT place, cc, ac, sn FROM numbers WHERE subscriber_id = ? ORDER BY place")?;
    let rows = find.query_map([subscriber as i64], |row| {
        Ok((row.get(0)?, Number { cc: row.get(1)?, ac: row.get(2)?, sn: row.get(3)? }))
    })?;
    rows.collect()
}

/// Replaces all numbers of a subscriber; place 0 is the primary one.
pub(super) fn replace(
    work: &mut Work<'_>,
    subscriber: u64,
    primary: Option<&Number>,
    aliases: &[Number],
) -> Result<(), ProvisionError> {
    if aliases.len() > ALIASES_MAX {
        return Err(ProvisionError::invalid("alias_numbers", format!("are more than {ALIASES_MAX}")));
    }
    work.db.prepare_cached("DELETE FROM numbers WHERE subscriber_id = ?")?.execute([subscriber as i64])?;
    if let Some(primary) = primary {
        insert(work, subscriber, 0, primary, "primary_number")?;
    }
    for (place, alias) in aliases.iter().enumerate() {
        insert(work, subscriber, place as u32 + 1, alias, "alias_numbers")?;
    }
    Ok(())
}

fn insert(
    work: &mut Work<'_>,
    subscriber: u64,
    place: u32,
    number: &Number,
    field: &'static str,
) -> Result<(), ProvisionError> {
    let parts = [("cc", &number.cc, 1), ("ac", &number.ac, 0), ("sn", &number.sn, 1)];
    for (name, part, least) in parts {
        if part.len() < least || !part.bytes().all(|c| c.is_ascii_digit()) {
            return Err(ProvisionError::invalid(format!("{field}.{name}"), "is not made of digits"));
        }
    }
    let digits = number.digits();
    if digits.len() > DIGITS_MAX {
        return Err(ProvisionError::invalid(field, format!("has more than {DIGITS_MAX} digits")));
    }
    let taken = work
        .db
        .prepare_cached(
            "INSERT OR IGNORE INTO numbers (digits, subscriber_id, place, cc, ac, sn) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute((&digits, subscriber as i64, place, &number.cc, &number.ac, &number.sn))?
        == 0;
    match taken {
        true => Err(ProvisionError::conflict(field, format!("{digits} is in use already"))),
        false => Ok(()),
    }
}

/// Longest number, digits: 15 by E.164, and room for extensions.
const DIGITS_MAX: usize = 31;

/// Alias numbers of a subscriber, count.
const ALIASES_MAX: usize = 1000;
