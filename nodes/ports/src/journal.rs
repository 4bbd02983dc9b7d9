//! Journal port: what the director of this node has promised, on disk.
//!
//! Every write is one frame with length and CRC32C at the end of a file, and synced (`fdatasync`) before `Kept` leaves. A
//! write with a snapshot begins a new file, which takes the place of the old one in one step. A frame that a crash tore
//! is cut off at the start: nobody was told that it was kept. A damaged frame with whole ones behind it is another
//! matter: promises are lost there, so the start ends with an error, and the way out is an empty directory.

mod file;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fabric::letters::cluster::JournalEntry;
use fabric::{Envelope, Fault, FaultKind, Letter, Post, Thread};
use serde::Deserialize;
use tokio::sync::oneshot;
use tracing::{error, warn};

use crate::StartError;
use crate::counters::{Counter, Snapshot};
use crate::worker::{Groups, Worker};
use file::File;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Directory of the journal; the node sets it to `director` below its data directory.
    pub dir: PathBuf,
    /// Letters that wait for a sync, count; default 1000, beyond it questions come back with `Overload`.
    pub queue_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { dir: PathBuf::from("director"), queue_max: 1000 }
    }
}

/// The running port.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    worker: Worker<Command>,
    post: Arc<dyn Post>,
    counters: Arc<Counters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Counters {
    writes: Counter,
    snapshots: Counter,
    failures: Counter,
    overloads: Counter,
}

enum Command {
    Letter(Box<Envelope>),
    Stop(oneshot::Sender<()>),
}

/// Reads the file through, cuts off what a crash tore, and starts the thread.
pub async fn start(settings: Settings, post: Arc<dyn Post>) -> Result<Handle, StartError> {
    let open = move || {
        let bad = |e: io::Error| StartError::new(format!("cannot open the journal in {}", settings.dir.display()), e);
        let (file, torn) = File::open(&settings.dir).map_err(bad)?;
        if torn > 0 {
            warn!(bytes = torn, "a torn write at the end of the director's journal");
        }
        let counters = Arc::new(Counters::default());
        let writer = Writer { file, post: Arc::clone(&post), counters: Arc::clone(&counters) };
        let (worker, thread) =
            Worker::start("journal", settings.queue_max, GROUP_MAX, Duration::ZERO, writer).map_err(bad)?;
        Ok(Handle { shared: Arc::new(Shared { worker, post, counters, thread: Mutex::new(Some(thread)) }) })
    };
    tokio::task::spawn_blocking(open).await.map_err(|e| StartError::new("journal thread", e))?
}

impl Handle {
    pub fn counters(&self) -> Snapshot {
        let counters = &self.shared.counters;
        vec![
            ("writes", counters.writes.get()),
            ("snapshots", counters.snapshots.get()),
            ("failures", counters.failures.get()),
            ("overloads", counters.overloads.get()),
        ]
    }

    /// Writes what waits and ends the thread.
    pub async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        if self.shared.worker.send_last(Command::Stop(done)) {
            let _ = ended.await;
        }
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Post for Handle {
    fn post(&self, envelope: Envelope) {
        if !matches!(envelope.letter, Letter::JournalRead | Letter::JournalWrite(_)) {
            return;
        }
        if let Err(Command::Letter(envelope)) = self.shared.worker.send(Command::Letter(Box::new(envelope))) {
            self.shared.counters.overloads.one();
            answer(&*self.shared.post, &envelope, returned(FaultKind::Overload));
        }
    }
}

struct Writer {
    file: File,
    post: Arc<dyn Post>,
    counters: Arc<Counters>,
}

impl Groups<Command> for Writer {
    fn group(&mut self, group: Vec<Command>) -> bool {
        let mut writes = Vec::new();
        for command in group {
            match command {
                Command::Letter(envelope) => match envelope.letter {
                    Letter::JournalRead => {
                        self.write(std::mem::take(&mut writes));
                        self.read(&envelope);
                    }
                    _ => writes.push(envelope),
                },
                Command::Stop(done) => {
                    self.write(writes);
                    let _ = done.send(());
                    return false;
                }
            }
        }
        self.write(writes);
        true
    }
}

impl Writer {
    fn read(&mut self, question: &Envelope) {
        let letter = match self.file.read() {
            Ok(entries) => Letter::JournalEntries(entries),
            Err(error) => {
                self.counters.failures.one();
                error!(%error, "reading the director's journal");
                returned(FaultKind::Refused)
            }
        };
        answer(&*self.post, question, letter);
    }

    /// All letters as one frame.
    fn write(&mut self, mut questions: Vec<Box<Envelope>>) {
        let mut entries: Vec<JournalEntry> = Vec::new();
        for question in &mut questions {
            if let Letter::JournalWrite(its) = &mut question.letter {
                entries.append(its);
            }
        }
        if questions.is_empty() {
            return;
        }
        let snapshot = entries.iter().rposition(|entry| matches!(entry, JournalEntry::Snapshot(..)));
        let written = match snapshot {
            // What came before it is said again by it.
            Some(at) => self.file.replace(&entries[at..]),
            None => self.file.append(&entries),
        };
        self.counters.writes.one();
        self.counters.snapshots.add(u64::from(snapshot.is_some()));
        if let Err(error) = &written {
            self.counters.failures.one();
            error!(%error, "writing the director's journal");
        }
        for question in questions {
            let letter = if written.is_ok() { Letter::Kept } else { returned(FaultKind::Refused) };
            answer(&*self.post, &question, letter);
        }
    }
}

fn returned(kind: FaultKind) -> Letter {
    Letter::Returned(Fault::new(kind, "director's journal").retry(true))
}

fn answer(post: &dyn Post, question: &Envelope, letter: Letter) {
    if question.thread != Thread::NONE {
        post.post(question.answer(letter));
    }
}

/// Letters in one frame, count: the director has one write on its way at a time.
const GROUP_MAX: usize = 64;

#[cfg(test)]
mod tests;
