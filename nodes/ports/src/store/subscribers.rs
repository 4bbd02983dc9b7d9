//! Subscribers: users with credentials and numbers. The password itself is never kept, only its digest hashes.

use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};

use super::change::{self, Kind};
use super::customers::unused_external_id;
use super::query::Source;
use super::writer::{Touched, Work};
use super::{Number, ProvisionError, domains, numbers};

/// A subscriber as provisioning shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriberRow {
    pub id: u64,
    pub uuid: String,
    pub domain_id: u64,
    pub domain: String,
    pub customer_id: u64,
    pub username: String,
    /// `active`, `locked` or `terminated`.
    pub status: String,
    /// 0 none, 1 foreign, 2 outgoing, 3 all, 4 global, 5 ported.
    pub lock: u8,
    pub webusername: Option<String>,
    pub external_id: Option<String>,
    pub display_name: Option<String>,
    pub email: Option<String>,
    pub administrative: bool,
    pub primary_number: Option<Number>,
    pub alias_numbers: Vec<Number>,
    /// Milliseconds since 1970.
    pub create_ms: u64,
    pub modify_ms: u64,
}

/// What one says of a subscriber when creating or replacing it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriberFields {
    /// Name of the domain; or `domain_id`.
    pub domain: Option<String>,
    pub domain_id: Option<u64>,
    pub username: String,
    /// Needed to create; without one, an update keeps the old password.
    pub password: Option<String>,
    pub customer_id: Option<u64>,
    /// Default `active`.
    pub status: Option<String>,
    /// Default 0.
    pub lock: Option<u8>,
    pub webusername: Option<String>,
    pub external_id: Option<String>,
    pub display_name: Option<String>,
    pub email: Option<String>,
    pub administrative: bool,
    pub primary_number: Option<Number>,
    pub alias_numbers: Vec<Number>,
}

pub(super) const SUBSCRIBERS: Source = Source {
    from: "subscribers s JOIN domains d ON d.id = s.domain_id",
    columns: "s.id, s.uuid, s.domain_id, d.domain, s.customer_id, s.username, s.status, s.lock, s.webusername, \
              s.external_id, s.display_name, s.email, s.administrative, s.create_ms, s.modify_ms",
    id: "s.id",
    fields: &[
        ("id", "s.id", "s.id = ?"),
        ("uuid", "s.uuid", "s.uuid = ?"),
        ("domain_id", "s.domain_id", "s.domain_id = ?"),
        ("domain", "d.domain", "d.domain = ?"),
        ("customer_id", "s.customer_id", "s.customer_id = ?"),
        ("username", "s.username", "s.username = ?"),
        ("status", "s.status", "s.status = ?"),
        ("lock", "s.lock", "s.lock = ?"),
        ("webusername", "s.webusername", "s.webusername = ?"),
        ("external_id", "s.external_id", "s.external_id = ?"),
        ("email", "s.email", "s.email = ?"),
        ("administrative", "s.administrative", "s.administrative = ?"),
        ("number", "s.id", "s.id IN (SELECT subscriber_id FROM numbers WHERE digits = ?)"),
    ],
};

/// Reads a row of `SUBSCRIBERS`; the numbers come with `with_numbers`.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<SubscriberRow> {
    Ok(SubscriberRow {
        id: row.get::<_, i64>(0)? as u64,
        uuid: row.get(1)?,
        domain_id: row.get::<_, i64>(2)? as u64,
        domain: row.get(3)?,
        customer_id: row.get::<_, i64>(4)? as u64,
        username: row.get(5)?,
        status: row.get(6)?,
        lock: row.get(7)?,
        webusername: row.get(8)?,
        external_id: row.get(9)?,
        display_name: row.get(10)?,
        email: row.get(11)?,
        administrative: row.get(12)?,
        primary_number: None,
        alias_numbers: Vec::new(),
        create_ms: row.get::<_, i64>(13)? as u64,
        modify_ms: row.get::<_, i64>(14)? as u64,
    })
}

