mod accounts;
mod bindings;
mod provisioning;

use std::path::Path;

use super::*;
use crate::testing::{Inbox, StillClock, exchange, home};

/// A store in `dir` at the moment 1000 s.
async fn open(dir: &Path) -> (Handle, Inbox) {
    let (post, mail) = exchange();
    let settings = Settings { file: dir.join("tandem.db"), ..Settings::default() };
    let store = start(settings, post, &home(), StillClock::at(1_000_000)).await.unwrap();
    (store, mail)
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
