use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::store::{
    CustomerFields, DomainFields, PreferenceOwner, Preferences, Settings, SubscriberFields, domains, preferences,
    schema, subscribers,
};

/// A database in memory; as a copy of a central store it does not hold rows to what they refer to.
fn database() -> Connection {
    let cql = Some(crate::store::CqlSettings::default());
    schema::open(&Settings { file: PathBuf::from(":memory:"), cql, ..Settings::default() }).unwrap()
}

fn subscriber(username: &str, customer_id: u64, number: &str) -> SubscriberFields {
    SubscriberFields {
        domain: Some("example.test".to_owned()),
        username: username.to_owned(),
        password: Some("secret1".to_owned()),
        customer_id: Some(customer_id),
        external_id: Some(format!("ext-{username}")),
        primary_number: Some(Number { cc: "43".into(), ac: "1".into(), sn: number.into() }),
        alias_numbers: vec![Number { cc: "43".into(), ac: "2".into(), sn: number.into() }],
        ..SubscriberFields::default()
    }
}

/// A database with a domain, a customer and two subscribers, and the changes that made it.
fn made() -> (Connection, Vec<Change>, [u64; 2]) {
    let db = database();
    let mut changes = Vec::new();
    let mut note = |work: &Work<'_>| changes.push(work.change().unwrap());
    let mut work = Work::new(&db, 1_000);
    domains::create(&mut work, DomainFields { domain: "example.test".into(), reseller_id: None }).unwrap();
    let preferred: Preferences = serde_json::from_value(json!({"session_timer": 90})).unwrap();
    preferences::set(&mut work, PreferenceOwner::Domain(1), preferred.clone()).unwrap();
    note(&work);
    let mut work = Work::new(&db, 2_000);
    let customer = customers::create(&mut work, CustomerFields::default()).unwrap().id;
    let alice = subscribers::create(&mut work, subscriber("alice", customer, "1")).unwrap().id;
    preferences::set(&mut work, PreferenceOwner::Subscriber(alice), preferred).unwrap();
    note(&work);
    let mut work = Work::new(&db, 3_000);
    let bob = subscribers::create(&mut work, subscriber("bob", customer, "2")).unwrap().id;
    note(&work);
    (db, changes, [alice, bob])
}

fn whole(db: &Connection) -> Change {
    let keys = Kind::ALL.iter().flat_map(|kind| all_ids(db, *kind).unwrap().into_iter().map(|id| (*kind, id)));
    Change::read(db, &keys.collect()).unwrap()
}

#[test]
fn changes_make_the_same_database_elsewhere_also_when_they_come_twice() {
    let (db, changes, _) = made();
    let copy = database();
    for change in changes.iter().chain(&changes[1..]) {
        let text = serde_json::to_string(change).unwrap();
        let change: Change = serde_json::from_str(&text).unwrap();
        change.write(&mut Work::new(&copy, 9_000)).unwrap();
    }
    assert_eq!(whole(&copy), whole(&db));
    assert_eq!(whole(&db).entities.len(), 4);
}

#[test]
fn names_and_numbers_change_hands_in_any_order_of_reading() {
    let (db, changes, [alice, bob]) = made();
    let mut work = Work::new(&db, 4_000);
    let customer = all_ids(&db, Kind::Customer).unwrap().pop_first().unwrap();
    // alice becomes carol; then bob takes her name and her numbers.
    subscribers::update(&mut work, alice, SubscriberFields { ..subscriber("carol", customer, "3") }).unwrap();
    let first = work.change().unwrap();
    let mut work = Work::new(&db, 5_000);
    subscribers::update(&mut work, bob, subscriber("alice", customer, "1")).unwrap();
    let second = work.change().unwrap();
    // A copy that read the tables in between has the new bob and the old alice, and then reads both changes.
    let copy = database();
    for change in [&changes[0], &second, &changes[1], &first, &second] {
        change.write(&mut Work::new(&copy, 9_000)).unwrap();
    }
    assert_eq!(whole(&copy), whole(&db));
}

#[test]
fn what_is_deleted_goes_whole_and_its_id_is_not_given_again() {
    let (db, changes, [_, bob]) = made();
    let mut work = Work::new(&db, 4_000);
    subscribers::delete(&mut work, bob).unwrap();
    let gone = work.change().unwrap();
    assert_eq!(gone.entities, [Entity::Gone(Kind::Subscriber, bob)]);
    let copy = database();
    changes.iter().chain([&gone]).for_each(|change| change.write(&mut Work::new(&copy, 9_000)).unwrap());
    assert_eq!(whole(&copy), whole(&db));
    // A copy that never saw bob.
    let late = database();
    whole(&db).write(&mut Work::new(&late, 9_000)).unwrap();
    for db in [&db, &copy, &late] {
        let left: i64 = db.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 2);
        let customer = all_ids(db, Kind::Customer).unwrap().pop_first().unwrap();
        let new = subscribers::create(&mut Work::new(db, 5_000), subscriber("dora", customer, "4")).unwrap();
        assert_eq!(new.id, bob + 1);
    }
}