pub(super) fn with_numbers(db: &Connection, mut row: SubscriberRow) -> rusqlite::Result<SubscriberRow> {
    for (place, number) in numbers::of(db, row.id)? {
        match place {
            0 => row.primary_number = Some(number),
            _ => row.alias_numbers.push(number),
        }
    }
    Ok(row)
}

pub(super) fn get(db: &Connection, id: u64) -> Result<SubscriberRow, ProvisionError> {
    let row = SUBSCRIBERS.get(db, id, read)?.ok_or(ProvisionError::NotFound("subscriber"))?;
    Ok(with_numbers(db, row)?)
}

pub(super) fn create(work: &mut Work<'_>, fields: SubscriberFields) -> Result<SubscriberRow, ProvisionError> {
    let checked = Checked::new(work, &fields, None)?;
    let password = fields.password.as_deref().ok_or_else(|| ProvisionError::invalid("password", "is missing"))?;
    let (md5, sha256) = hashes(&fields.username, &checked.domain, password)?;
    let now = work.now_ms as i64;
    work.db
        .prepare_cached(
            "INSERT INTO subscribers (uuid, domain_id, customer_id, username, ha1_md5, ha1_sha256, status, lock, webusername, \
             external_id, display_name, email, administrative, create_ms, modify_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(rusqlite::params![
            uuid(work.db)?,
            checked.domain_id as i64,
            checked.customer_id as i64,
            fields.username,
            md5,
            sha256,
            checked.status,
            checked.lock,
            fields.webusername,
            fields.external_id,
            fields.display_name,
            fields.email,
            fields.administrative,
            now,
            now,
        ])?;
    let id = work.db.last_insert_rowid() as u64;
    numbers::replace(work, id, fields.primary_number.as_ref(), &fields.alias_numbers)?;
    work.changed(Kind::Subscriber, id);
    work.touch(Touched::Subscriber(id));
    get(work.db, id)
}

pub(super) fn update(work: &mut Work<'_>, id: u64, fields: SubscriberFields) -> Result<SubscriberRow, ProvisionError> {
    let old = get(work.db, id)?;
    let checked = Checked::new(work, &fields, Some(&old))?;
    match fields.password.as_deref() {
        Some(password) => {
            let (md5, sha256) = hashes(&fields.username, &checked.domain, password)?;
            work.db
                .execute("UPDATE subscribers SET ha1_md5 = ?, ha1_sha256 = ? WHERE id = ?", (md5, sha256, id as i64))?;
        }
        None if fields.username != old.username || checked.domain_id != old.domain_id => {
            let why = "is needed with a new username or domain: it is hashed with both";
            return Err(ProvisionError::invalid("password", why));
        }
        None => {}
    }
    work.db.execute(
        "UPDATE subscribers SET domain_id = ?, customer_id = ?, username = ?, status = ?, lock = ?, webusername = ?, \
         external_id = ?, display_name = ?, email = ?, administrative = ?, modify_ms = ? WHERE id = ?",
        rusqlite::params![
            checked.domain_id as i64,
            checked.customer_id as i64,
            fields.username,
            checked.status,
            checked.lock,
            fields.webusername,
            fields.external_id,
            fields.display_name,
            fields.email,
            fields.administrative,
            work.now_ms as i64,
            id as i64,
        ],
    )?;
    numbers::replace(work, id, fields.primary_number.as_ref(), &fields.alias_numbers)?;
    work.changed(Kind::Subscriber, id);
    work.touch(Touched::Subscriber(id));
    get(work.db, id)
}

/// Deletes a subscriber with its numbers, preferences and stored bindings.
pub(super) fn delete(work: &mut Work<'_>, id: u64) -> Result<(), ProvisionError> {
    get(work.db, id)?;
    change::remove(work, Kind::Subscriber, id)?;
    work.changed(Kind::Subscriber, id);
    work.touch(Touched::Subscriber(id));
    Ok(())
}

/// What of the fields needed a look into the database or a default.
struct Checked {
    domain_id: u64,
    domain: String,
    customer_id: u64,
    status: String,
    lock: u8,
}

