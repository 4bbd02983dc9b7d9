//! One connection: a task that reads frames and writes what is queued, until either side has enough.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fabric::letters::flow::{Flow, Received};
use fabric::{Envelope, FaultKind, Letter, Thread};
use sip::{Builder, Frame, FrameError, Framer, Limits, View};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::debug;

use super::{Shared, Stream};
use crate::flow::returned;

pub(super) struct Connection {
    pub flow: Flow,
    queue: Mutex<Queue>,
    wake: Notify,
    /// We opened it, or have said yes to something over it.
    verified: AtomicBool,
    /// A message went either way: the balancer may know the flow.
    used: AtomicBool,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    state: State,
}

#[derive(Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Writes what is queued, then ends.
    Closing,
    Closed,
}

/// Bytes to write, and the question they came with.
struct Item {
    bytes: Bytes,
    asked: Option<Box<Envelope>>,
}

impl Connection {
    pub fn new(flow: Flow, ours: bool) -> Connection {
        Connection {
            flow,
            queue: Mutex::default(),
            wake: Notify::new(),
            verified: AtomicBool::new(ours),
            used: AtomicBool::new(false),
        }
    }

    /// Queues a `Transmit`; one that cannot be queued goes back when asked.
    pub fn send(&self, shared: &Shared, mut envelope: Envelope) {
        let Letter::Transmit(transmit) = std::mem::replace(&mut envelope.letter, Letter::Kept) else { return };
        if !self.verified.load(Ordering::Relaxed) && says_yes(&transmit.bytes) {
            self.verified.store(true, Ordering::Relaxed);
        }
        self.used.store(true, Ordering::Relaxed);
        let asked = (envelope.thread != Thread::NONE).then(|| Box::new(envelope));
        if let Err((kind, item)) = self.push(shared, Item { bytes: transmit.bytes, asked }) {
            shared.counters.drops.one();
            give_back(shared, item, kind);
        }
    }

    /// Lets the queue run empty and ends the connection.
    pub fn close(&self) {
        let mut queue = self.queue();
        if queue.state == State::Open {
            queue.state = State::Closing;
        }
        drop(queue);
        self.wake.notify_one();
    }

