//! Against a real store: Cassandra at TANDEM_CQL (`host:port`, data centre dc1), as `tests/run cql` starts it. Without that
//! variable these tests pass without a look.

mod outage;

use std::path::Path;

use fabric::letters::location::{Binding, StoredBindings};
use fabric::letters::subscriber::{Account, AccountAsk};
use fabric::{Address, Envelope, Epoch, Letter, NodeId, Post, Thread};
use tokio::time::Instant;

use super::*;
use crate::records::Cdr;
use crate::store::{
    CdrRow, CustomerFields, DomainFields, Handle, ProvisionError, Settings as StoreSettings, SubscriberFields, stamp,
};
use crate::testing::{Directory, Inbox, PATIENCE, StillClock, exchange, home};

/// 2026-11-21T08:15:00Z.
const NOW_MS: u64 = 1_795_248_900_000;

fn point() -> Option<String> {
    std::env::var("TANDEM_CQL").ok()
}

fn settings(point: &str, keyspace: &str) -> Settings {
    Settings {
        contact_points: vec![point.to_owned()],
        keyspace: keyspace.to_owned(),
        replication: [("dc1".to_owned(), 1)].into(),
        poll_ms: 50,
        start_wait_s: 60,
        timeout_ms: 10_000,
        ..Settings::default()
    }
}

/// A keyspace that no other test and no other run has.
fn keyspace(dir: &Directory) -> String {
    let name: String = dir.path().file_name().unwrap().to_str().unwrap().replace('-', "_");
    name.chars().take(48).collect()
}

async fn try_node(number: u16, dir: &Path, cql: Settings) -> (Handle, Inbox) {
    let (post, mail) = exchange();
    let home = Home::new(NodeId(number), *b"0123456789abcdef", 8);
    let settings = StoreSettings { file: dir.join(format!("{number}.db")), cql: Some(cql), ..StoreSettings::default() };
    (crate::store::start(settings, post, &home, StillClock::at(NOW_MS)).await.unwrap(), mail)
}

async fn node(number: u16, dir: &Path, cql: Settings) -> (Handle, Inbox) {
    let (store, mail) = try_node(number, dir, cql).await;
    assert_eq!(store.trouble(), None);
    (store, mail)
}

fn domain(name: &str) -> DomainFields {
    DomainFields { domain: name.to_owned(), reseller_id: None }
}

fn subscriber(username: &str, customer_id: u64) -> SubscriberFields {
    SubscriberFields {
        domain: Some("example.test".to_owned()),
        username: username.to_owned(),
        password: Some("secret1".to_owned()),
        customer_id: Some(customer_id),
        ..SubscriberFields::default()
    }
}

async fn stock(store: &Handle) -> u64 {
    store.provisioning().create_domain(domain("example.test")).await.unwrap();
    store.provisioning().create_customer(CustomerFields::default()).await.unwrap().id
}

async fn is_known(store: &Handle, mail: &mut Inbox, user: &str) -> bool {
    let ask = AccountAsk { user: user.to_owned(), domain: "example.test".to_owned() };
    let letter = Letter::AccountAsk(Box::new(ask));
    store.post(Envelope::ask(Address::Control(NodeId(1)), Address::Store(NodeId(1)), Thread(3), letter));
    matches!(mail.next().await.letter, Letter::Account(Account::Subscriber(_)))
}

/// Waits for what another thread or node does.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE * 3, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn count(store: &Handle, name: &str) -> u64 {
    store.counters().into_iter().find(|(other, _)| *other == name).unwrap().1
}

