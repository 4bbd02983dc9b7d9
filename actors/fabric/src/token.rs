//! Opaque, authenticated tokens that lead a SIP message back: to a leg of a call (in our Via branch and Contact user)
//! and to a flow (in the Path of a registration). Whoever does not hold the cluster secret can neither read meaning
//! into them nor make one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::hash::hash64;
use crate::letters::flow::Flow;
use crate::{Address, Key};

/// Seals and opens tokens with the cluster secret.
#[derive(Clone, Copy)]
pub struct Tokens {
    secret: [u8; 16],
}

/// What a leg token says: which actor, and which of its legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegToken {
    /// `Call`, `Registration` (for its keep-alive OPTIONS) or another keyed actor.
    pub to: Address,
    /// The actor's own number for the leg; 0 is the caller.
    pub leg: u16,
}

impl Tokens {
    pub fn new(secret: [u8; 16]) -> Tokens {
        Tokens { secret }
    }

    /// Text of a leg token: 36 characters of the URL-safe base64 alphabet.
    ///
    /// Panics when `to` has no key: only keyed actors have legs.
    pub fn seal_leg(&self, token: LegToken) -> String {
        let key = token.to.key().expect("only keyed actors have legs");
        let mut plain = [0u8; 27];
        plain[0] = kind_code(token.to);
        plain[1..17].copy_from_slice(&key.0.to_be_bytes());
        plain[17..19].copy_from_slice(&token.leg.to_be_bytes());
        let mac = hash64(&self.secret, &[b"leg", &plain[..19]]);
        plain[19..27].copy_from_slice(&mac.to_be_bytes());
        URL_SAFE_NO_PAD.encode(plain)
    }

    /// Opens a leg token at the start of `text` (a branch carries more behind it); `None` unless it is ours.
    pub fn open_leg(&self, text: &[u8]) -> Option<LegToken> {
        let mut plain = [0u8; 27];
        let length = URL_SAFE_NO_PAD.decode_slice(text.get(..36)?, &mut plain).ok()?;
        if length != 27 {
            return None;
        }
        let mac = hash64(&self.secret, &[b"leg", &plain[..19]]);
        if plain[19..27] != mac.to_be_bytes() {
            return None;
        }
        let key = Key(u128::from_be_bytes(plain[1..17].try_into().ok()?));
        let to = match plain[0] {
            1 => Address::Call(key),
            2 => Address::Registration(key),
            3 => Address::Media(key),
            _ => return None,
        };
        Some(LegToken { to, leg: u16::from_be_bytes([plain[17], plain[18]]) })
    }

    /// Text of a flow token: about 60 to 110 characters of the URL-safe base64 alphabet (IPv4, IPv6).
    pub fn seal_flow(&self, flow: &Flow) -> String {
        let mut plain = postcard::to_allocvec(flow).expect("a flow has no unserialisable part");
        let mac = hash64(&self.secret, &[b"flow", &plain]);
        plain.extend_from_slice(&mac.to_be_bytes());
        URL_SAFE_NO_PAD.encode(plain)
    }

    /// Opens a flow token (RFC 5626 5.2); `None` unless it is ours.
    pub fn open_flow(&self, text: &[u8]) -> Option<Flow> {
        if text.len() > FLOW_TOKEN_BYTES_MAX {
            return None;
        }
        let plain = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (flow, mac) = plain.split_at_checked(plain.len().checked_sub(8)?)?;
        if mac != hash64(&self.secret, &[b"flow", flow]).to_be_bytes() {
            return None;
        }
        postcard::from_bytes(flow).ok()
    }
}

/// Longest flow token that is worth decoding, bytes.
const FLOW_TOKEN_BYTES_MAX: usize = 200;

fn kind_code(address: Address) -> u8 {
    match address {
        Address::Call(_) => 1,
        Address::Registration(_) => 2,
        Address::Media(_) => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
