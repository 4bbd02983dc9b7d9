use fabric::letters::control::ControlAnswer;
use fabric::letters::subscriber::{Account, AccountAsk, Lock, Subscriber};
use fabric::{Address, NodeId};
use serde_json::json;

use super::*;
use crate::testing::Directory;

async fn ask(store: &Handle, mail: &mut Inbox, user: &str, domain: &str) -> Account {
    let ask = AccountAsk { user: user.to_owned(), domain: domain.to_owned() };
    let letter = Letter::AccountAsk(Box::new(ask));
    store.post(Envelope::ask(Address::Control(NodeId(1)), Address::Store(NodeId(1)), Thread(3), letter));
    let answer = mail.next().await;
    assert_eq!((answer.to, answer.thread), (Address::Control(NodeId(1)), Thread(3)));
    match answer.letter {
        Letter::Account(account) => account,
        other => panic!("{other:?}"),
    }
}

async fn known(store: &Handle, mail: &mut Inbox, user: &str) -> Arc<Subscriber> {
    match ask(store, mail, user, "example.test").await {
        Account::Subscriber(subscriber) => subscriber,
        other => panic!("{user}: {other:?}"),
    }
}

#[tokio::test]
async fn finds_by_name_number_and_alias() {
    let dir = Directory::new("accounts");
    let (store, mut mail, _, customer) = stocked(dir.path()).await;
    let fields = SubscriberFields {
        primary_number: Some(number("43", "1", "1001")),
        alias_numbers: vec![number("49", "", "555"), number("43", "1", "2001")],
        ..subscriber("Alice", customer)
    };
    let row = store.provisioning().create_subscriber(fields).await.unwrap();
    for user in ["Alice", "alice", "ALICE", "4311001", "+4311001", "004311001", "+43 (1) 10-01", "49555", "4312001"] {
        assert_eq!(known(&store, &mut mail, user).await.id, row.id, "{user}");
    }
    let alice = known(&store, &mut mail, "alice").await;
    assert_eq!((alice.username.as_str(), alice.aor.as_str()), ("Alice", "alice@example.test"));
    assert_eq!(alice.numbers, ["4311001", "49555", "4312001"], "own number first");
    assert_eq!((&alice.uuid, alice.customer_id, alice.lock), (&row.uuid, customer, Lock::None));
    assert_eq!(alice.ha1_md5, auth::ha1_md5("Alice", "example.test", "secret1"));
    assert_eq!(alice.ha1_sha256, auth::ha1_sha256("Alice", "example.test", "secret1"));
    for user in ["bob", "431100", "43110011", "", "alice@example.test", "+alice"] {
        assert_eq!(ask(&store, &mut mail, user, "example.test").await, Account::UnknownUser, "{user}");
    }
    assert_eq!(ask(&store, &mut mail, "alice", "other.test").await, Account::ForeignDomain);
    assert!(matches!(ask(&store, &mut mail, "alice", "EXAMPLE.test").await, Account::Subscriber(_)));
    store.stop().await;
}

#[tokio::test]
async fn a_user_name_made_of_digits_goes_before_a_number() {
    let dir = Directory::new("accounts");
    let (store, mut mail, _, customer) = stocked(dir.path()).await;
    let owner = SubscriberFields { primary_number: Some(number("1", "", "001")), ..subscriber("alice", customer) };
    store.provisioning().create_subscriber(owner).await.unwrap();
    let named = store.provisioning().create_subscriber(subscriber("1001", customer)).await.unwrap();
    assert_eq!(known(&store, &mut mail, "1001").await.id, named.id);
    assert_eq!(known(&store, &mut mail, "+1001").await.username, "alice");
    store.stop().await;
}