async fn session(store: &Handle) -> Arc<Session> {
    store.shared.central.as_ref().unwrap().session().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_at_one_node_is_everywhere_and_names_are_unique() {
    let Some(point) = point() else { return };
    let dir = Directory::new("everywhere");
    let cql = settings(&point, &keyspace(&dir));
    let (a, _) = node(1, dir.path(), cql.clone()).await;
    let (b, mut at_b) = node(2, dir.path(), cql.clone()).await;
    let customer = stock(&a).await;
    // Seen by the next change at once, and by calls a look later.
    let taken = b.provisioning().create_domain(domain("example.test")).await;
    assert!(matches!(taken, Err(ProvisionError::Conflict { .. })), "{taken:?}");
    let alice = b.provisioning().create_subscriber(subscriber("alice", customer)).await.unwrap();
    assert!(is_known(&b, &mut at_b, "alice").await, "where it was made it is known at once");
    // Both nodes at once, all for the same names: each name is given once.
    let mut racing = tokio::task::JoinSet::new();
    for number in 0..20 {
        for store in [&a, &b] {
            let provisioning = store.provisioning();
            racing.spawn(async move {
                provisioning.create_subscriber(subscriber(&format!("user{number}"), customer)).await.map(|row| row.id)
            });
        }
    }
    let results = racing.join_all().await;
    let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (20, 20));
    assert!(refused.iter().all(|error| matches!(error, Err(ProvisionError::Conflict { .. }))), "{refused:?}");
    assert!(count(&a, "central_conflicts") + count(&b, "central_conflicts") > 0, "they raced");
    until("both have all", async || count(&a, "subscribers") == 21 && count(&b, "subscribers") == 21).await;
    a.provisioning().delete_subscriber(alice.id).await.unwrap();
    until("a deletion arrives", async || !is_known(&b, &mut at_b, "alice").await).await;
    // A third node comes, and one that was away so long that the changes have expired.
    b.stop().await;
    a.provisioning().create_subscriber(subscriber("bob", customer)).await.unwrap();
    let session = session(&a).await;
    let done = count(&a, "central_change") as i64;
    until("the tables are complete", async || session.head().await.unwrap().is_some_and(|head| head.seq == done)).await;
    session.driver().query_unpaged("TRUNCATE changes", ()).await.unwrap();
    for number in [2, 3] {
        let (late, mut mail) = node(number, dir.path(), cql.clone()).await;
        assert!(is_known(&late, &mut mail, "bob").await, "node {number}");
        assert!(!is_known(&late, &mut mail, "alice").await, "node {number}");
        let known = 21 + u64::from(number - 2);
        assert_eq!((count(&late, "subscribers"), count(&late, "central_refills")), (known, 1), "node {number}");
        let made = late.provisioning().create_subscriber(subscriber(&format!("late{number}"), customer)).await;
        assert!(made.unwrap().id > alice.id);
        late.stop().await;
    }
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_change_is_one_change() {
    let Some(point) = point() else { return };
    let dir = Directory::new("large");
    let cql = settings(&point, &keyspace(&dir));
    let (a, _) = node(1, dir.path(), cql.clone()).await;
    let customer = stock(&a).await;
    let many = (0..2_000).map(|number| subscriber(&format!("user{number}"), customer)).collect();
    let before = count(&a, "central_change");
    assert_eq!(a.provisioning().create_subscribers(many).await, Ok(2_000));
    assert_eq!(count(&a, "central_change"), before + 1);
    let bad = vec![subscriber("new", customer), subscriber("user7", customer)];
    assert!(matches!(a.provisioning().create_subscribers(bad).await, Err(ProvisionError::Conflict { .. })));
    assert_eq!(count(&a, "central_change"), before + 1, "nothing of a refused change leaves the node");
    let (b, mut mail) = node(2, dir.path(), cql).await;
    until("all are there", async || count(&b, "subscribers") == 2_000).await;
    assert!(is_known(&b, &mut mail, "user1999").await);
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_that_stood_alone_brings_its_data_and_a_second_one_is_refused() {
    let Some(point) = point() else { return };
    let dir = Directory::new("joins");
    let cql = settings(&point, &keyspace(&dir));
    for number in [1, 2] {
        let file = dir.path().join(format!("{number}.db"));
        let settings = StoreSettings { file, ..StoreSettings::default() };
        let alone = crate::store::start(settings, exchange().0, &home(), StillClock::at(NOW_MS)).await.unwrap();
        let customer = stock(&alone).await;
        alone.provisioning().create_subscriber(subscriber(&format!("own{number}"), customer)).await.unwrap();
        alone.stop().await;
    }
    let (a, _) = node(1, dir.path(), cql.clone()).await;
    let (c, mut at_c) = node(3, dir.path(), cql.clone()).await;
    until("the data of the first", async || is_known(&c, &mut at_c, "own1").await).await;
    let (b, mut at_b) = try_node(2, dir.path(), Settings { start_wait_s: 1, ..cql }).await;
    assert!(b.trouble().is_some_and(|why| why.contains("move the file away")), "{:?}", b.trouble());
    assert!(is_known(&b, &mut at_b, "own2").await, "it goes on with what it has");
    let refused = b.provisioning().create_domain(domain("new.test")).await;
    assert!(matches!(refused, Err(ProvisionError::Unavailable(_))), "{refused:?}");
    for store in [a, b, c] {
        store.stop().await;
    }
}

fn bindings(contact: &str) -> Vec<Binding> {
    vec![Binding {
        contact: contact.into(),
        path: "".into(),
        call_id: "call".into(),
        cseq: 1,
        q: 1000,
        expires_ms: NOW_MS + 3_600_000,
        instance: None,
        reg_id: 0,
        user_agent: None,
        received: None,
        nat: false,
    }]
}

async fn keep(store: &Handle, mail: &mut Inbox, aor: &str, epoch: u64, bindings: Vec<Binding>) {
    let letter = Letter::KeepBindings(Box::new(StoredBindings { aor: aor.into(), bindings }));
    let ask = Envelope::ask(Address::Location(1), Address::Store(NodeId(1)), Thread(1), letter);
    store.post(Envelope { epoch: Epoch(epoch), ..ask });
    assert_eq!(mail.next().await.letter, Letter::Kept);
}

async fn load(store: &Handle, mail: &mut Inbox) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for shard in 0..8 {
        let ask = Letter::LoadBindings(shard, 8);
        store.post(Envelope::ask(Address::Location(shard), Address::Store(NodeId(1)), Thread(1), ask));
        let Letter::LoadedBindings(loaded) = mail.next().await.letter else { panic!("no bindings") };
        for state in loaded.iter() {
            assert_eq!(home().keys.location(&state.aor, 8), shard);
            found.push((state.aor.to_string(), state.bindings[0].contact.to_string()));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bindings_of_the_newest_owner_are_found_by_a_cold_start_elsewhere() {
    let Some(point) = point() else { return };
    let dir = Directory::new("cold");
    let cql = settings(&point, &keyspace(&dir));
    let (a, mut at_a) = node(1, dir.path(), cql.clone()).await;
    let (b, mut at_b) = node(2, dir.path(), cql.clone()).await;
    keep(&a, &mut at_a, "alice@example.test", 1, bindings("sip:old")).await;
    keep(&a, &mut at_a, "bob@example.test", 1, bindings("sip:bob")).await;
    keep(&a, &mut at_a, "carol@example.test", 1, bindings("sip:carol")).await;
    until("they are shipped", async || count(&a, "central_bindings") == 3).await;
    // B has taken over; then A, which does not know it, writes once more.
    keep(&b, &mut at_b, "alice@example.test", 2, bindings("sip:new")).await;
    keep(&b, &mut at_b, "carol@example.test", 2, Vec::new()).await;
    until("they are shipped", async || count(&b, "central_bindings") == 2).await;
    keep(&a, &mut at_a, "alice@example.test", 1, bindings("sip:stale")).await;
    until("the stale one is shipped", async || count(&a, "central_bindings") == 4).await;
    let expected = [("alice@example.test", "sip:new"), ("bob@example.test", "sip:bob")]
        .map(|(aor, contact)| (aor.to_owned(), contact.to_owned()));
    let (c, mut at_c) = node(3, dir.path(), cql).await;
    assert_eq!(load(&c, &mut at_c).await, expected, "a node that never saw them");
    assert_eq!(load(&a, &mut at_a).await, expected, "one whose own are older");
    assert_eq!(load(&b, &mut at_b).await, expected, "one whose own are newer");
    for store in [a, b, c] {
        store.stop().await;
    }
}

fn cdr(number: u64, cause: &str) -> Arc<Cdr> {
    let id = format!("{number:032x}-{NOW_MS}-1");
    Arc::new(Cdr { id, call_id: format!("call-{number}"), stop_cause: cause.to_owned(), ..Cdr::default() })
}

fn finish(store: &Handle, cdr: Arc<Cdr>, copy: bool, stamp: i64) {
    assert!(store.cdr_sink().insert(vec![CdrRow { cdr, copy, stamp }], |_| {}));
}

/// Call-IDs and causes of the records in the central store.
async fn central_cdrs(session: &Session) -> Vec<(String, String)> {
    let found = session.driver().query_unpaged("SELECT call_id, cdr FROM cdrs", ()).await.unwrap();
    let found = found.into_rows_result().unwrap();
    let mut found: Vec<(String, String)> = found
        .rows::<(String, String)>()
        .unwrap()
        .map(|row| row.unwrap())
        .map(|(call, text)| (call, serde_json::from_str::<Cdr>(&text).unwrap().stop_cause))
        .collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_comes_once_and_a_witnessed_end_wins() {
    let Some(point) = point() else { return };
    let dir = Directory::new("cdrs");
    let cql = settings(&point, &keyspace(&dir));
    let (a, _) = node(1, dir.path(), cql.clone()).await;
    let (b, _) = node(2, dir.path(), cql).await;
    for number in 0..1_200 {
        finish(&a, cdr(number, "caller"), false, stamp::of(1, NOW_MS));
    }
    finish(&b, cdr(1, "caller"), true, stamp::of(1, NOW_MS));
    until("all are shipped", async || count(&a, "central_cdrs") + count(&b, "central_cdrs") == 1_201).await;
    // Nobody saw these two calls end here; the first one's end was seen by A.
    finish(&b, cdr(2, "lost"), true, stamp::weak(NOW_MS + 9_000_000));
    finish(&b, cdr(5_000, "lost"), false, stamp::weak(NOW_MS));
    until("all are shipped", async || count(&b, "central_cdrs") == 3).await;
    let found = central_cdrs(&*session(&a).await).await;
    assert_eq!(found.len(), 1_201);
    let lost: Vec<_> = found.iter().filter(|(_, cause)| cause == "lost").map(|(call, _)| call.as_str()).collect();
    assert_eq!(lost, ["call-5000"]);
    let listed = b.provisioning().cdrs(Default::default()).await.unwrap();
    assert_eq!(listed.total_count, 1, "a listing leaves copies out");
    let copies = crate::store::Query { filters: vec![("copies".into(), "true".into())], ..Default::default() };
    assert_eq!(b.provisioning().cdrs(copies).await.unwrap().total_count, 3);
    a.stop().await;
    b.stop().await;
}
