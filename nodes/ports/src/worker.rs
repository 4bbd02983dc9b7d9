//! A thread that takes letters in groups: what `store` and `records` use for group commit.
//!
//! Groups start at most once per `every`, so a lone letter is worked on at once and under load the cost of a sync is
//! shared by everything that came meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The sending side; cheap to clone.
pub struct Worker<T> {
    queue: Arc<Queue<T>>,
}

struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    items_max: usize,
}

struct State<T> {
    items: VecDeque<T>,
    /// The thread has ended.
    ended: bool,
}

impl<T> Clone for Worker<T> {
    fn clone(&self) -> Self {
        Worker { queue: Arc::clone(&self.queue) }
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
        let state = Mutex::new(State { items: VecDeque::new(), ended: false });
        let queue = Arc::new(Queue { state, filled: Condvar::new(), items_max: queue_max.max(1) });
        let worker = Worker { queue: Arc::clone(&queue) };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Also when a group panics, nobody is to wait for a thread that is gone.
            let queue = Ending(queue);
            let mut started: Option<Instant> = None;
            loop {
                if !queue.0.wait() {
                    groups.tick();
                    continue;
                }
                if let Some(rest) = started.and_then(|started| every.checked_sub(started.elapsed())) {
                    std::thread::sleep(rest);
                }
                started = Some(Instant::now());
                if !groups.group(queue.0.take(group_max.max(1))) {
                    return;
                }
            }
        })?;
        Ok((worker, thread))
    }

    /// Hands an item over; gives it back when the queue is full or the thread has ended.
    pub fn send(&self, item: T) -> Result<(), T> {
        let mut state = self.queue.lock();
        if state.ended || state.items.len() >= self.queue.items_max {
            return Err(item);
        }
        state.items.push_back(item);
        if state.items.len() == 1 {
            drop(state);
            self.queue.filled.notify_one();
        }
        Ok(())
    }

    /// Hands over an item that must arrive, whatever waits already; `false` when the thread has ended.
    pub fn send_last(&self, item: T) -> bool {
        let mut state = self.queue.lock();
        if state.ended {
            return false;
        }
        state.items.push_back(item);
        drop(state);
        self.queue.filled.notify_one();
        true
    }
}

impl<T> Queue<T> {
    /// Waits for items; `false` when none came for `TICK`.
    fn wait(&self) -> bool {
        let waiting = self.filled.wait_timeout_while(self.lock(), TICK, |state| state.items.is_empty());
        let (state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        !state.items.is_empty()
    }

    fn take(&self, group_max: usize) -> Vec<T> {
        let mut state = self.lock();
        let count = state.items.len().min(group_max);
        let group = state.items.drain(..count).collect();
        // A burst is over some time; its room goes back.
        if state.items.is_empty() && state.items.capacity() > ROOM_KEPT {
            state.items.shrink_to(ROOM_KEPT);
        }
        group
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks the queue as ended when the thread goes; what waits is dropped, and with it whoever awaits an answer learns it.
struct Ending<T>(Arc<Queue<T>>);

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        state.items.clear();
    }
}

/// How long the thread waits for work before it looks at its own chores.
const TICK: Duration = Duration::from_secs(1);

/// Items that an empty queue keeps room for, count.
const ROOM_KEPT: usize = 1024;

#[cfg(test)]
mod tests;
