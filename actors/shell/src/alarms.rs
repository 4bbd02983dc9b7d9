//! The alarm clock of a node: one heap and one task for all deadlines (a `send_after` apiece would be a task apiece).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fabric::Instant;
use tokio::sync::Notify;

use crate::room::{NEVER, Room};
use crate::switchboard::Inner;

#[derive(Default)]
pub(crate) struct Alarms {
    heap: Mutex<Heap>,
    sooner: Notify,
    /// Entries whose room has ended.
    stale: AtomicUsize,
}

struct Heap {
    entries: BinaryHeap<Reverse<Entry>>,
    serial: u64,
    /// When the task will look again.
    next: Instant,
}

impl Default for Heap {
    fn default() -> Heap {
        Heap { entries: BinaryHeap::new(), serial: 0, next: NEVER }
    }
}

struct Entry {
    due: Instant,
    serial: u64,
    room: Arc<Room>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.due, self.serial) == (other.due, other.serial)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.due, self.serial).cmp(&(other.due, other.serial))
    }
}

impl Alarms {
    /// Adds an alarm; the caller has written `due` into the room's `armed`, and holds no room's lock.
    pub fn set(&self, room: &Arc<Room>, due: Instant) {
        let mut heap = self.lock();
        heap.serial += 1;
        let serial = heap.serial;
        heap.entries.push(Reverse(Entry { due, serial, room: room.clone() }));
        let stale = self.stale.load(Relaxed);
        if stale > STALE_MIN && stale * 2 > heap.entries.len() {
            self.stale.store(0, Relaxed);
            heap.entries.retain(|Reverse(entry)| entry.room.lock().armed == entry.due);
        }
        if due < heap.next {
            heap.next = due;
            drop(heap);
            self.sooner.notify_one();
        }
    }

    /// An alarm that stands in the clock will never matter. Such ones are swept out when they are the majority.
    pub fn note_stale(&self) {
        self.stale.fetch_add(1, Relaxed);
    }

    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Heap> {
        self.heap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is due; otherwise says when to look again.
    fn take_due(&self, now: Instant, due: &mut Vec<(Instant, Arc<Room>)>) -> Instant {
        let mut heap = self.lock();
        while heap.entries.peek().is_some_and(|Reverse(entry)| entry.due <= now) && due.len() < RINGS_MAX {
            if let Some(Reverse(entry)) = heap.entries.pop() {
                due.push((entry.due, entry.room));
            }
        }
        heap.next = heap.entries.peek().map_or(NEVER, |Reverse(entry)| entry.due);
        heap.next
    }
}

/// Runs the clock until the exchange is dropped or the task aborted.
pub(crate) async fn run(exchange: Arc<Inner>) {
    let tick = Duration::from_millis(exchange.settings.alarm_tick_ms.max(1));
    let mut due = Vec::new();
    loop {
        let next = exchange.alarms.take_due(exchange.clock.now().instant, &mut due);
        if due.is_empty() {
            let sleep = sleep_until(&exchange, next, tick);
            tokio::select! {
                () = sleep => {}
                () = exchange.alarms.sooner.notified() => {}
            }
            continue;
        }
        let full = due.len() == RINGS_MAX;
        for (at, room) in due.drain(..) {
            exchange.alarm(&room, at);
        }
        if full {
            tokio::task::yield_now().await;
        }
    }
}

/// Sleeps until `next`, rounded up to the tick: deadlines that are close to each other share one wake-up.
async fn sleep_until(exchange: &Inner, next: Instant, tick: Duration) {
    if next == NEVER {
        return std::future::pending().await;
    }
    let tick = tick.as_micros() as u64;
    let rounded = Instant(next.0.div_ceil(tick).saturating_mul(tick));
    tokio::time::sleep(rounded.since(exchange.clock.now().instant)).await;
}

/// Rooms rung at once before others may run, count.
const RINGS_MAX: usize = 256;

/// Ended rooms that are not worth a sweep, count.
const STALE_MIN: usize = 1024;
