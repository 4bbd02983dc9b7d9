//! Strictness: what a back-to-back agent or registrar must refuse although it could be read.
//! RFC 3261 8.2, 16.3 and 18.3, the invalid messages of RFC 4475 3.1.2 and 3.3.

use crate::text::{comma, find, is_lws, is_token_text, trim};
use crate::{ErrorKind, Host, Name, NameAddr, ParseError, Scheme, View, parse_via};
use memchr::{memchr, memchr_iter, memchr2_iter};

impl View<'_> {
    /// Judges a message that was read: everything that deserves 400, 416, 501 or, as a response, to be dropped.
    ///
    /// Not judged here: Max-Forwards of zero (483), extensions (420), credentials, bodies. Errors: the first fault.
    pub fn check(&self) -> Result<(), ParseError> {
        self.check_control_bytes()?;
        self.check_singles()?;
        self.check_via()?;
        self.check_party(Name::From)?;
        self.check_party(Name::To)?;
        let call_id = self.call_id()?;
        if let Some(at) = call_id.iter().position(|&byte| is_lws(byte)) {
            return Err(ParseError::syntax(self.at(call_id) + at, "Call-ID"));
        }
        self.check_cseq()?;
        self.max_forwards()?;
        for name in [Name::Route, Name::RecordRoute, Name::Path] {
            self.check_list(name)?;
        }
        self.check_contacts()?;
        if self.is_request() { self.check_request_uri() } else { Ok(()) }
    }

    /// The part of `check` that a relay needs: that the next element cannot read the message as another one than this.
    ///
    /// Addresses are left to whoever acts on them. Errors: the first fault.
    pub fn check_framing(&self) -> Result<(), ParseError> {
        self.check_control_bytes()?;
        self.check_singles()?;
        self.call_id()?;
        self.check_cseq()
    }

    /// A lone CR would be a line end to somebody else, NUL the end of a string; a quoted pair may hold NUL (25.1).
    fn check_control_bytes(&self) -> Result<(), ParseError> {
        let head = &self.bytes[..self.head.body_start as usize];
        if memchr(0, head).is_none() && memchr_iter(b'\r', head).count() == self.count_line_ends(head) {
            return Ok(());
        }
        for at in memchr2_iter(b'\r', 0, head) {
            let harmless = match head[at] {
                b'\r' => head.get(at + 1) == Some(&b'\n'),
                _ => at > 0 && head[at - 1] == b'\\',
            };
            if !harmless {
                return Err(ParseError::syntax(at, "control byte"));
            }
        }
        Ok(())
    }

    /// How many lines end in CR LF, as far as the index knows; those within folds are not counted.
    fn count_line_ends(&self, head: &[u8]) -> usize {
        let starts = self.records().iter().map(|record| record.start as usize);
        let ends = starts.chain([self.head.fields_end as usize, head.len()]);
        ends.filter(|&end| end >= 2 && head[end - 2] == b'\r').count()
    }

    fn check_singles(&self) -> Result<(), ParseError> {
        let mut seen = 0;
        for record in self.records() {
            if record.id.is_single() {
                if seen & record.id.bit() != 0 {
                    return Err(ParseError::new(ErrorKind::Duplicate, record.start as usize, record.id.text()));
                }
                seen |= record.id.bit();
            }
        }
        Ok(())
    }

    fn check_via(&self) -> Result<(), ParseError> {
        self.check_no_empty_value(Name::Via)?;
        let mut missing = true;
        for value in self.values(Name::Via) {
            let via = parse_via(value).map_err(|error| error.within(self.at(value), "Via"))?;
            self.check_params(via.raw_params(), "Via")?;
            let nowhere = match via.host {
                Host::V4(address) => address.is_broadcast() || address.is_multicast(),
                Host::V6(address) => address.is_multicast(),
                Host::Name(_) => false,
            };
            if nowhere {
                return Err(ParseError::new(ErrorKind::Range, self.at(value), "Via"));
            }
            missing = false;
        }
        if missing {
            return Err(ParseError::new(ErrorKind::Missing, self.head.fields_end as usize, "Via"));
        }
        Ok(())
    }

    fn check_party(&self, name: Name) -> Result<(), ParseError> {
        let party = if name == Name::From { self.from()? } else { self.to()? };
        let value = self.header(name).unwrap_or(b"");
        if let Some(at) = comma(value) {
            return Err(ParseError::syntax(self.at(value) + at, name.text()));
        }
        self.check_address(&party, name)?;
        if party.is_star() {
            return Err(ParseError::syntax(self.at(value), name.text()));
        }
        Ok(())
    }

    fn check_address(&self, address: &NameAddr, name: Name) -> Result<(), ParseError> {
        let wrong = |part: &[u8], offset: usize| ParseError::syntax(self.at(part) + offset, name.text());
        if address.is_star() {
            return Ok(());
        }
        if address.is_bracketed() {
            let before = &self.bytes[..self.at(address.uri)];
            let after = self.bytes.get(self.at(address.uri) + address.uri.len());
            if before.last() != Some(&b'<') || after != Some(&b'>') {
                return Err(wrong(address.uri, 0));
            }
            let quoted =
                self.at(address.display) > 0 && self.bytes.get(self.at(address.display).wrapping_sub(1)) == Some(&b'"');
            if !quoted && !address.display.is_empty() && !is_words(address.display) {
                return Err(wrong(address.display, 0));
            }
        } else if let Some(at) = find([b'?'], address.uri) {
            // RFC 3261 20.10: a URI with headers needs its brackets; this is no place for smuggled ones.
            return Err(wrong(address.uri, at));
        }
        address.uri().map_err(|error| error.within(self.at(address.uri), name.text()))?;
        self.check_params(address.raw_params(), name.text())
    }

    /// Empty parameters (`;;`) are what RFC 4475 3.1.2.1 forbids; one semicolon too many at the end is let through.
    fn check_params(&self, raw: &[u8], field: &'static str) -> Result<(), ParseError> {
        let mut rest = raw;
        while !trim(rest).is_empty() {
            let end = crate::text::semicolon(rest);
            let param = trim(&rest[..end.unwrap_or(rest.len())]);
            let name = param.split(|&byte| byte == b'=').next().unwrap_or(b"");
            if !is_token_text(trim(name)) {
                return Err(ParseError::syntax(self.at(rest), field));
            }
            rest = end.map_or(b"", |at| &rest[at + 1..]);
        }
        Ok(())
    }

    fn check_no_empty_value(&self, name: Name) -> Result<(), ParseError> {
        for value in self.headers(name) {
            let mut rest = value;
            loop {
                let end = comma(rest);
                if trim(&rest[..end.unwrap_or(rest.len())]).is_empty() {
                    return Err(ParseError::syntax(self.at(rest), name.text()));
                }
                match end {
                    Some(at) => rest = &rest[at + 1..],
                    None => break,
                }
            }
        }
        Ok(())
    }

    fn check_cseq(&self) -> Result<(), ParseError> {
        let cseq = self.cseq()?;
        let at = self.record(Name::CSeq).map_or(0, |record| record.value_start());
        if cseq.number > i32::MAX as u32 {
            return Err(ParseError::new(ErrorKind::Range, at, "CSeq"));
        }
        if self.is_request() && cseq.method != self.method() {
            let kind = if self.method().is_other() { ErrorKind::UnknownMethod } else { ErrorKind::Mismatch };
            return Err(ParseError::new(kind, at, "CSeq"));
        }
        Ok(())
    }

    fn check_list(&self, name: Name) -> Result<(), ParseError> {
        if !self.has(name) {
            return Ok(());
        }
        self.check_no_empty_value(name)?;
        for value in self.addresses(name) {
            let address = value?;
            if !address.is_bracketed() {
                return Err(ParseError::syntax(self.at(address.uri), name.text()));
            }
            self.check_address(&address, name)?;
        }
        Ok(())
    }

    fn check_contacts(&self) -> Result<(), ParseError> {
        if !self.has(Name::Contact) {
            return Ok(());
        }
        self.check_no_empty_value(Name::Contact)?;
        let (mut count, mut star) = (0, false);
        for value in self.contacts() {
            let contact = value?;
            self.check_address(&contact, Name::Contact)?;
            count += 1;
            star |= contact.is_star();
        }
        let at = self.record(Name::Contact).map_or(0, |record| record.value_start());
        if star && count > 1 { Err(ParseError::syntax(at, "Contact")) } else { Ok(()) }
    }

    fn check_request_uri(&self) -> Result<(), ParseError> {
        let uri = self.request_uri()?;
        let at = self.at(uri.raw());
        match uri.scheme {
            Scheme::Sip | Scheme::Sips if uri.has_headers() => Err(ParseError::syntax(at, "Request-URI")),
            Scheme::Sip | Scheme::Sips | Scheme::Tel => Ok(()),
            // RFC 5031: emergency and other services are named by urn.
            Scheme::Other(scheme) if scheme.eq_ignore_ascii_case("urn") => Ok(()),
            Scheme::Other(_) => Err(ParseError::new(ErrorKind::Scheme, at, "Request-URI")),
        }
    }
}

/// An unquoted display name: more than the tokens of 25.1, but nothing that another reader could take for structure.
fn is_words(text: &[u8]) -> bool {
    text.iter().all(|&byte| is_lws(byte) || (byte >= b' ' && byte != 0x7f && !b",;\"\\<>".contains(&byte)))
}

#[cfg(test)]
mod tests;
