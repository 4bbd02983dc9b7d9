//! What a provisioning function changed, as whole entities: what goes to the central store and comes from it.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::writer::{Touched, Work};
use super::{Customer, Number, bindings, customers, numbers};

/// A numbered change of provisioning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Change {
    /// Highest ids ever given to domains, customers and subscribers.
    pub ids: [u64; 3],
    pub entities: Vec<Entity>,
}

/// The new state of a thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entity {
    Domain(DomainState),
    Customer(Customer),
    Subscriber(Box<SubscriberState>),
    Gone(Kind, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Domain,
    Customer,
    Subscriber,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct DomainState {
    pub id: u64,
    pub domain: String,
    pub reseller_id: u64,
    /// JSON.
    pub preferences: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SubscriberState {
    pub id: u64,
    pub uuid: String,
    pub domain_id: u64,
    pub customer_id: u64,
    pub username: String,
    /// Hexadecimal.
    pub ha1_md5: String,
    pub ha1_sha256: String,
    pub status: String,
    pub lock: u8,
    pub webusername: Option<String>,
    pub external_id: Option<String>,
    pub display_name: Option<String>,
    pub email: Option<String>,
    pub administrative: bool,
    pub create_ms: u64,
    pub modify_ms: u64,
    /// Place and number; 0 is the primary one.
    pub numbers: Vec<(u32, Number)>,
    /// JSON.
    pub preferences: String,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Domain, Kind::Customer, Kind::Subscriber];

    pub fn table(self) -> &'static str {
        match self {
            Kind::Domain => "domains",
            Kind::Customer => "customers",
            Kind::Subscriber => "subscribers",
        }
    }
}

impl Entity {
    pub fn key(&self) -> (Kind, u64) {
        match self {
            Entity::Domain(domain) => (Kind::Domain, domain.id),
            Entity::Customer(customer) => (Kind::Customer, customer.id),
            Entity::Subscriber(subscriber) => (Kind::Subscriber, subscriber.id),
            Entity::Gone(kind, id) => (*kind, *id),
        }
    }

    /// Reads the state of a thing; `Gone` when it is not there.
    pub fn read(db: &Connection, kind: Kind, id: u64) -> rusqlite::Result<Entity> {
        let found = match kind {
            Kind::Domain => read_domain(db, id)?.map(Entity::Domain),
            Kind::Customer => {
                let source = &customers::CUSTOMERS;
                let find = format!("SELECT {} FROM {} WHERE id = ?", source.columns, source.from);
                db.prepare_cached(&find)?.query_row([id as i64], customers::read).optional()?.map(Entity::Customer)
            }
            Kind::Subscriber => read_subscriber(db, id)?.map(|state| Entity::Subscriber(Box::new(state))),
        };
        Ok(found.unwrap_or(Entity::Gone(kind, id)))
    }

    /// Makes the database say the same; whatever else holds a name or number of this thing loses it.
    pub fn write(&self, work: &mut Work<'_>) -> rusqlite::Result<()> {
        let (kind, id) = self.key();
        if &Entity::read(work.db, kind, id)? == self {
            return Ok(());
        }
        match self {
            Entity::Domain(domain) => write_domain(work, domain)?,
            Entity::Customer(customer) => write_customer(work, customer)?,
            Entity::Subscriber(subscriber) => write_subscriber(work, subscriber)?,
            Entity::Gone(..) => remove(work, kind, id)?,
        }
        if kind == Kind::Domain && !matches!(self, Entity::Gone(..)) {
            work.touch(Touched::Domain(id));
        }
        if kind == Kind::Subscriber {
            work.touch(Touched::Subscriber(id));
        }
        Ok(())
    }
}

impl Change {
    /// What stands in the database of things that were touched.
    pub fn read(db: &Connection, touched: &BTreeSet<(Kind, u64)>) -> rusqlite::Result<Change> {
        let entities = touched.iter().map(|(kind, id)| Entity::read(db, *kind, *id));
        Ok(Change { entities: entities.collect::<rusqlite::Result<_>>()?, ids: ids(db)? })
    }

    pub fn write(&self, work: &mut Work<'_>) -> rusqlite::Result<()> {
        self.entities.iter().try_for_each(|entity| entity.write(work))?;
        raise_ids(work.db, self.ids)
    }
}

/// Ids of all things of a kind.
pub(super) fn all_ids(db: &Connection, kind: Kind) -> rusqlite::Result<BTreeSet<u64>> {
    let mut find = db.prepare_cached(&format!("SELECT id FROM {}", kind.table()))?;
    let ids = find.query_map([], |row| Ok(row.get::<_, i64>(0)? as u64))?;
    ids.collect()
}

