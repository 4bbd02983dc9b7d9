//! The directory: domains and subscribers in memory, what a call or registration asks for. Lookups take no lock longer
//! than two map accesses.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use fabric::hash::{Fixed, FixedMap};
use fabric::letters::subscriber::{Account, Lock, Subscriber};
use rusqlite::{Connection, Row};

use super::numbers;
use super::preferences::{self, Preferences};

/// The directory as the port's threads share it.
#[derive(Clone, Default)]
pub(super) struct SharedDirectory(Arc<RwLock<Directory>>);

#[derive(Default)]
struct Directory {
    /// Domain name → its preferences.
    domains: FixedMap<Box<str>, Preferences>,
    by_aor: HashSet<ByAor, Fixed>,
    by_id: FixedMap<u64, Arc<Subscriber>>,
    by_number: FixedMap<Box<str>, Arc<Subscriber>>,
}

/// A subscriber, found by its address-of-record.
struct ByAor(Arc<Subscriber>);

impl Borrow<str> for ByAor {
    fn borrow(&self) -> &str {
        &self.0.aor
    }
}

impl Hash for ByAor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.aor.as_str().hash(state);
    }
}

impl PartialEq for ByAor {
    fn eq(&self, other: &Self) -> bool {
        self.0.aor == other.0.aor
    }
}

impl Eq for ByAor {}

impl SharedDirectory {
    /// Who `user` is in `domain`: a user name of the domain, else a number of any subscriber.
    pub fn account(&self, user: &str, domain: &str) -> Account {
        let domain = domain.to_ascii_lowercase();
        let directory = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if !directory.domains.contains_key(domain.as_str()) {
            return Account::ForeignDomain;
        }
        let mut aor = String::with_capacity(user.len() + domain.len() + 1);
        aor.push_str(user);
        aor.make_ascii_lowercase();
        aor.push('@');
        aor.push_str(&domain);
        let found = directory.by_aor.get(aor.as_str()).map(|found| &found.0);
        match found.or_else(|| directory.number(user)) {
            Some(subscriber) => Account::Subscriber(Arc::clone(subscriber)),
            None => Account::UnknownUser,
        }
    }

    /// Number of subscribers, terminated ones left out.
    pub fn subscribers(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).by_id.len()
    }

    /// Reads everything anew.
    pub fn load(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut fresh = Directory::default();
        let mut find = db.prepare("SELECT id FROM domains")?;
        for id in find.query_map([], |row| row.get::<_, i64>(0))? {
            if let Some((name, preferences)) = read_domain(db, id? as u64)? {
                fresh.domains.insert(name, preferences);
            }
        }
        let mut find = db.prepare(&format!("{SELECT} ORDER BY s.id"))?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            let subscriber = read_subscriber(db, row, &fresh)?;
            fresh.insert(Arc::new(subscriber));
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Reads one subscriber anew; one that is gone or terminated leaves the directory.
    pub fn refresh_subscriber(&self, db: &Connection, id: u64) -> rusqlite::Result<()> {
        let fresh = {
            let directory = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let mut find = db.prepare_cached(&format!("{SELECT} AND s.id = ?"))?;
            let mut rows = find.query([id as i64])?;
            match rows.next()? {
                Some(row) => Some(Arc::new(read_subscriber(db, row, &directory)?)),
                None => None,
            }
        };
        let mut directory = self.0.write().unwrap_or_else(PoisonError::into_inner);
        directory.remove(id);
        if let Some(fresh) = fresh {
            directory.insert(fresh);
        }
        Ok(())
    }

    /// Reads a domain and its subscribers anew: their preferences lie over its own.
    pub fn refresh_domain(&self, db: &Connection, id: u64) -> rusqlite::Result<()> {
        if let Some((name, preferences)) = read_domain(db, id)? {
            self.0.write().unwrap_or_else(PoisonError::into_inner).domains.insert(name, preferences);
        }
        let mut find = db.prepare_cached("SELECT id FROM subscribers WHERE domain_id = ?")?;
        for subscriber in find.query_map([id as i64], |row| row.get::<_, i64>(0))? {
            self.refresh_subscriber(db, subscriber? as u64)?;
        }
        Ok(())
    }

    /// Forgets a domain without subscribers.
    pub fn remove_domain(&self, domain: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).domains.remove(domain);
    }
}

impl Directory {
    fn number(&self, user: &str) -> Option<&Arc<Subscriber>> {
        let digits = numbers::digits_of(user)?;
        let international = digits.strip_prefix("00").filter(|_| !user.starts_with('+'));
        self.by_number.get(digits.as_str()).or_else(|| self.by_number.get(international?))
    }

    fn insert(&mut self, subscriber: Arc<Subscriber>) {
        for number in &subscriber.numbers {
            self.by_number.insert(number.as_str().into(), Arc::clone(&subscriber));
        }
        self.by_id.insert(subscriber.id, Arc::clone(&subscriber));
        self.by_aor.insert(ByAor(subscriber));
    }

    fn remove(&mut self, id: u64) {
        let Some(old) = self.by_id.remove(&id) else { return };
        self.by_aor.remove(old.aor.as_str());
        for number in &old.numbers {
            if self.by_number.get(number.as_str()).is_some_and(|owner| owner.id == id) {
                self.by_number.remove(number.as_str());
            }
        }
    }
}

const SELECT: &str = "SELECT s.id, s.uuid, s.customer_id, s.username, d.domain, s.ha1_md5, s.ha1_sha256, s.status, s.lock \
                      FROM subscribers s JOIN domains d ON d.id = s.domain_id WHERE s.status != 'terminated'";

fn read_domain(db: &Connection, id: u64) -> rusqlite::Result<Option<(Box<str>, Preferences)>> {
    let mut find = db.prepare_cached("SELECT domain FROM domains WHERE id = ?")?;
    match find.query_row([id as i64], |row| row.get::<_, String>(0)) {
        Ok(name) => Ok(Some((name.into(), preferences::read(db, "domain_preferences", id as i64)?))),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_subscriber(db: &Connection, row: &Row<'_>, directory: &Directory) -> rusqlite::Result<Subscriber> {
    let id: i64 = row.get(0)?;
    let username: String = row.get(3)?;
    let domain: String = row.get(4)?;
    let mut aor = format!("{username}@{domain}");
    aor.make_ascii_lowercase();
    let own = preferences::read(db, "subscriber_preferences", id)?;
    let of_domain = directory.domains.get(domain.as_str());
    let preferences = of_domain
        .into_iter()
        .flatten()
        .chain(&own)
        .filter_map(|(name, value)| Some((name.clone(), preferences::text_of(value)?)))
        .collect();
    let status: String = row.get(7)?;
    let mut numbers: Vec<String> = numbers::of(db, id as u64)?.into_iter().map(|(_, number)| number.digits()).collect();
    numbers.shrink_to_fit();
    Ok(Subscriber {
        id: id as u64,
        uuid: row.get(1)?,
        customer_id: row.get::<_, i64>(2)? as u64,
        username,
        domain,
        aor,
        ha1_md5: row.get(5)?,
        ha1_sha256: row.get(6)?,
        numbers,
        lock: lock_of(row.get(8)?, &status),
        preferences,
    })
}

fn lock_of(level: u8, status: &str) -> Lock {
    match (status, level) {
        ("locked", _) | (_, 4) => Lock::Global,
        (_, 1) => Lock::Foreign,
        (_, 2) => Lock::Outgoing,
        (_, 3) => Lock::All,
        (_, 5) => Lock::Ported,
        _ => Lock::None,
    }
}
