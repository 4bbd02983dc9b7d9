//! Reads one connection of a session until it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fabric::{Parcel, codec};
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsStream;
use tracing::warn;

use super::commands;
use super::frame::{self, FRAME_BYTES_MAX, Frame};
use super::peer::{Arrivals, Peer};
use super::roles::{Roles, may};
use super::shared::Shared;
use super::writer;

/// Why a connection is no longer served.
pub(super) enum End {
    /// The session may go on over another one.
    Broken(String),
    /// The session is over.
    Over(String),
    /// The peer has opened a newer one: the latest is the good one, since only one side dials, and one at a time.
    Replaced(Box<Arrivals>),
}

/// Serves a greeted connection; when it returns, nothing is written on it any more.
pub(super) async fn serve(
    peer: &Arc<Peer>,
    shared: &Arc<Shared>,
    roles: Roles,
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
    arrivals: &mut mpsc::Receiver<Arrivals>,
) -> End {
    let (read, write) = tokio::io::split(stream);
    let mut writer = tokio::spawn(writer::run(Arc::clone(peer), Arc::clone(shared), write));
    let (refusals, parcels) = (Refusals::default(), Vec::new());
    let reader = Reader { peer, shared, roles, refusals, unacknowledged: (0, 0), parcels };
    let end = reader.run(read, buffer, arrivals).await;
    if peer.is_over(shared) {
        peer.desk().closing = true;
        peer.wake.notify_one();
        if timeout(GOODBYE, &mut writer).await.is_ok() {
            return end;
        }
    }
    writer.abort();
    let _ = writer.await;
    end
}

struct Reader<'a> {
    peer: &'a Arc<Peer>,
    shared: &'a Arc<Shared>,
    roles: Roles,
    refusals: Refusals,
    /// Parcels and bytes since the peer was last told to be told.
    unacknowledged: (u32, usize),
    /// Parcels of the batch that is being read.
    parcels: Vec<Parcel>,
}

