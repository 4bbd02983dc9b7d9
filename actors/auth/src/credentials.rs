//! Values of Authorization, Proxy-Authorization, WWW-Authenticate and Proxy-Authenticate.
//! RFC 3261 25.1 with the parameters of RFC 7616 3.3 and 3.4.

use std::borrow::Cow;
use std::fmt;

/// What a client says to prove who it is: RFC 7616 3.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// Unquoted; of `username*` when that stands instead.
    pub username: Cow<'a, [u8]>,
    pub realm: Cow<'a, [u8]>,
    pub nonce: Cow<'a, [u8]>,
    /// Digest URI as the client hashed it.
    pub uri: Cow<'a, [u8]>,
    /// Hexadecimal text, as it came.
    pub response: Cow<'a, [u8]>,
    pub algorithm: Algorithm,
    /// `None` for a client of RFC 2069.
    pub qop: Option<Qop>,
    pub cnonce: Cow<'a, [u8]>,
    /// Nonce count; 0 when there is none.
    pub nc: u32,
    /// The eight digits of the count, as they were hashed.
    pub nc_text: Cow<'a, [u8]>,
    pub opaque: Option<Cow<'a, [u8]>>,
}

/// What a server asks for: RFC 7616 3.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    pub realm: Cow<'a, [u8]>,
    pub nonce: Cow<'a, [u8]>,
    pub algorithm: Algorithm,
    pub stale: bool,
    /// `qop` lists `auth`.
    pub qop_auth: bool,
    /// `qop` is there, whatever it lists.
    pub qop_given: bool,
    pub opaque: Option<Cow<'a, [u8]>>,
}

/// Hash of a digest; absent means MD5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    Md5,
    Sha256,
    /// One we do not do: SHA-512-256, the `-sess` kinds.
    Other,
}

/// Quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    Auth,
    AuthInt,
    Other,
}

