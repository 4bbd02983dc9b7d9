//! The one door to the `rsip` crate, for applications that want its types; never on the path of a call.
//!
//! rsip 0.4.0 reads only the first of several values on a line, knows no folds, no compact names and no IPv6, and spoils
//! bodies that are not text. Messages therefore enter it in canonical form, and what it made of them is compared.

use crate::text::unfold;
use crate::{Builder, Limits, Message, Method, Name, ParseError, Status, split_commas};
use rsip::headers::Header;
use std::fmt;

/// Why a message has no faithful twin in rsip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoorError {
    /// A header that is no UTF-8.
    NotText,
    /// rsip refuses the message.
    Refused(rsip::Error),
    /// rsip accepts it, but would lose or change this part.
    Lossy(&'static str),
}

impl fmt::Display for DoorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DoorError::NotText => f.write_str("a header is no UTF-8"),
            DoorError::Refused(error) => write!(f, "rsip refuses: {error}"),
            DoorError::Lossy(part) => write!(f, "rsip would change the {part}"),
        }
    }
}

impl std::error::Error for DoorError {}

/// The same message in rsip's types: long names, folds undone, one value per line for Via, Route and their kin.
///
/// Errors: `DoorError`; a message that comes through has lost nothing but its own reason phrase.
pub fn to_rsip(message: &Message) -> Result<rsip::SipMessage, DoorError> {
    let view = message.view();
    let start = std::str::from_utf8(view.start_line()).map_err(|_| DoorError::NotText)?;
    let lines = canonical_lines(message)?;
    let mut text = format!("{start}\r\n");
    for (name, value) in &lines {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut twin = rsip::SipMessage::try_from(text.as_bytes()).map_err(DoorError::Refused)?;
    compare_start(message, &twin)?;
    let headers = match &mut twin {
        rsip::SipMessage::Request(request) => {
            request.body = view.body().to_vec();
            &request.headers
        }
        rsip::SipMessage::Response(response) => {
            response.body = view.body().to_vec();
            &response.headers
        }
    };
    let same = headers.iter().count() == lines.len()
        && headers.iter().zip(&lines).all(|(header, (name, value))| {
            let (twin_name, twin_value) = parts(header);
            twin_name.eq_ignore_ascii_case(name) && twin_value == *value
        });
    if same { Ok(twin) } else { Err(DoorError::Lossy("headers")) }
}

/// The same message in ours; Content-Length is counted anew.
///
/// Errors: what `Message::parse` objects to, for instance a message beyond the default limits.
pub fn from_rsip(message: &rsip::SipMessage) -> Result<Message, ParseError> {
    let (builder, headers, body) = match message {
        rsip::SipMessage::Request(request) => {
            let method = request.method.to_string();
            let builder = Builder::request(Method::of(&method), request.uri.to_string());
            (builder, &request.headers, &request.body)
        }
        rsip::SipMessage::Response(response) => {
            let text = response.status_code.to_string();
            let reason = text.split_once(' ').map_or("", |(_, reason)| reason);
            let status = Status(response.status_code.code());
            (Builder::response_with(status, reason.as_bytes()), &response.headers, &response.body)
        }
    };
    let builder = headers.iter().fold(builder, |builder, header| {
        let (name, value) = parts(header);
        builder.other(&name, value)
    });
    let built = builder.payload(body.clone()).build();
    Message::parse(built.bytes().clone(), &Limits::default())
}

fn canonical_lines(message: &Message) -> Result<Vec<(String, String)>, DoorError> {
    let text = |bytes: &[u8]| {
        let unfolded = unfold(bytes);
        std::str::from_utf8(&unfolded).map(str::to_owned).map_err(|_| DoorError::NotText)
    };
    let mut lines = Vec::new();
    for field in message.view().fields() {
        let name = match field.id {
            Name::Other => text(field.name)?,
            known => known.text().to_owned(),
        };
        match field.id {
            Name::Via | Name::Route | Name::RecordRoute | Name::Path | Name::Contact => {
                for value in split_commas(field.value) {
                    lines.push((name.clone(), text(value)?));
                }
            }
            _ => lines.push((name, text(field.value)?)),
        }
    }
    Ok(lines)
}

fn compare_start(message: &Message, twin: &rsip::SipMessage) -> Result<(), DoorError> {
    let view = message.view();
    match twin {
        rsip::SipMessage::Request(request) => {
            // rsip reads methods without regard to case, and prints a URI of its own making.
            if request.method.to_string() != view.method().as_str() {
                return Err(DoorError::Lossy("method"));
            }
            if request.uri.to_string().as_bytes() != view.uri() {
                return Err(DoorError::Lossy("Request-URI"));
            }
        }
        rsip::SipMessage::Response(response) => {
            if Some(Status(response.status_code.code())) != view.status() {
                return Err(DoorError::Lossy("status"));
            }
        }
    }
    Ok(())
}

fn parts(header: &Header) -> (String, String) {
    let text = header.to_string();
    match text.split_once(':') {
        Some((name, value)) => (name.to_owned(), value.trim().to_owned()),
        None => (text, String::new()),
    }
}

#[cfg(test)]
mod tests;
