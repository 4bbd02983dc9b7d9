mod accounts;
mod bindings;
mod provisioning;

use std::path::Path;

use super::*;
use crate::testing::{Inbox, StillClock, exchange, home};

/// A store in `dir` at the moment 1000 s.
async fn open(dir: &Path) -> (Handle, Inbox) {
    let (post, mail) = exchange();
    let store = start(settings(dir), post, &home(), StillClock::at(1_000_000)).await.unwrap();
    (store, mail)
}

/// Settings of a store in `dir`. With TANDEM_CQL (`host:port` of a Cassandra of data centre dc1) the same tests run
/// beside a central store, each directory with a keyspace of its own.
fn settings(dir: &Path) -> Settings {
    let cql = std::env::var("TANDEM_CQL").ok().map(|point| central(&point, dir));
    Settings { file: dir.join("tandem.db"), cql, ..Settings::default() }
}

fn central(point: &str, dir: &Path) -> CqlSettings {
    let name: String = dir.file_name().unwrap().to_str().unwrap().replace('-', "_");
    CqlSettings {
        contact_points: vec![point.to_owned()],
        keyspace: name.chars().take(48).collect(),
        replication: [("dc1".to_owned(), 1)].into(),
        poll_ms: 50,
        start_wait_s: 60,
        timeout_ms: 10_000,
        ..CqlSettings::default()
    }
}

/// A store with one domain and one customer; returns their ids.
async fn stocked(dir: &Path) -> (Handle, Inbox, u64, u64) {
    let (store, mail) = open(dir).await;
    let provisioning = store.provisioning();
    let domain = provisioning.create_domain(domain("example.test")).await.unwrap();
    let customer = provisioning.create_customer(CustomerFields::default()).await.unwrap();
    (store, mail, domain.id, customer.id)
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

fn number(cc: &str, ac: &str, sn: &str) -> Number {
    Number { cc: cc.to_owned(), ac: ac.to_owned(), sn: sn.to_owned() }
}
