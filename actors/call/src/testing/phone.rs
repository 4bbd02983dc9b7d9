//! A phone: writes what a user agent would.

use auth::{Answering, Challenge, Ha1};
use dialog::{Dialog, Hop};
use sip::{Builder, Message, Method, Name, Status};

use super::{DOMAIN, Stage};

pub(crate) const SDP: &[u8] = b"application/sdp";

/// A session description called `name`.
pub(crate) fn sdp(name: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns={name}\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n")
}

/// The name of a session description; empty when there is none.
pub(crate) fn session_name(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.lines().find_map(|line| line.strip_prefix("s=")).unwrap_or_default().to_owned()
}

/// The name of a message's session description.
pub(crate) fn named(message: &Message) -> String {
    session_name(message.view().body())
}

/// The caller's phone: one call, `c1@alice`, tag `a1`.
pub(crate) struct Phone {
    pub user: &'static str,
    pub cseq: u32,
    branch: u32,
    nc: u32,
    /// Supported and further lines of its INVITE.
    pub extra: Vec<(Name, String)>,
    pub uri: String,
    pub to_tag: Option<&'static str>,
    pub from: String,
}

impl Phone {
    pub fn new(user: &'static str) -> Phone {
        Phone {
            user,
            cseq: 0,
            branch: 0,
            nc: 0,
            extra: vec![(Name::Allow, "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK".to_owned())],
            uri: format!("sip:bob@{DOMAIN}"),
            to_tag: None,
            from: format!("<sip:{user}@{DOMAIN}>"),
        }
    }

    /// A new branch of ours.
    pub fn via(&mut self) -> String {
        self.branch += 1;
        format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{}{}", self.user, self.branch)
    }

    /// A request outside dialogs, with the next CSeq number.
    pub fn request(&mut self, method: Method<'static>, body: &str) -> Builder {
        self.cseq += 1;
        let via = self.via();
        let tag = self.to_tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let to = format!("<{}>{tag}", self.uri);
        let mut builder = Builder::request(method, self.uri.as_bytes())
            .header(Name::Via, via)
            .header(Name::MaxForwards, "70")
            .header(Name::From, format!("{};tag=a1", self.from))
            .header(Name::To, to)
            .header(Name::CallId, "c1@alice")
            .header(Name::CSeq, format!("{} {method}", self.cseq))
            .header(Name::Contact, "<sip:alice@192.0.2.1:5060>");
        for (name, value) in &self.extra {
            builder = builder.header(*name, value);
        }
        builder.body(SDP, body.as_bytes())
    }

    /// The same request again with the answer to a 407.
    pub fn authorise(&mut self, challenge: &Message, builder: Builder, method: &str) -> Message {
        let value = challenge.view().header(Name::ProxyAuthenticate).expect("a challenge").to_vec();
        let challenge = Challenge::parse(&value).expect("a proper challenge");
        self.nc += 1;
        let ha1 = Ha1::of("alice", DOMAIN, "secret");
        let answering = Answering { user: "alice", ha1: &ha1, method, uri: &self.uri, nc: self.nc, cnonce: "c0ffee" };
        let value = auth::respond(&challenge, &answering).expect("an algorithm that we know");
        builder.header(Name::ProxyAuthorization, value).build()
    }

    /// INVITE, 407, ACK, INVITE; the log is left for the caller.
    pub fn invite(&mut self, stage: &mut Stage, body: &str) -> Message {
        let first = self.request(Method::Invite, body).build();
        stage.send("alice", &first);
        let challenge = stage.last("alice");
        assert_eq!(challenge.status(), Some(Status::PROXY_AUTHENTICATION_REQUIRED));
        stage.send("alice", &self.ack_failure(&first, &challenge));
        let builder = self.request(Method::Invite, body);
        let invite = self.authorise(&challenge, builder, "INVITE");
        stage.send("alice", &invite);
        invite
    }

    /// The ACK for a refusal.
    pub fn ack_failure(&self, invite: &Message, response: &Message) -> Message {
        transaction::ack_failure(&invite.view(), &response.view())
    }

    pub fn cancel(&self, invite: &Message) -> Message {
        transaction::cancel(&invite.view(), None)
    }

    /// The dialog that a response to our INVITE makes.
    pub fn dialog(&self, invite: &Message, response: &Message) -> Dialog {
        Dialog::uac(&invite.view(), &response.view()).expect("a dialog")
    }

    /// The ACK for a 2xx.
    pub fn ack(&mut self, dialog: &Dialog, cseq: u32, body: &str) -> Message {
        let via = self.via();
        dialog.ack(cseq, &hop(&via)).body(SDP, body.as_bytes()).build()
    }

    /// A request of ours inside a dialog.
    pub fn inside(&mut self, dialog: &mut Dialog, method: Method<'static>, body: &str) -> Message {
        self.inside_with(dialog, method, body, &[])
    }

    pub fn inside_with(
        &mut self,
        dialog: &mut Dialog,
        method: Method<'static>,
        body: &str,
        extra: &[(Name, &str)],
    ) -> Message {
        let via = self.via();
        let mut builder = dialog.request(method, &hop(&via));
        for (name, value) in extra {
            builder = builder.header(*name, value);
        }
        builder.body(SDP, body.as_bytes()).build()
    }

    /// The called side's view of its dialog.
    pub fn called(&self, invite: &Message, tag: &str) -> Dialog {
        let mut dialog = Dialog::uas(&invite.view(), tag.as_bytes()).expect("a dialog");
        dialog.confirm();
        dialog
    }

    /// A response of this phone.
    pub fn reply(&self, request: &Message, status: u16, tag: &str, body: &str) -> Message {
        self.reply_with(request, status, tag, body, &[])
    }

    pub fn reply_with(&self, request: &Message, status: u16, tag: &str, body: &str, extra: &[(Name, &str)]) -> Message {
        let contact = format!("<sip:{}@192.0.2.9:5060>", self.user);
        let mut builder = Builder::reply_to(&request.view(), Status(status), Some(tag.as_bytes()))
            .header(Name::Contact, contact)
            .header(Name::Allow, "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK");
        for (name, value) in extra {
            builder = builder.header(*name, value);
        }
        builder.body(SDP, body.as_bytes()).build()
    }
}

fn hop(via: &str) -> Hop<'_> {
    Hop { via: via.as_bytes(), contact: b"<sip:alice@192.0.2.1:5060>", max_forwards: 70 }
}
