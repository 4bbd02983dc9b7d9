//! The server's side: challenge, and the verdict on an answer. RFC 7616 3.3 and 3.4.6, RFC 8760 2.

use serde::{Deserialize, Serialize};

use crate::credentials::{Credentials, Qop};
use crate::digest::{Question, response};
use crate::{Algorithm, Count, Ha1, NonceCounts, NonceState, Nonces};

/// What a realm accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Offer, first, and accept SHA-256 (RFC 8760). Default false: many phones read the first challenge only and know MD5 alone.
    pub sha256: bool,
    /// Offer and accept MD5. Default true.
    pub md5: bool,
    /// Accept answers without `qop` (RFC 2069), each nonce once. Default false.
    pub without_qop: bool,
    /// Life of a nonce, seconds; an older one is answered with `stale=true`. Default 300; zero makes every nonce stale.
    pub nonce_life_s: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { sha256: false, md5: true, without_qop: false, nonce_life_s: 300 }
    }
}

impl Policy {
    fn allows(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Md5 => self.md5,
            Algorithm::Sha256 => self.sha256,
            Algorithm::Other => false,
        }
    }
}

/// What the digest of an answer is worth, whatever the age of its nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It knows the password.
    Right,
    Wrong(Refusal),
}

/// Why an answer was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The nonce is not ours, or was issued for another Call-ID.
    ForgedNonce,
    /// This count of the nonce was used before.
    Replayed,
    /// The hash differs: wrong password, or another method was hashed.
    WrongResponse,
    /// The digest was made for another Request-URI.
    WrongUri,
    /// An algorithm the policy does not allow: no downgrade.
    Algorithm,
    /// No `qop`, or another than `auth`.
    Qop,
}

/// What is to be done with a request that carries credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    /// Challenge again with `stale=true`: the password was right, the nonce is old.
    Stale,
    /// Challenge again, and count a failed attempt.
    Refused(Refusal),
}

/// The request that carries the credentials.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a [u8],
    /// Request-URI as it stands.
    pub uri: &'a [u8],
    /// What nonces are bound to: the Call-ID.
    pub binding: &'a [u8],
}

/// Nonces and policy of a realm.
#[derive(Clone, Debug)]
pub struct Server {
    nonces: Nonces,
    policy: Policy,
}

impl Server {
    pub fn new(secret: [u8; 16], policy: Policy) -> Server {
        let life = std::time::Duration::from_secs(u64::from(policy.nonce_life_s));
        Server { nonces: Nonces::new(secret).with_life(life), policy }
    }

    /// The same, where nonces issued before `unix_ms` are stale: see `Nonces::not_before`.
    pub fn not_before(self, unix_ms: u64) -> Server {
        Server { nonces: self.nonces.not_before(unix_ms), ..self }
    }

    /// Whether the nonce is not ours, or was issued for another binding: such an answer needs no account to be refused.
    pub fn is_forged(&self, nonce: &[u8], binding: &[u8]) -> bool {
        self.nonces.check(nonce, binding, 0) == NonceState::Forged
    }

    /// Values for WWW-Authenticate or Proxy-Authenticate, one a line, preferred algorithm first (RFC 8760 2.4).
    pub fn challenge(&self, realm: &str, binding: &[u8], stale: bool, now_unix_ms: u64) -> Vec<String> {
        challenges(realm, &self.nonces.issue(now_unix_ms, binding), stale, &self.policy)
    }

    /// Checks credentials against an account and takes their nonce count.
    pub fn check(
        &self,
        credentials: &Credentials<'_>,
        asked: &Asked<'_>,
        ha1: &Ha1,
        counts: &mut NonceCounts,
        now_unix_ms: u64,
    ) -> Outcome {
        let nonce = self.nonces.check(&credentials.nonce, asked.binding, now_unix_ms);
        // The digest is computed even for a forged nonce: the time to refuse tells nothing.
        let verdict = verify(credentials, asked.method, asked.uri, &ha1.md5, &ha1.sha256, &self.policy);
        match (nonce, verdict) {
            (NonceState::Forged, _) => Outcome::Refused(Refusal::ForgedNonce),
            (_, Verdict::Wrong(why)) => Outcome::Refused(why),
            (NonceState::Stale, Verdict::Right) => Outcome::Stale,
            (NonceState::Fresh(issued_ms), Verdict::Right) => match counts.take(issued_ms, credentials.nc.max(1)) {
                Count::First => Outcome::Accepted,
                Count::Replayed => Outcome::Refused(Refusal::Replayed),
                Count::Retired => Outcome::Stale,
            },
        }
    }

