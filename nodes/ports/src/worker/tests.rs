use std::sync::mpsc::{Sender, channel};

use super::*;

/// Tells each group; a zero ends it, a gate holds the first group back.
struct Telling {
    tell: Sender<Vec<u32>>,
    gate: Option<Arc<Mutex<()>>>,
}

impl Groups<u32> for Telling {
    fn group(&mut self, group: Vec<u32>) -> bool {
        let goes_on = !group.contains(&0);
        self.tell.send(group).unwrap();
        if let Some(gate) = self.gate.take() {
            drop(gate.lock());
        }
        goes_on
    }
}

#[test]
fn what_comes_during_a_group_is_the_next_group() {
    let (tell, told) = channel();
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let groups = Telling { tell, gate: Some(Arc::clone(&gate)) };
    let (worker, thread) = Worker::start("test", 5, 3, Duration::ZERO, groups).unwrap();
    worker.send(1).unwrap();
    assert_eq!(told.recv().unwrap(), [1], "a lone item does not wait");
    for item in 2..=6 {
        worker.send(item).unwrap();
    }
    assert_eq!(worker.send(7), Err(7), "the queue is full");
    assert!(worker.send_last(0), "the last item always fits");
    drop(closed);
    assert_eq!(told.recv().unwrap(), [2, 3, 4]);
    assert_eq!(told.recv().unwrap(), [5, 6, 0]);
    thread.join().unwrap();
    assert_eq!((worker.send(8), worker.send_last(9)), (Err(8), false), "the thread has ended");
}

#[test]
fn groups_start_apart() {
    let (tell, told) = channel();
    let every = Duration::from_millis(50);
    let (worker, thread) = Worker::start("test", 5, 3, every, Telling { tell, gate: None }).unwrap();
    let begun = Instant::now();
    worker.send(1).unwrap();
    told.recv().unwrap();
    assert!(begun.elapsed() < every, "the first is not held back");
    worker.send(2).unwrap();
    told.recv().unwrap();
    assert!(begun.elapsed() >= every);
    worker.send_last(0);
    thread.join().unwrap();
}

#[test]
fn a_panic_leaves_nobody_waiting() {
    struct Panics;
    impl Groups<u32> for Panics {
        fn group(&mut self, _: Vec<u32>) -> bool {
            panic!("on purpose")
        }
    }
    let (worker, thread) = Worker::start("test", 5, 3, Duration::ZERO, Panics).unwrap();
    worker.send(1).unwrap();
    assert!(thread.join().is_err());
    assert_eq!(worker.send(2), Err(2));
}