    fn push(&self, shared: &Shared, item: Item) -> Result<(), (FaultKind, Item)> {
        let mut queue = self.queue();
        if queue.state == State::Closed {
            return Err((FaultKind::FlowGone, item));
        }
        if queue.bytes + item.bytes.len() > shared.settings.queue_bytes_max {
            return Err((FaultKind::Overload, item));
        }
        queue.bytes += item.bytes.len();
        queue.items.push_back(item);
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a connection to its end.
pub(super) async fn run(shared: Arc<Shared>, connection: Arc<Connection>, stream: impl Stream) {
    let (read_half, write_half) = tokio::io::split(stream);
    let reading = read(&shared, &connection, read_half);
    let ended = tokio::select! {
        ended = reading => ended,
        ended = write(&shared, &connection, write_half) => ended,
    };
    if let Err(error) = ended {
        if error.kind() == io::ErrorKind::TimedOut {
            shared.counters.timeouts.one();
        }
        debug!(remote = %connection.flow.remote, %error, "connection ended");
    }
    end(&shared, &connection);
}

/// Takes a connection out of the table, hands back what was not written, and tells the balancer.
pub(super) fn end(shared: &Shared, connection: &Connection) {
    shared.table.remove(connection);
    let mut queue = connection.queue();
    queue.state = State::Closed;
    let unwritten = std::mem::take(&mut queue.items);
    drop(queue);
    for item in unwritten {
        give_back(shared, item, FaultKind::FlowGone);
    }
    if connection.used.load(Ordering::Relaxed) {
        let letter = Letter::FlowClosed(connection.flow);
        shared.post.post(Envelope::new(shared.me(), connection.flow.balancer, letter));
    }
}

async fn read<S: Stream>(shared: &Shared, connection: &Connection, mut stream: ReadHalf<S>) -> io::Result<()> {
    let settings = &shared.settings;
    let limits = Limits { message_bytes_max: settings.message_bytes_max, ..Limits::default() };
    let mut framer = Framer::new(limits);
    let mut buffer = [0u8; READ_BYTES];
    let mut wait = Wait::new(connection);
    loop {
        let deadline = wait.deadline(shared, connection);
        let length = match tokio::time::timeout_at(deadline, stream.read(&mut buffer)).await {
            Ok(length) => length?,
            // A yes of ours in the meantime gives more time.
            Err(_) if wait.deadline(shared, connection) > deadline => continue,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        if length == 0 {
            return linger(shared, connection).await;
        }
        shared.counters.bytes_in.add(length as u64);
        framer.feed(&buffer[..length]);
        loop {
            match framer.next() {
                Ok(Some(frame)) => {
                    wait.whole = true;
                    take(shared, connection, frame);
                }
                Ok(None) => break,
                Err(error) => {
                    shared.counters.bad_frames.one();
                    refuse(shared, connection, &error, &limits);
                    return linger(shared, connection).await;
                }
            }
        }
        wait.after_read(framer.pending_bytes() > 0);
    }
}

/// Until when the next byte must come.
struct Wait {
    last: Instant,
    /// When the first byte of the unfinished message came.
    begun: Option<Instant>,
    silent: bool,
    /// A frame was finished since the last read.
    whole: bool,
}

impl Wait {
    fn new(connection: &Connection) -> Wait {
        // A peer that we call need not say anything first.
        let silent = !connection.verified.load(Ordering::Relaxed);
        Wait { last: Instant::now(), begun: None, silent, whole: false }
    }

    fn after_read(&mut self, unfinished: bool) {
        self.last = Instant::now();
        self.silent = false;
        self.begun = match (unfinished, self.begun) {
            (false, _) => None,
            (true, Some(begun)) if !self.whole => Some(begun),
            (true, _) => Some(self.last),
        };
        self.whole = false;
    }

    fn deadline(&self, shared: &Shared, connection: &Connection) -> Instant {
        let settings = &shared.settings;
        let ms = |ms: u32| Duration::from_millis(ms.into());
        match self.begun {
            Some(begun) => begun + ms(settings.message_ms),
            None if self.silent => self.last + ms(settings.first_byte_ms),
            None if connection.verified.load(Ordering::Relaxed) => {
                self.last + Duration::from_secs(settings.idle_s.into())
            }
            None => self.last + ms(settings.unverified_idle_ms),
        }
    }
}

/// One frame: messages to the balancer, a ping is answered (RFC 5626 3.5.1).
fn take(shared: &Shared, connection: &Connection, frame: Frame) {
    match frame {
        Frame::Message(bytes) => {
            shared.counters.messages_in.one();
            connection.used.store(true, Ordering::Relaxed);
            let letter = Letter::Received(Received { flow: connection.flow, bytes });
            shared.post.post(Envelope::new(shared.me(), connection.flow.balancer, letter));
        }
        Frame::Ping => {
            shared.counters.keepalives.one();
            // A peer that pings without reading loses its pongs.
            let _ = connection.push(shared, Item { bytes: Bytes::from_static(b"\r\n"), asked: None });
        }
        Frame::Pong => shared.counters.keepalives.one(),
    }
}

/// Answers a request that cannot be framed; the stream is closed after it, so that no byte of its body becomes a message.
fn refuse(shared: &Shared, connection: &Connection, error: &FrameError, limits: &Limits) {
    debug!(remote = %connection.flow.remote, error = %error.error, "bad frame");
    let Some(head) = &error.head else { return };
    if let Some(view) = View::salvage(head, limits).filter(View::is_request) {
        if matches!(view.method(), sip::Method::Ack) {
            return;
        }
        let reply = Builder::reply_to(&view, error.status(), Some(b"frame")).build();
        let _ = connection.push(shared, Item { bytes: reply.bytes().clone(), asked: None });
    }
}

/// The peer sends no more, or nothing that we would believe: writes what is queued or still comes, for a moment.
async fn linger(shared: &Shared, connection: &Connection) -> io::Result<()> {
    shared.table.hide(connection);
    tokio::time::sleep(LINGER).await;
    Ok(())
}

/// Writes what is queued, until told to close.
async fn write<S: Stream>(shared: &Shared, connection: &Connection, mut stream: WriteHalf<S>) -> io::Result<()> {
    let limit = Duration::from_millis(shared.settings.write_ms.into());
    loop {
        let (next, closing) = {
            let queue = connection.queue();
            (queue.items.front().map(|item| item.bytes.clone()), queue.state == State::Closing)
        };
        match next {
            Some(bytes) => {
                let written = tokio::time::timeout(limit, stream.write_all(&bytes)).await;
                // An item that was not written whole stays in the queue, and goes back from there.
                written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
                shared.counters.messages_out.one();
                shared.counters.bytes_out.add(bytes.len() as u64);
                let mut queue = connection.queue();
                queue.items.pop_front();
                queue.bytes -= bytes.len();
            }
            None if closing => return stream.shutdown().await,
            None => {
                stream.flush().await?;
                connection.wake.notified().await;
            }
        }
    }
}

fn give_back(shared: &Shared, item: Item, kind: FaultKind) {
    if let Some(asked) = item.asked {
        returned(&*shared.post, &asked, kind, "connection");
    }
}

/// Whether these bytes show that the switch trusts the peer: a request of ours, or a success to anything but OPTIONS.
fn says_yes(bytes: &[u8]) -> bool {
    match bytes.strip_prefix(b"SIP/2.0 ") {
        None => true,
        Some(rest) => rest.first() == Some(&b'2') && !bytes.windows(OPTIONS.len()).any(|window| window == OPTIONS),
    }
}

const OPTIONS: &[u8] = b" OPTIONS\r\n";

/// Bytes read at a time.
const READ_BYTES: usize = 4096;

/// How long a connection stays after its last readable byte, for answers that are still on their way.
const LINGER: Duration = Duration::from_millis(500);
