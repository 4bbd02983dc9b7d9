//! INVITE server transaction: answers an INVITE and sees to it that the answer arrives.
//! RFC 3261 17.2.1, with the Accepted state of RFC 6026 7.1.

use fabric::{Instant, Now, Timers};
use serde::{Deserialize, Serialize};
use sip::{Class, Message, Method};

use crate::key::is_unique;
use crate::timings::millis;
use crate::{Event, Events, Timings, construct};

/// One INVITE that a peer has sent us. The user has the INVITE already; it is not handed up again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerInvite {
    state: State,
    timers: Timers<Timer>,
    timings: Timings,
    reliable: bool,
    /// The branch names the transaction; otherwise an ACK must also show the tag of our response.
    unique: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    /// No response yet; the INVITE is kept for the 100 that is due.
    Fresh {
        invite: Box<Message>,
    },
    Proceeding {
        response: Box<Message>,
    },
    Accepted,
    Completed {
        response: Box<Message>,
        resend_ms: u32,
    },
    Confirmed,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Timer {
    /// Nothing said yet: 100 Trying, `Timings::trying_ms`.
    Trying,
    /// Resend the refusal; doubles from T1 to T2.
    G,
    /// No ACK for the refusal, 64*T1.
    H,
    /// Repeated ACKs are absorbed, T4.
    I,
    /// Repeated INVITEs are absorbed after a 2xx, 64*T1.
    L,
}

impl ServerInvite {
    /// Takes up `invite`; 100 Trying goes out after `Timings::trying_ms` unless the user answers first.
    // Deviation: 17.2.1 allows 200 ms before 100 Trying; by default we send it at once, edges are one hop away.
    pub fn new(invite: Message, reliable: bool, now: Now, timings: &Timings, out: &mut Events) -> ServerInvite {
        let mut timers = Timers::new();
        let unique = is_unique(invite.view().top_via().ok().and_then(|via| via.branch()));
        let state = if timings.trying_ms == 0 {
            let trying = construct::trying(&invite.view());
            out.send(&trying);
            State::Proceeding { response: Box::new(trying) }
        } else {
            timers.set(Timer::Trying, now.instant + millis(timings.trying_ms));
            State::Fresh { invite: Box::new(invite) }
        };
        ServerInvite { state, timers, timings: *timings, reliable, unique }
    }

    /// A repeated INVITE or an ACK with the key of this transaction arrived.
    pub fn on_request(&mut self, request: Message, now: Now, out: &mut Events) {
        let is_ack = request.view().method() == Method::Ack;
        match &self.state {
            State::Proceeding { response } | State::Completed { response, .. } if !is_ack => out.send(response),
            State::Completed { response, .. } if self.unique || same_tags(response, &request) => self.confirm(now, out),
            State::Accepted if is_ack => out.hand_up(request),
            _ => {}
        }
    }

    /// Sends a response of the user; what no longer fits (a second final) is dropped.
    ///
    /// After a 2xx further 2xx may be sent: the user resends it until the ACK (RFC 3261 13.3.1.4).
    pub fn respond(&mut self, response: Message, now: Now, out: &mut Events) {
        let Some(status) = response.status() else {
            return;
        };
        match (&self.state, status.class()) {
            (State::Fresh { .. } | State::Proceeding { .. }, Class::Provisional) => {
                out.send(&response);
                self.timers.cancel(&Timer::Trying);
                self.state = State::Proceeding { response: Box::new(response) };
            }
            (State::Fresh { .. } | State::Proceeding { .. }, Class::Success) => {
                out.send(&response);
                self.state = State::Accepted;
                self.timers = Timers::new();
                self.timers.set(Timer::L, now.instant + self.timings.transaction());
            }
            (State::Fresh { .. } | State::Proceeding { .. }, _) => self.refuse(response, now, out),
            (State::Accepted, Class::Success) => out.send(&response),
            _ => {}
        }
    }

    /// The transport could not deliver a response; the state stays, the user decides (RFC 6026 7.1).
    pub fn on_transport_error(&mut self, _now: Now, out: &mut Events) {
        if matches!(self.state, State::Proceeding { .. } | State::Accepted | State::Completed { .. }) {
            out.push(Event::TransportFailed);
        }
    }

    /// Carries out every timer that is due.
    pub fn wake(&mut self, now: Now, out: &mut Events) {
        while let Some(timer) = self.timers.pop(now.instant) {
            match timer {
                Timer::Trying => {
                    if let State::Fresh { invite } = &self.state {
                        let trying = construct::trying(&invite.view());
                        self.respond(trying, now, out);
                    }
                }
                Timer::G => self.resend(now, out),
                Timer::H => {
                    out.push(Event::Timeout);
                    self.terminate(out);
                }
                Timer::I | Timer::L => self.terminate(out),
            }
        }
    }

    /// The earliest timer.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.earliest()
    }

    /// The state's name in RFC 6026 7.1, lower case.
    pub fn state(&self) -> &'static str {
        match self.state {
            State::Fresh { .. } | State::Proceeding { .. } => "proceeding",
            State::Accepted => "accepted",
            State::Completed { .. } => "completed",
            State::Confirmed => "confirmed",
            State::Terminated => "terminated",
        }
    }

    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Whether the user still owes a final response.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Fresh { .. } | State::Proceeding { .. })
    }

    fn refuse(&mut self, response: Message, now: Now, out: &mut Events) {
        out.send(&response);
        self.timers = Timers::new();
        let resend_ms = self.timings.first_ms();
        if !self.reliable {
            self.timers.set(Timer::G, now.instant + millis(resend_ms));
        }
        self.timers.set(Timer::H, now.instant + self.timings.transaction());
        self.state = State::Completed { response: Box::new(response), resend_ms };
    }

    fn resend(&mut self, now: Now, out: &mut Events) {
        if let State::Completed { response, resend_ms } = &mut self.state {
            out.send(response);
            *resend_ms = self.timings.next_ms(*resend_ms);
            self.timers.set(Timer::G, now.instant + millis(*resend_ms));
        }
    }

    fn confirm(&mut self, now: Now, out: &mut Events) {
        if self.reliable {
            return self.terminate(out);
        }
        self.state = State::Confirmed;
        self.timers = Timers::new();
        self.timers.set(Timer::I, now.instant + self.timings.straggler());
    }

    fn terminate(&mut self, out: &mut Events) {
        self.state = State::Terminated;
        self.timers = Timers::new();
        out.push(Event::Terminated);
    }
}

/// Whether an ACK of RFC 2543 answers this response: its To tag is the response's (RFC 3261 17.2.3).
fn same_tags(response: &Message, ack: &Message) -> bool {
    let (response, ack) = (response.view(), ack.view());
    match (response.to(), ack.to()) {
        (Ok(ours), Ok(theirs)) => ours.tag() == theirs.tag(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
