//! Who lives in this node: the machines of its roles, the balancers of every site that it may hold, and its director.

use std::collections::BTreeMap;
use std::sync::Arc;

use fabric::{Address, Founder, Home, Housing, Letter, Machine, NodeId, Now, Part};
use roles::Roles;

pub(crate) struct Crew {
    pub home: Home,
    pub roles: Roles,
    /// Settings of the balancers of other sites; they act in the site's name.
    pub sites: BTreeMap<NodeId, Arc<balancer::Settings>>,
    pub director: Option<Arc<director::Settings>>,
    /// Differs after each start of the process.
    pub boot: u64,
}

impl Founder for Crew {
    fn found(&self, address: Address, letter: &Letter, now: Now) -> Option<Box<dyn Machine>> {
        match address {
            Address::Balancer(site, shard) if site != self.home.node => {
                let settings = self.sites.get(&site)?;
                let mut home = self.home;
                home.node = site;
                Some(Box::new(balancer::Balancer::new(&home, shard, settings.clone())))
            }
            Address::Director(node) if node == self.home.node => {
                let settings = self.director.as_ref()?;
                Some(Box::new(director::Director::new(&self.home, settings.clone(), self.boot)))
            }
            _ => self.roles.found(address, letter, now),
        }
    }

    fn restore(&self, address: Address, parts: &[Part], now: Now) -> Option<Box<dyn Machine>> {
        self.roles.restore(address, parts, now)
    }

    fn is_replicated(&self, address: Address) -> bool {
        self.roles.is_replicated(address)
    }

    fn housing(&self, address: Address) -> Housing {
        match address {
            Address::Director(node) if node != self.home.node || self.director.is_none() => Housing::Port,
            _ => self.roles.housing(address),
        }
    }
}
