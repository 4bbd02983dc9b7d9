//! Building new messages: RFC 3261 8.1.1 and 8.2.6, header values that cannot break out of their line.

use crate::text::trim;
use crate::write::{header_line, number, other_line, put_clean, put_token, put_uri};
use crate::{Field, Limits, Message, Method, Name, Status, View};
use bytes::{BufMut, Bytes, BytesMut};

/// A message being written, in call order; `build` adds Content-Length and the body.
#[derive(Clone, Debug)]
pub struct Builder {
    out: BytesMut,
    body: Bytes,
}

impl Builder {
    /// Begins a request; a Request-URI's white space and control bytes are escaped.
    pub fn request<'m>(method: impl Into<Method<'m>>, uri: impl AsRef<[u8]>) -> Builder {
        let mut out = BytesMut::with_capacity(1024);
        let method = method.into();
        put_token(&mut out, if method.as_str().is_empty() { b"-" } else { method.as_str().as_bytes() });
        out.put_u8(b' ');
        match uri.as_ref() {
            [] => out.put_u8(b'-'),
            uri => put_uri(&mut out, uri),
        }
        out.put_slice(b" SIP/2.0\r\n");
        Builder { out, body: Bytes::new() }
    }

    /// Begins a response with the standard reason phrase.
    pub fn response(status: Status) -> Builder {
        Builder::response_with(status, status.reason().as_bytes())
    }

    /// Begins a response with a reason phrase of its own; a status outside 100 to 699 becomes 500.
    pub fn response_with(status: Status, reason: &[u8]) -> Builder {
        let status = if (100..700).contains(&status.0) { status } else { Status::SERVER_INTERNAL_ERROR };
        let mut out = BytesMut::with_capacity(1024);
        out.put_slice(b"SIP/2.0 ");
        number(&mut out, status.0.into());
        out.put_u8(b' ');
        put_clean(&mut out, reason);
        out.put_slice(b"\r\n");
        Builder { out, body: Bytes::new() }
    }

    /// Begins the answer to a request: copies Via, From, To, Call-ID and CSeq (RFC 3261 8.2.6.2), Timestamp into a
    /// 100 (8.2.6.1), Record-Route when the answer may make a dialog (12.1.1); adds `to_tag` when To has none.
    pub fn reply_to(request: &View, status: Status, to_tag: Option<&[u8]>) -> Builder {
        Builder::reply_with(request, status, status.reason().as_bytes(), to_tag)
    }

    /// Like `reply_to`, with a reason phrase of its own.
    pub fn reply_with(request: &View, status: Status, reason: &[u8], to_tag: Option<&[u8]>) -> Builder {
        let mut reply = Builder::response_with(status, reason).copy(request, Name::Via);
        let makes_dialog = (101..300).contains(&status.0) && request.method().opens_dialog();
        if makes_dialog {
            reply = reply.copy(request, Name::RecordRoute);
        }
        reply = reply.copy_first(request, Name::From);
        if let Some(to) = request.header(Name::To) {
            let tag = to_tag.filter(|_| request.to().is_ok_and(|to| to.tag().is_none()));
            reply = reply.tagged_to(to, tag);
        }
        reply = reply.copy_first(request, Name::CallId).copy_first(request, Name::CSeq);
        if status == Status::TRYING { reply.copy_first(request, Name::Timestamp) } else { reply }
    }

    fn tagged_to(mut self, to: &[u8], tag: Option<&[u8]>) -> Builder {
        self.out.put_slice(b"To: ");
        put_clean(&mut self.out, to);
        if let Some(tag) = tag {
            self.out.put_slice(b";tag=");
            put_token(&mut self.out, tag);
        }
        self.out.put_slice(b"\r\n");
        self
    }

    /// One header line. CR, LF and NUL in the value become spaces; Content-Length and `Name::Other` are left out.
    pub fn header(mut self, name: Name, value: impl AsRef<[u8]>) -> Builder {
        if name != Name::ContentLength && name != Name::Other {
            header_line(&mut self.out, name, trim(value.as_ref()));
        }
        self
    }

    /// One header line with a name given as text; bytes that no name may hold become `-`.
    pub fn other(mut self, name: &str, value: impl AsRef<[u8]>) -> Builder {
        if !name.is_empty() && name.len() <= 255 && Name::of(name.as_bytes()) != Name::ContentLength {
            other_line(&mut self.out, name, trim(value.as_ref()));
        }
        self
    }

    /// Every line of this name out of another message.
    pub fn copy(mut self, view: &View, name: Name) -> Builder {
        for value in view.headers(name) {
            self = self.header(name, value);
        }
        self
    }

    /// The first line of this name out of another message.
    pub fn copy_first(self, view: &View, name: Name) -> Builder {
        match view.header(name) {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Every line out of another message that `wanted` picks, in order, with long names.
    pub fn copy_where(mut self, view: &View, wanted: impl Fn(&Field) -> bool) -> Builder {
        for field in view.fields().filter(wanted) {
            self = match field.id {
                Name::Other => self.other(std::str::from_utf8(field.name).unwrap_or(""), field.value),
                known => self.header(known, field.value),
            };
        }
        self
    }

    /// Content-Type and body; an empty body is left out.
    pub fn body(self, content_type: &[u8], body: &[u8]) -> Builder {
        if body.is_empty() {
            return self;
        }
        let mut builder = self.header(Name::ContentType, content_type);
        builder.body = Bytes::copy_from_slice(body);
        builder
    }

    /// A body whose Content-Type, if it has one, is written as a header.
    pub fn payload(mut self, body: impl Into<Bytes>) -> Builder {
        self.body = body.into();
        self
    }

    /// The finished message.
    pub fn build(mut self) -> Message {
        self.out.put_slice(b"Content-Length: ");
        number(&mut self.out, self.body.len() as u32);
        self.out.put_slice(b"\r\n\r\n");
        self.out.put_slice(&self.body);
        Message::parse(self.out.freeze(), &Limits::NONE).expect("the builder writes only what the parser reads")
    }
}

#[cfg(test)]
mod tests;
