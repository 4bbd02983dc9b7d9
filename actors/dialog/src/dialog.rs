//! The dialog: who talks to whom, in which order, along which way. RFC 3261 12.

use std::fmt;

use fabric::Reject;
use serde::{Deserialize, Serialize};
use sip::{Method, Name, ParseError, Scheme, Status, View};

use crate::Side;
use crate::packed::{Packed, TEXTS};
use crate::request::{bare_uri, join_routes};

/// One end of a dialog. About 400 bytes for ordinary values, most of them on the heap in one piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    pub(crate) text: Packed,
    pub(crate) local_cseq: u32,
    remote_cseq: Option<u32>,
    pub(crate) state: State,
    secure: bool,
    initiator: Side,
    peer: Peer,
}

/// How far a dialog has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// A provisional response with a tag, no final one yet.
    Early,
    /// A 2xx was sent or received.
    Confirmed,
    Terminated,
}

/// What the peer said it can do, from the Allow and Supported fields of its latest messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// UPDATE (RFC 3311).
    pub update: bool,
    /// Reliable provisional responses (RFC 3262).
    pub reliable: bool,
    /// Session timers (RFC 4028).
    pub timer: bool,
    /// Replaces (RFC 3891).
    pub replaces: bool,
}

/// What a response means for its dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fate {
    Lives,
    /// The peer knows nothing of it, or never will again: send BYE and forget (RFC 3261 12.2.1.2, RFC 5057).
    Ends,
}

/// Why a message cannot make a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogError {
    /// A provisional response without To tag, or a response that is no answer to an INVITE or SUBSCRIBE.
    NoDialog,
    /// A field that cannot be read.
    Field(ParseError),
    /// A request with no Contact, more than one, `*`, or one that is no SIP URI.
    Contact,
    /// Longer than `TEXT_BYTES_MAX`.
    TooLong,
}

impl Dialog {
    /// The dialog that our response with `local_tag` creates for the sender of `request`: RFC 3261 12.1.1.
    ///
    /// Errors: `Reject` 400 for a request without exactly one usable Contact, 513 for one that is too long to keep.
    pub fn uas(request: &View<'_>, local_tag: &[u8]) -> Result<Dialog, Reject> {
        Dialog::from_request(request, local_tag).map_err(DialogError::reject)
    }

    /// The dialog that `response` creates for the sender of `request`: RFC 3261 12.1.2. Early for 1xx, else confirmed.
    pub fn uac(request: &View<'_>, response: &View<'_>) -> Result<Dialog, DialogError> {
        let status = response.status().filter(|status| status.code() > 100 && status.code() < 300);
        let status = status.ok_or(DialogError::NoDialog)?;
        let has_tag = response.to()?.tag().is_some();
        if status.is_provisional() && !has_tag {
            return Err(DialogError::NoDialog);
        }
        // A 1xx needs no Contact (RFC 3261 table 2), some phones forget it in the 2xx too, and nobody can refuse a
        // response: where there is no usable one we go on to where the request went, at least with ACK and BYE.
        let target = target_of(response).ok().flatten().unwrap_or_else(|| bare_uri(request.uri()));
        let routes = join_routes(response, true);
        let dialog = Dialog {
            text: texts(
                response.call_id()?,
                &field(request, Name::From),
                &field(response, Name::To),
                &target,
                &routes,
            )?,
            local_cseq: request.cseq()?.number,
            remote_cseq: None,
            state: if status.is_provisional() { State::Early } else { State::Confirmed },
            secure: is_sips(request.uri()),
            initiator: Side::Us,
            peer: Peer::default(),
        };
        Ok(dialog.learned(response))
    }

