//! Non-INVITE client transaction: sends a request until a final response comes. RFC 3261 17.1.2.

use fabric::{Instant, Now, Timers};
use serde::{Deserialize, Serialize};
use sip::Message;

use crate::timings::millis;
use crate::{Event, Events, Timings};

/// One request other than INVITE and ACK on its way to one hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientNonInvite {
    state: State,
    timers: Timers<Timer>,
    timings: Timings,
    reliable: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Trying { request: Box<Message>, resend_ms: u32 },
    Proceeding { request: Box<Message> },
    Completed,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Timer {
    /// Resend the request: from T1 doubling to T2, T2 after a provisional response.
    E,
    /// No final response, 64*T1.
    F,
    /// Repeated finals are absorbed, T4.
    K,
}

impl ClientNonInvite {
    /// Sends `request` for the first time; `reliable` says whether the transport resends by itself.
    pub fn new(request: Message, reliable: bool, now: Now, timings: &Timings, out: &mut Events) -> ClientNonInvite {
        let mut timers = Timers::new();
        out.send(&request);
        if !reliable {
            timers.set(Timer::E, now.instant + millis(timings.first_ms()));
        }
        timers.set(Timer::F, now.instant + timings.transaction());
        let state = State::Trying { request: Box::new(request), resend_ms: timings.first_ms() };
        ClientNonInvite { state, timers, timings: *timings, reliable }
    }

    /// A response with the key of this transaction arrived.
    pub fn on_response(&mut self, response: Message, now: Now, out: &mut Events) {
        let Some(status) = response.status() else {
            return;
        };
        match &self.state {
            State::Completed | State::Terminated => {}
            _ if status.is_final() => self.complete(response, now, out),
            State::Trying { .. } => {
                if let State::Trying { request, .. } = std::mem::replace(&mut self.state, State::Terminated) {
                    self.state = State::Proceeding { request };
                }
                out.hand_up(response);
            }
            State::Proceeding { .. } => out.hand_up(response),
        }
    }

    /// The transport could not deliver what this transaction sent.
    pub fn on_transport_error(&mut self, _now: Now, out: &mut Events) {
        if self.is_pending() {
            out.push(Event::TransportFailed);
            self.terminate(out);
        }
    }

    /// Carries out every timer that is due.
    pub fn wake(&mut self, now: Now, out: &mut Events) {
        while let Some(timer) = self.timers.pop(now.instant) {
            match timer {
                Timer::E => self.resend(now, out),
                Timer::F => {
                    out.push(Event::Timeout);
                    self.terminate(out);
                }
                Timer::K => self.terminate(out),
            }
        }
    }

    /// The earliest timer.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.earliest()
    }

    /// The state's name in RFC 3261 17.1.2, lower case.
    pub fn state(&self) -> &'static str {
        match self.state {
            State::Trying { .. } => "trying",
            State::Proceeding { .. } => "proceeding",
            State::Completed => "completed",
            State::Terminated => "terminated",
        }
    }

    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Whether a final response (or the end) is still to come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding { .. })
    }

    /// The request, while it is still unanswered.
    pub fn request(&self) -> Option<&Message> {
        match &self.state {
            State::Trying { request, .. } | State::Proceeding { request } => Some(request),
            _ => None,
        }
    }

    fn resend(&mut self, now: Now, out: &mut Events) {
        let next_ms = match &mut self.state {
            State::Trying { request, resend_ms } => {
                out.send(request);
                *resend_ms = self.timings.next_ms(*resend_ms);
                *resend_ms
            }
            State::Proceeding { request } => {
                out.send(request);
                self.timings.ceiling_ms()
            }
            _ => return,
        };
        self.timers.set(Timer::E, now.instant + millis(next_ms));
    }

    fn complete(&mut self, response: Message, now: Now, out: &mut Events) {
        out.hand_up(response);
        if self.reliable {
            return self.terminate(out);
        }
        self.state = State::Completed;
        self.timers = Timers::new();
        self.timers.set(Timer::K, now.instant + self.timings.straggler());
    }

    fn terminate(&mut self, out: &mut Events) {
        self.state = State::Terminated;
        self.timers = Timers::new();
        out.push(Event::Terminated);
    }
}

#[cfg(test)]
mod tests;
