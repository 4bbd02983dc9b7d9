//! Two nodes, each the other's standby; the test carries their mail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A mirror that collects what it is to send, or has nobody to send it to.
struct Cable {
    other: NodeId,
    is_up: AtomicBool,
    mail: Mutex<Vec<Envelope>>,
}

impl Mirror for Cable {
    fn mirror(&self, mail: &Envelope) -> bool {
        let is_up = self.is_up.load(Ordering::SeqCst);
        if is_up {
            self.mail.lock().unwrap().push(Envelope { to: Address::Records(self.other), ..mail.clone() });
        }
        is_up
    }

    fn standby(&self, _: Key) -> Option<NodeId> {
        self.is_up.load(Ordering::SeqCst).then_some(self.other)
    }
}

struct Node {
    dir: Directory,
    port: Handle,
    mail: Inbox,
    cable: Arc<Cable>,
}

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);

async fn node(name: &str, me: NodeId, other: NodeId) -> Node {
    let cable = Arc::new(Cable { other, is_up: AtomicBool::new(true), mail: Mutex::default() });
    let dir = Directory::new(name);
    let (port, mail) = boot(dir.path(), me, &cable, START_MS + 20_000).await;
    Node { dir, port, mail, cable }
}

async fn boot(dir: &Path, me: NodeId, cable: &Arc<Cable>, now_ms: u64) -> (Handle, Inbox) {
    let (post, mail) = exchange();
    let home = Home::new(me, *b"0123456789abcdef", 8);
    // Long enough that no test waits for it unless it means to.
    let settings = Settings { mirror_ms: 5_000, ..settings(dir) };
    let clock = StillClock::at(now_ms);
    (start_in_cluster(settings, post, &home, clock, None, cable.clone()).await.unwrap(), mail)
}

impl Node {
    fn record(&self, thread: u64, record: Record) {
        let to = Address::Records(NodeId(0));
        let letter = Letter::Record(Box::new(record));
        let mail = Envelope::ask(Address::Call(Key(1)), to, Thread(thread), letter);
        self.port.post(Envelope { epoch: fabric::Epoch(3), ..mail });
    }

