//! Simulated store, records, names: what answers letters that leave the switch, apart from the network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use auth::{ha1_md5, ha1_sha256};
use fabric::letters::flow::Transport;
use fabric::letters::location::StoredBindings;
use fabric::letters::names::{NamesAsk, Target};
use fabric::letters::subscriber::{Account, AccountAsk, Subscriber};

use crate::plan::{DOMAIN, Plan};

/// Subscribers and bindings.
pub struct Store {
    subscribers: BTreeMap<String, Arc<Subscriber>>,
    bindings: BTreeMap<Box<str>, StoredBindings>,
    pub writes: u64,
}

impl Store {
    pub fn new(plan: &Plan) -> Store {
        let mut subscribers = BTreeMap::new();
        for (index, user) in plan.users.iter().enumerate() {
            let subscriber = Arc::new(Subscriber {
                id: index as u64 + 1,
                uuid: format!("uuid-{index}"),
                customer_id: 1,
                username: user.name.clone(),
                domain: DOMAIN.to_owned(),
                aor: format!("{}@{DOMAIN}", user.name),
                ha1_md5: ha1_md5(&user.name, DOMAIN, &user.password),
                ha1_sha256: ha1_sha256(&user.name, DOMAIN, &user.password),
                numbers: vec![user.number.clone()],
                ..Subscriber::default()
            });
            subscribers.insert(user.name.clone(), subscriber.clone());
            subscribers.insert(user.number.clone(), subscriber);
        }
        Store { subscribers, bindings: BTreeMap::new(), writes: 0 }
    }

    pub fn account(&self, ask: &AccountAsk) -> Account {
        if ask.domain != DOMAIN {
            return Account::ForeignDomain;
        }
        let user = ask.user.trim_start_matches('+');
        self.subscribers.get(user).map_or(Account::UnknownUser, |found| Account::Subscriber(found.clone()))
    }

    pub fn keep(&mut self, stored: StoredBindings) {
        self.writes += 1;
        if stored.bindings.is_empty() {
            self.bindings.remove(&stored.aor);
        } else {
            self.bindings.insert(stored.aor.clone(), stored);
        }
    }

    pub fn load(&self, wanted: impl Fn(&str) -> bool) -> Vec<StoredBindings> {
        self.bindings.values().filter(|stored| wanted(&stored.aor)).cloned().collect()
    }
}

/// Addresses resolve to themselves, names to nothing.
pub fn resolve(ask: &NamesAsk) -> Vec<Target> {
    let Ok(address) = ask.host.parse() else { return Vec::new() };
    let transport = ask.transport.unwrap_or(Transport::Udp);
    vec![Target { transport, address: SocketAddr::new(address, ask.port.unwrap_or(5060)) }]
}
