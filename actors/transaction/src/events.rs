//! What a transaction wants done.

use sip::Message;

/// One thing that a transaction wants done, in the order it wants it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Send this over the hop of the transaction.
    Send(Message),
    /// A response (client) or an ACK for a 2xx (server) for the user of the transaction.
    ToUser(Message),
    /// A CANCEL that may go out now: run it in a `ClientNonInvite` over the same hop (RFC 3261 9.1).
    Cancel(Message),
    /// The ACK of a 2xx that came again: send it along the route of its dialog (RFC 3261 13.2.2.4).
    Ack(Message),
    /// Timer C: ringing for too long. The CANCEL follows by itself; the user answers 408 upstream (RFC 3261 16.8).
    Overdue,
    /// Nothing came in time (timers B, F, H, or a CANCEL without effect); `Terminated` follows.
    Timeout,
    /// The transport refused the message; `Terminated` follows, except in `ServerInvite` (RFC 6026 7.1).
    TransportFailed,
    /// The transaction is over: drop it.
    Terminated,
}

/// Events in the order they have to be carried out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    list: Vec<Event>,
}

impl Events {
    pub fn new() -> Events {
        Events::default()
    }

    pub fn push(&mut self, event: Event) {
        self.list.push(event);
    }

    /// Takes all events, keeping the room they stood in.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Event> {
        self.list.drain(..)
    }

    /// Takes all events.
    pub fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.list)
    }

    pub fn as_slice(&self) -> &[Event] {
        &self.list
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn send(&mut self, message: &Message) {
        self.push(Event::Send(message.clone()));
    }

    pub(crate) fn hand_up(&mut self, message: Message) {
        self.push(Event::ToUser(message));
    }
}

impl IntoIterator for Events {
    type Item = Event;
    type IntoIter = std::vec::IntoIter<Event>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}
