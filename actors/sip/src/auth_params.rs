//! Challenges and credentials: Authorization, WWW-Authenticate and their proxy twins. RFC 3261 25.1, RFC 7616 3.

use crate::text::{comma, find, is_lws, is_token_text, trim, trim_end, trim_start, unquote};
use crate::{ErrorKind, ParseError};
use std::borrow::Cow;

/// Most parameters of one challenge or one set of credentials; Digest knows 14.
const PARAMS_MAX: usize = 32;

/// A scheme with its `name=value` parameters, read but not judged.
#[derive(Clone, Copy, Debug)]
pub struct AuthParams<'a> {
    scheme: &'a str,
    rest: &'a [u8],
}

impl<'a> AuthParams<'a> {
    /// Reads one header line's value.
    ///
    /// Errors: `Syntax` for anything but `scheme name=value, ...`, `Duplicate` for a repeated name, `TooMany` beyond 32.
    pub fn parse(value: &'a [u8]) -> Result<AuthParams<'a>, ParseError> {
        let text = trim(value);
        let end = text.iter().position(|&byte| is_lws(byte)).unwrap_or(text.len());
        let scheme = &text[..end];
        if !is_token_text(scheme) {
            return Err(ParseError::syntax(0, "credentials"));
        }
        let scheme = std::str::from_utf8(scheme).map_err(|_| ParseError::syntax(0, "credentials"))?;
        let found = AuthParams { scheme, rest: trim_start(&text[end..]) };
        if found.is_digest() {
            found.examine()?;
        }
        Ok(found)
    }

    /// Parameters of a scheme we do not know may be a bare token68: only Digest is examined.
    fn examine(&self) -> Result<(), ParseError> {
        let mut seen: [&[u8]; PARAMS_MAX] = [b""; PARAMS_MAX];
        for (count, item) in self.items().enumerate() {
            let (name, value) = item.ok_or(ParseError::syntax(0, "credentials"))?;
            if !is_token_text(name) || !is_value(value) {
                return Err(ParseError::syntax(0, "credentials"));
            }
            if seen[..count].iter().any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(ParseError::new(ErrorKind::Duplicate, 0, "credentials"));
            }
            let slot = seen.get_mut(count).ok_or(ParseError::new(ErrorKind::TooMany, 0, "credentials"))?;
            *slot = name;
        }
        Ok(())
    }

    /// The scheme as written, for instance `Digest`.
    pub fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// Whether the scheme is Digest, in any case.
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// A parameter's value without quotes and backslashes; names in any case.
    pub fn get(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.get_raw(name).map(unquote)
    }

    /// A parameter's value as written, quotes included.
    pub fn get_raw(&self, name: &str) -> Option<&'a [u8]> {
        self.params().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// All parameters in order, values as written.
    pub fn params(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.items().flatten()
    }

    fn items(&self) -> impl Iterator<Item = Option<(&'a [u8], &'a [u8])>> + use<'a> {
        let mut rest = Some(self.rest);
        std::iter::from_fn(move || {
            loop {
                let text = rest?;
                let end = comma_outside_quotes(text);
                rest = end.map(|at| &text[at + 1..]);
                let item = trim(&text[..end.unwrap_or(text.len())]);
                if item.is_empty() {
                    continue;
                }
                let pair = find([b'='], item).map(|at| (trim_end(&item[..at]), trim_start(&item[at + 1..])));
                return Some(pair);
            }
        })
    }
}

/// `<` shields nothing here: realms and nonces are either quoted or tokens.
fn comma_outside_quotes(text: &[u8]) -> Option<usize> {
    if find([b'<'], text).is_none() {
        return comma(text);
    }
    let mut at = 0;
    loop {
        let found = at + find([b',', b'"'], &text[at..])?;
        if text[found] == b',' {
            return Some(found);
        }
        at = found + crate::text::quoted_len(&text[found..])?;
    }
}

fn is_value(value: &[u8]) -> bool {
    match value {
        [b'"', ..] => crate::text::quoted_len(value) == Some(value.len()),
        _ => !value.is_empty() && !value.iter().any(|&byte| is_lws(byte) || byte == b'"' || byte < 0x20),
    }
}

#[cfg(test)]
mod tests;
