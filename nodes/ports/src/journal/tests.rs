use fabric::{Address, NodeId};

use super::*;
use crate::testing::{Directory, exchange};

#[tokio::test]
async fn a_write_is_kept_and_read_again_after_a_restart() {
    let directory = Directory::new("journal-port");
    let settings = Settings { dir: directory.path().join("director"), ..Settings::default() };
    let (post, mut inbox) = exchange();
    let handle = start(settings.clone(), Arc::clone(&post)).await.unwrap();
    handle.post(ask(1, Letter::JournalRead));
    let first = inbox.next().await;
    assert_eq!((first.to, first.thread, first.letter), (DIRECTOR, Thread(1), Letter::JournalEntries(vec![])));
    handle.post(ask(2, Letter::JournalWrite(vec![log(1), log(2)])));
    let kept = inbox.next().await;
    assert_eq!((kept.thread, kept.letter), (Thread(2), Letter::Kept));
    let state = JournalEntry::Snapshot(2, vec![7; 100].into());
    handle.post(ask(3, Letter::JournalWrite(vec![log(3), state.clone(), log(3)])));
    handle.post(ask(4, Letter::JournalWrite(vec![log(4)])));
    assert_eq!(inbox.next().await.thread, Thread(3));
    assert_eq!(inbox.next().await.thread, Thread(4));
    handle.stop().await;
    handle.post(ask(5, Letter::JournalWrite(vec![log(5)])));
    assert!(matches!(inbox.next().await.letter, Letter::Returned(fault) if fault.retry));

    let handle = start(settings, post).await.unwrap();
    handle.post(ask(6, Letter::JournalRead));
    assert_eq!(inbox.next().await.letter, Letter::JournalEntries(vec![state, log(3), log(4)]));
    assert_eq!(handle.counters()[2], ("failures", 0));
    handle.stop().await;
}

fn ask(thread: u64, letter: Letter) -> Envelope {
    Envelope::ask(DIRECTOR, Address::Journal(NodeId(1)), Thread(thread), letter)
}

fn log(index: u64) -> JournalEntry {
    JournalEntry::Log(index, vec![index as u8; 40].into())
}

const DIRECTOR: Address = Address::Director(NodeId(1));