impl Checked {
    fn new(work: &Work<'_>, fields: &SubscriberFields, old: Option<&SubscriberRow>) -> Result<Checked, ProvisionError> {
        check_username(&fields.username)?;
        let (domain_id, domain) = find_domain(work, fields)?;
        let find = "SELECT id FROM subscribers WHERE domain_id = ? AND username = ?";
        match work.db.prepare_cached(find)?.query_row((domain_id as i64, &fields.username), |row| row.get::<_, i64>(0))
        {
            Ok(other) if Some(other as u64) != old.map(|old| old.id) => {
                return Err(ProvisionError::conflict("username", "exists already in the domain"));
            }
            Ok(_) | Err(rusqlite::Error::QueryReturnedNoRows) => {}
            Err(error) => return Err(error.into()),
        }
        let customer_id = fields.customer_id.or(old.map(|old| old.customer_id));
        let customer_id = customer_id.ok_or_else(|| ProvisionError::invalid("customer_id", "is missing"))?;
        let find = "SELECT count(*) FROM customers WHERE id = ?";
        if work.db.prepare_cached(find)?.query_row([customer_id as i64], |row| row.get::<_, i64>(0))? == 0 {
            return Err(ProvisionError::invalid("customer_id", "does not exist"));
        }
        let status = fields.status.clone().unwrap_or_else(|| "active".to_owned());
        if !["active", "locked", "terminated"].contains(&status.as_str()) {
            return Err(ProvisionError::invalid("status", "is not active, locked or terminated"));
        }
        let lock = fields.lock.unwrap_or(0);
        if lock > 5 {
            return Err(ProvisionError::invalid("lock", "is not 0 to 5"));
        }
        for (field, text) in
            [("webusername", &fields.webusername), ("display_name", &fields.display_name), ("email", &fields.email)]
        {
            if text.as_ref().is_some_and(|text| text.len() > 255 || text.chars().any(char::is_control)) {
                return Err(ProvisionError::invalid(field, "is longer than 255 bytes or not printable"));
            }
        }
        unused_external_id(work, "subscribers", fields.external_id.as_deref(), old.map(|old| old.id))?;
        Ok(Checked { domain_id, domain, customer_id, status, lock })
    }
}

fn find_domain(work: &Work<'_>, fields: &SubscriberFields) -> Result<(u64, String), ProvisionError> {
    let (field, id) = match (&fields.domain, fields.domain_id) {
        (Some(domain), _) => ("domain", domains::id_of(work, domain)?),
        (None, id) => ("domain_id", id),
    };
    let id = id.ok_or_else(|| {
        ProvisionError::invalid(field, if field == "domain" { "does not exist" } else { "is missing" })
    })?;
    let domain = domains::DOMAINS.get(work.db, id, domains::read)?;
    match domain {
        Some(domain) if fields.domain_id.is_none_or(|wanted| wanted == id) => Ok((id, domain.domain)),
        Some(_) => Err(ProvisionError::invalid("domain_id", "is another domain's than `domain`")),
        None => Err(ProvisionError::invalid(field, "does not exist")),
    }
}

/// User part of a SIP URI without need of escapes (RFC 3261 25.1), and no `:` that would break the digest hash.
fn check_username(username: &str) -> Result<(), ProvisionError> {
    let is_user = |c: u8| c.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&c);
    match !username.is_empty() && username.len() <= 127 && username.bytes().all(is_user) {
        true => Ok(()),
        false => Err(ProvisionError::invalid("username", "is not the user part of a SIP address")),
    }
}

fn hashes(username: &str, domain: &str, password: &str) -> Result<([u8; 16], [u8; 32]), ProvisionError> {
    if password.is_empty() || password.len() > 255 || password.chars().any(char::is_control) {
        return Err(ProvisionError::invalid("password", "is empty, longer than 255 bytes or not printable"));
    }
    Ok((auth::ha1_md5(username, domain, password), auth::ha1_sha256(username, domain, password)))
}

/// A random UUID (version 4).
fn uuid(db: &Connection) -> rusqlite::Result<String> {
    let mut bytes: Vec<u8> = db.query_row("SELECT randomblob(16)", [], |row| row.get(0))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
