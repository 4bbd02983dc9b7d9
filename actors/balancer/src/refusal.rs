//! Answers that the balancer gives by itself and forgets: RFC 3261 8.2.7.

use bytes::Bytes;
use fabric::hash::hash64;
use fabric::letters::flow::Flow;
use fabric::{Home, Reject};
use sip::{Builder, Limits, Method, Name, Splices, Status, View};

use crate::Settings;
use crate::screen::stamp;

/// What the switch itself understands, for the answer to OPTIONS. No product, no version.
const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, MESSAGE, SUBSCRIBE, NOTIFY, REGISTER";
const ACCEPT: &str = "application/sdp";
const SUPPORTED: &str = "100rel, timer, path, outbound";

/// The answer to a request that goes no further; `None` when it cannot or must not be answered.
pub fn answer(view: &View<'_>, flow: &Flow, reject: &Reject, home: &Home, settings: &Settings) -> Option<Bytes> {
    if !view.is_request() || view.method() == Method::Ack || !view.has(Name::Via) || !view.has(Name::CSeq) {
        return None;
    }
    with_stamp(view, flow, settings, |view| {
        let tag = tag(view, home);
        let mut reply = match &reject.reason {
            None => Builder::reply_to(view, reject.status, Some(&tag)),
            Some(reason) => Builder::reply_with(view, reject.status, reason.as_bytes(), Some(&tag)),
        };
        for (name, value) in &reject.headers {
            reply = reply.other(name, value);
        }
        reply.build().bytes().clone()
    })
}

/// The answer to OPTIONS at the switch itself: RFC 3261 11.2.
///
/// What we can do is told only if the answer stays within 1.5 times the request: its source may be forged (S10).
pub fn options(view: &View<'_>, flow: &Flow, home: &Home, settings: &Settings) -> Option<Bytes> {
    let full = full_options(view, flow, home, settings)?;
    if full.len() * 2 <= view.bytes().len() * 3 {
        return Some(full);
    }
    answer(view, flow, &Reject::new(Status::OK), home, settings)
}

fn full_options(view: &View<'_>, flow: &Flow, home: &Home, settings: &Settings) -> Option<Bytes> {
    with_stamp(view, flow, settings, |view| {
        let reply = Builder::reply_to(view, Status::OK, Some(&tag(view, home)))
            .header(Name::Allow, ALLOW)
            .header(Name::Accept, ACCEPT)
            .header(Name::Supported, SUPPORTED);
        reply.build().bytes().clone()
    })
}

/// 503 while draining; Retry-After between the limits, so that not everybody comes back at once.
pub fn draining(view: &View<'_>, home: &Home, settings: &Settings) -> Reject {
    let min = settings.retry_after_min_s;
    let span = settings.retry_after_max_s.saturating_sub(min).saturating_add(1);
    let chance = hash64(home.secret(), &[b"retry-after", view.call_id().unwrap_or_default()]) as u32;
    let seconds = min.saturating_add(chance % span.max(1));
    Reject::new(Status::SERVICE_UNAVAILABLE).header(Name::RetryAfter, seconds.to_string())
}

/// Whether this ACK answers a refusal of ours: its To tag is the one we gave.
pub fn absorbs(ack: &View<'_>, home: &Home) -> bool {
    let to = ack.to().ok();
    to.and_then(|to| to.tag()).is_some_and(|theirs| *theirs == tag(ack, home))
}

/// The To tag of a stateless answer: a function of what request and ACK have in common (RFC 3261 17.1.1.3).
fn tag(view: &View<'_>, home: &Home) -> [u8; TAG_BYTES] {
    let via = view.top_via().ok();
    let branch = via.as_ref().and_then(|via| via.branch()).unwrap_or_default();
    let from = view.from().ok();
    let from_tag = from.as_ref().and_then(|from| from.tag()).unwrap_or_default();
    let number = view.cseq().map_or(0, |cseq| cseq.number).to_be_bytes();
    let parts = [b"stateless".as_slice(), view.call_id().unwrap_or_default(), from_tag, branch, &number];
    let hash = hash64(home.secret(), &parts);
    let mut text = [b's'; TAG_BYTES];
    for (place, digit) in text[1..].iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(hash >> (60 - 4 * place)) as usize & 15];
    }
    text
}

/// `s` and 16 hexadecimal digits.
const TAG_BYTES: usize = 17;

/// Builds an answer from the request with its top Via stamped, as the answer must carry it.
fn with_stamp(view: &View<'_>, flow: &Flow, settings: &Settings, build: impl Fn(&View<'_>) -> Bytes) -> Option<Bytes> {
    let Ok(via) = view.top_via() else { return Some(build(view)) };
    let mut splices = Splices::new(view);
    if !stamp(&mut splices, &via, flow) {
        return Some(build(view));
    }
    let stamped = splices.into_bytes();
    let grown = Limits { message_bytes_max: stamped.len(), ..settings.limits() };
    let grown =
        Limits { line_bytes_max: grown.line_bytes_max + STAMP_BYTES, headers_max: grown.headers_max + 1, ..grown };
    View::salvage(&stamped, &grown).map(|view| build(&view))
}

/// What a stamp adds to a line at most, bytes.
const STAMP_BYTES: usize = 80;
