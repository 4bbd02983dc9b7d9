use serde_json::json;

use super::*;
use crate::records::Cdr;
use crate::testing::Directory;

fn field_of(error: ProvisionError) -> String {
    match error {
        ProvisionError::Invalid { field, .. } | ProvisionError::Conflict { field, .. } => field,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bad_input_names_its_field() {
    let dir = Directory::new("provisioning");
    let (store, _, _, customer) = stocked(dir.path()).await;
    let provisioning = store.provisioning();
    let good = || SubscriberFields {
        primary_number: Some(number("43", "1", "1001")),
        external_id: Some("x".to_owned()),
        ..subscriber("alice", customer)
    };
    provisioning.create_subscriber(good()).await.unwrap();
    let other = || subscriber("bob", customer);
    let some = |text: &str| Some(text.to_owned());
    let rows = [
        ("username", SubscriberFields { username: "ALICE".into(), ..other() }),
        ("username", SubscriberFields { username: String::new(), ..other() }),
        ("username", SubscriberFields { username: "a:b".into(), ..other() }),
        ("username", SubscriberFields { username: "a@b".into(), ..other() }),
        ("password", SubscriberFields { password: None, ..other() }),
        ("password", SubscriberFields { password: some(""), ..other() }),
        ("password", SubscriberFields { password: some("a\nb"), ..other() }),
        ("domain", SubscriberFields { domain: some("other.test"), ..other() }),
        ("domain_id", SubscriberFields { domain: None, domain_id: Some(99), ..other() }),
        ("domain_id", SubscriberFields { domain: None, domain_id: None, ..other() }),
        ("domain_id", SubscriberFields { domain_id: Some(99), ..other() }),
        ("customer_id", SubscriberFields { customer_id: None, ..other() }),
        ("customer_id", SubscriberFields { customer_id: Some(99), ..other() }),
        ("status", SubscriberFields { status: some("asleep"), ..other() }),
        ("lock", SubscriberFields { lock: Some(6), ..other() }),
        ("external_id", SubscriberFields { external_id: some("x"), ..other() }),
        ("email", SubscriberFields { email: some("a\r\nb"), ..other() }),
        ("primary_number", SubscriberFields { primary_number: Some(number("43", "1", "1001")), ..other() }),
        ("primary_number", SubscriberFields { primary_number: Some(number("431", "", "1001")), ..other() }),
        ("primary_number.sn", SubscriberFields { primary_number: Some(number("43", "1", "")), ..other() }),
        ("alias_numbers.cc", SubscriberFields { alias_numbers: vec![number("+43", "1", "7")], ..other() }),
        ("alias_numbers", SubscriberFields { alias_numbers: vec![number("4", "", "7"); 2], ..other() }),
    ];
    for (place, (field, fields)) in rows.into_iter().enumerate() {
        let error = provisioning.create_subscriber(fields).await.expect_err(field);
        assert_eq!(field_of(error), field, "row {place}");
    }
    let found = provisioning.subscribers(Query::default()).await.unwrap();
    assert_eq!(found.total_count, 1, "what was refused left nothing behind");
    let bob = provisioning.create_subscriber(other()).await.unwrap();
    assert!(bob.primary_number.is_none() && bob.alias_numbers.is_empty());
    store.stop().await;
}

#[tokio::test]
async fn domains_and_customers_go_only_when_nothing_refers_to_them() {
    let dir = Directory::new("provisioning");
    let (store, _, domain_id, customer) = stocked(dir.path()).await;
    let provisioning = store.provisioning();
    let alice = provisioning.create_subscriber(subscriber("alice", customer)).await.unwrap();
    assert!(matches!(provisioning.delete_domain(domain_id).await, Err(ProvisionError::Conflict { .. })));
    assert!(matches!(provisioning.delete_customer(customer).await, Err(ProvisionError::Conflict { .. })));
    provisioning.delete_subscriber(alice.id).await.unwrap();
    provisioning.delete_domain(domain_id).await.unwrap();
    provisioning.delete_customer(customer).await.unwrap();
    assert_eq!(provisioning.domain(domain_id).await, Err(ProvisionError::NotFound("domain")));
    assert_eq!(provisioning.customer(customer).await, Err(ProvisionError::NotFound("customer")));
    assert_eq!(provisioning.subscriber(alice.id).await, Err(ProvisionError::NotFound("subscriber")));
    assert_eq!(provisioning.delete_domain(domain_id).await, Err(ProvisionError::NotFound("domain")));
    assert_eq!(provisioning.delete_customer(customer).await, Err(ProvisionError::NotFound("customer")));
    assert_eq!(provisioning.delete_subscriber(alice.id).await, Err(ProvisionError::NotFound("subscriber")));
    store.stop().await;
}

#[tokio::test]
async fn domains_are_host_names_and_keep_theirs() {
    let dir = Directory::new("provisioning");
    let (store, _) = open(dir.path()).await;
    let provisioning = store.provisioning();
    for name in ["", "a b", "a/b", "ex@mple", "[::zz]", &"x".repeat(191)] {
        let error = provisioning.create_domain(domain(name)).await.expect_err(name);
        assert_eq!(field_of(error), "domain", "{name}");
    }
    for (name, kept) in
        [("Example.TEST.", "example.test"), ("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "[2001:db8::1]")]
    {
        assert_eq!(provisioning.create_domain(domain(name)).await.unwrap().domain, kept);
    }
    let twice = provisioning.create_domain(domain("EXAMPLE.test")).await;
    assert!(matches!(twice, Err(ProvisionError::Conflict { .. })));
    let rename = provisioning.update_domain(1, domain("other.test")).await;
    assert_eq!(field_of(rename.expect_err("a rename")), "domain");
    let fields = DomainFields { domain: "example.test".into(), reseller_id: Some(7) };
    assert_eq!(provisioning.update_domain(1, fields).await.unwrap().reseller_id, 7);
    store.stop().await;
}

#[tokio::test]
async fn a_password_stays_until_a_new_one_comes_and_is_never_kept() {
    let dir = Directory::new("provisioning");
    let (store, _, _, customer) = stocked(dir.path()).await;
    let provisioning = store.provisioning();
    let fields = SubscriberFields { password: Some("very-secret-word".into()), ..subscriber("alice", customer) };
    let id = provisioning.create_subscriber(fields).await.unwrap().id;
    let hash = || {
        let db = rusqlite::Connection::open(dir.path().join("tandem.db")).unwrap();
        db.query_row("SELECT ha1_md5 FROM subscribers", [], |row| row.get::<_, [u8; 16]>(0)).unwrap()
    };
    let first = hash();
    let without = SubscriberFields { password: None, email: Some("a@b".into()), ..subscriber("alice", customer) };
    provisioning.update_subscriber(id, without.clone()).await.unwrap();
    assert_eq!(hash(), first);
    let renamed = SubscriberFields { username: "bob".into(), ..without };
    let error = provisioning.update_subscriber(id, renamed).await.expect_err("a new name without password");
    assert_eq!(field_of(error), "password");
    provisioning.update_subscriber(id, subscriber("bob", customer)).await.unwrap();
    assert_eq!(hash(), auth::ha1_md5("bob", "example.test", "secret1"));
    store.stop().await;
    let file = std::fs::read(dir.path().join("tandem.db")).unwrap();
    assert!(!file.windows(16).any(|window| window == b"very-secret-word"));
}

#[tokio::test]
async fn preferences_are_kept_whole_and_checked() {
    let dir = Directory::new("provisioning");
    let (store, _, domain_id, _) = stocked(dir.path()).await;
    let provisioning = store.provisioning();
    let owner = PreferenceOwner::Domain(domain_id);
    let preferences = |value: serde_json::Value| serde_json::from_value::<Preferences>(value).unwrap();
    for bad in [json!({"Session Timer": 1}), json!({"a": {"b": 1}}), json!({"a": [[1]]}), json!({"": 1})] {
        assert!(provisioning.set_preferences(owner, preferences(bad.clone())).await.is_err(), "{bad}");
    }
    let large = preferences(json!({"a": "x".repeat(70_000)}));
    assert_eq!(field_of(provisioning.set_preferences(owner, large).await.expect_err("size")), "preferences");
    let missing = provisioning.preferences(PreferenceOwner::Subscriber(9)).await;
    assert_eq!(missing, Err(ProvisionError::NotFound("subscriber")));
    assert!(provisioning.preferences(owner).await.unwrap().is_empty());
    store.stop().await;
}

#[tokio::test]
async fn listings_page_filter_and_sort() {
    let dir = Directory::new("provisioning");
    let (store, _, _, customer) = stocked(dir.path()).await;
    let provisioning = store.provisioning();
    let many = (0..25).map(|place| SubscriberFields {
        primary_number: Some(number("43", "1", &format!("10{place:02}"))),
        ..subscriber(&format!("user{place:02}"), customer)
    });
    assert_eq!(provisioning.create_subscribers(many.collect()).await.unwrap(), 25);
    let list = |query: Query| {
        let provisioning = provisioning.clone();
        async move {
            let found = provisioning.subscribers(query).await.unwrap();
            let names: Vec<String> = found.items.into_iter().map(|row| row.username).collect();
            (found.total_count, names)
        }
    };
    let filter = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let (total, names) = list(Query { page: 3, rows: 10, ..Query::default() }).await;
    assert_eq!((total, names.len(), names[0].as_str()), (25, 5, "user20"));
    assert_eq!(list(Query { page: 9, ..Query::default() }).await, (25, vec![]));
    let (total, names) = list(Query { filters: filter("username", "user1*"), ..Query::default() }).await;
    assert_eq!((total, names.len()), (10, 10));
    assert_eq!(list(Query { filters: filter("number", "4311007"), ..Query::default() }).await.1, ["user07"]);
    assert_eq!(list(Query { filters: filter("customer_id", "1"), ..Query::default() }).await.0, 25);
    assert_eq!(list(Query { filters: filter("customer_id", "x' OR '1'='1"), ..Query::default() }).await.0, 0);
    let last = Query { rows: 1, order_by: Some(("username".to_owned(), true)), ..Query::default() };
    assert_eq!(list(last).await.1, ["user24"]);
    for (field, query) in [
        ("page", Query { page: 0, ..Query::default() }),
        ("rows", Query { rows: 0, ..Query::default() }),
        ("rows", Query { rows: 10_001, ..Query::default() }),
        ("ha1_md5", Query { filters: filter("ha1_md5", "x"), ..Query::default() }),
        ("id; DROP TABLE", Query { order_by: Some(("id; DROP TABLE".to_owned(), false)), ..Query::default() }),
    ] {
        assert_eq!(field_of(provisioning.subscribers(query).await.expect_err(field)), field);
    }
    store.stop().await;
}

#[tokio::test]
async fn many_in_one_go_are_all_or_none() {
    let dir = Directory::new("provisioning");
    let (store, _, _, customer) = stocked(dir.path()).await;
    let provisioning = store.provisioning();
    let many = vec![subscriber("alice", customer), subscriber("bob", customer), subscriber("Alice", customer)];
    let error = provisioning.create_subscribers(many).await.expect_err("a repeated name");
    assert_eq!(field_of(error), "2.username");
    assert_eq!(provisioning.subscribers(Query::default()).await.unwrap().total_count, 0);
    store.stop().await;
}

#[tokio::test]
async fn call_records_are_kept_once_and_found() {
    let dir = Directory::new("provisioning");
    let (store, _) = open(dir.path()).await;
    let cdr = |init_ms: u64, from: u64, to: u64| Cdr {
        id: format!("{:032x}-{init_ms}-1", 5),
        call_id: format!("call-{init_ms}"),
        source_user_id: from,
        destination_user_id: to,
        source_cli: "' OR 1=1 --".into(),
        call_status: "ok".into(),
        ..Cdr::default()
    };
    let insert = |cdrs: Vec<Cdr>| {
        let (tell, told) = oneshot::channel();
        let rows = cdrs.into_iter().map(|cdr| CdrRow { cdr: Arc::new(cdr), copy: false, stamp: 1 });
        assert!(store.cdr_sink().insert(rows.collect(), move |ok| tell.send(ok).unwrap()));
        told
    };
    assert!(insert(vec![cdr(100, 1, 2), cdr(200, 2, 3)]).await.unwrap());
    assert!(insert(vec![cdr(200, 9, 9), cdr(300, 3, 1)]).await.unwrap());
    let provisioning = store.provisioning();
    let list = |filters: &[(&str, &str)]| {
        let filters = filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let provisioning = provisioning.clone();
        async move {
            let found = provisioning.cdrs(Query { filters, ..Query::default() }).await.unwrap();
            found.items.into_iter().map(|(_, cdr)| cdr.init_ms()).collect::<Vec<_>>()
        }
    };
    assert_eq!(list(&[]).await, [100, 200, 300]);
    assert_eq!(list(&[("subscriber_id", "1")]).await, [100, 300]);
    assert_eq!(list(&[("init_ge", "200"), ("init_lt", "300")]).await, [200]);
    assert_eq!(list(&[("call_id", "call-300")]).await, [300]);
    let (id, found) = provisioning.cdr(1).await.unwrap();
    assert_eq!((id, found), (1, cdr(100, 1, 2)), "stored literally");
    assert_eq!(provisioning.cdr(9).await, Err(ProvisionError::NotFound("cdr")));
    store.stop().await;
}
