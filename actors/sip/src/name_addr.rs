//! Name-addr values: From, To, Contact, Route, Refer-To and their kin. RFC 3261 20.10.

use crate::text::{Params, decimal, find, params, quoted_len, trim, trim_end, trim_start, unquote};
use crate::{ErrorKind, ParseError, Uri};
use std::borrow::Cow;

/// One address with its display name and header parameters.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    /// The display name as written, without its quotes; empty when there is none.
    pub display: &'a [u8],
    /// The URI as written, without its brackets; `*` for the star of RFC 3261 10.2.2.
    pub uri: &'a [u8],
    params: &'a [u8],
    bracketed: bool,
}

impl<'a> NameAddr<'a> {
    /// The URI taken apart.
    pub fn uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri)
    }

    /// The `tag` parameter; `None` when it is missing or empty.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }

    /// The value of a header parameter (name in any case); `Some(b"")` for a flag.
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        self.params().get(name)
    }

    /// The header parameters in order.
    pub fn params(&self) -> Params<'a> {
        params(self.params)
    }

    /// The header parameters as written, without the first semicolon.
    pub fn raw_params(&self) -> &'a [u8] {
        self.params
    }

    /// Whether this is the lone `*` of a Contact.
    pub fn is_star(&self) -> bool {
        self.uri == b"*" && !self.bracketed
    }

    /// Whether the URI stood in `<>`.
    pub fn is_bracketed(&self) -> bool {
        self.bracketed
    }

    /// The display name with its backslashes resolved.
    pub fn display_decoded(&self) -> Cow<'a, [u8]> {
        if find([b'\\'], self.display).is_none() {
            return Cow::Borrowed(self.display);
        }
        let mut quoted = Vec::with_capacity(self.display.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(self.display);
        quoted.push(b'"');
        Cow::Owned(unquote(&quoted).into_owned())
    }

    /// The `q` parameter in thousandths, 0 to 1000.
    ///
    /// Errors: `Range` when it is no number between 0 and 1 with three decimals. Source: RFC 3261 25.1 qvalue.
    pub fn q(&self) -> Result<Option<u16>, ParseError> {
        let Some(text) = self.param("q") else {
            return Ok(None);
        };
        thousandths(text).map(Some).ok_or(ParseError::new(ErrorKind::Range, 0, "q"))
    }

    /// The `expires` parameter in seconds; `None` when missing or unreadable, the highest number when too large.
    pub fn expires(&self) -> Option<u32> {
        let text = self.param("expires")?;
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        Some(decimal(text).and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(u32::MAX))
    }
}

/// Reads one name-addr or addr-spec with its parameters; white space around it is allowed.
pub fn parse_name_addr(text: &[u8]) -> Result<NameAddr<'_>, ParseError> {
    let base = text.len() - trim_start(text).len();
    let text = trim(text);
    if text == b"*" {
        return Ok(NameAddr { display: b"", uri: text, params: b"", bracketed: false });
    }
    let mut open = text.starts_with(b"<").then_some(0);
    let mut at = if open.is_some() { text.len() } else { 0 };
    while let Some(found) = find([b'<', b'"', b';'], &text[at..]).map(|found| at + found) {
        match text[found] {
            b'<' => open = Some(found),
            b'"' => {
                at = found + quoted_len(&text[found..]).ok_or(wrong(base + found))?;
                continue;
            }
            _ => {}
        }
        break;
    }
    let address = match open {
        Some(open) => {
            let close = open + find([b'>'], &text[open..]).ok_or(wrong(base + open))?;
            let rest = trim_start(&text[close + 1..]);
            let params = match rest {
                [] => rest,
                [b';', params @ ..] => params,
                _ => return Err(wrong(base + close + 1)),
            };
            let display = trim_end(&text[..open]);
            let display = match display {
                [b'"', inner @ .., b'"'] if quoted_len(display) == Some(display.len()) => inner,
                _ => display,
            };
            NameAddr { display, uri: trim(&text[open + 1..close]), params, bracketed: true }
        }
        None => {
            let end = find([b';'], text).unwrap_or(text.len());
            let params = text.get(end + 1..).unwrap_or(b"");
            NameAddr { display: b"", uri: trim_end(&text[..end]), params, bracketed: false }
        }
    };
    if address.uri.is_empty() {
        return Err(wrong(base));
    }
    if let Some(at) = open_quote(address.params) {
        return Err(wrong(base + text.len() - address.params.len() + at));
    }
    Ok(address)
}

/// Where a quoted string begins that never ends.
pub(crate) fn open_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = find([b'"'], &text[at..]) {
        match quoted_len(&text[at + found..]) {
            Some(length) => at += found + length,
            None => return Some(at + found),
        }
    }
    None
}

fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match find([b'.'], text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b""[..]),
    };
    if whole.len() > 1 || fraction.len() > 3 || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let mut sum = if whole.is_empty() { 0 } else { decimal(whole)? as u16 };
    for place in 0..3 {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        sum = sum * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (sum <= 1000).then_some(sum)
}

fn wrong(offset: usize) -> ParseError {
    ParseError::syntax(offset, "address")
}

#[cfg(test)]
mod tests;
