//! What is checked in a request outside dialogs before anybody is asked about it: RFC 3261 8.2 and 16.3.

use dialog::SessionOffer;
use fabric::{Address, Reject};
use sip::{Method, Name, Status, View};

use crate::desk::Identity;
use crate::settings::Settings;
use crate::{headers, offer, reject};

/// Errors: the refusal that the request deserves whoever sent it.
pub(crate) fn outside(request: &View<'_>, settings: &Settings, identity: &Identity) -> Result<(), Reject> {
    method(request)?;
    hops(request, identity)?;
    body(request, settings)?;
    if request.method() == Method::Invite {
        SessionOffer::of(request).check(&settings.dialogs())?;
    }
    Ok(())
}

/// Whether the switch serves such a request at all; said to admitted callers only.
///
/// Errors: 489 for subscriptions and publications, there is no event package; 481 for a NOTIFY that nobody asked for;
/// 603 for a REFER outside a call.
pub(crate) fn served(request: &View<'_>) -> Result<(), Reject> {
    match request.method() {
        Method::Subscribe | Method::Publish => Err(Reject::new(Status::BAD_EVENT)),
        Method::Notify => Err(reject::no_dialog()),
        Method::Refer => Err(Reject::new(Status::DECLINE)),
        _ => Ok(()),
    }
}

/// Errors: 420 with Unsupported for an extension that is required and unknown (RFC 3261 8.2.2.3).
pub(crate) fn extensions(request: &View<'_>) -> Result<(), Reject> {
    let unsupported = headers::unsupported(request);
    if unsupported.is_empty() {
        return Ok(());
    }
    Err(Reject::new(Status::BAD_EXTENSION).header(Name::Unsupported, unsupported.join(", ")))
}

/// Errors: 415 with Accept, 413, or 488 for a session description that cannot be read.
pub(crate) fn body(request: &View<'_>, settings: &Settings) -> Result<(), Reject> {
    if request.body().len() > settings.body_bytes_max {
        return Err(Reject::new(Status::REQUEST_ENTITY_TOO_LARGE));
    }
    if !matches!(request.method(), Method::Invite | Method::Update | Method::Prack) {
        return Ok(());
    }
    match offer::sdp_of(request)? {
        Some(body) if sdp::Session::parse(body).is_err() => Err(Reject::new(Status::NOT_ACCEPTABLE_HERE)),
        _ => Ok(()),
    }
}

fn method(request: &View<'_>) -> Result<(), Reject> {
    extensions(request)?;
    match request.method() {
        Method::Invite
        | Method::Options
        | Method::Message
        | Method::Subscribe
        | Method::Publish
        | Method::Notify
        | Method::Refer => Ok(()),
        // Only inside a dialog: RFC 3261 15.1.2, RFC 3262, RFC 3311, RFC 6086.
        Method::Bye | Method::Prack | Method::Update | Method::Info => Err(reject::no_dialog()),
        Method::Register => Err(Reject::new(Status::METHOD_NOT_ALLOWED).header(Name::Allow, headers::own_allow())),
        _ => Err(Reject::new(Status::NOT_IMPLEMENTED).header(Name::Allow, headers::own_allow())),
    }
}

/// Errors: 483 when no hop is left, 482 when this very call has passed here before.
fn hops(request: &View<'_>, identity: &Identity) -> Result<(), Reject> {
    if request.max_forwards().ok().flatten() == Some(0) {
        return Err(Reject::new(Status::TOO_MANY_HOPS));
    }
    let ours = |branch: &[u8]| {
        let token = branch.strip_prefix(b"z9hG4bK").and_then(|rest| identity.home.tokens.open_leg(rest));
        token.is_some_and(|token| token.to == Address::Call(identity.key))
    };
    let looped = request.vias().flatten().any(|via| via.branch().is_some_and(ours));
    if looped { Err(Reject::new(Status::LOOP_DETECTED)) } else { Ok(()) }
}
