use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command as Process, Stdio};

use fabric::letters::location::{Binding, StoredBindings};
use fabric::{Address, NodeId};

use super::*;
use crate::testing::Directory;

fn binding(contact: &str, expires_ms: u64) -> Binding {
    Binding {
        contact: contact.into(),
        path: "<sip:token@127.0.0.1;lr>".into(),
        call_id: "call".into(),
        cseq: 1,
        q: 1000,
        expires_ms,
        instance: Some("<urn:uuid:1>".into()),
        reg_id: 1,
        user_agent: None,
        received: Some("127.0.0.1:5061".into()),
        nat: true,
    }
}

fn keep(store: &Handle, thread: u64, aor: &str, bindings: Vec<Binding>) {
    let letter = Letter::KeepBindings(Box::new(StoredBindings { aor: aor.into(), bindings }));
    store.post(Envelope::ask(Address::Location(1), Address::Store(NodeId(1)), Thread(thread), letter));
}

async fn kept(mail: &mut Inbox) -> u64 {
    let answer = mail.next().await;
    assert_eq!((answer.to, answer.letter), (Address::Location(1), Letter::Kept));
    answer.thread.0
}

async fn load(store: &Handle, mail: &mut Inbox, shards: u16) -> BTreeMap<String, Vec<Binding>> {
    let mut all = BTreeMap::new();
    for shard in 0..shards {
        let letter = Letter::LoadBindings(shard, shards);
        store.post(Envelope::ask(Address::Location(shard), Address::Store(NodeId(1)), Thread(1), letter));
        let answer = mail.next().await;
        assert_eq!(answer.to, Address::Location(shard));
        let Letter::LoadedBindings(loaded) = answer.letter else { panic!("{:?}", answer.letter) };
        for state in loaded.iter() {
            assert_eq!(home().keys.location(&state.aor, shards), shard, "{} is in the wrong shard", state.aor);
            all.insert(state.aor.to_string(), state.bindings.clone());
        }
    }
    all
}

const LATER: u64 = 2_000_000;

#[tokio::test]
async fn what_is_kept_is_loaded_by_its_shard() {
    let dir = Directory::new("bindings");
    let (store, mut mail) = open(dir.path()).await;
    for number in 0..50 {
        keep(&store, number + 1, &format!("user{number}@example.test"), vec![binding("sip:a", LATER)]);
    }
    for number in 0..50 {
        assert_eq!(kept(&mut mail).await, number + 1, "answers in the order of the questions");
    }
    keep(&store, 99, "user7@example.test", vec![]);
    keep(&store, 99, "user8@example.test", vec![binding("sip:b", LATER), binding("sip:c", u64::MAX)]);
    kept(&mut mail).await;
    kept(&mut mail).await;
    store.stop().await;
    let (store, mut mail) = open(dir.path()).await;
    for shards in [1, 8] {
        let all = load(&store, &mut mail, shards).await;
        assert_eq!(all.len(), 49);
        assert_eq!(all["user8@example.test"], [binding("sip:b", LATER), binding("sip:c", u64::MAX)]);
        assert_eq!(all["user9@example.test"], [binding("sip:a", LATER)]);
    }
    store.stop().await;
}

#[tokio::test]
async fn the_newest_state_wins_and_is_written_once() {
    let dir = Directory::new("bindings");
    let (store, mut mail) = open(dir.path()).await;
    for number in 1..=200 {
        keep(&store, number, "alice@example.test", vec![binding(&format!("sip:{number}"), LATER)]);
    }
    for _ in 1..=200 {
        kept(&mut mail).await;
    }
    let all = load(&store, &mut mail, 4).await;
    assert_eq!(all["alice@example.test"], [binding("sip:200", LATER)]);
    let written = store.counters().into_iter().find(|(name, _)| *name == "bindings_written").unwrap().1;
    assert!(written < 100, "{written} rows for 200 changes");
    store.stop().await;
}

