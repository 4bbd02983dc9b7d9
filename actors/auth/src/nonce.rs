//! Nonces that nobody has to remember: issue time and a keyed hash over the time and what the nonce is bound to.
//! RFC 7616 3.3 leaves their content to the server, 5.4 and 5.5 say what they must withstand.

use std::hash::Hasher;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip128::{Hasher128, SipHasher24};

/// Issues and checks nonces; any node with the same secret accepts them.
#[derive(Clone, Copy)]
pub struct Nonces {
    secret: [u8; 16],
    life: Duration,
    /// Nonces issued before this moment are stale, milliseconds since 1970.
    not_before_ms: u64,
}

/// What a nonce is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceState {
    /// Ours and young; the moment it was issued, milliseconds since 1970, which names it among the nonces of its binding.
    Fresh(u64),
    /// Ours, but too old (or issued in the future: the clock was set back).
    Stale,
    /// Not ours, or ours for another binding.
    Forged,
}

impl Nonces {
    /// Nonces of this secret that live 300 seconds.
    pub fn new(secret: [u8; 16]) -> Nonces {
        Nonces { secret, life: Duration::from_secs(300), not_before_ms: 0 }
    }

    /// The same with another life.
    pub fn with_life(self, life: Duration) -> Nonces {
        Nonces { life, ..self }
    }

    /// The same, where nonces issued before `unix_ms` are stale: set to the start of a node that has lost its counts.
    pub fn not_before(self, unix_ms: u64) -> Nonces {
        Nonces { not_before_ms: unix_ms, ..self }
    }

    /// How long a nonce is good.
    pub fn life(&self) -> Duration {
        self.life
    }

    /// A nonce issued now and bound to `binding` (the Call-ID): 30 characters of the URL-safe base64 alphabet.
    pub fn issue(&self, now_unix_ms: u64, binding: &[u8]) -> String {
        let mut plain = [0u8; NONCE_BYTES];
        plain[..TIME_BYTES].copy_from_slice(&now_unix_ms.to_be_bytes()[8 - TIME_BYTES..]);
        let mac = self.mac(&plain[..TIME_BYTES], binding);
        plain[TIME_BYTES..].copy_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(plain)
    }

    /// Whose nonce this is, and whether it is still good.
    pub fn check(&self, nonce: &[u8], binding: &[u8], now_unix_ms: u64) -> NonceState {
        let mut plain = [0u8; NONCE_BYTES];
        if nonce.len() != NONCE_TEXT_BYTES || URL_SAFE_NO_PAD.decode_slice(nonce, &mut plain) != Ok(NONCE_BYTES) {
            return NonceState::Forged;
        }
        let (time, mac) = plain.split_at(TIME_BYTES);
        let differs = self.mac(time, binding).iter().zip(mac).fold(0u8, |sum, (ours, theirs)| sum | (ours ^ theirs));
        if std::hint::black_box(differs) != 0 {
            return NonceState::Forged;
        }
        let issued_ms = time.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        let life_ms = u64::try_from(self.life.as_millis()).unwrap_or(u64::MAX);
        let young = now_unix_ms.saturating_sub(issued_ms) < life_ms;
        let past = issued_ms <= now_unix_ms.saturating_add(SKEW_MS_MAX);
        if young && past && issued_ms >= self.not_before_ms { NonceState::Fresh(issued_ms) } else { NonceState::Stale }
    }

    fn mac(&self, time: &[u8], binding: &[u8]) -> [u8; 16] {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(b"nonce");
        hasher.write(time);
        hasher.write(binding);
        hasher.finish128().as_bytes()
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").field("life", &self.life).finish_non_exhaustive()
    }
}

/// Milliseconds in 48 bits: until the year 10889.
const TIME_BYTES: usize = 6;
const NONCE_BYTES: usize = TIME_BYTES + 16;
const NONCE_TEXT_BYTES: usize = 30;

/// How far the clock of the issuing node may be ahead of ours, milliseconds.
const SKEW_MS_MAX: u64 = 10_000;

#[cfg(test)]
mod tests;
