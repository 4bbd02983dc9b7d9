//! What every machine knows of the node and cluster it lives in.

use crate::hash::hash128;
use crate::{Address, Key, Keys, NodeId, Tokens};

/// Facts of the node, made once at boot from the configuration and handed to every machine.
#[derive(Clone, Copy)]
pub struct Home {
    pub node: NodeId,
    pub keys: Keys,
    pub tokens: Tokens,
    /// Number of location shards in the cluster.
    pub shards: u16,
    secret: [u8; 16],
}

impl Home {
    pub fn new(node: NodeId, secret: [u8; 16], shards: u16) -> Home {
        Home { node, keys: Keys::new(secret), tokens: Tokens::new(secret), shards: shards.max(1), secret }
    }

    /// Cluster secret, for what derives further keys from it (nonces).
    pub fn secret(&self) -> &[u8; 16] {
        &self.secret
    }

    /// A number that only this cluster can name: the same for the same key, purpose and counter, on every node
    /// (rule R4: identifiers must survive a take-over).
    pub fn derive(&self, key: Key, purpose: &str, counter: u64) -> u128 {
        hash128(&self.secret, &[b"derive", &key.0.to_be_bytes(), purpose.as_bytes(), &counter.to_be_bytes()])
    }

    /// The shard that knows this address-of-record (`user@domain`, lower case).
    pub fn location(&self, aor: &str) -> Address {
        Address::Location(self.keys.location(aor, self.shards))
    }

    pub fn store(&self) -> Address {
        Address::Store(self.node)
    }

    pub fn records(&self) -> Address {
        Address::Records(self.node)
    }

    pub fn names(&self) -> Address {
        Address::Names(self.node)
    }

    pub fn flow(&self) -> Address {
        Address::Flow(self.node)
    }

    pub fn tracer(&self) -> Address {
        Address::Tracer(self.node)
    }

    pub fn relay(&self) -> Address {
        Address::Relay(self.node)
    }

    pub fn anchor(&self) -> Address {
        Address::Anchor(self.node, 0)
    }
}
