//! Typed header values, read from a view when somebody asks.

use crate::cseq::parse_cseq;
use crate::text::{decimal, is_token_text, offset_in};
use crate::{CSeq, ErrorKind, Name, NameAddr, ParseError, Uri, Via, View, parse_name_addr, parse_via};

impl<'a> View<'a> {
    /// The Call-ID, as written.
    pub fn call_id(&self) -> Result<&'a [u8], ParseError> {
        let value = self.needed(Name::CallId)?;
        if value.is_empty() {
            return Err(ParseError::syntax(self.at(value), "Call-ID"));
        }
        Ok(value)
    }

    /// Sequence number and method.
    pub fn cseq(&self) -> Result<CSeq<'a>, ParseError> {
        let value = self.needed(Name::CSeq)?;
        parse_cseq(value).map_err(|error| error.within(self.at(value), "CSeq"))
    }

    /// The From address with its tag.
    pub fn from(&self) -> Result<NameAddr<'a>, ParseError> {
        self.address(self.needed(Name::From)?, Name::From)
    }

    /// The To address with its tag.
    pub fn to(&self) -> Result<NameAddr<'a>, ParseError> {
        self.address(self.needed(Name::To)?, Name::To)
    }

    /// The Request-URI taken apart.
    pub fn request_uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri()).map_err(|error| error.within(self.at(self.uri()), "Request-URI"))
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Result<Via<'a>, ParseError> {
        let missing = ParseError::new(ErrorKind::Missing, self.head.fields_end as usize, "Via");
        let value = self.values(Name::Via).next().ok_or(missing)?;
        parse_via(value).map_err(|error| error.within(self.at(value), "Via"))
    }

    /// Every Via from the top.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'a>, ParseError>> {
        self.values(Name::Via).map(|value| parse_via(value).map_err(|error| error.within(self.at(value), "Via")))
    }

    /// Every Contact; the star is `NameAddr::is_star`.
    pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr<'a>, ParseError>> {
        self.addresses(Name::Contact)
    }

    /// Every Route from the top.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'a>, ParseError>> {
        self.addresses(Name::Route)
    }

    /// Every Record-Route from the top.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr<'a>, ParseError>> {
        self.addresses(Name::RecordRoute)
    }

    /// Every Path from the top: RFC 3327.
    pub fn paths(&self) -> impl Iterator<Item = Result<NameAddr<'a>, ParseError>> {
        self.addresses(Name::Path)
    }

    /// Every address of a header that is a list of addresses.
    pub fn addresses(&self, name: Name) -> impl Iterator<Item = Result<NameAddr<'a>, ParseError>> {
        self.values(name).map(move |value| self.address(value, name))
    }

    /// The single address of a header such as Refer-To; `None` when the header is absent.
    pub fn single_address(&self, name: Name) -> Result<Option<NameAddr<'a>>, ParseError> {
        self.header(name).map(|value| self.address(value, name)).transpose()
    }

    /// Max-Forwards; `None` when absent. Errors: `Range` above 255, `Syntax` for anything but digits.
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        let Some(number) = self.number(Name::MaxForwards)? else {
            return Ok(None);
        };
        let record_at = self.record(Name::MaxForwards).map_or(0, |record| record.value_start());
        let range = ParseError::new(ErrorKind::Range, record_at, "Max-Forwards");
        u8::try_from(number).map(Some).map_err(|_| range)
    }

    /// The number a header begins with (Expires, Min-SE, Session-Expires, RSeq ...); parameters after it are left aside.
    ///
    /// Errors: `Range` when it does not fit 32 bits, `Syntax` when there is no number.
    pub fn number(&self, name: Name) -> Result<Option<u32>, ParseError> {
        let Some(value) = self.header(name) else {
            return Ok(None);
        };
        let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
        let rest = crate::text::trim_start(&value[end..]);
        if end == 0 || !(rest.is_empty() || rest[0] == b';' || rest[0] == b'(') {
            return Err(ParseError::syntax(self.at(value) + end, name.text()));
        }
        let number = decimal(&value[..end]).and_then(|number| u32::try_from(number).ok());
        number.map(Some).ok_or(ParseError::new(ErrorKind::Range, self.at(value), name.text()))
    }

    /// The tokens of Supported, Require, Proxy-Require, Unsupported or Allow.
    pub fn option_tags(&self, name: Name) -> impl Iterator<Item = &'a str> {
        self.values(name).filter(|value| is_token_text(value)).filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// Whether one of the tokens of a header is this one, in any case.
    pub fn has_option(&self, name: Name, tag: &str) -> bool {
        self.option_tags(name).any(|option| option.eq_ignore_ascii_case(tag))
    }

    fn needed(&self, name: Name) -> Result<&'a [u8], ParseError> {
        let missing = ParseError::new(ErrorKind::Missing, self.head.fields_end as usize, name.text());
        self.header(name).ok_or(missing)
    }

    fn address(&self, value: &'a [u8], name: Name) -> Result<NameAddr<'a>, ParseError> {
        parse_name_addr(value).map_err(|error| error.within(self.at(value), name.text()))
    }

    /// Where a value taken from this view stands in the message.
    pub(crate) fn at(&self, value: &[u8]) -> usize {
        offset_in(self.bytes, value)
    }
}
