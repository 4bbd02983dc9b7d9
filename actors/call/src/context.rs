//! Response context: the final responses of the branches and which of them the caller gets.
//! RFC 3261 16.7 steps 4 and 6, with what a back-to-back agent must not pass on.

use serde::{Deserialize, Serialize};
use sip::{Message, Status};

/// The best final response so far, and whether the search must stop.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ResponseContext {
    best: Option<(Status, Option<Message>)>,
}

impl ResponseContext {
    /// Adds the final response of a branch.
    pub fn add(&mut self, response: Message) {
        if let Some(status) = response.status() {
            self.offer(status, Some(response));
        }
    }

    /// Adds a failure for which no response came (time-out, flow gone).
    pub fn add_status(&mut self, status: Status) {
        self.offer(status, None);
    }

    /// A 6xx: nobody else is tried (RFC 3261 16.7 step 5).
    pub fn is_decided(&self) -> bool {
        self.best.as_ref().is_some_and(|(status, _)| status.0 >= 600)
    }

    /// The status for the caller and the response that it came with; 480 when no branch ever answered.
    pub fn best(&self) -> (Status, Option<&Message>) {
        match &self.best {
            None => (Status::TEMPORARILY_UNAVAILABLE, None),
            Some((status, response)) => {
                let passed = for_caller(*status);
                (passed, response.as_ref().filter(|_| passed == *status))
            }
        }
    }

    fn offer(&mut self, status: Status, response: Option<Message>) {
        let better = self.best.as_ref().is_none_or(|(held, _)| rank(status) < rank(*held));
        if better {
            self.best = Some((status, response));
        }
    }
}

/// What the caller is told instead of a status that is the callee's business only.
///
/// A challenge of the callee would make the caller's phone answer a foreign realm (digest leak), a redirection would
/// show it the callee's contacts, and 503 would make it leave the whole switch (RFC 3261 16.7 step 6).
pub(crate) fn for_caller(status: Status) -> Status {
    match status.0 {
        300..=399 | 430 => Status::TEMPORARILY_UNAVAILABLE,
        401 | 407 => Status::FORBIDDEN,
        503 => Status::SERVER_INTERNAL_ERROR,
        _ => status,
    }
}

/// Lower is better: 6xx, then by class, within 4xx those that the caller can act on, 408 and 487 last.
fn rank(status: Status) -> u16 {
    match status.0 {
        600.. => 0,
        415 | 420 | 484 | 488 => 400,
        486 => 401,
        408 => 450,
        487 => 451,
        400..=499 => 402,
        300..=399 => 430,
        503 => 599,
        other => other,
    }
}

#[cfg(test)]
mod tests;
