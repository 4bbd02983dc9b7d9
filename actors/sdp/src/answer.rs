//! Offer and answer: which answer fits an offer, what a new offer changes, how to refuse. RFC 3264.

use std::fmt;

use crate::fields::Direction;
use crate::session::{Media, Session};

/// Why an answer does not fit its offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// Not as many m-lines as the offer: RFC 3264 6.
    Count { offered: usize, answered: usize },
    /// This m-line has another kind of media than the offered one.
    Kind(usize),
    /// This m-line has another protocol than the offered one.
    Protocol(usize),
    /// This m-line was offered with port 0 and answered with a port.
    Revived(usize),
    /// This m-line sends what nobody wants to receive, or the reverse: RFC 3264 6.1.
    Direction(usize),
    /// This RTP stream has no format of the offer.
    Formats(usize),
}

/// What a new offer or answer of the same side changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Same origin version: nothing has changed (RFC 3264 8), as in a session refresh.
    Nothing,
    /// The description is another one of the same session.
    Modified,
    /// Another session, or m-lines are gone: not allowed within a dialog (RFC 3264 8).
    Broken,
}

/// Checks an answer against its offer.
pub fn check_answer(offer: &Session<'_>, answer: &Session<'_>) -> Result<(), AnswerError> {
    if offer.media.len() != answer.media.len() {
        return Err(AnswerError::Count { offered: offer.media.len(), answered: answer.media.len() });
    }
    for (place, (offered, answered)) in offer.media.iter().zip(&answer.media).enumerate() {
        if !offered.kind.eq_ignore_ascii_case(&answered.kind) {
            return Err(AnswerError::Kind(place));
        }
        if answered.is_refused() {
            continue;
        }
        if offered.is_refused() {
            return Err(AnswerError::Revived(place));
        }
        if !offered.protocol.eq_ignore_ascii_case(&answered.protocol) {
            return Err(AnswerError::Protocol(place));
        }
        if !fits(offer.direction_of(place), answer.direction_of(place)) {
            return Err(AnswerError::Direction(place));
        }
        if offered.is_rtp() && !share_format(offered, answered) {
            return Err(AnswerError::Formats(place));
        }
    }
    Ok(())
}

/// Whether a stream offered one way may be answered the other way: RFC 3264 6.1.
pub fn fits(offered: Direction, answered: Direction) -> bool {
    (!answered.sends() || offered.receives()) && (!answered.receives() || offered.sends())
}

/// Whether both know a codec: by name and rate, for a dynamic payload type may differ on the two sides.
fn share_format(offered: &Media<'_>, answered: &Media<'_>) -> bool {
    answered.codecs().any(|theirs| {
        offered.codecs().any(|ours| match theirs.name.is_empty() || ours.name.is_empty() {
            true => theirs.format == ours.format,
            false => theirs.name.eq_ignore_ascii_case(ours.name) && theirs.rate == ours.rate,
        })
    })
}

/// What `new` changes against `old`, both sent by the same side.
pub fn change(old: &Session<'_>, new: &Session<'_>) -> Change {
    let (Some(before), Some(after)) = (old.origin(), new.origin()) else { return Change::Broken };
    let same_session = before.username == after.username && before.session_id == after.session_id;
    if !same_session || new.media.len() < old.media.len() {
        return Change::Broken;
    }
    // Phones that forget to raise the version are common, so the text decides where the version claims no change.
    if before.version == after.version && old == new { Change::Nothing } else { Change::Modified }
}

/// An answer that refuses every stream of an offer: the m-lines with port 0.
pub fn refuse_all<'a>(offer: &Session<'a>) -> Session<'a> {
    let mut answer = offer.clone();
    answer.lines.retain(|line| matches!(line.kind, b'v' | b'o' | b's' | b'c' | b't'));
    answer.media.iter_mut().for_each(Media::refuse);
    answer
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnswerError::Count { offered, answered } => write!(f, "{answered} m-lines answer {offered}"),
            AnswerError::Kind(place) => write!(f, "m-line {place}: another kind of media than offered"),
            AnswerError::Protocol(place) => write!(f, "m-line {place}: another protocol than offered"),
            AnswerError::Revived(place) => write!(f, "m-line {place}: accepted though not offered"),
            AnswerError::Direction(place) => write!(f, "m-line {place}: direction does not fit the offer"),
            AnswerError::Formats(place) => write!(f, "m-line {place}: no format of the offer"),
        }
    }
}

impl std::error::Error for AnswerError {}

#[cfg(test)]
mod tests;