    fn from_request(request: &View<'_>, local_tag: &[u8]) -> Result<Dialog, DialogError> {
        request.from()?;
        let target = target_of(request)?.ok_or(DialogError::Contact)?;
        let mut local = field(request, Name::To);
        if request.to()?.tag().is_none() {
            local.extend_from_slice(b";tag=");
            local.extend_from_slice(local_tag);
        }
        let routes = join_routes(request, false);
        let dialog = Dialog {
            text: texts(request.call_id()?, &local, &field(request, Name::From), &target, &routes)?,
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.number),
            state: State::Early,
            secure: is_sips(request.uri()) && request.top_via()?.transport.to_ascii_uppercase().starts_with("TLS"),
            initiator: Side::Peer,
            peer: Peer::default(),
        };
        Ok(dialog.learned(request))
    }

    /// Whether a message of the peer (request or response) belongs to this dialog: RFC 3261 12.
    pub fn matches(&self, message: &View<'_>) -> bool {
        let (Ok(from), Ok(to), Ok(call_id)) = (message.from(), message.to(), message.call_id()) else {
            return false;
        };
        let (local, remote) = if message.is_request() { (to, from) } else { (from, to) };
        // A peer of RFC 2543 has no tag: the null tag equals itself.
        call_id == self.call_id()
            && local.tag().unwrap_or_default() == self.local_tag()
            && remote.tag().unwrap_or_default() == self.remote_tag()
    }

    /// Takes note of a request of the peer: identity and order (RFC 3261 12.2.2), then its abilities.
    ///
    /// Errors: `Reject` 481 for another dialog's request, 500 for one out of order. An ACK is never out of order.
    pub fn on_request(&mut self, request: &View<'_>) -> Result<(), Reject> {
        if self.state == State::Terminated || !self.matches(request) {
            return Err(Reject::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
        }
        let Ok(cseq) = request.cseq() else {
            return Err(Reject::new(Status::BAD_REQUEST));
        };
        if !matches!(cseq.method, Method::Ack | Method::Cancel) {
            // Equal counts as out of order too: a retransmission has been absorbed by its transaction.
            if self.remote_cseq.is_some_and(|known| cseq.number <= known) {
                return Err(Reject::new(Status::SERVER_INTERNAL_ERROR).reason("CSeq out of order"));
            }
            self.remote_cseq = Some(cseq.number);
        }
        self.learn(request);
        Ok(())
    }

    /// Takes the Contact of an accepted INVITE, UPDATE, SUBSCRIBE or NOTIFY as the new remote target: RFC 3261 12.2.2.
    ///
    /// Errors: `Reject` 400 for a Contact that cannot be used. No Contact changes nothing.
    pub fn refresh_target(&mut self, request: &View<'_>) -> Result<(), Reject> {
        if !refreshes_target(request.method()) {
            return Ok(());
        }
        if let Some(target) = target_of(request).map_err(DialogError::reject)? {
            self.set(Text::Target, &target);
        }
        Ok(())
    }

    /// Takes note of a response of the peer: confirms, refreshes the target, says whether the dialog goes on.
    ///
    /// RFC 3261 12.2.1.2 and 13.2.2.4: the first 2xx to the INVITE fixes the route set anew.
    pub fn on_response(&mut self, response: &View<'_>) -> Fate {
        let Some(status) = response.status() else {
            return Fate::Lives;
        };
        let method = response.method();
        if status.is_final() && !status.is_success() {
            let ends = (self.state == State::Early && method == Method::Invite && self.initiator == Side::Us)
                || ends_dialog(status);
            if ends {
                self.state = State::Terminated;
            }
            return if ends { Fate::Ends } else { Fate::Lives };
        }
        if status.code() == 100 || self.state == State::Terminated {
            return Fate::Lives;
        }
        // Inside a session only what the peer answers for moves the target, not any ringing: RFC 6141 4.
        let binding = status.is_success() || self.state == State::Early || response.has_option(Name::Require, "100rel");
        if status.is_success() && method == Method::Invite && self.state == State::Early {
            self.state = State::Confirmed;
            self.set(Text::Routes, &join_routes(response, true));
        }
        if binding
            && refreshes_target(method)
            && let Ok(Some(target)) = target_of(response)
        {
            self.set(Text::Target, &target);
        }
        self.learn(response);
        Fate::Lives
    }

    /// Our 2xx has gone out (or, for the caller's side, come in another way).
    pub fn confirm(&mut self) {
        if self.state == State::Early {
            self.state = State::Confirmed;
        }
    }

    /// BYE was sent or received, or the dialog was given up.
    pub fn terminate(&mut self) {
        self.state = State::Terminated;
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn call_id(&self) -> &[u8] {
        self.get(Text::CallId)
    }

    /// Our From (in requests) or To (in responses), with our tag.
    pub fn local(&self) -> &[u8] {
        self.get(Text::Local)
    }

    /// The peer's To (in our requests), with its tag.
    pub fn remote(&self) -> &[u8] {
        self.get(Text::Remote)
    }

    pub fn local_tag(&self) -> &[u8] {
        tag_of(self.local())
    }

    /// Empty for a peer of RFC 2543.
    pub fn remote_tag(&self) -> &[u8] {
        tag_of(self.remote())
    }

    /// URI that our requests go to: the peer's latest Contact.
    pub fn target(&self) -> &[u8] {
        self.get(Text::Target)
    }

    /// The route set as one Route value, empty when there is none.
    pub fn routes(&self) -> &[u8] {
        self.get(Text::Routes)
    }

    /// URI of the next hop: the first route, else the target (RFC 3261 8.1.2).
    pub fn next_hop(&self) -> &[u8] {
        match sip::split_commas(self.routes()).next().and_then(|route| sip::parse_name_addr(route).ok()) {
            Some(route) => route.uri,
            None => self.target(),
        }
    }

    /// CSeq number of our latest request.
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// CSeq number of the peer's latest request.
    pub fn remote_cseq(&self) -> Option<u32> {
        self.remote_cseq
    }

    /// Whether only `sips` targets may be used.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Who began it, and so owns the Call-ID.
    pub fn initiator(&self) -> Side {
        self.initiator
    }

    pub fn peer(&self) -> Peer {
        self.peer
    }

    fn get(&self, part: Text) -> &[u8] {
        self.text.get(part as usize)
    }

    fn set(&mut self, part: Text, value: &[u8]) {
        // A part that would grow beyond the limit is left as it was; the old way may still work.
        let others = self.text.len() - self.get(part).len();
        if others + value.len() <= TEXT_BYTES_MAX {
            self.text.set(part as usize, value);
        }
    }

    fn learned(mut self, message: &View<'_>) -> Dialog {
        self.learn(message);
        self
    }

    fn learn(&mut self, message: &View<'_>) {
        if message.header(Name::Allow).is_some() {
            self.peer.update = message.has_option(Name::Allow, "UPDATE");
        }
        if message.header(Name::Supported).is_some() {
            self.peer.reliable = message.has_option(Name::Supported, "100rel");
            self.peer.timer = message.has_option(Name::Supported, "timer");
            self.peer.replaces = message.has_option(Name::Supported, "replaces");
        }
    }
}

#[derive(Clone, Copy)]
enum Text {
    CallId,
    Local,
    Remote,
    Target,
    Routes,
}

impl DialogError {
    fn reject(self) -> Reject {
        match self {
            DialogError::Field(error) => Reject::new(error.status()).reason(error.to_string()),
            DialogError::Contact => Reject::new(Status::BAD_REQUEST).reason("Bad Contact"),
            DialogError::TooLong => Reject::new(Status::MESSAGE_TOO_LARGE),
            DialogError::NoDialog => Reject::new(Status::BAD_REQUEST),
        }
    }
}

impl From<ParseError> for DialogError {
    fn from(error: ParseError) -> DialogError {
        DialogError::Field(error)
    }
}

impl fmt::Display for DialogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialogError::NoDialog => f.write_str("response creates no dialog"),
            DialogError::Field(error) => error.fmt(f),
            DialogError::Contact => f.write_str("no usable Contact"),
            DialogError::TooLong => f.write_str("dialog too long to keep"),
        }
    }
}

