//! CSeq and RAck values: RFC 3261 20.16, RFC 3262 7.2.

use crate::text::{decimal, is_lws, trim, trim_start};
use crate::{ErrorKind, Method, ParseError};

/// Sequence number and method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    pub number: u32,
    pub method: Method<'a>,
}

/// Reads a CSeq value.
///
/// Errors: `Range` when the number does not fit 32 bits (RFC 3261 8.1.1.5), `Syntax` otherwise.
pub fn parse_cseq(text: &[u8]) -> Result<CSeq<'_>, ParseError> {
    let (number, rest) = number(text)?;
    let method = trim(rest);
    let offset = text.len() - trim_start(rest).len();
    let method = Method::parse(method).ok_or(ParseError::syntax(offset, "CSeq"))?;
    Ok(CSeq { number, method })
}

/// Reads a RAck value: the RSeq it answers, and the CSeq of the INVITE.
pub fn parse_rack(text: &[u8]) -> Result<(u32, CSeq<'_>), ParseError> {
    let (rseq, rest) = number(text).map_err(|error| error.within(0, "RAck"))?;
    let cseq = parse_cseq(rest).map_err(|error| error.within(text.len() - rest.len(), "RAck"))?;
    Ok((rseq, cseq))
}

fn number(text: &[u8]) -> Result<(u32, &[u8]), ParseError> {
    let start = trim_start(text);
    let base = text.len() - start.len();
    let end = start.iter().position(|&byte| is_lws(byte)).ok_or(ParseError::syntax(base, "CSeq"))?;
    let digits = &start[..end];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ParseError::syntax(base, "CSeq"));
    }
    let number = decimal(digits).and_then(|number| u32::try_from(number).ok());
    Ok((number.ok_or(ParseError::new(ErrorKind::Range, base, "CSeq"))?, &start[end..]))
}