#[tokio::test]
async fn expired_bindings_are_not_loaded() {
    let dir = Directory::new("bindings");
    let (store, mut mail) = open(dir.path()).await;
    keep(&store, 1, "gone@example.test", vec![binding("sip:a", 999_999)]);
    keep(&store, 2, "half@example.test", vec![binding("sip:a", 1_000_000), binding("sip:b", 1_000_001)]);
    kept(&mut mail).await;
    kept(&mut mail).await;
    let all = load(&store, &mut mail, 2).await;
    assert_eq!(all.into_iter().collect::<Vec<_>>(), [("half@example.test".into(), vec![binding("sip:b", 1_000_001)])]);
    store.stop().await;
}

#[tokio::test]
async fn a_shard_that_asks_again_gets_what_was_kept_since() {
    let dir = Directory::new("bindings");
    let (store, mut mail) = open(dir.path()).await;
    keep(&store, 1, "alice@example.test", vec![binding("sip:old", LATER)]);
    kept(&mut mail).await;
    load(&store, &mut mail, 2).await;
    keep(&store, 2, "alice@example.test", vec![binding("sip:new", LATER)]);
    kept(&mut mail).await;
    assert_eq!(load(&store, &mut mail, 2).await["alice@example.test"], [binding("sip:new", LATER)]);
    store.stop().await;
}

#[tokio::test]
async fn a_full_queue_gives_questions_back() {
    let dir = Directory::new("bindings");
    let (post, mut mail) = exchange();
    let file = dir.path().join("tandem.db");
    let settings = Settings { file: file.clone(), queue_max: 1, group_max: 1, ..Settings::default() };
    let store = start(settings, post, &home(), StillClock::at(1)).await.unwrap();
    // Another process holds the database: the thread cannot commit.
    let lock = rusqlite::Connection::open(&file).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 1..=20 {
        keep(&store, number, "alice@example.test", vec![]);
    }
    let first = mail.next().await;
    assert!(matches!(first.letter, Letter::Returned(fault) if fault.kind == FaultKind::Overload && fault.retry));
    lock.execute_batch("ROLLBACK").unwrap();
    store.stop().await;
}

/// Child of the next test: keeps bindings until it is killed, and tells each that was answered.
#[test]
#[ignore = "runs as a child of another test"]
fn child_keeps_until_killed() {
    let Ok(dir) = std::env::var("TANDEM_PORTS_CHILD") else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (store, mut mail) = runtime.block_on(open(Path::new(&dir)));
    let mut told = std::io::stdout().lock();
    for number in 1.. {
        for place in 0..50 {
            let aor = format!("user{}@example.test", number * 50 + place);
            keep(&store, number * 50 + place, &aor, vec![binding("sip:a", LATER)]);
        }
        for _ in 0..50 {
            let answer = mail.next_blocking();
            assert_eq!(answer.letter, Letter::Kept);
            writeln!(told, "kept {}", answer.thread.0).unwrap();
        }
        told.flush().unwrap();
    }
}

#[tokio::test]
async fn whatever_was_answered_survives_kill_9() {
    let dir = Directory::new("bindings");
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::bindings::child_keeps_until_killed", "--ignored", "--nocapture"])
        .env("TANDEM_PORTS_CHILD", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: String| line.split("kept ").nth(1).and_then(|text| text.parse::<u64>().ok());
    let mut told: Vec<u64> = lines.by_ref().map_while(Result::ok).filter_map(number).take(1_000).collect();
    child.kill().unwrap();
    told.extend(lines.map_while(Result::ok).filter_map(number));
    child.wait().unwrap();
    assert!(told.len() >= 1_000);
    let (store, mut mail) = open(dir.path()).await;
    let all = load(&store, &mut mail, 8).await;
    for number in told {
        assert!(all.contains_key(&format!("user{number}@example.test")), "{number} was answered and is lost");
    }
    store.stop().await;
}