/// Why a value is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// Another scheme than Digest.
    Scheme,
    /// A parameter without `=`, an open quote, or more than `PARAMETERS_MAX`.
    Syntax,
    /// This parameter is needed and is not there.
    Missing(&'static str),
    /// This parameter stands twice.
    Duplicate(&'static str),
    /// This parameter is longer than `PARAMETER_BYTES_MAX` or not what its grammar allows.
    Value(&'static str),
}

/// Most parameters of one value, count.
pub const PARAMETERS_MAX: usize = 32;

/// Longest value of one parameter, bytes.
pub const PARAMETER_BYTES_MAX: usize = 1_024;

impl<'a> Credentials<'a> {
    /// Parses the value of an Authorization or Proxy-Authorization field.
    ///
    /// Errors: `AuthError`; `Scheme` means "not for us" (RFC 4475 3.3.9), everything else deserves a 400.
    pub fn parse(value: &'a [u8]) -> Result<Credentials<'a>, AuthError> {
        let mut fields = Fields::parse(value)?;
        let username = match (fields.take("username"), fields.take("username*")) {
            (Some(_), Some(_)) => return Err(AuthError::Duplicate("username")),
            (Some(plain), None) => plain,
            (None, Some(extended)) => extended_value(&extended).ok_or(AuthError::Value("username*"))?,
            (None, None) => return Err(AuthError::Missing("username")),
        };
        let nc_text = fields.take("nc").unwrap_or_default();
        let nc = match nc_text.is_empty() {
            true => 0,
            false => hex_number(&nc_text).ok_or(AuthError::Value("nc"))?,
        };
        let credentials = Credentials {
            username,
            realm: fields.need("realm")?,
            nonce: fields.need("nonce")?,
            uri: fields.need("uri")?,
            response: fields.need("response")?,
            algorithm: algorithm(fields.take("algorithm")),
            qop: fields.take("qop").map(|qop| match &*qop.to_ascii_lowercase() {
                b"auth" => Qop::Auth,
                b"auth-int" => Qop::AuthInt,
                _ => Qop::Other,
            }),
            cnonce: fields.take("cnonce").unwrap_or_default(),
            nc,
            nc_text,
            opaque: fields.take("opaque"),
        };
        if credentials.qop.is_some() && credentials.nc == 0 {
            return Err(AuthError::Missing("nc"));
        }
        if credentials.qop.is_some() && credentials.cnonce.is_empty() {
            return Err(AuthError::Missing("cnonce"));
        }
        Ok(credentials)
    }

    /// User name as text; `None` unless it is UTF-8.
    pub fn user(&self) -> Option<&str> {
        std::str::from_utf8(&self.username).ok()
    }
}

impl<'a> Challenge<'a> {
    /// Parses the value of a WWW-Authenticate or Proxy-Authenticate field; errors as for credentials.
    pub fn parse(value: &'a [u8]) -> Result<Challenge<'a>, AuthError> {
        let mut fields = Fields::parse(value)?;
        let qop = fields.take("qop");
        Ok(Challenge {
            realm: fields.need("realm")?,
            nonce: fields.need("nonce")?,
            algorithm: algorithm(fields.take("algorithm")),
            stale: fields.take("stale").is_some_and(|stale| stale.eq_ignore_ascii_case(b"true")),
            qop_auth: qop.as_ref().is_some_and(|list| {
                list.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(b"auth"))
            }),
            qop_given: qop.is_some(),
            opaque: fields.take("opaque"),
        })
    }
}

/// The credentials for `realm` among several header values: the first Digest of that realm.
///
/// `None` when there are none: unknown schemes and other realms are passed over (RFC 3261 22.3). Errors: a Digest value
/// that is broken.
pub fn pick<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    realm: &[u8],
) -> Option<Result<Credentials<'a>, AuthError>> {
    let mut broken = None;
    for value in values {
        match Credentials::parse(value) {
            Ok(credentials) if *credentials.realm == *realm => return Some(Ok(credentials)),
            Ok(_) | Err(AuthError::Scheme) => {}
            Err(error) => broken = broken.or(Some(Err(error))),
        }
    }
    broken
}

struct Fields<'a> {
    /// Values in the order of `NAMES`.
    values: [Option<Cow<'a, [u8]>>; NAMES.len()],
}

/// The parameters we read; others are passed over.
const NAMES: [&str; 13] = [
    "username",
    "username*",
    "realm",
    "nonce",
    "uri",
    "response",
    "algorithm",
    "qop",
    "cnonce",
    "nc",
    "opaque",
    "stale",
    "userhash",
];

impl<'a> Fields<'a> {
    fn parse(value: &'a [u8]) -> Result<Fields<'a>, AuthError> {
        let value = value.trim_ascii();
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        if !value[..end].eq_ignore_ascii_case(b"digest") {
            return Err(AuthError::Scheme);
        }
        let mut fields = Fields { values: [const { None }; NAMES.len()] };
        let mut rest = value[end..].trim_ascii();
        for _ in 0..PARAMETERS_MAX {
            while let [b',', tail @ ..] = rest {
                rest = tail.trim_ascii_start();
            }
            if rest.is_empty() {
                return Ok(fields);
            }
            let equals = rest.iter().position(|byte| matches!(byte, b'=' | b',')).ok_or(AuthError::Syntax)?;
            if rest[equals] == b',' {
                return Err(AuthError::Syntax);
            }
            let name = rest[..equals].trim_ascii_end();
            let (text, tail) = split_value(rest[equals + 1..].trim_ascii_start())?;
            rest = tail.trim_ascii_start();
            if !rest.is_empty() && rest[0] != b',' {
                return Err(AuthError::Syntax);
            }
            let Some(place) = NAMES.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes())) else {
                continue;
            };
            if fields.values[place].is_some() {
                return Err(AuthError::Duplicate(NAMES[place]));
            }
            if text.len() > PARAMETER_BYTES_MAX {
                return Err(AuthError::Value(NAMES[place]));
            }
            fields.values[place] = Some(text);
        }
        if rest.is_empty() { Ok(fields) } else { Err(AuthError::Syntax) }
    }

    fn take(&mut self, name: &'static str) -> Option<Cow<'a, [u8]>> {
        let place = NAMES.iter().position(|known| *known == name)?;
        self.values[place].take()
    }

    fn need(&mut self, name: &'static str) -> Result<Cow<'a, [u8]>, AuthError> {
        self.take(name).ok_or(AuthError::Missing(name))
    }
}

/// A token or quoted string at the start of `text`, unquoted, and what follows it.
fn split_value(text: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), AuthError> {
    if text.first() != Some(&b'"') {
        let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
        return Ok((Cow::Borrowed(text[..end].trim_ascii_end()), &text[end..]));
    }
    let mut at = 1;
    let mut escaped = false;
    loop {
        match text.get(at) {
            None => return Err(AuthError::Syntax),
            Some(b'"') => break,
            Some(b'\\') => {
                escaped = true;
                at += 2;
            }
            Some(_) => at += 1,
        }
    }
    let inner = &text[1..at];
    let value = if escaped { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) };
    Ok((value, &text[at + 1..]))
}

fn unescape(inner: &[u8]) -> Vec<u8> {
    let mut bytes = inner.iter().copied();
    let mut out = Vec::with_capacity(inner.len());
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'\\' { bytes.next().unwrap_or(b'\\') } else { byte });
    }
    out
}

/// `UTF-8''J%C3%A4s%C3%B8n` of RFC 8187 3.2; only UTF-8.
fn extended_value<'a>(text: &[u8]) -> Option<Cow<'a, [u8]>> {
    let mut parts = text.splitn(3, |byte| *byte == b'\'');
    let (charset, _language, escaped) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case(b"utf-8") {
        return None;
    }
    let mut out = Vec::with_capacity(escaped.len());
    let mut at = 0;
    while let Some(&byte) = escaped.get(at) {
        if byte == b'%' {
            let digits = std::str::from_utf8(escaped.get(at + 1..at + 3)?).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    Some(Cow::Owned(out))
}

/// `nc-value`: eight hexadecimal digits in the RFC; one to eight are taken.
fn hex_number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 8 || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

fn algorithm(text: Option<Cow<'_, [u8]>>) -> Algorithm {
    match text {
        None => Algorithm::Md5,
        Some(name) if name.eq_ignore_ascii_case(b"md5") => Algorithm::Md5,
        Some(name) if name.eq_ignore_ascii_case(b"sha-256") => Algorithm::Sha256,
        Some(_) => Algorithm::Other,
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Other => "unknown",
        })
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthError::Scheme => write!(f, "not the Digest scheme"),
            AuthError::Syntax => write!(f, "bad digest syntax"),
            AuthError::Missing(name) => write!(f, "digest without {name}"),
            AuthError::Duplicate(name) => write!(f, "digest with two {name}"),
            AuthError::Value(name) => write!(f, "digest with bad {name}"),
        }
    }
}

impl std::error::Error for AuthError {}

#[cfg(test)]
mod tests;
