//! Via values: RFC 3261 20.42, with `rport` of RFC 3581.

use crate::host::host_port;
use crate::name_addr::open_quote;
use crate::text::{Params, decimal, find, is_lws, is_token, params, trim, trim_end, trim_start};
use crate::{Host, ParseError};
use std::net::IpAddr;

/// One hop of the way back.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// As written: `UDP`, `TCP`, `TLS`, `WS`, `WSS` or any token.
    pub transport: &'a str,
    pub host: Host<'a>,
    pub port: Option<u16>,
    sent_by: &'a [u8],
    params: &'a [u8],
}

impl<'a> Via<'a> {
    /// The `branch` parameter; `None` when it is missing or empty.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.param("branch").filter(|branch| !branch.is_empty())
    }

    /// The value of a parameter (name in any case); `Some(b"")` for a flag.
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        self.params().get(name)
    }

    /// The parameters in order.
    pub fn params(&self) -> Params<'a> {
        params(self.params)
    }

    /// The address that the next hop saw; IPv6 with or without brackets, RFC 5118 4.5.
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.param("received")?;
        let inner = match text {
            [b'[', inner @ .., b']'] => inner,
            _ => text,
        };
        std::str::from_utf8(inner).ok()?.parse().ok()
    }

    /// The port that the next hop saw.
    pub fn rport(&self) -> Option<u16> {
        u16::try_from(decimal(self.param("rport")?)?).ok()
    }

    /// Whether the sender asks to be answered at the port it sent from: RFC 3581 3.
    pub fn wants_rport(&self) -> bool {
        self.param("rport").is_some_and(<[u8]>::is_empty)
    }

    /// Host and port as written.
    pub fn sent_by(&self) -> &'a [u8] {
        self.sent_by
    }

    /// The parameters as written, without the first semicolon.
    pub fn raw_params(&self) -> &'a [u8] {
        self.params
    }
}

/// Reads one Via value; folds and white space around every separator are allowed.
pub fn parse_via(text: &[u8]) -> Result<Via<'_>, ParseError> {
    let start = trim_start(text);
    let at = |rest: &[u8]| ParseError::syntax(text.len() - rest.len(), "Via");
    let rest = match start {
        [b'S', b'I', b'P', b'/', b'2', b'.', b'0', b'/', rest @ ..] => rest,
        _ => {
            let rest = word(start, b"SIP").ok_or(at(start))?;
            let rest = word(rest, b"/").ok_or(at(rest))?;
            let rest = word(rest, b"2.0").ok_or(at(rest))?;
            word(rest, b"/").ok_or(at(rest))?
        }
    };
    let rest = trim_start(rest);
    let end = rest.iter().position(|&byte| !is_token(byte)).ok_or(at(rest))?;
    let transport = match &rest[..end] {
        b"UDP" => "UDP",
        b"TCP" => "TCP",
        b"TLS" => "TLS",
        token => std::str::from_utf8(token).map_err(|_| at(rest))?,
    };
    if end == 0 || !is_lws(rest[end]) {
        return Err(at(&rest[end..]));
    }
    let rest = trim(&rest[end..]);
    let end = find([b';'], rest).unwrap_or(rest.len());
    let sent_by = trim_end(&rest[..end]);
    let (host, port) = host_port(sent_by).ok_or(at(rest))?;
    let params = rest.get(end + 1..).unwrap_or(b"");
    if let Some(found) = open_quote(params) {
        return Err(at(&params[found..]));
    }
    Ok(Via { transport, host, port, sent_by, params })
}

/// Skips white space and the expected word.
fn word<'a>(text: &'a [u8], expected: &[u8]) -> Option<&'a [u8]> {
    let text = trim_start(text);
    let found = text.get(..expected.len())?;
    found.eq_ignore_ascii_case(expected).then(|| &text[expected.len()..])
}

#[cfg(test)]
mod tests;
