//! The hashes of a digest: RFC 7616 3.4.1 to 3.4.3.

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::Algorithm;

/// What an account keeps in place of its password: both hashes of `user:realm:password`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ha1 {
    pub md5: [u8; 16],
    pub sha256: [u8; 32],
}

impl Ha1 {
    /// Hashes a password for both algorithms.
    pub fn of(user: &str, realm: &str, password: &str) -> Ha1 {
        Ha1 { md5: ha1_md5(user, realm, password), sha256: ha1_sha256(user, realm, password) }
    }
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1(..)")
    }
}

/// MD5 of `user:realm:password`: RFC 7616 3.4.2.
pub fn ha1_md5(user: &str, realm: &str, password: &str) -> [u8; 16] {
    md5(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()])
}

/// SHA-256 of `user:realm:password`: RFC 7616 3.4.2.
pub fn ha1_sha256(user: &str, realm: &str, password: &str) -> [u8; 32] {
    sha256(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()])
}

/// Hashes nobody can know, for checking the credentials of a user that does not exist in the same time.
pub fn decoy(secret: &[u8; 16], user: &[u8]) -> Ha1 {
    let sha256 = sha256(&[b"decoy", secret, user]);
    Ha1 { md5: sha256[..16].try_into().expect("16 of 32 bytes"), sha256 }
}

/// What a response is computed over, apart from the account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub method: &'a [u8],
    pub uri: &'a [u8],
    pub nonce: &'a [u8],
    /// Count and client nonce; `None` for RFC 2069, which has no `qop`.
    pub qop_auth: Option<(&'a [u8], &'a [u8])>,
}

/// The response in hexadecimal text; `None` for an algorithm we do not do.
pub(crate) fn response(algorithm: Algorithm, ha1: &Ha1, question: &Question<'_>) -> Option<Hex> {
    match algorithm {
        Algorithm::Md5 => Some(respond_with(&ha1.md5, question, |parts| Hex::of(&md5(parts)))),
        Algorithm::Sha256 => Some(respond_with(&ha1.sha256, question, |parts| Hex::of(&sha256(parts)))),
        Algorithm::Other => None,
    }
}

fn respond_with(ha1: &[u8], question: &Question<'_>, hash: impl Fn(&[&[u8]]) -> Hex) -> Hex {
    let ha1 = Hex::of(ha1);
    let ha2 = hash(&[question.method, question.uri]);
    match question.qop_auth {
        Some((nc, cnonce)) => hash(&[ha1.bytes(), question.nonce, nc, cnonce, b"auth", ha2.bytes()]),
        None => hash(&[ha1.bytes(), question.nonce, ha2.bytes()]),
    }
}

/// Lower-case hexadecimal text of a hash.
#[derive(Clone, Copy)]
pub(crate) struct Hex {
    text: [u8; 64],
    length: usize,
}

impl Hex {
    fn of(hash: &[u8]) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = Hex { text: [0; 64], length: hash.len() * 2 };
        for (pair, byte) in hex.text.chunks_exact_mut(2).zip(hash) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        hex
    }

    pub fn bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).expect("hexadecimal digits")
    }

    /// Compares with what a client sent, in time that does not depend on where they differ; any case of letters.
    pub fn matches(&self, other: &[u8]) -> bool {
        if other.len() != self.length {
            return false;
        }
        let differs =
            self.bytes().iter().zip(other).fold(0u8, |sum, (ours, theirs)| sum | (ours ^ theirs.to_ascii_lowercase()));
        std::hint::black_box(differs) == 0
    }
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    joined::<Md5>(parts).into()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    joined::<Sha256>(parts).into()
}

fn joined<D: Digest>(parts: &[&[u8]]) -> md5::digest::Output<D> {
    let mut hash = D::new();
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize()
}

#[cfg(test)]
mod tests;
