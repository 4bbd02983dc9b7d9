//! Between the office and the links: each needs the other, and neither may lose what comes while the node boots.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fabric::{NodeId, Parcel};
use ports::links;
use shell::Exchange;

/// The office's way to the links, which start after it.
#[derive(Default)]
pub(super) struct Lines(OnceLock<links::Handle>);

impl Lines {
    /// From now on parcels leave. Said once, at boot.
    pub fn open(&self, links: links::Handle) {
        // There is one boot.
        let _ = self.0.set(links);
    }
}

impl office::Links for Lines {
    fn send(&self, to: NodeId, parcel: Parcel) -> bool {
        self.lend(to, &parcel)
    }

    fn lend(&self, to: NodeId, parcel: &Parcel) -> bool {
        self.0.get().is_some_and(|links| links.send(to, parcel))
    }

    fn has_come(&self, from: NodeId) -> bool {
        self.0.get().is_some_and(|links| links.has_come(from))
    }
}

/// The links' way to the office. What comes before `open` waits: the office could not answer yet.
pub(super) struct Arrivals {
    exchange: Exchange,
    early: Mutex<Option<Vec<Event>>>,
}

enum Event {
    Link(NodeId, bool),
    Parcel(NodeId, Parcel),
}

impl Arrivals {
    pub fn new(exchange: Exchange) -> Arc<Arrivals> {
        Arc::new(Arrivals { exchange, early: Mutex::new(Some(Vec::new())) })
    }

    pub fn open(&self) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        for event in early.take().unwrap_or_default() {
            self.pass(event);
        }
    }

    fn take(&self, event: Event) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *early {
            Some(waiting) => waiting.push(event),
            None => {
                drop(early);
                self.pass(event);
            }
        }
    }

    fn pass(&self, event: Event) {
        match event {
            Event::Link(node, up) => self.exchange.on_link(node, up),
            Event::Parcel(from, parcel) => self.exchange.receive(from, parcel),
        }
    }
}

impl links::Sink for Arrivals {
    fn receive(&self, from: NodeId, parcel: Parcel) {
        self.take(Event::Parcel(from, parcel));
    }

    fn receive_all(&self, from: NodeId, parcels: &mut Vec<Parcel>) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *early {
            Some(waiting) => waiting.extend(parcels.drain(..).map(|parcel| Event::Parcel(from, parcel))),
            None => {
                drop(early);
                self.exchange.receive_all(from, parcels);
            }
        }
    }

    fn on_link(&self, node: NodeId, up: bool) {
        self.take(Event::Link(node, up));
    }
}
