//! Session descriptions on their way between the legs: through the media session, or as they are when policy allows.

use std::time::Duration;

use bytes::Bytes;
use fabric::letters::media::{MediaAsk, MediaDone, MediaProfile};
use fabric::{Fault, FaultKind, Letter, Reject};
use sip::{Name, Status, View};

use crate::call::{Call, Purpose};
use crate::desk::Desk;
use crate::pair::{Pair, Which};
use crate::reject;
use crate::settings::{Settings, WithoutRelay};

/// Content-Type of a session description.
pub(crate) const SDP: &[u8] = b"application/sdp";

/// One step of offer and answer between two legs.
pub(crate) struct Exchange {
    pub from_leg: u16,
    pub to_leg: u16,
    pub from: MediaProfile,
    pub to: MediaProfile,
    pub answer: bool,
}

impl Call {
    /// Has the media session turn a session description into the one for the other leg.
    pub(crate) fn ask_media(&mut self, exchange: Exchange, sdp: Bytes, purpose: Purpose, desk: &mut Desk<'_>) {
        let Exchange { from_leg, to_leg, from: from_profile, to: to_profile, answer } = exchange;
        let ask = match answer {
            false => MediaAsk::Offer { from_leg, to_leg, sdp, from_profile, to_profile },
            true => MediaAsk::Answer { from_leg, to_leg, sdp, from_profile, to_profile },
        };
        self.media_open = true;
        let thread = self.asks.open(purpose, desk.now.instant, self.settings.media_timeout());
        desk.out.ask(desk.identity.media(), thread, Letter::MediaAsk(Box::new(ask)));
    }

    /// The same within a pair, from one end to the other.
    pub(crate) fn ask_media_for(
        &mut self,
        pair: u16,
        from: Which,
        answer: bool,
        sdp: Bytes,
        purpose: Purpose,
        desk: &mut Desk<'_>,
    ) {
        let identity = self.identity;
        let Some(pair) = self.pair(pair) else { return };
        let exchange = exchange(pair, from, answer, &identity);
        self.ask_media(exchange, sdp, purpose, desk);
    }

    /// This leg was not chosen: what the media session keeps for it alone can go.
    pub(crate) fn drop_media(&mut self, leg: u16, desk: &mut Desk<'_>) {
        desk.post(desk.identity.media(), Letter::MediaAsk(Box::new(MediaAsk::Drop { leg })));
    }

    /// Asks a question with the usual deadline.
    pub(crate) fn ask(&mut self, to: fabric::Address, purpose: Purpose, letter: Letter, desk: &mut Desk<'_>) {
        let timeout: Duration = self.settings.ask_timeout();
        let thread = self.asks.open(purpose, desk.now.instant, timeout);
        desk.out.ask(to, thread, letter);
    }
}

fn exchange(pair: &Pair, from: Which, answer: bool, identity: &crate::desk::Identity) -> Exchange {
    let (near, far) = (pair.end(from), pair.end(from.other()));
    Exchange { from_leg: near.leg, to_leg: far.leg, from: near.profile(identity), to: far.profile(identity), answer }
}

/// What the media session made of a session description; `None` when it is to be passed as it is.
///
/// Errors: 503 when no relay can be had and policy wants one, 488 when the relay refuses the description.
pub(crate) fn made(answer: Result<Letter, Fault>, settings: &Settings) -> Result<Option<Bytes>, Reject> {
    let fault = match answer {
        Ok(Letter::MediaDone(done)) => match *done {
            MediaDone::Sdp(sdp) => return Ok(Some(sdp)),
            MediaDone::Unanchored => return Ok(None),
            MediaDone::Dropped | MediaDone::Ended(_) => Fault::refused("media session ended"),
        },
        Ok(_) => Fault::refused("media session answered nonsense"),
        Err(fault) => fault,
    };
    match fault.kind {
        FaultKind::Refused => Err(Reject::new(Status::NOT_ACCEPTABLE_HERE)),
        _ if settings.without_relay == WithoutRelay::Unanchored => Ok(None),
        _ => Err(reject::unavailable(RELAY_RETRY_S)),
    }
}

/// The session description of a message, out of a multipart body where necessary; `None` when the body is empty.
///
/// Errors: 415 with Accept for any other body (RFC 3261 8.2.3).
pub(crate) fn sdp_of<'a>(message: &View<'a>) -> Result<Option<&'a [u8]>, Reject> {
    let body = message.body();
    if body.is_empty() {
        return Ok(None);
    }
    let foreign = || Reject::new(Status::UNSUPPORTED_MEDIA_TYPE).header(Name::Accept, "application/sdp");
    let encoded = message.header(Name::ContentEncoding).is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let kind = message.header(Name::ContentType).unwrap_or_default();
    if encoded {
        return Err(foreign());
    }
    if is_type(kind, SDP) {
        return Ok(Some(body));
    }
    if kind.len() >= 10 && kind[..10].eq_ignore_ascii_case(b"multipart/") {
        let parts = sip::multipart::parts(kind, body).map_err(|_| foreign())?;
        for part in parts {
            if part.header("Content-Type").is_some_and(|kind| is_type(kind, SDP)) {
                return Ok(Some(part.body));
            }
        }
    }
    Err(foreign())
}

/// Whether a Content-Type is this one, whatever its parameters.
fn is_type(value: &[u8], wanted: &[u8]) -> bool {
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    value[..end].trim_ascii().eq_ignore_ascii_case(wanted)
}

/// Retry-After when there is no relay, seconds.
const RELAY_RETRY_S: u32 = 10;

#[cfg(test)]
mod tests;
