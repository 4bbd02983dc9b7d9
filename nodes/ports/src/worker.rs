//! A thread that takes letters in groups: what `store` and `records` use for group commit.
//!
//! Groups start at most once per `every`, so a lone letter is worked on at once and under load the cost of a sync is
//! shared by everything that came meanwhile.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The sending side; cheap to clone.
pub struct Worker<T> {
    sender: SyncSender<T>,
}

impl<T> Clone for Worker<T> {
    fn clone(&self) -> Self {
        Worker { sender: self.sender.clone() }
    }
}

/// What the thread does.
pub trait Groups<T>: Send + 'static {
    /// Works on one group; returning `false` ends the thread.
    fn group(&mut self, group: Vec<T>) -> bool;

    /// Nothing came for `TICK`.
    fn tick(&mut self) {}
}

impl<T: Send + 'static> Worker<T> {
    /// Starts the thread: `queue_max` items wait at most, groups hold at most `group_max` and start `every` apart.
    pub fn start(
        name: &str,
        queue_max: usize,
        group_max: usize,
        every: Duration,
        mut groups: impl Groups<T>,
    ) -> std::io::Result<(Worker<T>, JoinHandle<()>)> {
        let (sender, receiver) = sync_channel(queue_max.max(1));
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut started = Instant::now().checked_sub(every);
            loop {
                let first = match receiver.recv_timeout(TICK) {
                    Ok(first) => first,
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                        groups.tick();
                        continue;
                    }
                    Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
                };
                if let Some(rest) = started.and_then(|started| every.checked_sub(started.elapsed())) {
                    std::thread::sleep(rest);
                }
                started = Some(Instant::now());
                if !groups.group(gather(first, &receiver, group_max.max(1))) {
                    return;
                }
            }
        })?;
        Ok((Worker { sender }, thread))
    }

    /// Hands an item over; gives it back when the queue is full or the thread has ended.
    pub fn send(&self, item: T) -> Result<(), T> {
        self.sender.try_send(item).map_err(|error| match error {
            TrySendError::Full(item) | TrySendError::Disconnected(item) => item,
        })
    }
}

fn gather<T>(first: T, receiver: &Receiver<T>, group_max: usize) -> Vec<T> {
    let mut group = vec![first];
    while group.len() < group_max {
        match receiver.try_recv() {
            Ok(item) => group.push(item),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    group
}

/// How long the thread waits for work before it looks at its own chores.
const TICK: Duration = Duration::from_secs(1);
