//! Who may use the API: password hashes, checked in constant time, and the guard that bans who guesses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use aws_lc_rs::{constant_time, digest, pbkdf2, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Iterations of a new hash: about 50 ms on one core.
const ITERATIONS: u32 = 120_000;

/// Most iterations that a configured hash may ask for.
const ITERATIONS_MAX: u32 = 2_000_000;

/// Verified passwords that are remembered, count: a client sends its password with each request.
const REMEMBERED_MAX: usize = 64;

/// Text for the configuration that a password can be checked against: `pbkdf2:ITERATIONS:SALT:HASH`.
pub fn hash_password(password: &str) -> String {
    let mut salt = [0u8; 16];
    rand::fill(&mut salt).expect("the system has random bytes");
    let hash = derive(password, &salt, ITERATIONS);
    format!("pbkdf2:{ITERATIONS}:{}:{}", hex(&salt), hex(&hash))
}

/// A hash out of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hash {
    Sha256(Vec<u8>),
    Pbkdf2 { iterations: u32, salt: Vec<u8>, hash: Vec<u8> },
}

impl Hash {
    /// Reads `sha256:HEX` or `pbkdf2:ITERATIONS:SALT:HEX`; the error says what is expected.
    fn parse(text: &str) -> Result<Hash, String> {
        let expected = || {
            "expected \"pbkdf2:ITERATIONS:SALT:HASH\" (see `tandem hash-password`) or \"sha256:\" and 64 hex digits"
                .to_owned()
        };
        let parts: Vec<&str> = text.split(':').collect();
        let full = |hash: &Vec<u8>| hash.len() == 32;
        match parts[..] {
            ["sha256", hash] => unhex(hash).filter(full).map(Hash::Sha256).ok_or_else(expected),
            ["pbkdf2", iterations, salt, hash] => {
                let iterations = iterations.parse().ok().filter(|n| (1..=ITERATIONS_MAX).contains(n));
                match (iterations, unhex(salt), unhex(hash).filter(full)) {
                    (Some(iterations), Some(salt), Some(hash)) => Ok(Hash::Pbkdf2 { iterations, salt, hash }),
                    _ => Err(expected()),
                }
            }
            _ => Err(expected()),
        }
    }

    fn holds(&self, password: &str) -> bool {
        match self {
            Hash::Sha256(hash) => {
                let sum = digest::digest(&digest::SHA256, password.as_bytes());
                constant_time::verify_slices_are_equal(sum.as_ref(), hash).is_ok()
            }
            Hash::Pbkdf2 { iterations, salt, hash } => {
                constant_time::verify_slices_are_equal(&derive(password, salt, *iterations), hash).is_ok()
            }
        }
    }
}

fn derive(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut hash = [0u8; 32];
    let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), &mut hash);
    hash
}

/// The configured users.
pub struct Users {
    hashes: BTreeMap<String, Hash>,
    /// Digests of credentials that were right, so that a slow hash is computed once.
    remembered: Mutex<BTreeMap<[u8; 32], String>>,
    salt: [u8; 32],
}

impl Users {
    /// Errors: name of the user whose hash cannot be read, and what is expected.
    pub fn new(configured: &BTreeMap<String, String>) -> Result<Users, (String, String)> {
        let mut hashes = BTreeMap::new();
        for (name, text) in configured {
            if name.is_empty() || name.contains(':') {
                return Err((name.clone(), "a user name is not empty and holds no colon".to_owned()));
            }
            hashes.insert(name.clone(), Hash::parse(text).map_err(|why| (name.clone(), why))?);
        }
        let mut salt = [0u8; 32];
        rand::fill(&mut salt).expect("the system has random bytes");
        Ok(Users { hashes, remembered: Mutex::default(), salt })
    }

    /// The user whom these credentials (`Authorization: Basic ...`) prove; `None` when they prove nobody. Slow on a first try: run it off the reactor.
    pub fn verify(&self, authorization: &str) -> Option<String> {
        let (scheme, encoded) = authorization.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (name, password) = decoded.split_once(':')?;
        let proof = self.proof(&decoded);
        if let Some(known) = self.remembered().get(&proof) {
            return Some(known.clone());
        }
        // An unknown name costs as much as a wrong password, or the answer's delay would tell names.
        let nobody = Hash::Pbkdf2 { iterations: ITERATIONS, salt: self.salt.to_vec(), hash: vec![0; 32] };
        let right = match self.hashes.get(name) {
            Some(hash) => hash.holds(password),
            None => {
                nobody.holds(password);
                false
            }
        };
        if !right {
            return None;
        }
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(proof, name.to_owned());
        Some(name.to_owned())
    }

    fn proof(&self, credentials: &str) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.salt);
        context.update(credentials.as_bytes());
        context.finish().as_ref().try_into().expect("SHA-256 is 32 bytes")
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<[u8; 32], String>> {
        self.remembered.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Bans addresses that guess passwords: 300 s, doubling to 3600 s by default.
pub struct Guard {
    failures_max: u32,
    ban: Duration,
    ban_max: Duration,
    seen: Mutex<BTreeMap<IpAddr, Guess>>,
}

struct Guess {
    failures: u32,
    bans: u32,
    last: Instant,
    until: Option<Instant>,
}

/// Addresses that a guard remembers, count.
const ADDRESSES_MAX: usize = 10_000;

impl Guard {
    pub fn new(failures_max: u32, ban_s: u32, ban_max_s: u32) -> Guard {
        let seconds = |s: u32| Duration::from_secs(u64::from(s));
        Guard { failures_max, ban: seconds(ban_s), ban_max: seconds(ban_max_s), seen: Mutex::default() }
    }

    /// How long this address is still banned.
    pub fn banned(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let until = self.seen().get(&address)?.until?;
        (until > now).then(|| until - now)
    }

    /// A right password forgives the wrong ones before it.
    pub fn on_success(&self, address: IpAddr) {
        self.seen().remove(&address);
    }

    /// A wrong password; true when it brought a ban.
    pub fn on_failure(&self, address: IpAddr, now: Instant) -> bool {
        if self.failures_max == 0 {
            return false;
        }
        let mut seen = self.seen();
        if seen.len() >= ADDRESSES_MAX && !seen.contains_key(&address) {
            let oldest = seen.iter().min_by_key(|(_, guess)| guess.last).map(|(address, _)| *address);
            oldest.map(|oldest| seen.remove(&oldest));
        }
        let guess = seen.entry(address).or_insert(Guess { failures: 0, bans: 0, last: now, until: None });
        guess.failures += 1;
        guess.last = now;
        if guess.failures < self.failures_max {
            return false;
        }
        let length = self.ban.saturating_mul(1 << guess.bans.min(16)).min(self.ban_max);
        guess.failures = 0;
        guess.bans += 1;
        guess.until = Some(now + length);
        true
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<IpAddr, Guess>> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests;
