//! The state of a call as its standby keeps it: one part, a version byte and postcard.
//!
//! Instants stay on the clock that the call lives by. Settings and the facts of the node are not in it: whoever goes on
//! with the call has its own. A request under way stands in its transaction only; branch and offer are read from there.

use std::sync::Arc;

use bytes::Bytes;
use fabric::codec::{decode_part, encode_part};
use fabric::{Asks, Home, Key, Timers};
use sip::{Message, Method};

use crate::attempt::{Attempt, Branch, BranchState};
use crate::call::{Call, Numbers, Purpose, Timer};
use crate::desk::Identity;
use crate::pair::Pair;
use crate::relay::Relay;
use crate::settings::Settings;
use crate::transactions::Transactions;
use crate::{admission::Admission, ending::Answered, offer, transfer::Transfer};

/// Version of the state that this build writes, and the only one that it reads.
const VERSION: u8 = 1;

/// What stands behind the version byte.
type State = (
    Transactions,
    Vec<Box<Attempt>>,
    Vec<Box<Pair>>,
    Vec<Box<Relay>>,
    Option<Box<Answered>>,
    Option<Box<Transfer>>,
    Asks<Purpose>,
    Timers<Timer>,
    Box<Admission>,
    Numbers,
    bool,
);

impl Call {
    /// The call that these bytes describe; `None` when they are damaged or of another version.
    pub fn restore(home: &Home, key: Key, settings: Arc<Settings>, bytes: &[u8]) -> Option<Call> {
        let (&VERSION, state) = bytes.split_first()? else { return None };
        let state: State = decode_part(state)?;
        let (
            mut transactions,
            attempts,
            pairs,
            relays,
            answered,
            transfer,
            asks,
            timers,
            admission,
            numbers,
            media_open,
        ) = state;
        transactions.resume(settings.timings);
        let identity = Identity { home: *home, key };
        let mut call = Call {
            identity,
            settings,
            transactions,
            attempts,
            pairs,
            relays,
            answered,
            transfer,
            asks,
            timers,
            admission,
            numbers,
            media_open,
        };
        if fabric::mutant!(RecordDoubled)
            && let Some(answered) = &mut call.answered
        {
            answered.id.init_ms += 1;
        }
        call.unfold();
        Some(call)
    }

    /// The state as a replica keeps it.
    pub(crate) fn write(&mut self) -> Bytes {
        self.fold();
        let answered = if fabric::mutant!(FieldNotReplicated) { &None } else { &self.answered };
        let bytes = encode_part(&(
            VERSION,
            (
                &self.transactions,
                &self.attempts,
                &self.pairs,
                &self.relays,
                answered,
                &self.transfer,
                &self.asks,
                &self.timers,
                &self.admission,
                &self.numbers,
                self.media_open,
            ),
        ));
        self.unfold();
        bytes
    }

    /// Takes out what stands elsewhere in the state as well.
    fn fold(&mut self) {
        for attempt in &mut self.attempts {
            if offered(&attempt.request).is_some_and(|sdp| sdp == attempt.offer) {
                attempt.offer = Bytes::new();
            }
            for branch in &mut attempt.branches {
                if branch.sent.as_ref().and_then(offered).is_some_and(|sdp| sdp == branch.offer) {
                    branch.offer = Bytes::new();
                }
                if branch.sent.is_some() && branch.sent.as_ref() == under_way(branch, &self.transactions) {
                    branch.sent = None;
                }
            }
        }
    }

    /// Puts it back.
    fn unfold(&mut self) {
        for attempt in &mut self.attempts {
            if attempt.offer.is_empty() {
                attempt.offer = offered(&attempt.request).unwrap_or_default();
            }
            for branch in &mut attempt.branches {
                if branch.sent.is_none() {
                    branch.sent = under_way(branch, &self.transactions).cloned();
                }
                if branch.offer.is_empty() {
                    branch.offer = branch.sent.as_ref().and_then(offered).unwrap_or_default();
                }
            }
        }
    }
}

/// The request of a branch, as its transaction holds it.
fn under_way<'a>(branch: &Branch, transactions: &'a Transactions) -> Option<&'a Message> {
    match branch.state {
        BranchState::Calling { tx } => transactions.request_of(tx),
        _ => None,
    }
}

/// The session description of an INVITE, which shares its bytes.
fn offered(request: &Message) -> Option<Bytes> {
    let view = request.view();
    let sdp = offer::sdp_of(&view).ok().flatten().filter(|_| view.method() == Method::Invite)?;
    Some(request.bytes().slice_ref(sdp))
}

#[cfg(test)]
mod tests;
