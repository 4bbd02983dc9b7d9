//! Asks: questions that a machine has posted, what it will do with the answer, and until when it waits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Instant, Thread};

/// Open questions of one machine; `C` says what the answer is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asks<C> {
    next: u64,
    open: Vec<Ask<C>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ask<C> {
    thread: Thread,
    deadline: Instant,
    purpose: C,
}

impl<C> Default for Asks<C> {
    fn default() -> Self {
        Asks { next: 1, open: Vec::new() }
    }
}

impl<C> Asks<C> {
    pub fn new() -> Asks<C> {
        Asks::default()
    }

    /// Opens a question for `purpose` that is overdue after `timeout`; the thread goes on the envelope.
    pub fn open(&mut self, purpose: C, now: Instant, timeout: Duration) -> Thread {
        let thread = Thread(self.next);
        self.next += 1;
        self.open.push(Ask { thread, deadline: now + timeout, purpose });
        thread
    }

    /// Closes the question that this thread answers; `None` when it is unknown or overdue already.
    pub fn close(&mut self, thread: Thread) -> Option<C> {
        let place = self.open.iter().position(|ask| ask.thread == thread)?;
        Some(self.open.remove(place).purpose)
    }

    /// Takes the next question whose deadline has passed, oldest first.
    pub fn overdue(&mut self, now: Instant) -> Option<(Thread, C)> {
        let place = self.open.iter().position(|ask| ask.deadline <= now)?;
        let ask = self.open.remove(place);
        Some((ask.thread, ask.purpose))
    }

    /// The earliest deadline.
    pub fn earliest(&self) -> Option<Instant> {
        self.open.iter().map(|ask| ask.deadline).min()
    }

    /// What is still open.
    pub fn purposes(&self) -> impl Iterator<Item = &C> {
        self.open.iter().map(|ask| &ask.purpose)
    }

    /// What is still open, to be changed.
    pub fn purposes_mut(&mut self) -> impl Iterator<Item = &mut C> {
        self.open.iter_mut().map(|ask| &mut ask.purpose)
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What is still open with its thread and deadline, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Thread, Instant, &C)> {
        self.open.iter().map(|ask| (ask.thread, ask.deadline, &ask.purpose))
    }

    /// Whether a question is open on this thread.
    pub fn is_open(&self, thread: Thread) -> bool {
        self.open.iter().any(|ask| ask.thread == thread)
    }

    /// The thread that the next question gets.
    pub fn next(&self) -> Thread {
        Thread(self.next)
    }

    /// Questions without any open, of which the next gets this thread: to be filled by `reopen`.
    pub fn from_next(next: Thread) -> Asks<C> {
        Asks { next: next.0.max(1), open: Vec::new() }
    }

    /// Puts a question back that was open on this thread before.
    pub fn reopen(&mut self, thread: Thread, deadline: Instant, purpose: C) {
        let place = self.open.partition_point(|ask| ask.thread < thread);
        self.open.insert(place, Ask { thread, deadline, purpose });
        self.next = self.next.max(thread.0.saturating_add(1));
    }

    /// Gives spare memory back.
    pub fn shrink(&mut self) {
        self.open.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests;
