//! Requests inside a dialog: RFC 3261 12.2.1.1, with loose and strict routers.

use sip::{Builder, Method, Name, View};

use crate::{Dialog, State};

/// What the sender of an in-dialog request adds: its own Via and Contact, and how far the request may go.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// Our Via value, with a fresh branch.
    pub via: &'a [u8],
    /// Our Contact value; empty leaves the field out.
    pub contact: &'a [u8],
    pub max_forwards: u8,
}

impl Dialog {
    /// The next request of this dialog: takes a CSeq number; the caller adds what the method wants.
    ///
    /// ACK and CANCEL take no number of their own: use `ack` and `transaction::ClientInvite::cancel`.
    pub fn request<'m>(&mut self, method: impl Into<Method<'m>>, hop: &Hop<'_>) -> Builder {
        let method = method.into();
        self.local_cseq = self.local_cseq.saturating_add(1);
        if method == Method::Bye {
            self.state = State::Terminated;
        }
        self.build(method, self.local_cseq, hop)
    }

    /// The ACK for a 2xx: the CSeq number of its INVITE (RFC 3261 13.2.2.4); the caller adds credentials and answer.
    pub fn ack(&self, invite_cseq: u32, hop: &Hop<'_>) -> Builder {
        self.build(Method::Ack, invite_cseq, &Hop { contact: b"", ..*hop })
    }

    /// The PRACK for a reliable provisional response (RFC 3262 4); the caller adds an answer or offer.
    pub fn prack(&mut self, response: &View<'_>, hop: &Hop<'_>) -> Builder {
        let (rseq, cseq) = (response.header(Name::RSeq), response.header(Name::CSeq));
        let rack = [rseq.unwrap_or_default(), cseq.unwrap_or_default()].join(&b' ');
        self.request(Method::Prack, &Hop { contact: b"", ..*hop }).header(Name::RAck, sip::unfold(&rack))
    }

    fn build(&self, method: Method<'_>, cseq: u32, hop: &Hop<'_>) -> Builder {
        let (uri, route) = self.way();
        let builder = Builder::request(method, &uri)
            .header(Name::Via, hop.via)
            .header(Name::MaxForwards, hop.max_forwards.to_string());
        let builder = if route.is_empty() { builder } else { builder.header(Name::Route, route) };
        let builder = builder
            .header(Name::From, self.local())
            .header(Name::To, self.remote())
            .header(Name::CallId, self.call_id())
            .header(Name::CSeq, format!("{cseq} {method}"));
        if hop.contact.is_empty() { builder } else { builder.header(Name::Contact, hop.contact) }
    }

    /// Request-URI and Route value: RFC 3261 12.2.1.1.
    fn way(&self) -> (Vec<u8>, Vec<u8>) {
        let mut routes = sip::split_commas(self.routes());
        let strict = routes
            .next()
            .and_then(|first| sip::parse_name_addr(first).ok())
            .filter(|first| first.uri().is_ok_and(|uri| uri.param("lr").is_none()));
        let Some(first) = strict else {
            return (self.target().to_vec(), self.routes().to_vec());
        };
        let mut route = Vec::new();
        for further in routes {
            route.extend_from_slice(further);
            route.extend_from_slice(b", ");
        }
        route.push(b'<');
        route.extend_from_slice(self.target());
        route.push(b'>');
        (bare_uri(first.uri), route)
    }
}

/// The Record-Route values as one Route value: in order for the called side, reversed for the calling side.
pub(crate) fn join_routes(message: &View<'_>, reverse: bool) -> Vec<u8> {
    let mut routes: Vec<_> = message.values(Name::RecordRoute).map(sip::unfold).collect();
    if reverse {
        routes.reverse();
    }
    routes.join(&b", "[..])
}

/// The URI without what may not stand in a start line: headers and the `method` parameter (RFC 3261 19.1.1 table 1).
pub(crate) fn bare_uri(uri: &[u8]) -> Vec<u8> {
    // `?` and `;` may stand in a user part, so only what follows the host counts.
    let host = uri.iter().position(|&byte| byte == b'@').map_or(0, |at| at + 1);
    let end = uri[host..].iter().position(|&byte| byte == b'?').map_or(uri.len(), |at| host + at);
    let mut bare = uri[..end].to_vec();
    if let Some(at) = position(&bare[host..], b";method=") {
        let start = host + at;
        let length = bare[start + 1..].iter().position(|&byte| byte == b';').map_or(bare.len() - start, |end| end + 1);
        bare.drain(start..start + length);
    }
    bare
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests;