/// Highest ids ever given.
fn ids(db: &Connection) -> rusqlite::Result<[u64; 3]> {
    let mut ids = [0; 3];
    for (kind, id) in Kind::ALL.iter().zip(&mut ids) {
        let find = "SELECT seq FROM sqlite_sequence WHERE name = ?";
        let found = db.prepare_cached(find)?.query_row([kind.table()], |row| row.get::<_, i64>(0)).optional()?;
        *id = found.unwrap_or(0) as u64;
    }
    Ok(ids)
}

/// Keeps ids that were given elsewhere from being given again.
pub(super) fn raise_ids(db: &Connection, ids: [u64; 3]) -> rusqlite::Result<()> {
    for (kind, id) in Kind::ALL.iter().zip(ids) {
        let raise = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?";
        if db.prepare_cached(raise)?.execute((id as i64, kind.table()))? == 0 {
            let insert = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)";
            db.prepare_cached(insert)?.execute((kind.table(), id as i64))?;
        }
    }
    Ok(())
}

fn read_domain(db: &Connection, id: u64) -> rusqlite::Result<Option<DomainState>> {
    let find = "SELECT d.domain, d.reseller_id, coalesce(p.preferences, '{}') FROM domains d \
                LEFT JOIN domain_preferences p ON p.owner_id = d.id WHERE d.id = ?";
    let read = |row: &Row<'_>| {
        Ok(DomainState { id, domain: row.get(0)?, reseller_id: row.get::<_, i64>(1)? as u64, preferences: row.get(2)? })
    };
    db.prepare_cached(find)?.query_row([id as i64], read).optional()
}

fn read_subscriber(db: &Connection, id: u64) -> rusqlite::Result<Option<SubscriberState>> {
    let find = "SELECT s.uuid, s.domain_id, s.customer_id, s.username, hex(s.ha1_md5), hex(s.ha1_sha256), s.status, s.lock, \
                s.webusername, s.external_id, s.display_name, s.email, s.administrative, s.create_ms, s.modify_ms, \
                coalesce(p.preferences, '{}') FROM subscribers s \
                LEFT JOIN subscriber_preferences p ON p.owner_id = s.id WHERE s.id = ?";
    let read = |row: &Row<'_>| {
        Ok(SubscriberState {
            id,
            uuid: row.get(0)?,
            domain_id: row.get::<_, i64>(1)? as u64,
            customer_id: row.get::<_, i64>(2)? as u64,
            username: row.get(3)?,
            ha1_md5: row.get(4)?,
            ha1_sha256: row.get(5)?,
            status: row.get(6)?,
            lock: row.get(7)?,
            webusername: row.get(8)?,
            external_id: row.get(9)?,
            display_name: row.get(10)?,
            email: row.get(11)?,
            administrative: row.get(12)?,
            create_ms: row.get::<_, i64>(13)? as u64,
            modify_ms: row.get::<_, i64>(14)? as u64,
            numbers: Vec::new(),
            preferences: row.get(15)?,
        })
    };
    let Some(mut state) = db.prepare_cached(find)?.query_row([id as i64], read).optional()? else { return Ok(None) };
    state.numbers = numbers::of(db, id)?;
    Ok(Some(state))
}

fn write_domain(work: &mut Work<'_>, domain: &DomainState) -> rusqlite::Result<()> {
    remove_others(work, Kind::Domain, domain.id, "domain = ?", [&domain.domain])?;
    work.db
        .prepare_cached(
            "INSERT INTO domains (id, domain, reseller_id) VALUES (?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET domain = excluded.domain, reseller_id = excluded.reseller_id",
        )?
        .execute((domain.id as i64, &domain.domain, domain.reseller_id as i64))?;
    write_preferences(work.db, "domain_preferences", domain.id, &domain.preferences)
}

fn write_customer(work: &mut Work<'_>, customer: &Customer) -> rusqlite::Result<()> {
    if let Some(external_id) = &customer.external_id {
        remove_others(work, Kind::Customer, customer.id, "external_id = ?", [external_id])?;
    }
    work.db
        .prepare_cached(
            "INSERT INTO customers (id, contact_id, status, type, external_id, create_ms, modify_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET contact_id = excluded.contact_id, \
             status = excluded.status, type = excluded.type, external_id = excluded.external_id, \
             create_ms = excluded.create_ms, modify_ms = excluded.modify_ms",
        )?
        .execute(params![
            customer.id as i64,
            customer.contact_id.map(|id| id as i64),
            customer.status,
            customer.kind,
            customer.external_id,
            customer.create_ms as i64,
            customer.modify_ms as i64,
        ])?;
    Ok(())
}

