//! Call records in the database, for the API; the files of the records port are the ones to bill from.

use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::ProvisionError;
use super::query::Source;
use super::writer::{Command, Work};
use crate::records::Cdr;
use crate::worker::Worker;

pub(super) const CDRS: Source = Source {
    from: "cdrs",
    columns: "id, cdr",
    id: "id",
    fields: &[
        ("id", "id", "id = ?"),
        ("call_id", "call_id", "call_id = ?"),
        ("source_user_id", "source_user_id", "source_user_id = ?"),
        ("source_customer_id", "source_customer_id", "source_customer_id = ?"),
        ("source_user", "source_user", "source_user = ?"),
        ("source_cli", "source_cli", "source_cli = ?"),
        ("destination_user_id", "destination_user_id", "destination_user_id = ?"),
        ("destination_customer_id", "destination_customer_id", "destination_customer_id = ?"),
        ("destination_user", "destination_user", "destination_user = ?"),
        ("call_status", "call_status", "call_status = ?"),
        ("subscriber_id", "id", "CAST(? AS INTEGER) IN (source_user_id, destination_user_id)"),
        ("customer_id", "id", "CAST(? AS INTEGER) IN (source_customer_id, destination_customer_id)"),
        // Milliseconds since 1970.
        ("init_ms", "init_ms", "init_ms = ?"),
        ("init_ge", "init_ms", "init_ms >= ?"),
        ("init_lt", "init_ms", "init_ms < ?"),
    ],
};

/// The id in the database and the record.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<(u64, Cdr)> {
    let text: String = row.get(1)?;
    let cdr = serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(e)))?;
    Ok((row.get::<_, i64>(0)? as u64, cdr))
}

fn insert(work: &Work<'_>, cdr: &Cdr) -> Result<(), ProvisionError> {
    let text = serde_json::to_string(cdr).map_err(|e| ProvisionError::Storage(e.to_string()))?;
    work.db
        .prepare_cached(
            "INSERT OR IGNORE INTO cdrs (record, call_id, source_user_id, source_customer_id, source_user, source_cli, \
             destination_user_id, destination_customer_id, destination_user, call_status, init_ms, cdr) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(rusqlite::params![
            cdr.id,
            cdr.call_id,
            cdr.source_user_id as i64,
            cdr.source_customer_id as i64,
            cdr.source_user,
            cdr.source_cli,
            cdr.destination_user_id as i64,
            cdr.destination_customer_id as i64,
            cdr.destination_user,
            cdr.call_status,
            cdr.init_ms() as i64,
            text,
        ])?;
    Ok(())
}

/// Deletes some records that began before `before_ms`; returns how many.
pub(super) fn prune(db: &Connection, before_ms: u64) -> rusqlite::Result<usize> {
    let delete = "DELETE FROM cdrs WHERE id IN (SELECT id FROM cdrs WHERE init_ms < ? ORDER BY init_ms LIMIT 10000)";
    db.prepare_cached(delete)?.execute([before_ms as i64])
}

/// Where the records port puts finished records.
#[derive(Clone)]
pub(crate) struct CdrSink {
    writer: Worker<Command>,
}

impl CdrSink {
    pub(super) fn new(writer: Worker<Command>) -> CdrSink {
        CdrSink { writer }
    }

    /// Queues records; `stored` is called after the commit with whether it succeeded. `false` when the queue is full;
    /// nothing is called then. A record that is there already is left alone.
    pub fn insert(&self, cdrs: Vec<Arc<Cdr>>, stored: impl FnOnce(bool) + Send + 'static) -> bool {
        let job = move |work: &mut Work<'_>| {
            let done = cdrs.iter().try_for_each(|cdr| insert(work, cdr));
            let ok = done.is_ok();
            let outcome: super::writer::Outcome = Box::new(move |failure| stored(ok && failure.is_none()));
            (ok, outcome)
        };
        self.writer.send(Command::Job(Box::new(job))).is_ok()
    }
}