impl std::error::Error for DialogError {}

/// Whether a request of this method, or its 2xx, moves the remote target: RFC 3261 12.2, RFC 3311 5, RFC 6665 4.4.1.
fn refreshes_target(method: Method<'_>) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify)
}

/// Refusals that end the dialog and not only the transaction: RFC 3261 12.2.1.2 and RFC 5057 5.1.
fn ends_dialog(status: Status) -> bool {
    matches!(status.code(), 404 | 408 | 410 | 416 | 481 | 482 | 484 | 485 | 502 | 604)
}

/// The one Contact as a URI that may stand in a start line; `None` when there is none.
fn target_of(message: &View<'_>) -> Result<Option<Vec<u8>>, DialogError> {
    let mut contacts = message.contacts();
    let Some(contact) = contacts.next() else {
        return Ok(None);
    };
    let contact = contact?;
    let usable = !contact.is_star()
        && contacts.next().is_none()
        && contact.uri().is_ok_and(|uri| matches!(uri.scheme, Scheme::Sip | Scheme::Sips));
    if usable { Ok(Some(bare_uri(contact.uri))) } else { Err(DialogError::Contact) }
}

fn texts(call_id: &[u8], local: &[u8], remote: &[u8], target: &[u8], routes: &[u8]) -> Result<Packed, DialogError> {
    let texts: [&[u8]; TEXTS] = [call_id, local, remote, target, routes];
    if texts.iter().map(|text| text.len()).sum::<usize>() > TEXT_BYTES_MAX {
        return Err(DialogError::TooLong);
    }
    Ok(Packed::new(texts))
}

fn field(message: &View<'_>, name: Name) -> Vec<u8> {
    sip::unfold(message.header(name).unwrap_or_default()).into_owned()
}

fn tag_of(value: &[u8]) -> &[u8] {
    sip::parse_name_addr(value).ok().and_then(|address| address.tag()).unwrap_or_default()
}

fn is_sips(uri: &[u8]) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"))
}

/// Longest sum of Call-ID, From, To, Contact URI and route set that a dialog keeps, bytes.
const TEXT_BYTES_MAX: usize = 8_192;

#[cfg(test)]
mod tests;
