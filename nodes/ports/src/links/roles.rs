//! Roles of nodes, and what a node may send by them. A node that was broken into can do what its roles do and no more:
//! a balancer writes no call record, reaches no store and cannot speak for a director (SECURITY, the channel between
//! nodes).

use std::fmt;
use std::str::FromStr;

use fabric::letters::control::Control;
use fabric::{Address, Envelope, Letter, NodeId, Parcel};
use serde::{Deserialize, Deserializer};

/// What a node is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Balancer,
    Proxy,
    Director,
    /// A director on a third site that only votes.
    Witness,
    Web,
    Dns,
}

/// A set of roles.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Role {
    pub const ALL: [Role; 6] = [Role::Balancer, Role::Proxy, Role::Director, Role::Witness, Role::Web, Role::Dns];

    pub fn name(self) -> &'static str {
        match self {
            Role::Balancer => "balancer",
            Role::Proxy => "proxy",
            Role::Director => "director",
            Role::Witness => "witness",
            Role::Web => "web",
            Role::Dns => "dns",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Role, String> {
        let found = Role::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("`{text}` is no role; there are {}", Roles::all()))
    }
}

impl Roles {
    pub fn all() -> Roles {
        Role::ALL.into_iter().collect()
    }

    pub fn insert(&mut self, role: Role) {
        self.0 |= 1 << role as u8;
    }

    pub fn has(self, role: Role) -> bool {
        self.0 & 1 << role as u8 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every role of `other` is here too.
    pub fn covers(self, other: Roles) -> bool {
        other.0 & !self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }

    fn votes(self) -> bool {
        self.has(Role::Director) || self.has(Role::Witness)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Roles {
        let mut set = Roles::default();
        roles.into_iter().for_each(|role| set.insert(role));
        set
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, role) in self.iter().enumerate() {
            write!(f, "{}{role}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Roles, D::Error> {
        Ok(Vec::<Role>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// Whether a node with these roles, by its certificate, may send this parcel.
pub fn may(sender: NodeId, roles: Roles, parcel: &Parcel) -> bool {
    match parcel {
        Parcel::Mail { mail, .. } => {
            (may_speak_for(sender, roles, mail.from) || may_pass_on(roles, mail)) && may_post(sender, roles, mail)
        }
        // Says only that what the receiver itself has sent there has taken effect.
        Parcel::Receipt(_) => true,
        // Replicas and what belongs to them.
        _ => roles.has(Role::Proxy),
    }
}

/// Whose letters a node may carry: those of its own ports and rooms, of keyed rooms when it runs such, and of a
/// balancer site when it is a balancer, since it may stand in for another.
fn may_speak_for(sender: NodeId, roles: Roles, from: Address) -> bool {
    match from {
        Address::Call(_) | Address::Media(_) | Address::Registration(_) | Address::Location(_) => {
            roles.has(Role::Proxy)
        }
        Address::Balancer(..) | Address::Flow(_) => roles.has(Role::Balancer),
        Address::Anchor(node, _) | Address::Relay(node) => node == sender && roles.has(Role::Balancer),
        Address::Director(node) | Address::Journal(node) => node == sender && roles.votes(),
        Address::Store(node) | Address::Records(node) => node == sender && roles.has(Role::Proxy),
        Address::Names(node) | Address::Tracer(node) | Address::Control(node) | Address::Office(node) => node == sender,
        Address::Nobody => true,
    }
}

/// Whose letters a node may pass on: a director hands an order to the one that leads, and the answer goes to who asked.
fn may_pass_on(roles: Roles, mail: &Envelope) -> bool {
    let is_asked = matches!(mail.from, Address::Control(_) | Address::Office(_));
    roles.votes() && is_asked && matches!((&mail.letter, mail.to), (Letter::Order(_), Address::Director(_)))
}

/// What a node may say, by kind of letter.
fn may_post(sender: NodeId, roles: Roles, mail: &Envelope) -> bool {
    let (balancer, proxy) = (roles.has(Role::Balancer), roles.has(Role::Proxy));
    let director = roles.votes();
    match &mail.letter {
        // Failure, and what operators ask and are told: of everybody.
        Letter::Returned(_) | Letter::Describe | Letter::Described(_) | Letter::ControlAnswer(_) => true,
        // Balancers tell each other whom they have banned, and nobody else.
        Letter::Control(control) => match (&**control, mail.from, mail.to) {
            (Control::BanNews(_) | Control::BanSums { .. }, from, to) => {
                balancer && matches!((from, to), (Address::Balancer(..), Address::Balancer(..)))
            }
            // What only the operator of a node itself may say does not come over a link.
            (Control::Members(_), ..) => false,
            (_, from, _) => matches!(from, Address::Control(_)),
        },
        Letter::Order(_) => matches!(mail.from, Address::Control(_) | Address::Office(_) | Address::Director(_)),

        // What comes in from phones and trunks, and what rtpengine has answered.
        Letter::SipIn(_) | Letter::Transmit(_) | Letter::FlowClosed(_) | Letter::RelayDone(_) => balancer,
        Letter::Traced(_) => balancer || proxy,

        // What minds say.
        Letter::SipOut(_)
        | Letter::AccountAsk(_)
        | Letter::Account(_)
        | Letter::Bind(_)
        | Letter::Bound(_)
        | Letter::Locate(_)
        | Letter::Located(_)
        | Letter::KeepBindings(_)
        | Letter::LoadBindings(..)
        | Letter::LoadedBindings(_)
        | Letter::Kept
        | Letter::MediaAsk(_)
        | Letter::MediaDone(_)
        | Letter::RelayAsk(_)
        | Letter::Record(_)
        | Letter::NamesAsk(_)
        | Letter::Names(_) => proxy,

        // Ownership.
        Letter::Beat(beat) => beat.node == sender,
        Letter::Grant(grant) => director && grant.director == sender,
        Letter::Silences(silences) => director && silences.director == sender,
        Letter::Hearing(hearing) => hearing.node == sender,
        Letter::Divides(divides) => director && divides.director == sender,
        Letter::Table(_) | Letter::Raft(_) => director && matches!(mail.from, Address::Director(_)),

        // Between a room and a port of one node; never on a link.
        Letter::Received(_)
        | Letter::RelaySend(..)
        | Letter::RelayReceived(..)
        | Letter::JournalWrite(_)
        | Letter::JournalRead
        | Letter::JournalEntries(_)
        | Letter::Revive
        | Letter::Retire => false,
    }
}

#[cfg(test)]
mod tests;
