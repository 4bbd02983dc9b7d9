//! Roles: which machine lives at which address, how it is housed, and which letter may bring it to life.
//!
//! No I/O here: the node and the lab found their machines through the same [`Roles`]. Everything a machine must know
//! comes in by its `Settings` and by [`Home`].
//!
//! | address | housing | founded by |
//! |---|---|---|
//! | `Balancer(node, shard)` | resident | the node's boot |
//! | `Anchor(node, 0)` | resident | the node's boot |
//! | `Location(shard)` | resident | the node's boot |
//! | `Registration(key)` | hive | a REGISTER |
//! | `Call(key)` | own actor | a request other than ACK |
//! | `Media(key)` | hive | an offer, or an end (whose session may be unknown here and must still be answered) |
//!
//! Answers, returned letters and operator commands never found anybody: they come too late.

use std::sync::Arc;

use fabric::letters::media::MediaAsk;
use fabric::{Address, Founder, Home, Housing, Letter, Machine, Now};
use sip::MethodName;

/// What each kind of machine is told, from the node's configuration.
#[derive(Clone)]
pub struct RoleSettings {
    pub balancer: Arc<balancer::Settings>,
    pub registration: Arc<registration::Settings>,
    pub location: Arc<location::Settings>,
    pub call: Arc<call::Settings>,
    pub media: Arc<media::Settings>,
    pub anchor: Arc<anchor::Settings>,
    /// Actors that share the registrations, and as many that share the media sessions, count; zero means one.
    pub hives: u16,
}

/// The founder of every machine of a node.
pub struct Roles {
    home: Home,
    settings: RoleSettings,
    /// What all registrations of the node have in common, made once.
    desk: Arc<registration::Desk>,
}

impl Roles {
    pub fn new(home: Home, settings: RoleSettings) -> Roles {
        let desk = registration::Desk::new(&home, settings.registration.clone());
        Roles { home, settings, desk }
    }
}

impl Founder for Roles {
    fn found(&self, address: Address, letter: &Letter, now: Now) -> Option<Box<dyn Machine>> {
        if !may_found(address, letter) {
            return None;
        }
        let (home, settings) = (&self.home, &self.settings);
        Some(match address {
            Address::Balancer(node, shard) if node == home.node => {
                Box::new(balancer::Balancer::new(home, shard, settings.balancer.clone()))
            }
            Address::Anchor(node, n) if node == home.node => {
                Box::new(anchor::Anchor::new(home, n, settings.anchor.clone()))
            }
            Address::Location(shard) if shard < home.shards => {
                Box::new(location::Location::new(home, shard, settings.location.clone()))
            }
            Address::Registration(_) => Box::new(registration::Registration::at(self.desk.clone())),
            Address::Call(key) => Box::new(call::Call::new(home, key, settings.call.clone(), now)),
            Address::Media(key) => Box::new(media::Media::new(home, key, settings.media.clone(), now)),
            _ => return None,
        })
    }

    fn housing(&self, address: Address) -> Housing {
        match address {
            Address::Call(_) => Housing::Own,
            Address::Media(_) | Address::Registration(_) => Housing::Hive(self.settings.hives.max(1)),
            Address::Balancer(..) | Address::Anchor(..) | Address::Location(_) => Housing::Resident,
            Address::Flow(_)
            | Address::Store(_)
            | Address::Records(_)
            | Address::Names(_)
            | Address::Relay(_)
            | Address::Tracer(_)
            | Address::Control(_)
            | Address::Nobody
            | Address::Office(_)
            | Address::Journal(_) => Housing::Port,
            Address::Director(_) => Housing::Resident,
        }
    }
}

/// Whether this letter may bring the machine of this address to life.
fn may_found(address: Address, letter: &Letter) -> bool {
    match address {
        Address::Balancer(..) | Address::Anchor(..) | Address::Location(_) => true,
        Address::Registration(_) => method_of(letter) == Some(MethodName::Register),
        // An ACK belongs to an INVITE that came before it; when that one is gone nobody waits for the ACK.
        Address::Call(_) => method_of(letter).is_some_and(|method| method != MethodName::Ack),
        Address::Media(_) => {
            matches!(letter, Letter::MediaAsk(ask) if matches!(**ask, MediaAsk::Offer { .. } | MediaAsk::End))
        }
        _ => false,
    }
}

/// Method of the SIP request that the letter brings, if it brings one.
fn method_of(letter: &Letter) -> Option<MethodName> {
    match letter {
        Letter::SipIn(sip_in) if sip_in.message.is_request() => Some(sip_in.message.method()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
