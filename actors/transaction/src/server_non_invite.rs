//! Non-INVITE server transaction: answers a request and repeats the answer when asked again. RFC 3261 17.2.2.

use fabric::{Instant, Now, Timers};
use serde::{Deserialize, Serialize};
use sip::Message;

use crate::{Event, Events, Timings};

/// One request other than INVITE and ACK that a peer has sent us. The user has the request already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerNonInvite {
    state: State,
    timers: Timers<Timer>,
    timings: Timings,
    reliable: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Trying,
    Proceeding { response: Box<Message> },
    Completed { response: Box<Message> },
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Timer {
    /// Repeated requests get the final response again, 64*T1.
    J,
}

impl ServerNonInvite {
    /// Takes up a request; nothing is sent until the user responds.
    pub fn new(reliable: bool, timings: &Timings) -> ServerNonInvite {
        ServerNonInvite { state: State::Trying, timers: Timers::new(), timings: *timings, reliable }
    }

    /// A repetition of the request arrived.
    pub fn on_request(&mut self, out: &mut Events) {
        if let State::Proceeding { response } | State::Completed { response } = &self.state {
            out.send(response);
        }
    }

    /// Sends a response of the user; anything after the final one is dropped.
    pub fn respond(&mut self, response: Message, now: Now, out: &mut Events) {
        let Some(status) = response.status() else {
            return;
        };
        if !self.is_pending() {
            return;
        }
        out.send(&response);
        if !status.is_final() {
            self.state = State::Proceeding { response: Box::new(response) };
        } else if self.reliable {
            self.terminate(out);
        } else {
            self.state = State::Completed { response: Box::new(response) };
            self.timers.set(Timer::J, now.instant + self.timings.transaction());
        }
    }

    /// The transport could not deliver a response.
    pub fn on_transport_error(&mut self, _now: Now, out: &mut Events) {
        if matches!(self.state, State::Proceeding { .. } | State::Completed { .. }) {
            out.push(Event::TransportFailed);
            self.terminate(out);
        }
    }

    /// Carries out every timer that is due.
    pub fn wake(&mut self, now: Now, out: &mut Events) {
        while let Some(Timer::J) = self.timers.pop(now.instant) {
            self.terminate(out);
        }
    }

    /// The earliest timer.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.earliest()
    }

    /// The state's name in RFC 3261 17.2.2, lower case.
    pub fn state(&self) -> &'static str {
        match self.state {
            State::Trying => "trying",
            State::Proceeding { .. } => "proceeding",
            State::Completed { .. } => "completed",
            State::Terminated => "terminated",
        }
    }

    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Whether the user still owes a final response.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding { .. })
    }

    fn terminate(&mut self, out: &mut Events) {
        self.state = State::Terminated;
        self.timers = Timers::new();
        out.push(Event::Terminated);
    }
}

#[cfg(test)]
mod tests;
