//! INVITE client transaction: sends an INVITE until something answers.
//! RFC 3261 17.1.1, with the Accepted state of RFC 6026 7.2 and Timer C of RFC 3261 16.6.

use fabric::{Instant, Now, Timers};
use serde::{Deserialize, Serialize};
use sip::{Class, Message, View};

use crate::timings::millis;
use crate::{Event, Events, Timings, construct};

/// One INVITE on its way to one hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientInvite {
    state: State,
    timers: Timers<Timer>,
    timings: Timings,
    reliable: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    /// Nothing heard; `cancel` holds the Reason of a CANCEL that has to wait for a provisional response.
    Calling {
        invite: Box<Message>,
        resend_ms: u32,
        cancel: Option<Box<[u8]>>,
    },
    Proceeding {
        invite: Box<Message>,
        cancelled: bool,
    },
    /// One ACK for each answer that the user has acknowledged.
    Accepted {
        acks: Vec<Message>,
    },
    Completed {
        ack: Box<Message>,
    },
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Timer {
    /// Resend the INVITE; doubles from T1.
    A,
    /// No response at all, 64*T1.
    B,
    /// No final response, `Timings::timer_c_ms` after the last provisional one.
    C,
    /// Refusals may still be repeated, `Timings::timer_d_ms`.
    D,
    /// 2xx may still arrive, 64*T1.
    M,
    /// The CANCEL had no effect within 64*T1: RFC 3261 9.1.
    Cancelled,
}

impl ClientInvite {
    /// Sends `invite` for the first time; `reliable` says whether the transport resends by itself.
    pub fn new(invite: Message, reliable: bool, now: Now, timings: &Timings, out: &mut Events) -> ClientInvite {
        let mut timers = Timers::new();
        out.send(&invite);
        if !reliable {
            timers.set(Timer::A, now.instant + millis(timings.first_ms()));
        }
        timers.set(Timer::B, now.instant + timings.transaction());
        let state = State::Calling { invite: Box::new(invite), resend_ms: timings.first_ms(), cancel: None };
        ClientInvite { state, timers, timings: *timings, reliable }
    }

    /// A response with the key of this transaction arrived.
    pub fn on_response(&mut self, response: Message, now: Now, out: &mut Events) {
        let Some(status) = response.status() else {
            return;
        };
        match (&mut self.state, status.class()) {
            (State::Calling { .. }, Class::Provisional) => self.proceed(response, now, out),
            (State::Proceeding { cancelled, .. }, Class::Provisional) => {
                // 100 does not prolong the wait: RFC 3261 16.7 step 2.
                if !*cancelled && status.code() != 100 {
                    self.restart_c(now);
                }
                out.hand_up(response);
            }
            (State::Calling { .. } | State::Proceeding { .. }, Class::Success) => self.accept(response, now, out),
            (State::Calling { .. } | State::Proceeding { .. }, _) => self.complete(response, now, out),
            (State::Accepted { acks }, Class::Success) => match acknowledged(acks, &response.view()) {
                Some(ack) => out.push(Event::Ack(ack.clone())),
                None => out.hand_up(response),
            },
            (State::Completed { ack }, class) if class > Class::Success => out.send(ack),
            (State::Accepted { .. } | State::Completed { .. } | State::Terminated, _) => {}
        }
    }

    /// Remembers the ACK that the user sent for a 2xx, for repetitions of that 2xx (matched by To tag).
    pub fn acknowledge(&mut self, ack: Message) {
        if let State::Accepted { acks } = &mut self.state {
            let known = acks.iter().position(|known| same_to_tag(&known.view(), &ack.view()));
            match known {
                Some(at) => acks[at] = ack,
                None if acks.len() < ANSWERS_MAX => acks.push(ack),
                None => {}
            }
        }
    }

    /// Cancels the call attempt: `Event::Cancel` follows now or after the first provisional response.
    ///
    /// `reason` is the value of a Reason header (RFC 3326). Nothing happens when a final response has been seen; a 2xx
    /// that crosses the CANCEL still comes up and wants ACK and BYE.
    pub fn cancel(&mut self, reason: Option<&str>, now: Now, out: &mut Events) {
        match &mut self.state {
            State::Calling { cancel, .. } if cancel.is_none() => {
                *cancel = Some(reason.unwrap_or_default().as_bytes().into());
            }
            State::Proceeding { invite, cancelled: cancelled @ false } => {
                *cancelled = true;
                out.push(Event::Cancel(construct::cancel(&invite.view(), reason.map(str::as_bytes))));
                self.timers.cancel(&Timer::C);
                self.timers.set(Timer::Cancelled, now.instant + self.timings.transaction());
            }
            _ => {}
        }
    }

