//! The client's side: choosing a challenge and answering it. RFC 7616 3.4, RFC 8760 2.4.

use crate::credentials::{Algorithm, Challenge};
use crate::digest::{Ha1, Question, response};
use crate::server::quoted;

/// The challenge to answer: the first one whose algorithm and `qop` we can do.
pub fn choose<'a, 'b>(challenges: &'b [Challenge<'a>]) -> Option<&'b Challenge<'a>> {
    challenges
        .iter()
        .find(|challenge| challenge.algorithm != Algorithm::Other && (challenge.qop_auth || !challenge.qop_given))
}

/// What the client adds to a challenge.
#[derive(Clone, Copy, Debug)]
pub struct Answering<'a> {
    pub user: &'a str,
    pub ha1: &'a Ha1,
    pub method: &'a str,
    /// Request-URI, which becomes the digest URI.
    pub uri: &'a str,
    /// How often this nonce was used, this time included.
    pub nc: u32,
    /// Client nonce: fresh and unpredictable.
    pub cnonce: &'a str,
}

/// Value for Authorization or Proxy-Authorization; `None` for an algorithm we do not do.
pub fn respond(challenge: &Challenge<'_>, answering: &Answering<'_>) -> Option<String> {
    let nc = format!("{:08x}", answering.nc);
    let question = Question {
        method: answering.method.as_bytes(),
        uri: answering.uri.as_bytes(),
        nonce: &challenge.nonce,
        qop_auth: challenge.qop_auth.then_some((nc.as_bytes(), answering.cnonce.as_bytes())),
    };
    let digest = response(challenge.algorithm, answering.ha1, &question)?;
    let mut out = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\", algorithm={}",
        quoted(answering.user),
        quoted(&String::from_utf8_lossy(&challenge.realm)),
        quoted(&String::from_utf8_lossy(&challenge.nonce)),
        quoted(answering.uri),
        digest.text(),
        challenge.algorithm,
    );
    if challenge.qop_auth {
        out.push_str(&format!(", qop=auth, nc={nc}, cnonce={}", quoted(answering.cnonce)));
    }
    if let Some(opaque) = &challenge.opaque {
        out.push_str(&format!(", opaque={}", quoted(&String::from_utf8_lossy(opaque))));
    }
    Some(out)
}

#[cfg(test)]
mod tests;
