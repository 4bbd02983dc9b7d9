//! Customers: who pays; every subscriber belongs to one.

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::ProvisionError;
use super::change::Kind;
use super::query::Source;
use super::writer::Work;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    pub id: u64,
    pub contact_id: Option<u64>,
    /// `pending`, `active`, `locked` or `terminated`.
    pub status: String,
    /// `sipaccount` or `pbxaccount`.
    #[serde(rename = "type")]
    pub kind: String,
    pub external_id: Option<String>,
    /// Milliseconds since 1970.
    pub create_ms: u64,
    pub modify_ms: u64,
}

/// What one says of a customer when creating or replacing it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerFields {
    pub contact_id: Option<u64>,
    /// Default `active`.
    pub status: Option<String>,
    /// Default `sipaccount`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub external_id: Option<String>,
}

pub(super) const CUSTOMERS: Source = Source {
    from: "customers",
    columns: "id, contact_id, status, type, external_id, create_ms, modify_ms",
    id: "id",
    fields: &[
        ("id", "id", "id = ?"),
        ("contact_id", "contact_id", "contact_id = ?"),
        ("status", "status", "status = ?"),
        ("type", "type", "type = ?"),
        ("external_id", "external_id", "external_id = ?"),
    ],
};

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Customer> {
    Ok(Customer {
        id: row.get::<_, i64>(0)? as u64,
        contact_id: row.get::<_, Option<i64>>(1)?.map(|id| id as u64),
        status: row.get(2)?,
        kind: row.get(3)?,
        external_id: row.get(4)?,
        create_ms: row.get::<_, i64>(5)? as u64,
        modify_ms: row.get::<_, i64>(6)? as u64,
    })
}

pub(super) fn create(work: &mut Work<'_>, fields: CustomerFields) -> Result<Customer, ProvisionError> {
    let (status, kind) = checked(work, &fields, None)?;
    let now = work.now_ms as i64;
    work.db
        .prepare_cached(
            "INSERT INTO customers (contact_id, status, type, external_id, create_ms, modify_ms) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute((fields.contact_id.map(|id| id as i64), status, kind, &fields.external_id, now, now))?;
    let id = work.db.last_insert_rowid() as u64;
    work.changed(Kind::Customer, id);
    CUSTOMERS.get(work.db, id, read)?.ok_or(ProvisionError::NotFound("customer"))
}

pub(super) fn update(work: &mut Work<'_>, id: u64, fields: CustomerFields) -> Result<Customer, ProvisionError> {
    CUSTOMERS.get(work.db, id, read)?.ok_or(ProvisionError::NotFound("customer"))?;
    let (status, kind) = checked(work, &fields, Some(id))?;
    work.db.execute(
        "UPDATE customers SET contact_id = ?, status = ?, type = ?, external_id = ?, modify_ms = ? WHERE id = ?",
        (fields.contact_id.map(|id| id as i64), status, kind, &fields.external_id, work.now_ms as i64, id as i64),
    )?;
    work.changed(Kind::Customer, id);
    CUSTOMERS.get(work.db, id, read)?.ok_or(ProvisionError::NotFound("customer"))
}

pub(super) fn delete(work: &mut Work<'_>, id: u64) -> Result<(), ProvisionError> {
    let users = "SELECT count(*) FROM subscribers WHERE customer_id = ?";
    let users: i64 = work.db.query_row(users, [id as i64], |row| row.get(0))?;
    if users > 0 {
        return Err(ProvisionError::conflict("id", format!("{users} subscribers belong to the customer")));
    }
    match work.db.execute("DELETE FROM customers WHERE id = ?", [id as i64])? {
        0 => Err(ProvisionError::NotFound("customer")),
        _ => {
            work.changed(Kind::Customer, id);
            Ok(())
        }
    }
}

fn checked<'a>(
    work: &Work<'_>,
    fields: &'a CustomerFields,
    id: Option<u64>,
) -> Result<(&'a str, &'a str), ProvisionError> {
    let status = fields.status.as_deref().unwrap_or("active");
    if !["pending", "active", "locked", "terminated"].contains(&status) {
        return Err(ProvisionError::invalid("status", "is not pending, active, locked or terminated"));
    }
    let kind = fields.kind.as_deref().unwrap_or("sipaccount");
    if !["sipaccount", "pbxaccount"].contains(&kind) {
        return Err(ProvisionError::invalid("type", "is not sipaccount or pbxaccount"));
    }
    unused_external_id(work, "customers", fields.external_id.as_deref(), id)?;
    Ok((status, kind))
}

/// Refuses an external id that another row of `table` has, or that is empty or too long.
pub(super) fn unused_external_id(
    work: &Work<'_>,
    table: &'static str,
    external_id: Option<&str>,
    id: Option<u64>,
) -> Result<(), ProvisionError> {
    let Some(external_id) = external_id else { return Ok(()) };
    if external_id.is_empty() || external_id.len() > 255 {
        return Err(ProvisionError::invalid("external_id", "is empty or longer than 255 bytes"));
    }
    let find = format!("SELECT id FROM {table} WHERE external_id = ?");
    match work.db.prepare_cached(&find)?.query_row([external_id], |row| row.get::<_, i64>(0)) {
        Ok(other) if Some(other as u64) != id => Err(ProvisionError::conflict("external_id", "exists already")),
        Ok(_) | Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
