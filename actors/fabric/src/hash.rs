//! Keyed hashing with a fixed, named key: placement and tokens must come out the same on every node and in every run.

use std::hash::{BuildHasher, Hasher};

use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher24};

/// 128-bit keyed hash of several parts; parts cannot run into each other.
pub fn hash128(secret: &[u8; 16], parts: &[&[u8]]) -> u128 {
    let mut hasher = SipHasher24::new_with_key(secret);
    for part in parts {
        hasher.write(&(part.len() as u32).to_le_bytes());
        hasher.write(part);
    }
    hasher.finish128().as_u128()
}

/// 64-bit keyed hash of several parts.
pub fn hash64(secret: &[u8; 16], parts: &[&[u8]]) -> u64 {
    hash128(secret, parts) as u64
}

/// Hasher for maps whose order must not differ from run to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed;

impl BuildHasher for Fixed {
    type Hasher = SipHasher13;
    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(0x7461_6e64_656d, 0x6861_7368)
    }
}

/// A hash map with the same layout in every run of the same inserts.
pub type FixedMap<K, V> = std::collections::HashMap<K, V, Fixed>;
