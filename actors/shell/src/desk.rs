//! The way to the office: which letters it is asked about, and the task that gives it time.

use std::sync::Arc;
use std::time::Duration;

use fabric::{Address, Envelope, Letter, NodeId, Now, Post};
use office::Office;
use tokio::sync::Notify;

use crate::switchboard::Inner;

pub(crate) struct Desk {
    pub office: Arc<Office>,
    /// A table may have come: what it asks for is not to wait for the next beat.
    pub stir: Arc<Notify>,
}

impl Desk {
    pub fn new(office: Arc<Office>) -> Desk {
        Desk { office, stir: Arc::new(Notify::new()) }
    }

    /// Whether the office has a say in where this letter goes. It has none between a port of this node and its room.
    pub fn wants(&self, node: NodeId, mail: &Envelope) -> bool {
        match mail.letter {
            Letter::Received(_)
            | Letter::Transmit(_)
            | Letter::FlowClosed(_)
            | Letter::RelaySend(..)
            | Letter::RelayReceived(..)
            | Letter::Traced(_) => return false,
            _ => {}
        }
        match mail.to {
            Address::Nobody => false,
            Address::Balancer(..) | Address::Flow(_) | Address::Office(_) => true,
            other => other.node() != Some(node),
        }
    }

    pub fn route(&self, mail: Envelope, now: Now) -> Option<Envelope> {
        let for_office = matches!(mail.to, Address::Office(_));
        let here = self.office.route(mail, now);
        if for_office {
            self.stir.notify_one();
        }
        here
    }
}

/// The host's side of the office: letters for rooms and ports of this node, delivered without asking it again.
pub(crate) struct Inside(pub std::sync::Weak<Inner>);

impl Post for Inside {
    fn post(&self, envelope: Envelope) {
        if let Some(exchange) = self.0.upgrade() {
            exchange.totals.letter(&envelope.letter);
            exchange.deliver(envelope);
        }
    }
}

/// Gives the office its time until the task is aborted.
pub(crate) async fn run(exchange: Arc<Inner>) {
    let Some(desk) = &exchange.office else { return };
    loop {
        desk.office.wake(exchange.clock.now());
        let wait = desk.office.deadline().since(exchange.clock.now().instant);
        tokio::select! {
            () = tokio::time::sleep(wait.max(PAUSE_MIN)) => {}
            () = desk.stir.notified() => {}
        }
    }
}

/// Shortest sleep: the office has nothing finer to do.
const PAUSE_MIN: Duration = Duration::from_millis(1);
