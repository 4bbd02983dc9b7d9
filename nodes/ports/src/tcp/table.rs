//! All connections by number and by remote address, and how many an address has.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fabric::hash::FixedMap;
use tokio::sync::Notify;

use super::connection::Connection;

pub(super) struct Table {
    inner: Mutex<Inner>,
    connections_max: usize,
    per_address_max: usize,
    empty: Notify,
}

struct Inner {
    next: u64,
    by_number: FixedMap<u64, Arc<Connection>>,
    /// Listener and remote address → number of the newest connection between them.
    by_remote: FixedMap<(u16, SocketAddr), u64>,
    per_address: FixedMap<IpAddr, usize>,
    closed: bool,
}

impl Table {
    pub fn new(first: u64, connections_max: usize, per_address_max: usize) -> Table {
        let inner = Inner {
            next: first.max(1),
            by_number: FixedMap::default(),
            by_remote: FixedMap::default(),
            per_address: FixedMap::default(),
            closed: false,
        };
        Table { inner: Mutex::new(inner), connections_max, per_address_max, empty: Notify::new() }
    }

    pub fn len(&self) -> usize {
        self.lock().by_number.len()
    }

    pub fn by_number(&self, number: u64) -> Option<Arc<Connection>> {
        self.lock().by_number.get(&number).cloned()
    }

    pub fn by_remote(&self, listener: u16, remote: SocketAddr) -> Option<Arc<Connection>> {
        let inner = self.lock();
        inner.by_number.get(inner.by_remote.get(&(listener, remote))?).cloned()
    }

    /// Adds a connection, or finds the one that is there already when we are the ones to open it (`false`); `None` when a
    /// limit is reached. Peers' limit per address does not hold for connections that we open.
    pub fn admit(
        &self,
        listener: u16,
        remote: SocketAddr,
        ours: bool,
        make: impl FnOnce(u64) -> Connection,
    ) -> Option<(Arc<Connection>, bool)> {
        let mut inner = self.lock();
        if inner.closed {
            return None;
        }
        let known = inner.by_remote.get(&(listener, remote)).and_then(|number| inner.by_number.get(number));
        if let Some(known) = known.filter(|_| ours) {
            return Some((Arc::clone(known), false));
        }
        let of_address = inner.per_address.get(&remote.ip()).copied().unwrap_or(0);
        let too_many = !ours && self.per_address_max > 0 && of_address >= self.per_address_max;
        if inner.by_number.len() >= self.connections_max || too_many {
            return None;
        }
        let number = inner.next;
        inner.next += 1;
        let connection = Arc::new(make(number));
        inner.by_number.insert(number, Arc::clone(&connection));
        inner.by_remote.insert((listener, remote), number);
        *inner.per_address.entry(remote.ip()).or_insert(0) += 1;
        Some((connection, true))
    }

    /// No new message is to choose this connection by its address.
    pub fn hide(&self, connection: &Connection) {
        let mut inner = self.lock();
        let place = (connection.flow.listener, connection.flow.remote);
        if inner.by_remote.get(&place) == Some(&connection.flow.connection) {
            inner.by_remote.remove(&place);
        }
    }

    pub fn remove(&self, connection: &Connection) {
        self.hide(connection);
        let mut inner = self.lock();
        if inner.by_number.remove(&connection.flow.connection).is_none() {
            return;
        }
        let address = connection.flow.remote.ip();
        if let Some(count) = inner.per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                inner.per_address.remove(&address);
            }
        }
        if inner.by_number.is_empty() {
            self.empty.notify_waiters();
        }
    }

    /// Admits nothing any more and tells every connection to end.
    pub fn close_all(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.by_number.values().for_each(|connection| connection.close());
    }

    /// Waits until no connection is left.
    pub async fn emptied(&self) {
        loop {
            let waiting = self.empty.notified();
            tokio::pin!(waiting);
            // Listening begins before the look, so that the last removal is not missed.
            waiting.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            waiting.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
