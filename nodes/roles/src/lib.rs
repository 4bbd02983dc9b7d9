//! Roles: which machine lives at which address, how it is housed, and which letter may bring it to life.
//!
//! No I/O here: the node and the lab found their machines through the same [`Roles`]. Everything a machine must know
//! comes in by its `Settings` and by [`Home`].
//!
//! | address | housing | founded by |
//! |---|---|---|
//! | `Balancer(node, shard)` | resident | the node's boot |
//! | `Anchor(node, 0)` | resident | the node's boot |
//! | `Location(shard)` | resident; in a cluster: hive | the node's boot; in a cluster: any letter |
//! | `Registration(key)` | hive | a REGISTER |
//! | `Call(key)` | own actor | a request other than ACK |
//! | `Media(key)` | hive | an offer, or an end (whose session may be unknown here and must still be answered) |
//!
//! Those with a slot (calls, media sessions, registrations, location shards) are made again from what a standby kept of
//! them by `restore`; none of them asks the store for what it knew.
//!
//! Answers, returned letters and operator commands never found anybody: they come too late.

use std::sync::Arc;

use fabric::letters::media::MediaAsk;
use fabric::{Address, Founder, Home, Housing, Letter, Machine, Now, Part};
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
    /// The node is one of several: location shards move with their slots, so they live in hives and are founded by the
    /// first letter, and their changes are kept for a standby.
    pub clustered: bool,
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
                let location = location::Location::new(home, shard, settings.location.clone());
                Box::new(if settings.clustered { location.replicated() } else { location })
            }
            Address::Registration(_) => Box::new(registration::Registration::at(self.desk.clone())),
            Address::Call(key) => Box::new(call::Call::new(home, key, settings.call.clone(), now)),
            Address::Media(key) => Box::new(media::Media::new(home, key, settings.media.clone(), now)),
            _ => return None,
        })
    }

    fn restore(&self, address: Address, parts: &[Part], now: Now) -> Option<Box<dyn Machine>> {
        let (home, settings) = (&self.home, &self.settings);
        let whole = || parts.iter().find(|part| part.name.is_empty())?.value.as_deref();
        Some(match address {
            Address::Registration(_) => Box::new(registration::Registration::restore(self.desk.clone(), whole()?)?),
            Address::Call(key) => Box::new(call::Call::restore(home, key, settings.call.clone(), whole()?)?),
            Address::Media(key) => Box::new(media::Media::restore(home, key, settings.media.clone(), whole()?)?),
            Address::Location(shard) if shard < home.shards => {
                Box::new(location::Location::restore(home, shard, settings.location.clone(), parts, now)?)
            }
            _ => return None,
        })
    }

    fn is_replicated(&self, address: Address) -> bool {
        matches!(address, Address::Call(_) | Address::Media(_) | Address::Registration(_) | Address::Location(_))
    }

    fn housing(&self, address: Address) -> Housing {
        match address {
            Address::Location(_) if self.settings.clustered => Housing::Hive(self.settings.hives.max(1)),
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