#[tokio::test]
async fn subscribers_preferences_lie_over_their_domains() {
    let dir = Directory::new("accounts");
    let (store, mut mail, domain, customer) = stocked(dir.path()).await;
    let provisioning = store.provisioning();
    let alice = provisioning.create_subscriber(subscriber("alice", customer)).await.unwrap().id;
    let preferences = |value: serde_json::Value| serde_json::from_value::<Preferences>(value).unwrap();
    let of_domain = preferences(json!({"session_timer": 90, "clir": true, "allowed_ips": ["10.0.0.1", "10.0.0.2"]}));
    provisioning.set_preferences(PreferenceOwner::Domain(domain), of_domain.clone()).await.unwrap();
    let own = preferences(json!({"session_timer": 120, "nothing": null, "cli": "4311001"}));
    provisioning.set_preferences(PreferenceOwner::Subscriber(alice), own).await.unwrap();
    let found = known(&store, &mut mail, "alice").await;
    let expected = [("allowed_ips", "10.0.0.1,10.0.0.2"), ("cli", "4311001"), ("clir", "1"), ("session_timer", "120")];
    assert_eq!(found.preferences.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>(), expected);
    provisioning.set_preferences(PreferenceOwner::Subscriber(alice), Preferences::new()).await.unwrap();
    assert_eq!(known(&store, &mut mail, "alice").await.preference("session_timer"), Some("90"));
    assert_eq!(provisioning.preferences(PreferenceOwner::Domain(domain)).await.unwrap(), of_domain);
    store.stop().await;
}

#[tokio::test]
async fn changes_are_seen_when_the_function_returns() {
    let dir = Directory::new("accounts");
    let (store, mut mail, domain_id, customer) = stocked(dir.path()).await;
    let provisioning = store.provisioning();
    let fields = SubscriberFields { primary_number: Some(number("43", "1", "1")), ..subscriber("alice", customer) };
    let id = provisioning.create_subscriber(fields.clone()).await.unwrap().id;
    for (lock, status, expected) in [
        (1, "active", Lock::Foreign),
        (2, "active", Lock::Outgoing),
        (3, "active", Lock::All),
        (4, "active", Lock::Global),
        (5, "active", Lock::Ported),
        (0, "locked", Lock::Global),
        (0, "active", Lock::None),
    ] {
        let fields = SubscriberFields { lock: Some(lock), status: Some(status.to_owned()), ..fields.clone() };
        provisioning.update_subscriber(id, fields).await.unwrap();
        assert_eq!(known(&store, &mut mail, "4311").await.lock, expected);
    }
    let terminated = SubscriberFields { status: Some("terminated".to_owned()), ..fields.clone() };
    provisioning.update_subscriber(id, terminated).await.unwrap();
    assert_eq!(ask(&store, &mut mail, "alice", "example.test").await, Account::UnknownUser);
    provisioning.update_subscriber(id, SubscriberFields { primary_number: None, ..fields }).await.unwrap();
    assert_eq!(ask(&store, &mut mail, "4311", "example.test").await, Account::UnknownUser, "the number went");
    provisioning.delete_subscriber(id).await.unwrap();
    assert_eq!(ask(&store, &mut mail, "alice", "example.test").await, Account::UnknownUser);
    provisioning.delete_domain(domain_id).await.unwrap();
    assert_eq!(ask(&store, &mut mail, "alice", "example.test").await, Account::ForeignDomain);
    store.stop().await;
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_after_a_reload() {
    let dir = Directory::new("accounts");
    let (store, _, _, customer) = stocked(dir.path()).await;
    store.provisioning().create_subscriber(subscriber("alice", customer)).await.unwrap();
    store.stop().await;
    let (store, mut mail) = open(dir.path()).await;
    assert_eq!(known(&store, &mut mail, "alice").await.username, "alice");
    // Somebody changed the file with sqlite3.
    let db = rusqlite::Connection::open(dir.path().join("tandem.db")).unwrap();
    db.execute("UPDATE subscribers SET lock = 2", []).unwrap();
    assert_eq!(known(&store, &mut mail, "alice").await.lock, Lock::None);
    let letter = Letter::Control(Box::new(Control::Reload));
    store.post(Envelope::ask(Address::Control(NodeId(1)), Address::Store(NodeId(1)), Thread(8), letter));
    assert_eq!(mail.next().await.letter, Letter::ControlAnswer(Box::new(ControlAnswer::Done)));
    assert_eq!(known(&store, &mut mail, "alice").await.lock, Lock::Outgoing);
    store.stop().await;
}
