//! How a phone writes.

use sip::{Builder, Method, Name, View};

use crate::plan::DOMAIN;

use super::{Line, Phone};

impl Phone {
    pub(super) fn contact(&self) -> String {
        let transport = match self.is_reliable() {
            true => ";transport=tcp",
            false => "",
        };
        format!("<sip:{}@{}{transport}>", self.user, self.device.private)
    }

    pub(super) fn branch(&mut self) -> String {
        let serial = self.next();
        format!("z9hG4bK-{}-{}-{serial}", self.index, self.boots)
    }

    pub(super) fn tag(&mut self) -> String {
        let serial = self.next();
        format!("t{}x{}x{serial}", self.index, self.boots)
    }

    pub(super) fn new_call_id(&mut self) -> String {
        let serial = self.next();
        format!("c{}-{}-{serial}-{:x}@{}", self.index, self.boots, self.plan.seed, self.device.private.ip())
    }

    /// Starts a request outside of dialogs.
    #[expect(clippy::too_many_arguments, reason = "a request has that many parts")]
    pub(super) fn request(
        &self,
        method: Method<'_>,
        uri: &str,
        branch: &str,
        from: &str,
        to: &str,
        call_id: &str,
        cseq: u32,
    ) -> Builder {
        let method_text = method.as_str().to_owned();
        Builder::request(method, uri)
            .header(Name::Via, self.via(branch))
            .header(Name::MaxForwards, "70")
            .header(Name::From, from)
            .header(Name::To, to)
            .header(Name::CallId, call_id)
            .header(Name::CSeq, format!("{cseq} {method_text}"))
            .header(Name::UserAgent, "lab phone")
    }

    pub(super) fn via(&self, branch: &str) -> String {
        format!("SIP/2.0/{} {};branch={branch};rport", self.device.transport.via(), self.device.private)
    }

    /// A request inside the dialog of a line.
    pub(super) fn inside(&self, line: &Line, method: Method<'_>, branch: &str, cseq: u32) -> Builder {
        let from = format!("{};tag={}", line.local, line.local_tag);
        let to = match &line.remote_tag {
            Some(tag) => format!("{};tag={tag}", line.remote),
            None => line.remote.clone(),
        };
        let mut request = self.request(method, &line.target, branch, &from, &to, &line.call_id, cseq);
        for route in &line.routes {
            request = request.header(Name::Route, route);
        }
        request
    }

    pub(super) fn own_address(&self) -> String {
        format!("<sip:{}@{DOMAIN}>", self.user)
    }

    pub(super) fn capabilities(&self, request: Builder) -> Builder {
        let mut supported = vec!["outbound", "path"];
        if self.device.reliable {
            supported.push("100rel");
        }
        if self.device.timer {
            supported.push("timer");
        }
        request
            .header(Name::Contact, self.contact())
            .header(Name::Allow, "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, MESSAGE")
            .header(Name::Supported, supported.join(", "))
    }

    pub(super) fn sdp(&self, line: &Line, direction: &str) -> String {
        let address = self.device.private.ip();
        let port = line.port();
        format!(
            "v=0\r\no=- {} {} IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n",
            line.id, line.sdp_version
        )
    }
}

/// The direction that answers an offer.
pub(super) fn answering(offer: &[u8]) -> &'static str {
    let has = |direction: &[u8]| offer.windows(direction.len()).any(|window| window == direction);
    if has(b"a=sendonly") {
        "recvonly"
    } else if has(b"a=inactive") {
        "inactive"
    } else {
        "sendrecv"
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// From, To or Contact: the address in brackets, without parameters of the header.
pub(super) fn bracketed(view: &View<'_>, name: Name) -> Option<String> {
    let address = view.addresses(name).next()?.ok()?;
    Some(format!("<{}>", text(address.uri().ok()?.raw())))
}

pub(super) fn target(view: &View<'_>) -> Option<String> {
    Some(text(view.contacts().next()?.ok()?.uri().ok()?.raw()))
}

pub(super) fn branch_of(view: &View<'_>) -> String {
    view.top_via().ok().and_then(|via| via.branch().map(text)).unwrap_or_default()
}