    /// The transport could not deliver what this transaction sent.
    ///
    /// Deviation: figure 5 of 17.1.1.2 also ends Completed here. The user has its answer then, and who has not got the ACK
    /// repeats the refusal, perhaps when our address has moved to another machine; only Timer D ends the wait for that.
    pub fn on_transport_error(&mut self, _now: Now, out: &mut Events) {
        if matches!(self.state, State::Calling { .. }) {
            out.push(Event::TransportFailed);
            self.terminate(out);
        }
    }

    /// Carries out every timer that is due.
    pub fn wake(&mut self, now: Now, out: &mut Events) {
        while let Some(timer) = self.timers.pop(now.instant) {
            match timer {
                Timer::A => self.resend(now, out),
                Timer::C => {
                    out.push(Event::Overdue);
                    self.cancel(Some(OVERDUE), now, out);
                }
                Timer::B | Timer::Cancelled => {
                    out.push(Event::Timeout);
                    self.terminate(out);
                }
                Timer::D | Timer::M => self.terminate(out),
            }
        }
    }

    /// The earliest timer.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.earliest()
    }

    /// The state's name in RFC 6026 7.2, lower case.
    pub fn state(&self) -> &'static str {
        match self.state {
            State::Calling { .. } => "calling",
            State::Proceeding { .. } => "proceeding",
            State::Accepted { .. } => "accepted",
            State::Completed { .. } => "completed",
            State::Terminated => "terminated",
        }
    }

    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Whether a final response (or the end) is still to come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    /// The INVITE, while it is still unanswered.
    pub fn invite(&self) -> Option<&Message> {
        match &self.state {
            State::Calling { invite, .. } | State::Proceeding { invite, .. } => Some(invite),
            _ => None,
        }
    }

    fn resend(&mut self, now: Now, out: &mut Events) {
        // Timer A doubles without a ceiling; only E and G stop at T2. RFC 3261 17.1.1.2.
        if let State::Calling { invite, resend_ms, .. } = &mut self.state {
            out.send(invite);
            *resend_ms = resend_ms.saturating_mul(2);
            self.timers.set(Timer::A, now.instant + millis(*resend_ms));
        }
    }

    fn proceed(&mut self, response: Message, now: Now, out: &mut Events) {
        let State::Calling { invite, cancel, .. } = std::mem::replace(&mut self.state, State::Terminated) else {
            return;
        };
        self.state = State::Proceeding { invite, cancelled: false };
        self.timers.cancel(&Timer::A);
        self.timers.cancel(&Timer::B);
        self.restart_c(now);
        out.hand_up(response);
        if let Some(reason) = cancel {
            let reason = std::str::from_utf8(&reason).ok().filter(|reason| !reason.is_empty());
            self.cancel(reason, now, out);
        }
    }

    fn accept(&mut self, response: Message, now: Now, out: &mut Events) {
        self.state = State::Accepted { acks: Vec::new() };
        self.timers = Timers::new();
        self.timers.set(Timer::M, now.instant + self.timings.transaction());
        out.hand_up(response);
    }

    fn complete(&mut self, response: Message, now: Now, out: &mut Events) {
        let Some(invite) = self.invite() else { return };
        let ack = construct::ack_failure(&invite.view(), &response.view());
        out.send(&ack);
        out.hand_up(response);
        if self.reliable {
            return self.terminate(out);
        }
        self.state = State::Completed { ack: Box::new(ack) };
        self.timers = Timers::new();
        self.timers.set(Timer::D, now.instant + millis(self.timings.timer_d_ms));
    }

    fn restart_c(&mut self, now: Now) {
        if self.timings.timer_c_ms > 0 {
            self.timers.set(Timer::C, now.instant + millis(self.timings.timer_c_ms));
        }
    }

    fn terminate(&mut self, out: &mut Events) {
        self.state = State::Terminated;
        self.timers = Timers::new();
        out.push(Event::Terminated);
    }
}

fn acknowledged<'a>(acks: &'a [Message], response: &View<'_>) -> Option<&'a Message> {
    acks.iter().find(|ack| same_to_tag(&ack.view(), response))
}

fn same_to_tag(one: &View<'_>, other: &View<'_>) -> bool {
    match (one.to(), other.to()) {
        (Ok(one), Ok(other)) => one.tag() == other.tag(),
        _ => false,
    }
}

/// Answers of one forked INVITE whose ACK is kept; further ones go up to the user each time.
const ANSWERS_MAX: usize = 8;
/// Reason of the CANCEL that Timer C causes.
const OVERDUE: &str = "SIP;cause=408;text=\"Request Timeout\"";

#[cfg(test)]
mod tests;
