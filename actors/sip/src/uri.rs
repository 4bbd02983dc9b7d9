//! URIs: sip, sips and tel in full, any other scheme as opaque text.
//! RFC 3261 19.1, RFC 3966 3, IPv6 references as in RFC 5118 4.1.

use crate::host::host_port;
use crate::text::{Params, find, params, unescape};
use crate::{ErrorKind, Host, ParseError};
use std::borrow::Cow;
use std::fmt;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme<'a> {
    Sip,
    Sips,
    Tel,
    Other(&'a str),
}

/// A URI taken apart; every part is raw, escapes stand as they came.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    pub scheme: Scheme<'a>,
    /// The user; the number of a tel URI; everything after the colon of another scheme; empty when there is none.
    pub user: &'a [u8],
    pub password: Option<&'a [u8]>,
    /// `Host::Name("")` for a tel URI and other schemes.
    pub host: Host<'a>,
    pub port: Option<u16>,
    raw: &'a [u8],
    params: &'a [u8],
    headers: Option<&'a [u8]>,
}

impl<'a> Uri<'a> {
    /// Reads a URI that stands alone, without brackets or white space around it.
    pub fn parse(text: &'a [u8]) -> Result<Uri<'a>, ParseError> {
        if let Some(at) = text.iter().position(|&byte| !ALLOWED[byte as usize]) {
            return Err(wrong(at));
        }
        let colon = find([b':'], text).ok_or(wrong(0))?;
        let rest = &text[colon + 1..];
        match &text[..colon] {
            b"sip" => Uri::sip(Scheme::Sip, text, rest),
            b"sips" => Uri::sip(Scheme::Sips, text, rest),
            scheme if scheme.eq_ignore_ascii_case(b"sip") => Uri::sip(Scheme::Sip, text, rest),
            scheme if scheme.eq_ignore_ascii_case(b"sips") => Uri::sip(Scheme::Sips, text, rest),
            scheme if scheme.eq_ignore_ascii_case(b"tel") => Uri::tel(text, rest),
            scheme if is_scheme(scheme) && !rest.is_empty() => {
                let name = std::str::from_utf8(scheme).map_err(|_| wrong(0))?;
                Ok(Uri::opaque(Scheme::Other(name), text, rest, b""))
            }
            _ => Err(wrong(0)),
        }
    }

    fn sip(scheme: Scheme<'a>, raw: &'a [u8], rest: &'a [u8]) -> Result<Uri<'a>, ParseError> {
        let base = raw.len() - rest.len();
        let (userinfo, rest) = match find([b'@'], rest) {
            Some(0) => return Err(wrong(base)),
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let base = raw.len() - rest.len();
        let host_end = find([b';', b'?'], rest).unwrap_or(rest.len());
        let headers_at = find([b'?'], &rest[host_end..]).map(|at| host_end + at);
        let before_headers = &rest[..headers_at.unwrap_or(rest.len())];
        // A second @ before the headers would let two readers see two hosts.
        if let Some(at) = find([b'@'], before_headers) {
            return Err(wrong(base + at));
        }
        let (host, port) = host_port(&rest[..host_end]).ok_or(wrong(base))?;
        let (user, password) = match userinfo {
            None => (&b""[..], None),
            Some(info) => match find([b':'], info) {
                Some(0) => return Err(wrong(base)),
                Some(at) => (&info[..at], Some(&info[at + 1..])),
                None => (info, None),
            },
        };
        Ok(Uri {
            scheme,
            user,
            password,
            host,
            port,
            raw,
            params: before_headers.get(host_end + 1..).unwrap_or(b""),
            headers: headers_at.map(|at| &rest[at + 1..]),
        })
    }

    fn tel(raw: &'a [u8], rest: &'a [u8]) -> Result<Uri<'a>, ParseError> {
        let end = find([b';'], rest).unwrap_or(rest.len());
        let number = &rest[..end];
        let digit = |byte: &u8| byte.is_ascii_hexdigit() || b"+-.()*#".contains(byte);
        if number.is_empty() || !number.iter().all(digit) {
            return Err(wrong(raw.len() - rest.len()));
        }
        Ok(Uri::opaque(Scheme::Tel, raw, number, rest.get(end + 1..).unwrap_or(b"")))
    }

    fn opaque(scheme: Scheme<'a>, raw: &'a [u8], user: &'a [u8], params: &'a [u8]) -> Uri<'a> {
        let host = Host::Name("");
        Uri { scheme, user, password: None, host, port: None, raw, params, headers: None }
    }

    /// The URI as it was written.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The value of a parameter (name in any case); `Some(b"")` for a flag such as `lr`.
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        params(self.params).get(name)
    }

