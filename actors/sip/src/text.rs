//! The small grammar that every header shares: tokens, white space, quotes, lists, parameters.
//! RFC 3261 25.1; folds (RFC 3261 7.3.1) count as white space wherever white space may stand.

use std::borrow::Cow;

const TOKEN: u8 = 1;
const LWS: u8 = 2;
const HOST: u8 = 4;

const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() {
            table[byte] |= TOKEN | HOST;
        }
        if matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~') {
            table[byte] |= TOKEN;
        }
        if matches!(b, b'-' | b'.' | b'_') {
            table[byte] |= HOST;
        }
        if matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
            table[byte] |= LWS;
        }
        byte += 1;
    }
    table
};

#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    CLASS[byte as usize] & TOKEN != 0
}

#[inline]
pub(crate) fn is_lws(byte: u8) -> bool {
    CLASS[byte as usize] & LWS != 0
}

#[inline]
pub(crate) fn is_host(byte: u8) -> bool {
    CLASS[byte as usize] & HOST != 0
}

pub(crate) fn is_token_text(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token(byte))
}

#[inline]
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

#[inline]
pub(crate) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_lws(*first) {
            break;
        }
        text = rest;
    }
    text
}

#[inline]
pub(crate) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text {
        if !is_lws(*last) {
            break;
        }
        text = rest;
    }
    text
}

/// The place of the first of some bytes; for texts of a line, where a call of `memchr` would cost more than the search.
#[inline]
pub(crate) fn find<const N: usize>(needles: [u8; N], text: &[u8]) -> Option<usize> {
    let Some(last) = text.last_chunk::<8>() else {
        return text.iter().position(|byte| needles.contains(byte));
    };
    for (place, chunk) in text.as_chunks::<8>().0.iter().enumerate() {
        if let Some(found) = find_in_word(needles, chunk) {
            return Some(place * 8 + found);
        }
    }
    // The last word overlaps the one before, where nothing was found.
    find_in_word(needles, last).map(|found| text.len() - 8 + found)
}

#[inline]
fn find_in_word<const N: usize>(needles: [u8; N], eight: &[u8; 8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(*eight);
    let mut hits = 0;
    for needle in needles {
        let other = word ^ (ONES * needle as u64);
        hits |= other.wrapping_sub(ONES) & !other;
    }
    hits &= ONES * 0x80;
    (hits != 0).then(|| hits.trailing_zeros() as usize / 8)
}

/// Where `part` begins inside `whole`; both must be slices of one buffer.
pub(crate) fn offset_in(whole: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// The value with every fold replaced by one space: RFC 3261 7.3.1.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if find([b'\r', b'\n'], value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = find([b'\r', b'\n'], rest) {
        out.extend_from_slice(trim_end(&rest[..at]));
        rest = trim_start(&rest[at..]);
        out.push(b' ');
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// The index of the first byte after the quoted string that begins at `text[0]`; `None` when it never ends.
pub(crate) fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let found = at + find([b'"', b'\\'], text.get(at..)?)?;
        if text[found] == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

/// Removes the quotes and backslashes of a quoted string; anything else comes back as it is.
pub fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    let inner = match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => return Cow::Borrowed(text),
    };
    if find([b'\\'], inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        out.push(if byte == b'\\' { bytes.next().copied().unwrap_or(b'\\') } else { byte });
    }
    Cow::Owned(out)
}

/// Writes `text` as a quoted string; CR, LF and NUL become spaces.
pub fn quote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\r' | b'\n' | 0 => out.push(b' '),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

/// Resolves `%HH` escapes; a `%` that no two hex digits follow stays as it is.
pub fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if find([b'%'], text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if let (b'%', Some(byte)) = (text[at], text.get(at + 1..at + 3).and_then(hex_pair)) {
            out.push(byte);
            at += 3;
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    Cow::Owned(out)
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let high = (pair[0] as char).to_digit(16)?;
    let low = (pair[1] as char).to_digit(16)?;
    Some((high * 16 + low) as u8)
}

/// A decimal number of digits only; `None` for anything else or an overflow.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, &byte| {
        if !byte.is_ascii_digit() {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
    })
}

/// The comma-separated values of one header value, trimmed, empty ones left out; quotes and `<>` shield commas.
pub fn split_commas(value: &[u8]) -> Commas<'_> {
    Commas { rest: Some(value) }
}

/// Iterator of `split_commas`.
#[derive(Clone, Debug)]
pub struct Commas<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Commas<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while let Some(text) = self.rest {
            let end = comma(text);
            self.rest = end.map(|at| &text[at + 1..]);
            let value = trim(&text[..end.unwrap_or(text.len())]);
            if !value.is_empty() {
                return Some(value);
            }
        }
        None
    }
}

/// Where the first comma outside quotes and `<>` stands.
#[inline]
pub(crate) fn comma(text: &[u8]) -> Option<usize> {
    memchr::memchr(b',', text)?;
    let mut at = 0;
    loop {
        let found = at + find([b',', b'"', b'<'], &text[at..])?;
        at = match text[found] {
            b',' => return Some(found),
            b'"' => found + quoted_len(&text[found..])?,
            _ => found + find([b'>'], &text[found..])? + 1,
        };
    }
}

/// The `;name=value` parameters of a raw parameter text; a flag has no value, a quoted value keeps its quotes.
pub fn params(text: &[u8]) -> Params<'_> {
    Params { rest: text }
}

/// Iterator of `params`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    /// The value of the first parameter of this name (any case); `Some(b"")` for a flag.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let mut params = *self;
        params.find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value.unwrap_or(b""))
    }

    /// The text not yet read.
    pub fn raw(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = semicolon(self.rest);
            let (param, rest) = match end {
                Some(at) => (&self.rest[..at], &self.rest[at + 1..]),
                None => (self.rest, &b""[..]),
            };
            self.rest = rest;
            let param = trim(param);
            if param.is_empty() {
                continue;
            }
            return Some(match find([b'='], param) {
                Some(at) => (trim_end(&param[..at]), Some(trim_start(&param[at + 1..]))),
                None => (param, None),
            });
        }
        None
    }
}

/// Where the first semicolon outside quotes stands.
#[inline]
pub(crate) fn semicolon(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + find([b';', b'"'], &text[at..])?;
        if text[found] == b';' {
            return Some(found);
        }
        at = found + quoted_len(&text[found..])?;
    }
}

#[cfg(test)]
mod tests;
