//! Call records in the database, for the API; the files of the records port are the ones to bill from.

use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::ProvisionError;
use super::cql::Central;
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
        // `false` leaves out the copies of other nodes' records.
        ("copies", "copy", "copy <= (? = 'true')"),
    ],
};

/// The id in the database and the record.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<(u64, Cdr)> {
    let text: String = row.get(1)?;
    let cdr = serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(e)))?;
    Ok((row.get::<_, i64>(0)? as u64, cdr))
}

/// Writes a record that is not there yet; for the central store it is noted too.
fn insert(work: &Work<'_>, row: &CdrRow, outbox: bool) -> Result<(), ProvisionError> {
    let cdr = &row.cdr;
    let text = serde_json::to_string(&**cdr).map_err(|e| ProvisionError::Storage(e.to_string()))?;
    let count = work
        .db
        .prepare_cached(
            "INSERT OR IGNORE INTO cdrs (record, call_id, source_user_id, source_customer_id, source_user, source_cli, \
             destination_user_id, destination_customer_id, destination_user, call_status, init_ms, cdr, copy) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            row.copy,
        ])?;
    if outbox && count > 0 {
        let note = "INSERT INTO cdr_outbox (id, stamp) VALUES (?, ?)";
        work.db.prepare_cached(note)?.execute((work.db.last_insert_rowid(), row.stamp))?;
    }
    Ok(())
}

/// Deletes some records that began before `before_ms`, those left out that the central store has yet to get; returns how many.
pub(super) fn prune(db: &Connection, before_ms: u64) -> rusqlite::Result<usize> {
    let delete = "DELETE FROM cdrs WHERE id IN (SELECT id FROM cdrs WHERE init_ms < ? \
                  AND id NOT IN (SELECT id FROM cdr_outbox) ORDER BY init_ms LIMIT 10000)";
    db.prepare_cached(delete)?.execute([before_ms as i64])
}

/// The next records for the central store, oldest first.
pub(super) fn outbox(db: &Connection, count: usize) -> rusqlite::Result<Vec<(i64, i64, Cdr)>> {
    let find = "SELECT o.id, o.stamp, c.cdr FROM cdr_outbox o JOIN cdrs c ON c.id = o.id ORDER BY o.id LIMIT ?";
    let mut find = db.prepare_cached(find)?;
    let rows = find.query_map([count as i64], |row| {
        let text: String = row.get(2)?;
        let cdr = serde_json::from_str(&text)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(e)))?;
        Ok((row.get(0)?, row.get(1)?, cdr))
    })?;
    rows.collect()
}

/// The central store has everything up to this record.
pub(super) fn shipped(db: &Connection, up_to: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM cdr_outbox WHERE id <= ?")?.execute([up_to]).map(drop)
}

/// A finished record on its way into the store.
#[derive(Clone)]
pub(crate) struct CdrRow {
    pub cdr: Arc<Cdr>,
    /// Another node exports it.
    pub copy: bool,
    /// Strength in the central store: `stamp`.
    pub stamp: i64,
}

/// Where the records port puts finished records.
#[derive(Clone)]
pub(crate) struct CdrSink {
    writer: Worker<Command>,
    /// The central store that is to get them too.
    central: Option<Arc<Central>>,
}

impl CdrSink {
    pub(super) fn new(writer: Worker<Command>, central: Option<Arc<Central>>) -> CdrSink {
        CdrSink { writer, central }
    }

    /// Queues records; `stored` is called after the commit with whether it succeeded. `false` when the queue is full;
    /// nothing is called then. A record that is there already is left alone.
    pub fn insert(&self, cdrs: Vec<CdrRow>, stored: impl FnOnce(bool) + Send + 'static) -> bool {
        let central = self.central.clone();
        let job = move |work: &mut Work<'_>| {
            let done = cdrs.iter().try_for_each(|row| insert(work, row, central.is_some()));
            let ok = done.is_ok();
            let outcome: super::writer::Outcome = Box::new(move |failure| {
                stored(ok && failure.is_none());
                if let Some(central) = &central {
                    central.wake_outbox();
                }
            });
            (ok, outcome)
        };
        self.writer.send(Command::Job(Box::new(job))).is_ok()
    }
}
