//! Which transaction a message belongs to: RFC 3261 17.1.3 and 17.2.3.

use fabric::hash::hash128;
use serde::{Deserialize, Serialize};
use sip::{Method, ParseError, View};

/// Names a transaction; equal for a request, its retransmissions and (on the client side) its responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransactionKey(pub u128);

/// The server transaction of a request; an ACK has the key of its INVITE, a CANCEL one of its own.
///
/// Errors: no readable Via or CSeq. Source: RFC 3261 17.2.3, with its rules for branches of RFC 2543.
pub fn server_key(request: &View<'_>) -> Result<TransactionKey, ParseError> {
    request_key(request, request.method())
}

/// The INVITE server transaction that a CANCEL (or an ACK for a refusal) means: RFC 3261 9.2.
pub fn invite_key(request: &View<'_>) -> Result<TransactionKey, ParseError> {
    request_key(request, Method::Invite)
}

/// The client transaction of a response or of our own request: branch and method of the CSeq (RFC 3261 17.1.3).
pub fn client_key(message: &View<'_>) -> Result<TransactionKey, ParseError> {
    let via = message.top_via()?;
    let method = message.cseq()?.method;
    Ok(key(&[b"client", via.branch().unwrap_or_default(), method.as_str().as_bytes()]))
}

/// Equal for the copies of one request that came by different paths: RFC 3261 8.2.2.2.
///
/// Two requests without To tag, with this key equal and `server_key` different, are merged: the second one gets 482,
/// or is adopted when its client has changed servers.
pub fn merge_key(request: &View<'_>) -> Result<TransactionKey, ParseError> {
    let from = request.from()?;
    let cseq = request.cseq()?;
    Ok(key(&[
        b"merge",
        request.call_id()?,
        from.tag().unwrap_or_default(),
        &cseq.number.to_be_bytes(),
        cseq.method.as_str().as_bytes(),
    ]))
}

/// Whether this branch was made to RFC 3261 8.1.1.7, so that it names the transaction by itself.
pub(crate) fn is_unique(branch: Option<&[u8]>) -> bool {
    branch.is_some_and(|branch| branch.len() > COOKIE.len() && branch[..COOKIE.len()].eq_ignore_ascii_case(COOKIE))
}

fn request_key(request: &View<'_>, method: Method<'_>) -> Result<TransactionKey, ParseError> {
    let via = request.top_via()?;
    let method = if method == Method::Ack { Method::Invite } else { method };
    let sent_by = sent_by(&via);
    if let Some(branch) = via.branch().filter(|branch| is_unique(Some(branch))) {
        return Ok(key(&[b"server", branch, &sent_by, method.as_str().as_bytes()]));
    }
    let (from, to, cseq) = (request.from()?, request.to()?, request.cseq()?);
    // The ACK carries the tag of our response where the INVITE had none; `ServerInvite` compares that one.
    let to_tag = if method == Method::Invite { b"" } else { to.tag().unwrap_or_default() };
    Ok(key(&[
        b"server 2543",
        request.uri(),
        to_tag,
        from.tag().unwrap_or_default(),
        request.call_id()?,
        &cseq.number.to_be_bytes(),
        via.branch().unwrap_or_default(),
        &sent_by,
        method.as_str().as_bytes(),
    ]))
}

fn sent_by(via: &sip::Via<'_>) -> Vec<u8> {
    let port = via.port.unwrap_or(if via.transport.eq_ignore_ascii_case("TLS") { 5061 } else { 5060 });
    format!("{}:{port}", via.host).to_ascii_lowercase().into_bytes()
}

fn key(parts: &[&[u8]]) -> TransactionKey {
    TransactionKey(hash128(KEY, parts))
}

const COOKIE: &[u8] = b"z9hG4bK";
/// Not a secret: keys only have to differ inside one mind and be the same on its standby.
const KEY: &[u8; 16] = b"transaction keys";

#[cfg(test)]
mod tests;
