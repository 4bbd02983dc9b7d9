//! Schema and its history: each entry of `MIGRATIONS` brings the database one version further (`user_version`).

use rusqlite::{Connection, OpenFlags};

use super::Settings;

/// Opens the writing connection and migrates; creates file and directory when missing.
pub(super) fn open(settings: &Settings) -> rusqlite::Result<Connection> {
    if let Some(parent) = settings.file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        // A failure shows itself in the next line, with the file's name.
        let _ = std::fs::create_dir_all(parent);
    }
    let mut db = Connection::open(&settings.file)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", if settings.power_safe { "FULL" } else { "NORMAL" })?;
    // A copy of the central store passes through states where a row comes before what it refers to.
    db.pragma_update(None, "foreign_keys", settings.cql.is_none())?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -i64::from(settings.cache_kib))?;
    db.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    db.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    db.set_prepared_statement_cache_capacity(64);
    migrate(&mut db, MIGRATIONS)?;
    Ok(db)
}

/// Opens the connection for listings; it sees every commit of the writing one.
pub(super) fn open_reader(settings: &Settings) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&settings.file, flags)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

fn migrate(db: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let version: usize = db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? as usize;
    if version > migrations.len() {
        let text = format!("schema version {version} is newer than this build's {}", migrations.len());
        return Err(rusqlite::Error::ToSqlConversionFailure(text.into()));
    }
    for (number, script) in migrations.iter().enumerate().skip(version) {
        let step = db.transaction()?;
        step.execute_batch(script)?;
        step.pragma_update(None, "user_version", number as i64 + 1)?;
        step.commit()?;
    }
    Ok(())
}

/// Pages in the write-ahead log before it is folded into the database: 16 MiB.
const WAL_PAGES: i64 = 4096;

/// Bytes of the write-ahead log's file that stay after folding.
const WAL_BYTES_KEPT: i64 = 64 << 20;

const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE domains (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        domain TEXT NOT NULL UNIQUE,
        reseller_id INTEGER NOT NULL
    );
    CREATE TABLE customers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        contact_id INTEGER,
        status TEXT NOT NULL,
        type TEXT NOT NULL,
        external_id TEXT UNIQUE,
        create_ms INTEGER NOT NULL,
        modify_ms INTEGER NOT NULL
    );
    CREATE TABLE subscribers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        uuid TEXT NOT NULL UNIQUE,
        domain_id INTEGER NOT NULL REFERENCES domains (id),
        customer_id INTEGER NOT NULL REFERENCES customers (id),
        username TEXT NOT NULL COLLATE NOCASE,
        ha1_md5 BLOB NOT NULL,
        ha1_sha256 BLOB NOT NULL,
        status TEXT NOT NULL,
        lock INTEGER NOT NULL,
        webusername TEXT,
        external_id TEXT UNIQUE,
        display_name TEXT,
        email TEXT,
        administrative INTEGER NOT NULL,
        create_ms INTEGER NOT NULL,
        modify_ms INTEGER NOT NULL,
        UNIQUE (domain_id, username)
    );
    CREATE INDEX subscribers_customer ON subscribers (customer_id);
    CREATE TABLE numbers (
        digits TEXT PRIMARY KEY,
        subscriber_id INTEGER NOT NULL REFERENCES subscribers (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        cc TEXT NOT NULL,
        ac TEXT NOT NULL,
        sn TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX numbers_subscriber ON numbers (subscriber_id, place);
    CREATE TABLE domain_preferences (
        owner_id INTEGER PRIMARY KEY REFERENCES domains (id) ON DELETE CASCADE,
        preferences TEXT NOT NULL
    );
    CREATE TABLE subscriber_preferences (
        owner_id INTEGER PRIMARY KEY REFERENCES subscribers (id) ON DELETE CASCADE,
        preferences TEXT NOT NULL
    );
    CREATE TABLE bindings (
        aor TEXT PRIMARY KEY,
        bindings BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE cdrs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        record TEXT NOT NULL UNIQUE,
        call_id TEXT NOT NULL,
        source_user_id INTEGER NOT NULL,
        source_customer_id INTEGER NOT NULL,
        source_user TEXT NOT NULL,
        source_cli TEXT NOT NULL,
        destination_user_id INTEGER NOT NULL,
        destination_customer_id INTEGER NOT NULL,
        destination_user TEXT NOT NULL,
        call_status TEXT NOT NULL,
        init_ms INTEGER NOT NULL,
        cdr TEXT NOT NULL
    );
    CREATE INDEX cdrs_init ON cdrs (init_ms);
    CREATE INDEX cdrs_source ON cdrs (source_user_id, init_ms);
    CREATE INDEX cdrs_destination ON cdrs (destination_user_id, init_ms);
    CREATE INDEX cdrs_call_id ON cdrs (call_id);
",
    "
    ALTER TABLE bindings RENAME TO old_bindings;
    CREATE TABLE bindings (
        seq INTEGER PRIMARY KEY,
        aor TEXT NOT NULL,
        bindings BLOB NOT NULL
    );
    INSERT INTO bindings (aor, bindings) SELECT aor, bindings FROM old_bindings;
    DROP TABLE old_bindings;
",
    // Calls end in the order of time, or nearly: the index that keeps a record from coming twice follows it too.
    "
    ALTER TABLE cdrs RENAME TO old_cdrs;
    DROP INDEX cdrs_init;
    DROP INDEX cdrs_source;
    DROP INDEX cdrs_destination;
    DROP INDEX cdrs_call_id;
    CREATE TABLE cdrs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        record TEXT NOT NULL,
        call_id TEXT NOT NULL,
        source_user_id INTEGER NOT NULL,
        source_customer_id INTEGER NOT NULL,
        source_user TEXT NOT NULL,
        source_cli TEXT NOT NULL,
        destination_user_id INTEGER NOT NULL,
        destination_customer_id INTEGER NOT NULL,
        destination_user TEXT NOT NULL,
        call_status TEXT NOT NULL,
        init_ms INTEGER NOT NULL,
        cdr TEXT NOT NULL,
        UNIQUE (init_ms, record)
    );
    CREATE INDEX cdrs_source ON cdrs (source_user_id, init_ms);
    CREATE INDEX cdrs_destination ON cdrs (destination_user_id, init_ms);
    INSERT INTO cdrs
        SELECT id, record, call_id, source_user_id, source_customer_id, source_user, source_cli, destination_user_id,
               destination_customer_id, destination_user, call_status, init_ms, cdr
        FROM old_cdrs;
    DROP TABLE old_cdrs;
",
    // The central store: how far this copy of it has come, and call records that it has yet to get.
    "
    ALTER TABLE cdrs ADD COLUMN copy INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE bindings ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE cdr_outbox (
        id INTEGER PRIMARY KEY,
        stamp INTEGER NOT NULL
    );
    CREATE TABLE central (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;
",
];

#[cfg(test)]
mod tests;