impl Reader<'_> {
    async fn run(
        mut self,
        mut read: ReadHalf<TlsStream<TcpStream>>,
        mut buffer: BytesMut,
        arrivals: &mut mpsc::Receiver<Arrivals>,
    ) -> End {
        let (peer, shared) = (self.peer, self.shared);
        let silence = Duration::from_millis(u64::from(shared.settings.silence_ms));
        let (stopped, kicked) = (peer.until_over(shared), peer.kick.notified());
        tokio::pin!(stopped, kicked);
        loop {
            if let Err(end) = self.frames(&mut buffer) {
                return end;
            }
            if buffer.capacity() - buffer.len() < READ_BYTES / 4 {
                buffer.reserve(READ_BYTES);
            }
            tokio::select! {
                biased;
                () = &mut stopped => return End::Over("stopped".to_owned()),
                () = &mut kicked => {
                    if !peer.is_up() {
                        return End::Over("its window was full".to_owned());
                    }
                    kicked.set(peer.kick.notified());
                }
                Some(arrival) = arrivals.recv() => return End::Replaced(Box::new(arrival)),
                result = timeout(silence, read.read_buf(&mut buffer)) => match result {
                    Ok(Ok(0)) => return End::Broken("the peer closed the connection".to_owned()),
                    Ok(Ok(bytes)) => {
                        shared.counters.bytes_in.add(bytes as u64);
                        peer.traffic.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
                        peer.traffic.came.store(true, Ordering::Relaxed);
                    }
                    Ok(Err(error)) => return End::Broken(format!("reading: {error}")),
                    Err(_) => {
                        shared.counters.silences.one();
                        return End::Broken(format!("nothing came for {} ms", silence.as_millis()));
                    }
                },
            }
        }
    }

    /// Takes all whole frames out of the buffer.
    fn frames(&mut self, buffer: &mut BytesMut) -> Result<(), End> {
        loop {
            let frame = match frame::cut(buffer, FRAME_BYTES_MAX) {
                Ok(None) => return Ok(()),
                Ok(Some((kind, body))) => frame::parse(kind, body),
                Err(error) => Err(error),
            };
            let frame = frame.map_err(|error| self.nonsense(&error.to_string()))?;
            self.frame(frame)?;
        }
    }

    fn frame(&mut self, frame: Frame) -> Result<(), End> {
        match frame {
            Frame::Batch { lane, first, count, parcels } => self.batch(lane, first, count, parcels)?,
            Frame::Ack(received) => {
                if !self.peer.desk().out.acknowledge(received) {
                    return Err(self.nonsense("it acknowledges what was never sent"));
                }
            }
            Frame::Ping(number) => {
                self.peer.desk().pong = Some(number);
                self.peer.wake.notify_one();
            }
            Frame::Pong(number) => {
                if let Some(round_trip) = self.shared.micros().checked_sub(number) {
                    self.peer.traffic.round_trip_us.store(round_trip.max(1), Ordering::Relaxed);
                }
            }
            Frame::Bye => return Err(End::Over("the peer said goodbye".to_owned())),
            Frame::Ask(number, command) => commands::serve(self.shared, self.peer, self.roles, number, command),
            Frame::Answer(number, status, answer) => {
                self.peer.commands().answered(number, status, Bytes::copy_from_slice(&answer));
            }
        }
        Ok(())
    }

    fn batch(&mut self, lane: usize, first: u64, count: u32, mut parcels: Bytes) -> Result<(), End> {
        let Some(known) = self.peer.desk().incoming.known(lane, first, count) else {
            return Err(self.nonsense("parcels are missing"));
        };
        let bytes = parcels.len();
        let mut whole = Ok(());
        for place in 0..count {
            let parcel = match frame::next_parcel(&mut parcels) {
                Ok(parcel) => parcel,
                Err(error) => {
                    whole = Err(self.nonsense(&error.to_string()));
                    break;
                }
            };
            match place < known {
                true => self.shared.counters.duplicates.one(),
                false => self.decode(&parcel),
            }
        }
        if !self.parcels.is_empty() {
            self.shared.sink.receive_all(self.peer.node, &mut self.parcels);
            self.parcels.clear();
        }
        whole?;
        self.shared.counters.parcels_in.add(u64::from(count - known));
        self.peer.traffic.parcels_in.fetch_add(u64::from(count - known), Ordering::Relaxed);
        let mut desk = self.peer.desk();
        let received = &mut desk.incoming.received[lane];
        *received = (*received).max(first + u64::from(count) - 1);
        drop(desk);
        // Small traffic is acknowledged with what goes the other way, at the latest with the next ping.
        self.unacknowledged = (self.unacknowledged.0 + count, self.unacknowledged.1 + bytes);
        if self.unacknowledged.0 >= ACK_PARCELS || self.unacknowledged.1 >= ACK_BYTES {
            self.unacknowledged = (0, 0);
            self.peer.wake.notify_one();
        }
        Ok(())
    }

    fn decode(&mut self, bytes: &[u8]) {
        match codec::decode_parcel(bytes) {
            Ok(parcel) if may(self.peer.node, self.roles, &parcel) => self.parcels.push(parcel),
            Ok(parcel) => {
                self.shared.counters.unauthorised.one();
                if let Some(hidden) = self.refusals.say() {
                    let what = writer::describe(&parcel);
                    warn!(node = self.peer.node.0, roles = %self.roles, what, hidden, "a node may not send this");
                }
            }
            Err(error) => {
                self.shared.counters.malformed.one();
                if let Some(hidden) = self.refusals.say() {
                    warn!(node = self.peer.node.0, %error, hidden, "a parcel that this build cannot read");
                }
            }
        }
    }

    /// Bytes that no build of ours writes; nothing behind them can be trusted.
    fn nonsense(&self, what: &str) -> End {
        self.shared.counters.bad_frames.one();
        warn!(node = self.peer.node.0, what, "link reset");
        End::Over(what.to_owned())
    }
}

/// One line a second, and how many were not shown.
#[derive(Default)]
struct Refusals {
    said: Option<Instant>,
    hidden: u64,
}

impl Refusals {
    fn say(&mut self) -> Option<u64> {
        if self.said.is_some_and(|said| said.elapsed() < Duration::from_secs(1)) {
            self.hidden += 1;
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.hidden))
    }
}

/// Room that a read is offered, bytes.
const READ_BYTES: usize = 64 * 1024;

/// The peer is told what is here after so many parcels or bytes.
const ACK_PARCELS: u32 = 256;
const ACK_BYTES: usize = 64 * 1024;

/// Longest goodbye.
const GOODBYE: Duration = Duration::from_millis(500);