    /// The parameters in order.
    pub fn params(&self) -> Params<'a> {
        params(self.params)
    }

    /// The parameters as they were written, without the first semicolon.
    pub fn raw_params(&self) -> &'a [u8] {
        self.params
    }

    /// The header part as it was written, without the question mark.
    pub fn raw_headers(&self) -> Option<&'a [u8]> {
        self.headers
    }

    /// Whether a `?` and headers follow: refused in a Request-URI, RFC 3261 19.1.1 table 1.
    pub fn has_headers(&self) -> bool {
        self.headers.is_some()
    }

    /// The headers of the URI, raw: `name=value` joined by `&`.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let headers = self.headers.unwrap_or(b"");
        headers.split(|&byte| byte == b'&').filter(|part| !part.is_empty()).map(|part| match find([b'='], part) {
            Some(at) => (&part[..at], &part[at + 1..]),
            None => (part, &b""[..]),
        })
    }

    /// The user with its `%HH` escapes resolved; may then hold any byte.
    pub fn user_decoded(&self) -> Cow<'a, [u8]> {
        unescape(self.user)
    }

    /// The `transport` parameter, when it is readable text.
    pub fn transport(&self) -> Option<&'a str> {
        std::str::from_utf8(self.param("transport")?).ok().filter(|text| !text.is_empty())
    }

    /// Whether the scheme is `sips`.
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    /// The dialled digits: the user part without visual separators and user parameters, RFC 3966 5.1.1.
    pub fn number(&self) -> Vec<u8> {
        let user = unescape(self.user);
        let end = find([b';'], &user).unwrap_or(user.len());
        user[..end].iter().copied().filter(|byte| !b"-.() ".contains(byte)).collect()
    }

    /// Whether two URIs are equivalent: RFC 3261 19.1.4, RFC 3966 5.
    ///
    /// URIs of more than 64 parameters or headers are equivalent only when they are written the same.
    pub fn equals(&self, other: &Uri) -> bool {
        if self.is_laden() || other.is_laden() {
            return self.raw == other.raw;
        }
        match (self.scheme, other.scheme) {
            (Scheme::Tel, Scheme::Tel) => {
                self.number().eq_ignore_ascii_case(&other.number())
                    && params_cover(self, other, |_| true)
                    && params_cover(other, self, |_| true)
            }
            (Scheme::Other(a), Scheme::Other(b)) => a.eq_ignore_ascii_case(b) && self.user == other.user,
            (a, b) if a == b => self.equals_sip(other),
            _ => false,
        }
    }

    /// Comparing each with each must not become a stranger's lever.
    fn is_laden(&self) -> bool {
        self.params().nth(PARTS_COMPARED_MAX).is_some() || self.headers().nth(PARTS_COMPARED_MAX).is_some()
    }

    fn equals_sip(&self, other: &Uri) -> bool {
        unescape(self.user) == unescape(other.user)
            && self.password.map(unescape) == other.password.map(unescape)
            && self.host.equals(&other.host)
            && self.port == other.port
            && params_cover(self, other, decides)
            && params_cover(other, self, decides)
            && headers_cover(self, other)
            && headers_cover(other, self)
    }
}

/// Parameters that make a difference when only one URI carries them: RFC 3261 19.1.4.
fn decides(name: &[u8]) -> bool {
    ["user", "ttl", "method", "maddr", "transport"].iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Of a parameter that stands twice, which 19.1.1 forbids, the first counts, as it does for `Uri::param`.
fn params_cover(one: &Uri, other: &Uri, decides: fn(&[u8]) -> bool) -> bool {
    one.params().all(|(name, _)| {
        let Ok(text) = std::str::from_utf8(name) else { return true };
        match (one.param(text), other.param(text)) {
            (Some(value), Some(twin)) => unescape(twin).eq_ignore_ascii_case(&unescape(value)),
            _ => !decides(name),
        }
    })
}

fn headers_cover(one: &Uri, other: &Uri) -> bool {
    one.headers().all(|(name, value)| {
        other.headers().any(|(twin, twin_value)| {
            unescape(twin).eq_ignore_ascii_case(&unescape(name)) && unescape(twin_value) == unescape(value)
        })
    })
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.raw))
    }
}

fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
}

fn wrong(offset: usize) -> ParseError {
    ParseError::new(ErrorKind::Syntax, offset, "URI")
}

/// Parameters, and headers, of a URI that are compared one by one; count.
const PARTS_COMPARED_MAX: usize = 64;

/// Bytes that may stand in a URI; UTF-8 is let through although RFC 3261 25.1 wants it escaped.
const ALLOWED: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte <= 0x20 {
        table[byte] = false;
        byte += 1;
    }
    table[0x7f] = false;
    table[b'<' as usize] = false;
    table[b'>' as usize] = false;
    table[b'"' as usize] = false;
    table
};

#[cfg(test)]
mod tests;