fn write_subscriber(work: &mut Work<'_>, state: &SubscriberState) -> rusqlite::Result<()> {
    let named = (state.domain_id as i64, &state.username, &state.uuid, &state.external_id);
    let condition = "((domain_id = ? AND username = ?) OR uuid = ? OR external_id = ?)";
    remove_others(work, Kind::Subscriber, state.id, condition, params![named.0, named.1, named.2, named.3])?;
    work.db
        .prepare_cached(
            "INSERT INTO subscribers (id, uuid, domain_id, customer_id, username, ha1_md5, ha1_sha256, status, lock, \
             webusername, external_id, display_name, email, administrative, create_ms, modify_ms) \
             VALUES (?, ?, ?, ?, ?, unhex(?), unhex(?), ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET \
             uuid = excluded.uuid, domain_id = excluded.domain_id, customer_id = excluded.customer_id, \
             username = excluded.username, ha1_md5 = excluded.ha1_md5, ha1_sha256 = excluded.ha1_sha256, \
             status = excluded.status, lock = excluded.lock, webusername = excluded.webusername, \
             external_id = excluded.external_id, display_name = excluded.display_name, email = excluded.email, \
             administrative = excluded.administrative, create_ms = excluded.create_ms, modify_ms = excluded.modify_ms",
        )?
        .execute(params![
            state.id as i64,
            state.uuid,
            state.domain_id as i64,
            state.customer_id as i64,
            state.username,
            state.ha1_md5,
            state.ha1_sha256,
            state.status,
            state.lock,
            state.webusername,
            state.external_id,
            state.display_name,
            state.email,
            state.administrative,
            state.create_ms as i64,
            state.modify_ms as i64,
        ])?;
    work.db.prepare_cached("DELETE FROM numbers WHERE subscriber_id = ?")?.execute([state.id as i64])?;
    for (place, number) in &state.numbers {
        // The newer owner of a number has it; the older one's new state is on its way.
        let insert =
            "INSERT OR REPLACE INTO numbers (digits, subscriber_id, place, cc, ac, sn) VALUES (?, ?, ?, ?, ?, ?)";
        let row = params![number.digits(), state.id as i64, place, number.cc, number.ac, number.sn];
        work.db.prepare_cached(insert)?.execute(row)?;
    }
    write_preferences(work.db, "subscriber_preferences", state.id, &state.preferences)
}

fn write_preferences(db: &Connection, table: &'static str, id: u64, text: &str) -> rusqlite::Result<()> {
    if text == "{}" {
        let delete = format!("DELETE FROM {table} WHERE owner_id = ?");
        return db.prepare_cached(&delete)?.execute([id as i64]).map(drop);
    }
    let replace = format!("INSERT OR REPLACE INTO {table} (owner_id, preferences) VALUES (?, ?)");
    db.prepare_cached(&replace)?.execute((id as i64, text)).map(drop)
}

/// Removes what has a name that `id` is to have: its own newer state is on its way.
fn remove_others(
    work: &mut Work<'_>,
    kind: Kind,
    id: u64,
    condition: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<()> {
    let find = format!("SELECT id FROM {} WHERE {condition}", kind.table());
    let others: Vec<i64> =
        work.db.prepare_cached(&find)?.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?;
    others.into_iter().filter(|other| *other as u64 != id).try_for_each(|other| {
        remove(work, kind, other as u64)?;
        if kind == Kind::Subscriber {
            work.touch(Touched::Subscriber(other as u64));
        }
        Ok(())
    })
}

/// Deletes a thing with all that is part of it; a subscriber's stored bindings too.
pub(super) fn remove(work: &mut Work<'_>, kind: Kind, id: u64) -> rusqlite::Result<()> {
    let key = id as i64;
    match kind {
        Kind::Domain => {
            let find = "SELECT domain FROM domains WHERE id = ?";
            let name: Option<String> = work.db.query_row(find, [key], |row| row.get(0)).optional()?;
            work.db.execute("DELETE FROM domain_preferences WHERE owner_id = ?", [key])?;
            work.db.execute("DELETE FROM domains WHERE id = ?", [key])?;
            if let Some(name) = name {
                work.touch(Touched::DomainGone(name));
            }
        }
        Kind::Customer => drop(work.db.execute("DELETE FROM customers WHERE id = ?", [key])?),
        Kind::Subscriber => {
            let find = "SELECT lower(s.username || '@' || d.domain) FROM subscribers s \
                        JOIN domains d ON d.id = s.domain_id WHERE s.id = ?";
            let aor: Option<String> = work.db.query_row(find, [key], |row| row.get(0)).optional()?;
            if let Some(aor) = aor {
                let seq = bindings::unbind(work.db, &aor)?;
                work.touch(Touched::Unbound(aor, seq));
            }
            work.db.execute("DELETE FROM numbers WHERE subscriber_id = ?", [key])?;
            work.db.execute("DELETE FROM subscriber_preferences WHERE owner_id = ?", [key])?;
            work.db.execute("DELETE FROM subscribers WHERE id = ?", [key])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