    /// How long accepted counts must be remembered, milliseconds after the nonce was issued.
    pub fn nonce_life_ms(&self) -> u64 {
        u64::from(self.policy.nonce_life_s) * 1_000
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// Values of a challenge's header lines: SHA-256 first, then MD5, as the policy allows; `qop="auth"`.
pub fn challenges(realm: &str, nonce: &str, stale: bool, policy: &Policy) -> Vec<String> {
    let realm = quoted(realm);
    let stale = if stale { ", stale=true" } else { "" };
    [Algorithm::Sha256, Algorithm::Md5]
        .into_iter()
        .filter(|algorithm| policy.allows(*algorithm))
        .map(|algorithm| format!("Digest realm={realm}, nonce=\"{nonce}\"{stale}, algorithm={algorithm}, qop=\"auth\""))
        .collect()
}

/// What the digest of `credentials` is worth for this request and account; the nonce is not looked at.
pub fn verify(
    credentials: &Credentials<'_>,
    method: &[u8],
    uri: &[u8],
    ha1_md5: &[u8; 16],
    ha1_sha256: &[u8; 32],
    policy: &Policy,
) -> Verdict {
    if !policy.allows(credentials.algorithm) {
        return Verdict::Wrong(Refusal::Algorithm);
    }
    let qop_auth = match credentials.qop {
        Some(Qop::Auth) => Some((&*credentials.nc_text, &*credentials.cnonce)),
        None if policy.without_qop => None,
        _ => return Verdict::Wrong(Refusal::Qop),
    };
    let question = Question { method, uri: &credentials.uri, nonce: &credentials.nonce, qop_auth };
    let ha1 = Ha1 { md5: *ha1_md5, sha256: *ha1_sha256 };
    let right =
        response(credentials.algorithm, &ha1, &question).is_some_and(|ours| ours.matches(&credentials.response));
    match (right, same_resource(&credentials.uri, uri)) {
        (false, _) => Verdict::Wrong(Refusal::WrongResponse),
        (true, false) => Verdict::Wrong(Refusal::WrongUri),
        (true, true) => Verdict::Right,
    }
}

/// Whether the digest URI names what the Request-URI names.
///
/// Phones leave out or add URI parameters and the default port, so scheme, user and host are compared; the user by
/// case. Source: RFC 7616 3.4.6, RFC 3261 22.4 item 5.
fn same_resource(digest: &[u8], request: &[u8]) -> bool {
    digest == request
        || names_a_hop(digest)
        || matches!((resource(digest), resource(request)), (Some(ours), Some(theirs))
            if ours.0.eq_ignore_ascii_case(theirs.0) && ours.1 == theirs.1 && ours.2.eq_ignore_ascii_case(theirs.2))
}

/// Whether a digest URI is a bare address, `sip:192.0.2.1:5060`.
// Deviation from RFC 7616 3.4.6: SIPp signs the address that it sends to. Nonce and count still tie it to one request.
fn names_a_hop(digest: &[u8]) -> bool {
    let Some((_, b"", host)) = resource(digest) else { return false };
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let address = host.parse::<std::net::SocketAddr>().map(|socket| socket.ip());
    address.is_ok() || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

/// Scheme, user and host with port (5060 left out) of a SIP URI.
fn resource(uri: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let colon = uri.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = (&uri[..colon], &uri[colon + 1..]);
    let (user, host) = match rest.iter().rposition(|byte| *byte == b'@') {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (&b""[..], rest),
    };
    let end = host.iter().position(|byte| matches!(byte, b';' | b'?' | b'>')).unwrap_or(host.len());
    let host = &host[..end];
    Some((scheme, user, host.strip_suffix(b":5060").unwrap_or(host)))
}

/// A quoted string (RFC 3261 25.1); control characters become spaces.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
