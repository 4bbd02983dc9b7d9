//! Who can get a letter. Our own identity for actors: ractor's names and groups are process-wide and would leak
//! between nodes that share a process.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hash::hash128;

/// Number of slots that the Call-ID hash space is cut into; a slot is what a proxy pair owns.
pub const SLOTS: u16 = 4096;

/// A node of the cluster: one process with its roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u16);

/// Identity of a keyed actor: 128-bit keyed hash, of which the upper 12 bits are the slot.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub u128);

impl Key {
    /// The slot that owns this key, 0 to 4095.
    pub fn slot(self) -> u16 {
        (self.0 >> 116) as u16
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Key {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Key, Self::Err> {
        u128::from_str_radix(text, 16).map(Key)
    }
}

/// Makes keys out of SIP identifiers with the cluster's secret, so that nobody outside can aim at a slot.
#[derive(Clone, Copy)]
pub struct Keys {
    secret: [u8; 16],
}

impl Keys {
    pub fn new(secret: [u8; 16]) -> Keys {
        Keys { secret }
    }

    /// Key of a call: its slot is the slot of the Call-ID; the caller's tag keeps two callers apart that chose the same Call-ID.
    pub fn call(&self, call_id: &[u8], from_tag: &[u8]) -> Key {
        let slot = hash128(&self.secret, &[b"slot", call_id]) >> 116 << 116;
        let rest = hash128(&self.secret, &[b"call", call_id, from_tag]) << 12 >> 12;
        Key(slot | rest)
    }

    /// Key of a REGISTER dialogue (one device and Call-ID).
    pub fn registration(&self, call_id: &[u8]) -> Key {
        Key(hash128(&self.secret, &[b"slot", call_id]))
    }

    /// Shard of an address-of-record, 0 to `shards - 1`.
    pub fn location(&self, aor: &str, shards: u16) -> u16 {
        (hash128(&self.secret, &[b"aor", aor.as_bytes()]) % u128::from(shards.max(1))) as u16
    }
}

/// An actor or a port of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Address {
    /// Perimeter actor of a node's socket shard.
    Balancer(NodeId, u16),
    /// The rtpengine instances of a balancer node.
    Anchor(NodeId, u16),
    Call(Key),
    Media(Key),
    Registration(Key),
    /// Shard of addresses-of-record.
    Location(u16),
    // Ports: where a node meets metal.
    /// Sockets.
    Flow(NodeId),
    /// Subscribers and bindings on disk.
    Store(NodeId),
    /// Call records.
    Records(NodeId),
    /// RFC 3263 resolution.
    Names(NodeId),
    /// NG sockets to rtpengine.
    Relay(NodeId),
    /// The ring of recent messages behind `tandem ctl trace`.
    Tracer(NodeId),
    /// Operator commands: where answers to the control plane arrive.
    Control(NodeId),
    /// Nobody: a letter from here wants no answer.
    Nobody,
    /// A voter of the group that decides who owns what.
    Director(NodeId),
    /// What stands between a node's rooms and the other nodes.
    Office(NodeId),
    /// The director's journal on disk.
    Journal(NodeId),
}

impl Address {
    /// The key, where the actor has one.
    pub fn key(&self) -> Option<Key> {
        match self {
            Address::Call(key) | Address::Media(key) | Address::Registration(key) => Some(*key),
            _ => None,
        }
    }

    /// The slot that owns a keyed actor or a location shard; `None` for what belongs to a node.
    pub fn slot(&self) -> Option<u16> {
        match self {
            Address::Call(key) | Address::Media(key) | Address::Registration(key) => Some(key.slot()),
            // Spreads neighbouring shards over the slots; any fixed mixing does, as long as it never changes.
            Address::Location(shard) => Some((u32::from(*shard).wrapping_mul(2_654_435_761) >> 20) as u16),
            _ => None,
        }
    }

    /// The node that an actor or port stands on; `None` for what a slot owns.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Address::Balancer(node, _) | Address::Anchor(node, _) => Some(*node),
            Address::Flow(node)
            | Address::Store(node)
            | Address::Records(node)
            | Address::Names(node)
            | Address::Relay(node)
            | Address::Tracer(node)
            | Address::Control(node)
            | Address::Director(node)
            | Address::Office(node)
            | Address::Journal(node) => Some(*node),
            Address::Call(_)
            | Address::Media(_)
            | Address::Registration(_)
            | Address::Location(_)
            | Address::Nobody => None,
        }
    }

    /// Short word for logs and metrics: `call`, `balancer` ...
    pub fn kind(&self) -> &'static str {
        match self {
            Address::Balancer(..) => "balancer",
            Address::Anchor(..) => "anchor",
            Address::Call(_) => "call",
            Address::Media(_) => "media",
            Address::Registration(_) => "registration",
            Address::Location(_) => "location",
            Address::Flow(_) => "flow",
            Address::Store(_) => "store",
            Address::Records(_) => "records",
            Address::Names(_) => "names",
            Address::Relay(_) => "relay",
            Address::Tracer(_) => "tracer",
            Address::Control(_) => "control",
            Address::Nobody => "nobody",
            Address::Director(_) => "director",
            Address::Office(_) => "office",
            Address::Journal(_) => "journal",
        }
    }
}
