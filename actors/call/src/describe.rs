//! What a call tells of itself.

use fabric::letters::control::{CallSummary, Description};
use sip::Name;

use crate::attempt::Stage;
use crate::call::{Call, text_of};
use crate::pair::Pair;

impl Call {
    pub(crate) fn describe(&self) -> Description {
        let pair = self.pairs.iter().find(|pair| pair.confirmed).or(self.pairs.first()).map(Box::as_ref);
        let attempt = self.attempts.iter().find(|attempt| attempt.is_invite());
        let lossy = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let (call_id, from, to) = match (pair, attempt) {
            (Some(pair), _) => {
                let dialog = &pair.caller.dialog;
                (lossy(dialog.call_id()), lossy(dialog.remote()), lossy(dialog.local()))
            }
            (None, Some(attempt)) => {
                let request = &attempt.request;
                (text_of(request, Name::CallId), text_of(request, Name::From), text_of(request, Name::To))
            }
            (None, None) => Default::default(),
        };
        let init_ms = self.answered.as_ref().map(|answered| answered.id.init_ms);
        Description::Call(CallSummary {
            key: self.identity.key,
            call_id,
            from,
            to,
            state: self.state().to_owned(),
            init_ms: init_ms.or(attempt.map(|attempt| attempt.init_ms)).unwrap_or_default(),
            answer_ms: self.answered.as_ref().map(|answered| answered.start_ms).unwrap_or_default(),
            legs: 1 + u16::try_from(self.pairs.len()).unwrap_or(u16::MAX - 1),
        })
    }

    /// `trying`, `ringing`, `established`, `ending` or `ended`.
    fn state(&self) -> &'static str {
        let attempt = self.attempts.iter().find(|attempt| attempt.is_invite());
        match (&self.answered, attempt) {
            (Some(answered), _) if answered.stop.is_none() => "established",
            (Some(_), _) => "ending",
            (None, Some(attempt)) if attempt.stage == Stage::Clearing => "ending",
            (None, Some(attempt)) if attempt.ring_ms > 0 => "ringing",
            (None, Some(_)) => "trying",
            (None, None) if self.pairs.iter().any(|pair| Pair::is_ending(pair)) => "ending",
            (None, None) => "ended",
        }
    }
}
