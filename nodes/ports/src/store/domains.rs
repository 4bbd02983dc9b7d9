//! Domains: the host parts that this switch serves.

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::ProvisionError;
use super::change::{self, Kind};
use super::query::Source;
use super::writer::{Touched, Work};

/// A served domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    pub id: u64,
    /// Lower case, without port.
    pub domain: String,
    pub reseller_id: u64,
}

/// What one says of a domain when creating or replacing it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainFields {
    pub domain: String,
    /// Default 1.
    pub reseller_id: Option<u64>,
}

pub(super) const DOMAINS: Source = Source {
    from: "domains",
    columns: "id, domain, reseller_id",
    id: "id",
    fields: &[
        ("id", "id", "id = ?"),
        ("domain", "domain", "domain = ?"),
        ("reseller_id", "reseller_id", "reseller_id = ?"),
    ],
};

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Domain> {
    Ok(Domain { id: row.get::<_, i64>(0)? as u64, domain: row.get(1)?, reseller_id: row.get::<_, i64>(2)? as u64 })
}

pub(super) fn create(work: &mut Work<'_>, fields: DomainFields) -> Result<Domain, ProvisionError> {
    let domain = checked(work, &fields, None)?;
    let reseller_id = fields.reseller_id.unwrap_or(1);
    work.db
        .prepare_cached("INSERT INTO domains (domain, reseller_id) VALUES (?, ?)")?
        .execute((&domain, reseller_id as i64))?;
    let id = work.db.last_insert_rowid() as u64;
    work.changed(Kind::Domain, id);
    work.touch(Touched::Domain(id));
    Ok(Domain { id, domain, reseller_id })
}

/// Changes the reseller; the name is fixed, since every subscriber's digest hash is made with it.
pub(super) fn update(work: &mut Work<'_>, id: u64, fields: DomainFields) -> Result<Domain, ProvisionError> {
    let old = DOMAINS.get(work.db, id, read)?.ok_or(ProvisionError::NotFound("domain"))?;
    let domain = checked(work, &fields, Some(id))?;
    if domain != old.domain {
        return Err(ProvisionError::invalid("domain", "cannot be renamed: subscribers' passwords are hashed with it"));
    }
    let reseller_id = fields.reseller_id.unwrap_or(old.reseller_id);
    work.db.execute("UPDATE domains SET reseller_id = ? WHERE id = ?", (reseller_id as i64, id as i64))?;
    work.changed(Kind::Domain, id);
    Ok(Domain { id, domain, reseller_id })
}

pub(super) fn delete(work: &mut Work<'_>, id: u64) -> Result<(), ProvisionError> {
    let users = "SELECT count(*) FROM subscribers WHERE domain_id = ?";
    let users: i64 = work.db.query_row(users, [id as i64], |row| row.get(0))?;
    if users > 0 {
        return Err(ProvisionError::conflict("id", format!("{users} subscribers are in the domain")));
    }
    DOMAINS.get(work.db, id, read)?.ok_or(ProvisionError::NotFound("domain"))?;
    change::remove(work, Kind::Domain, id)?;
    work.changed(Kind::Domain, id);
    Ok(())
}

/// The id of a domain name.
pub(super) fn id_of(work: &Work<'_>, domain: &str) -> Result<Option<u64>, ProvisionError> {
    let mut find = work.db.prepare_cached("SELECT id FROM domains WHERE domain = ?")?;
    match find.query_row([domain.to_ascii_lowercase()], |row| row.get::<_, i64>(0)) {
        Ok(id) => Ok(Some(id as u64)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn checked(work: &Work<'_>, fields: &DomainFields, id: Option<u64>) -> Result<String, ProvisionError> {
    let domain = fields.domain.trim().trim_end_matches('.').to_ascii_lowercase();
    let is_host = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    let is_v6 = domain.starts_with('[')
        && domain.ends_with(']')
        && domain[1..domain.len() - 1].parse::<std::net::Ipv6Addr>().is_ok();
    if domain.is_empty() || domain.len() > 190 || !(domain.bytes().all(is_host) || is_v6) {
        return Err(ProvisionError::invalid("domain", "is not a host name or address"));
    }
    match id_of(work, &domain)? {
        Some(other) if Some(other) != id => Err(ProvisionError::conflict("domain", "exists already")),
        _ => Ok(domain),
    }
}