    /// What this node has to send; waits for it.
    async fn sent(&self, count: usize) -> Vec<Envelope> {
        let found = async {
            loop {
                if self.cable.mail.lock().unwrap().len() >= count {
                    return std::mem::take(&mut *self.cable.mail.lock().unwrap());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(crate::testing::PATIENCE, found).await.expect("copies in time")
    }

    /// Takes the copies of another node and carries the answers back.
    async fn take(&mut self, from: &Node, count: usize) {
        for mail in from.sent(count).await {
            self.port.post(mail);
            let answer = self.mail.next().await;
            assert_eq!(answer.letter, Letter::Kept);
            from.port.post(answer);
        }
    }

    async fn kept(&mut self, thread: u64) {
        let answer = self.mail.next().await;
        assert_eq!((answer.to, answer.thread, answer.letter), (Address::Call(Key(1)), Thread(thread), Letter::Kept));
    }

    fn cable(&self, is_up: bool) {
        self.cable.is_up.store(is_up, Ordering::SeqCst);
    }

    fn causes(&self) -> Vec<(String, u64)> {
        cdrs(self.dir.path()).into_iter().map(|cdr| (cdr.stop_cause, cdr.duration_ms)).collect()
    }
}

fn count(port: &Handle, name: &str) -> u64 {
    port.counters().into_iter().find(|(other, _)| *other == name).unwrap().1
}

fn whole() -> Vec<(String, u64)> {
    vec![("callee".to_owned(), 12_345)]
}

#[tokio::test]
async fn a_record_is_kept_when_both_chassis_have_it_and_exported_by_one() {
    let (mut a, mut b) = (node("one", A, B).await, node("two", B, A).await);
    a.record(7, Record::Start(parties(1)));
    let copy = a.sent(1).await.remove(0);
    assert_eq!((copy.from, copy.to, copy.epoch), (Address::Records(A), Address::Records(B), fabric::Epoch(3)));
    assert!(a.mail.is_silent(), "nothing is kept yet");
    b.port.post(copy);
    let answer = b.mail.next().await;
    a.port.post(answer);
    a.kept(7).await;
    a.record(8, Record::Stop { id: id(1), stop: stop() });
    b.take(&a, 1).await;
    a.kept(8).await;
    assert!(b.cable.mail.lock().unwrap().is_empty(), "a copy is not copied");
    assert_eq!((count(&b.port, "copies"), count(&a.port, "alone")), (2, 0));
    a.port.stop().await;
    b.port.stop().await;
    assert_eq!((a.causes(), b.causes()), (whole(), Vec::new()));
}

#[tokio::test]
async fn without_a_standby_one_chassis_must_do() {
    let mut a = node("alone", A, B).await;
    a.cable(false);
    a.record(7, Record::Start(parties(1)));
    a.kept(7).await;
    a.cable(true);
    let home = Home::new(A, *b"0123456789abcdef", 8);
    let settings = Settings { mirror_ms: 50, ..settings(&a.dir.path().join("impatient")) };
    let (post, mail) = exchange();
    a.port = start_in_cluster(settings, post, &home, StillClock::at(START_MS), None, a.cable.clone()).await.unwrap();
    a.mail = mail;
    a.record(8, Record::Start(parties(2)));
    a.kept(8).await;
    assert_eq!(count(&a.port, "alone"), 1, "the standby did not answer in time");
}

#[tokio::test]
async fn a_call_that_ends_after_a_take_over_is_one_record_there_and_none_here() {
    let (mut a, mut b) = (node("dies", A, B).await, node("lives", B, A).await);
    a.record(1, Record::Start(parties(1)));
    b.take(&a, 1).await;
    a.kept(1).await;
    // A is gone; B owns the call and ends it.
    a.port.stop().await;
    b.cable(false);
    b.record(2, Record::Stop { id: id(1), stop: stop() });
    b.kept(2).await;
    // A returns, does not end what it finds open, and is told of the end.
    let (port, mail) = boot(a.dir.path(), A, &a.cable, START_MS + 60_000).await;
    (a.port, a.mail) = (port, mail);
    assert_eq!((count(&a.port, "open"), count(&a.port, "lost")), (1, 0));
    b.cable(true);
    a.take(&b, 1).await;
    a.port.stop().await;
    b.port.stop().await;
    assert_eq!(count(&a.port, "open"), 0);
    assert_eq!((a.causes(), b.causes()), (Vec::new(), whole()));
}

#[tokio::test]
async fn a_standby_that_comes_later_is_told_of_the_starts_it_lacks() {
    let (mut a, mut b) = (node("early", A, B).await, node("late", B, A).await);
    a.cable(false);
    a.record(1, Record::Start(parties(1)));
    a.kept(1).await;
    a.cable(true);
    b.take(&a, 1).await;
    a.port.stop().await;
    b.cable(false);
    b.record(2, Record::Stop { id: id(1), stop: stop() });
    b.kept(2).await;
    b.port.stop().await;
    assert_eq!(b.causes(), whole());
}

#[tokio::test]
async fn a_node_that_leaves_for_good_tells_what_others_lack() {
    let (mut a, mut b) = (node("leaving", A, B).await, node("staying", B, A).await);
    a.cable(false);
    a.record(1, Record::Start(parties(1)));
    a.kept(1).await;
    assert_eq!(a.port.tell().await, 0, "there is nobody to tell");
    a.cable(true);
    // The call has ended at its next owner, which does not know yet who talked.
    b.cable(false);
    b.record(2, Record::Stop { id: id(1), stop: stop() });
    b.kept(2).await;
    assert_eq!(a.port.tell().await, 1);
    b.take(&a, 1).await;
    assert_eq!(a.port.tell().await, 0);
    b.port.stop().await;
    assert_eq!(b.causes(), whole());
}

#[tokio::test]
async fn what_nobody_ends_is_lost_when_it_is_old() {
    let (mut a, mut b) = (node("old", A, B).await, node("older", B, A).await);
    a.record(1, Record::Start(parties(1)));
    b.take(&a, 1).await;
    a.kept(1).await;
    a.port.stop().await;
    b.port.stop().await;
    let later_ms = START_MS + 172_800_000 + 1;
    for (node, me) in [(&a, A), (&b, B)] {
        node.cable(false);
        let (port, _) = boot(node.dir.path(), me, &node.cable, later_ms).await;
        assert_eq!(count(&port, "lost"), 1);
        port.stop().await;
    }
    assert_eq!(a.causes(), [("lost".to_owned(), 20_000)], "as long as A was known to live");
    assert_eq!(b.causes(), [], "a copy is not exported");
}

#[tokio::test]
async fn an_end_that_both_nodes_recorded_is_exported_by_one() {
    let (mut a, mut b) = (node("first", A, B).await, node("second", B, A).await);
    a.record(1, Record::Start(parties(1)));
    b.take(&a, 1).await;
    a.kept(1).await;
    // A has the end in its journal and dies before its copy arrives; the call's next owner says it again.
    a.record(2, Record::Stop { id: id(1), stop: stop() });
    a.record(3, Record::Attempt { parties: CallParties { start_ms: 0, ..parties(2) }, stop: stop() });
    drop(a.sent(2).await);
    a.port.stop().await;
    assert_eq!(a.causes(), [], "nothing is exported before the other chassis has it");
    b.cable(false);
    b.record(4, Record::Stop { id: id(1), stop: stop() });
    b.kept(4).await;
    let (port, mail) = boot(a.dir.path(), A, &a.cable, START_MS + 60_000).await;
    (a.port, a.mail) = (port, mail);
    for copy in a.sent(2).await {
        b.port.post(copy);
        let answer = b.mail.next().await;
        a.port.post(answer);
    }
    a.port.stop().await;
    b.port.stop().await;
    assert_eq!((a.causes().len(), b.causes()), (1, whole()), "the attempt here, the call there");
}
