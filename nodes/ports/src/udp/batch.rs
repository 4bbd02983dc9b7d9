//! `recvmmsg` and `sendmmsg`: many datagrams with one system call.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use bytes::Bytes;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

/// Datagrams in a batch, count.
pub(super) const BATCH: usize = 32;

/// Largest UDP payload, bytes.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Room for one batch. Pages that no datagram ever reached cost nothing.
pub(super) struct Inbox {
    room: Vec<u8>,
    headers: MultiHeaders<SockaddrStorage>,
    /// Sender and length of what the last `receive` read.
    read: Vec<(SocketAddr, usize)>,
}

// SAFETY: the pointers inside `MultiHeaders` lead to its own boxed slices, which move with it, and to the slices of
// `receive`, which are written anew at each call and not followed in between.
unsafe impl Send for Inbox {}

impl Inbox {
    pub fn new() -> Inbox {
        Inbox {
            room: vec![0; BATCH * DATAGRAM_BYTES_MAX],
            headers: MultiHeaders::preallocate(BATCH, None),
            read: Vec::with_capacity(BATCH),
        }
    }

    /// Reads what has arrived, up to a batch; `WouldBlock` when nothing has.
    pub fn receive(&mut self, socket: RawFd) -> io::Result<usize> {
        self.read.clear();
        let mut places = self.room.chunks_exact_mut(DATAGRAM_BYTES_MAX);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(places.next().expect("room for a batch"))]);
        let results = recvmmsg(socket, &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        for result in results {
            let from = result.address.and_then(to_std);
            // No address would mean a socket of another family; such a datagram keeps its place with length zero.
            self.read.push(from.map_or((SocketAddr::from(([0, 0, 0, 0], 0)), 0), |from| (from, result.bytes)));
        }
        Ok(self.read.len())
    }

    /// What the last `receive` read.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let places = self.room.chunks_exact(DATAGRAM_BYTES_MAX);
        self.read.iter().zip(places).map(|((from, length), place)| (*from, &place[..*length]))
    }
}

/// Sends the first datagrams of `queue`, up to a batch; returns how many the kernel took. An error is about the first.
pub(super) fn send_batch(socket: RawFd, queue: &[(SocketAddr, Bytes)]) -> io::Result<usize> {
    let batch = &queue[..queue.len().min(BATCH)];
    let slices: Vec<[IoSlice<'_>; 1]> = batch.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
    let addresses: Vec<Option<SockaddrStorage>> =
        batch.iter().map(|(to, _)| Some(SockaddrStorage::from(*to))).collect();
    let mut headers = MultiHeaders::preallocate(batch.len(), None);
    let results = sendmmsg(socket, &mut headers, &slices, &addresses, [], MsgFlags::MSG_DONTWAIT)?;
    Ok(results.count())
}

fn to_std(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}
