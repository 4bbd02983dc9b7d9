//! Operator commands between nodes: a question and an answer, at most once, with a deadline. They travel on the
//! connection of the data lane beside the parcels, have a small window of their own, and end with the connection.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fabric::NodeId;
use tokio::sync::oneshot;

use super::frame::{AnswerStatus, put_answer, put_ask};
use super::peer::Peer;
use super::roles::Roles;
use super::shared::Shared;

/// What runs the commands of other nodes.
pub trait Commands: Send + Sync {
    /// Runs a command; `roles` are those of the asking node's certificate. An answer that takes longer than half a
    /// minute, or is larger than 512 kB, does not arrive.
    fn run(&self, from: NodeId, roles: Roles, command: Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send>>;
}

/// Why there is no answer; the command may have been run unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No such node in the configuration; not run.
    Unknown,
    /// No connection; not run.
    Down,
    /// Too many commands wait here or there; not run.
    Busy,
    /// The command is larger than 64 kB; not run.
    TooLarge,
    /// The other node takes no commands; not run.
    NotServed,
    /// The connection broke before the answer came.
    Lost,
    /// No answer in time.
    Timeout,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CommandError::Unknown => "no such node",
            CommandError::Down => "no link to the node",
            CommandError::Busy => "too many commands wait",
            CommandError::TooLarge => "the command is too large",
            CommandError::NotServed => "the node takes no commands",
            CommandError::Lost => "the link broke before the answer came",
            CommandError::Timeout => "no answer in time",
        })
    }
}

impl std::error::Error for CommandError {}

/// Commands to and from one peer.
#[derive(Default)]
pub(super) struct Ledger {
    next: u64,
    /// Asked from here, not answered.
    open: BTreeMap<u64, oneshot::Sender<Result<Bytes, CommandError>>>,
    /// Frames that wait to be written.
    out: VecDeque<Vec<u8>>,
    /// Asked from there, not answered.
    running: usize,
}

impl Ledger {
    fn ask(&mut self, command: &[u8]) -> Result<(u64, oneshot::Receiver<Result<Bytes, CommandError>>), CommandError> {
        if self.open.len() >= OPEN_MAX {
            return Err(CommandError::Busy);
        }
        self.next += 1;
        let (sender, receiver) = oneshot::channel();
        self.open.insert(self.next, sender);
        let mut frame = Vec::with_capacity(command.len() + 16);
        put_ask(&mut frame, self.next, command);
        self.out.push_back(frame);
        Ok((self.next, receiver))
    }

    /// The peer has answered; an answer to what nobody asks any more is passed over.
    pub fn answered(&mut self, number: u64, status: AnswerStatus, answer: Bytes) {
        let Some(asker) = self.open.remove(&number) else { return };
        let _ = asker.send(match status {
            AnswerStatus::Done => Ok(answer),
            AnswerStatus::Busy => Err(CommandError::Busy),
            AnswerStatus::NotServed => Err(CommandError::NotServed),
        });
    }

    /// Adds what waits to a write.
    pub fn take(&mut self, out: &mut Vec<u8>) {
        for frame in self.out.drain(..) {
            out.extend_from_slice(&frame);
        }
    }

    /// The connection is gone: nobody will answer.
    pub fn lose(&mut self) {
        self.out.clear();
        for (_, asker) in std::mem::take(&mut self.open) {
            let _ = asker.send(Err(CommandError::Lost));
        }
    }

    fn answer(&mut self, number: u64, status: AnswerStatus, answer: &[u8]) {
        let mut frame = Vec::with_capacity(answer.len() + 16);
        put_answer(&mut frame, number, status, answer);
        self.out.push_back(frame);
    }
}

/// Asks a peer and waits for its answer.
pub(super) async fn ask(peer: &Peer, command: &[u8], timeout: Duration) -> Result<Bytes, CommandError> {
    if command.len() > COMMAND_BYTES_MAX {
        return Err(CommandError::TooLarge);
    }
    if !peer.is_connected() {
        return Err(CommandError::Down);
    }
    let (number, receiver) = peer.commands().ask(command)?;
    let _asked = Asked { peer, number };
    peer.wake.notify_one();
    match tokio::time::timeout(timeout, receiver).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(CommandError::Lost),
        Err(_) => Err(CommandError::Timeout),
    }
}

/// Makes room when nobody waits any more.
struct Asked<'a> {
    peer: &'a Peer,
    number: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.peer.commands().open.remove(&self.number);
    }
}

/// Runs a command of the peer, in a task of its own.
pub(super) fn serve(shared: &Arc<Shared>, peer: &Arc<Peer>, roles: Roles, number: u64, command: Bytes) {
    let refusal = match shared.commands.get() {
        None => Some(AnswerStatus::NotServed),
        Some(_) if command.len() > COMMAND_BYTES_MAX => Some(AnswerStatus::NotServed),
        Some(_) if peer.commands().running >= RUNNING_MAX => Some(AnswerStatus::Busy),
        Some(_) => None,
    };
    if let Some(status) = refusal {
        let mut ledger = peer.commands();
        // Somebody who asks and asks and does not read costs no more than this.
        if ledger.out.len() < OPEN_MAX * 4 {
            ledger.answer(number, status, &[]);
        }
        drop(ledger);
        return peer.wake.notify_one();
    }
    let Some(commands) = shared.commands.get().map(Arc::clone) else { return };
    shared.counters.commands.one();
    let running = Running::begin(Arc::clone(peer));
    // A copy: the frame stands in the read buffer, which is to be used again.
    let (node, command) = (peer.node, Bytes::copy_from_slice(&command));
    tokio::spawn(async move {
        let answer = tokio::time::timeout(RUN_MAX, commands.run(node, roles, command)).await;
        if let Ok(answer) = answer.map_err(|_| ()).and_then(|answer| fits(answer).ok_or(())) {
            running.peer.commands().answer(number, AnswerStatus::Done, &answer);
            running.peer.wake.notify_one();
        }
    });
}

fn fits(answer: Bytes) -> Option<Bytes> {
    (answer.len() <= ANSWER_BYTES_MAX).then_some(answer)
}

/// Counts a command while it runs, also when it panics.
struct Running {
    peer: Arc<Peer>,
}

impl Running {
    fn begin(peer: Arc<Peer>) -> Running {
        peer.commands().running += 1;
        Running { peer }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.peer.commands().running -= 1;
    }
}

/// Commands to one peer that wait for their answers, count.
const OPEN_MAX: usize = 16;

/// Commands of one peer that run, count.
const RUNNING_MAX: usize = 16;

/// Longest run of a command.
const RUN_MAX: Duration = Duration::from_secs(30);

/// Largest command and answer, bytes.
const COMMAND_BYTES_MAX: usize = 64 * 1024;
const ANSWER_BYTES_MAX: usize = 512 * 1024;
