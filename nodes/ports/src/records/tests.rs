mod cluster;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use fabric::letters::media::{MediaStats, StreamStats};
use fabric::letters::record::{CallParties, CallStop, Party, Record, RecordId, StopCause};
use fabric::{Address, Key, NodeId};

use super::*;
use crate::store::Query;
use crate::testing::{Directory, Inbox, StillClock, exchange, home};

/// 2026-11-21T08:15:00Z.
const START_MS: u64 = 1_795_248_900_000;

fn settings(dir: &Path) -> Settings {
    Settings { journal_dir: dir.join("records"), cdr_dir: dir.join("cdr"), ..Settings::default() }
}

async fn open(dir: &Path) -> (Handle, Inbox) {
    let (post, mail) = exchange();
    (start(settings(dir), post, StillClock::at(START_MS), None).await.unwrap(), mail)
}

fn id(number: u128) -> RecordId {
    RecordId { call: Key(number), init_ms: START_MS - 2_000, leg: 1 }
}

fn party(user: &str, id: u64) -> Party {
    Party {
        subscriber_id: id,
        uuid: format!("uuid-{user}"),
        customer_id: 7,
        user: user.into(),
        domain: "example.test".into(),
        cli: format!("43100{id}"),
    }
}

fn parties(number: u128) -> CallParties {
    CallParties {
        id: id(number),
        call_id: format!("a-{number}"),
        callee_call_id: format!("b-{number}"),
        source: party("alice", 1),
        destination: party("bob", 2),
        dialled: "sip:1002@example.test".into(),
        routed: "sip:bob@127.0.0.9:5070".into(),
        source_ip: "127.0.0.8:5060".into(),
        init_ms: START_MS - 2_000,
        ring_ms: START_MS - 1_500,
        start_ms: START_MS,
    }
}

fn stop() -> CallStop {
    let stream =
        |tag: &str, packets| StreamStats { tag: tag.into(), packets, bytes: packets * 172, ..StreamStats::default() };
    CallStop {
        end_ms: START_MS + 12_345,
        duration_ms: 12_345,
        cause: StopCause::CalleeHangup,
        status: 200,
        reason: "OK".into(),
        media: MediaStats {
            relay: Some("media1".into()),
            streams: vec![stream("c", 600), stream("d", 610), stream("c", 5)],
        },
    }
}

fn post(port: &Handle, thread: u64, record: Record) {
    let from = Address::Call(Key(1));
    port.post(Envelope::ask(from, Address::Records(NodeId(1)), Thread(thread), Letter::Record(Box::new(record))));
}

async fn kept(mail: &mut Inbox, thread: u64) {
    let answer = mail.next().await;
    assert_eq!((answer.to, answer.thread, answer.letter), (Address::Call(Key(1)), Thread(thread), Letter::Kept));
}

fn cdrs(dir: &Path) -> Vec<Cdr> {
    let mut all = Vec::new();
    let Ok(items) = std::fs::read_dir(dir.join("cdr")) else { return all };
    let mut paths: Vec<_> = items.map(|item| item.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(path).unwrap();
        all.extend(text.lines().map(|line| serde_json::from_str::<Cdr>(line).unwrap()));
    }
    all
}

#[tokio::test]
async fn start_and_stop_become_one_record() {
    let dir = Directory::new("records");
    let (port, mut mail) = open(dir.path()).await;
    for (thread, record) in [
        (1, Record::Start(parties(5))),
        (2, Record::Start(parties(5))),
        (3, Record::Stop { id: id(5), stop: stop() }),
        (4, Record::Stop { id: id(5), stop: stop() }),
        (5, Record::Start(parties(5))),
    ] {
        post(&port, thread, record);
        kept(&mut mail, thread).await;
    }
    port.stop().await;
    let cdrs = cdrs(dir.path());
    assert_eq!(cdrs.len(), 1);
    let expected = Cdr {
        id: format!("{:032x}-{}-1", 5, START_MS - 2_000),
        call_id: "a-5".into(),
        callee_call_id: "b-5".into(),
        update_time: "2026-11-21T08:15:12.345Z".into(),
        source_user_id: 1,
        source_uuid: "uuid-alice".into(),
        source_user: "alice".into(),
        source_domain: "example.test".into(),
        source_cli: "431001".into(),
        source_customer_id: 7,
        source_ip: "127.0.0.8:5060".into(),
        destination_user_id: 2,
        destination_uuid: "uuid-bob".into(),
        destination_user: "bob".into(),
        destination_domain: "example.test".into(),
        destination_user_dialed: "1002".into(),
        destination_uri_dialed: "sip:1002@example.test".into(),
        destination_uri_routed: "sip:bob@127.0.0.9:5070".into(),
        destination_customer_id: 7,
        call_type: "call".into(),
        call_status: "ok".into(),
        call_code: 200,
        call_reason: "OK".into(),
        stop_cause: "callee".into(),
        init_time: "2026-11-21T08:14:58.000Z".into(),
        ring_time: "2026-11-21T08:14:58.500Z".into(),
        start_time: "2026-11-21T08:15:00.000Z".into(),
        end_time: "2026-11-21T08:15:12.345Z".into(),
        duration_ms: 12_345,
        setup_ms: 2_000,
        media_relay: "media1".into(),
        packets_from_caller: 605,
        packets_from_callee: 610,
        bytes_from_caller: 605 * 172,
        bytes_from_callee: 610 * 172,
        lost_from_caller: None,
        lost_from_callee: None,
        jitter_from_caller: None,
        jitter_from_callee: None,
    };
    assert_eq!(cdrs[0], expected);
    let csv = std::fs::read_to_string(dir.path().join("cdr/2026-11-21.csv")).unwrap();
    assert_eq!(csv.lines().count(), 2);
}

#[tokio::test]
async fn attempts_tell_how_they_ended() {
    let dir = Directory::new("records");
    let (port, mut mail) = open(dir.path()).await;
    let rows = [
        (486, StopCause::Failed, "busy"),
        (600, StopCause::Failed, "busy"),
        (408, StopCause::Failed, "noanswer"),
        (480, StopCause::Failed, "offline"),
        (487, StopCause::Cancelled, "cancel"),
        (404, StopCause::Failed, "other"),
        (503, StopCause::Failed, "other"),
    ];
    for (place, (status, cause, _)) in rows.iter().enumerate() {
        let parties = CallParties { start_ms: 0, ..parties(place as u128) };
        let stop = CallStop { status: *status, cause: *cause, ..stop() };
        post(&port, 1, Record::Attempt { parties, stop });
        kept(&mut mail, 1).await;
    }
    port.stop().await;
    let found: Vec<_> =
        cdrs(dir.path()).into_iter().map(|cdr| (cdr.call_code, cdr.call_status, cdr.duration_ms)).collect();
    let expected: Vec<_> = rows.iter().map(|(status, _, word)| (*status, (*word).to_owned(), 0)).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_restart_ends_open_calls_as_lost_and_doubles_nothing() {
    let dir = Directory::new("records");
    let (port, mut mail) = open(dir.path()).await;
    for number in 1..=3 {
        post(&port, 1, Record::Start(parties(number)));
        kept(&mut mail, 1).await;
    }
    post(&port, 1, Record::Stop { id: id(2), stop: stop() });
    kept(&mut mail, 1).await;
    port.stop().await;
    for _ in 0..3 {
        let (port, _) = open(dir.path()).await;
        port.stop().await;
    }
    let found: Vec<_> =
        cdrs(dir.path()).into_iter().map(|cdr| (cdr.call_id, cdr.stop_cause, cdr.duration_ms)).collect();
    let lost = |call: &str| (call.to_owned(), "lost".to_owned(), 12_345);
    assert_eq!(found, [("a-2".to_owned(), "callee".to_owned(), 12_345), lost("a-1"), lost("a-3")]);
    let (port, mut mail) = open(dir.path()).await;
    post(&port, 1, Record::Stop { id: id(1), stop: stop() });
    kept(&mut mail, 1).await;
    port.stop().await;
    assert_eq!(cdrs(dir.path()).len(), 3, "a stop after the loss bills nothing twice");
}

#[tokio::test]
async fn a_crash_between_journal_and_files_loses_and_doubles_nothing() {
    let dir = Directory::new("records");
    let (port, mut mail) = open(dir.path()).await;
    for number in 1..=10 {
        post(&port, 1, Record::Start(parties(number)));
        post(&port, 2, Record::Stop { id: id(number), stop: stop() });
        kept(&mut mail, 1).await;
        kept(&mut mail, 2).await;
    }
    port.stop().await;
    // As if the process had died before the journal learnt of the export, with half of the last line written.
    let journal = journal::Journal::read(&dir.path().join("records")).unwrap();
    let entries = journal.entries.into_iter().filter(|entry| matches!(entry, journal::Entry::Taken(..)));
    let entries: Vec<_> = entries.collect();
    std::fs::remove_dir_all(dir.path().join("records")).unwrap();
    std::fs::create_dir(dir.path().join("records")).unwrap();
    journal::Journal::begin(&dir.path().join("records"), &entries).unwrap();
    for name in ["jsonl", "csv"] {
        let path = dir.path().join("cdr").join(format!("2026-11-21.{name}"));
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 300]).unwrap();
    }
    let (port, _) = open(dir.path()).await;
    port.stop().await;
    let mut found: Vec<_> = cdrs(dir.path()).into_iter().map(|cdr| cdr.call_id).collect();
    found.sort();
    let mut expected: Vec<_> = (1..=10).map(|number| format!("a-{number}")).collect();
    expected.sort();
    assert_eq!(found, expected);
    let csv = std::fs::read_to_string(dir.path().join("cdr/2026-11-21.csv")).unwrap();
    assert_eq!(csv.lines().count(), 11, "{csv}");
}

#[tokio::test]
async fn the_journal_rotates_and_keeps_what_is_open() {
    let dir = Directory::new("records");
    let (port_post, mut mail) = exchange();
    let settings = Settings { journal_bytes_max: 2_000, ..settings(dir.path()) };
    let port = start(settings, port_post, StillClock::at(START_MS), None).await.unwrap();
    post(&port, 1, Record::Start(parties(1_000)));
    kept(&mut mail, 1).await;
    for number in 1..=100 {
        post(&port, 1, Record::Attempt { parties: CallParties { start_ms: 0, ..parties(number) }, stop: stop() });
        kept(&mut mail, 1).await;
    }
    port.stop().await;
    let (port, mut mail) = open(dir.path()).await;
    assert_eq!(cdrs(dir.path()).len(), 101, "100 attempts and the lost one");
    post(&port, 1, Record::Attempt { parties: CallParties { start_ms: 0, ..parties(1) }, stop: stop() });
    kept(&mut mail, 1).await;
    port.stop().await;
    assert_eq!(cdrs(dir.path()).len(), 101, "ids are remembered over files and restarts");
    let count = std::fs::read_dir(dir.path().join("records")).unwrap().count();
    assert!(count <= 2, "{count} journal files");
}

#[tokio::test]
async fn finished_records_go_into_the_store() {
    let dir = Directory::new("records");
    let (port_post, mut mail) = exchange();
    let clock = StillClock::at(START_MS);
    let store_settings = store::Settings { file: dir.path().join("tandem.db"), ..store::Settings::default() };
    let store = store::start(store_settings, exchange().0, &home(), clock.clone()).await.unwrap();
    let port = start(settings(dir.path()), port_post, clock.clone(), Some(&store)).await.unwrap();
    post(&port, 1, Record::Start(parties(1)));
    post(&port, 2, Record::Stop { id: id(1), stop: stop() });
    post(&port, 3, Record::Start(parties(2)));
    for thread in 1..=3 {
        kept(&mut mail, thread).await;
    }
    port.stop().await;
    let port = start(settings(dir.path()), exchange().0, clock, Some(&store)).await.unwrap();
    port.stop().await;
    // The writing thread works in order: after this change the records are in.
    let fields = store::DomainFields { domain: "example.test".into(), reseller_id: None };
    store.provisioning().create_domain(fields).await.unwrap();
    let found = store.provisioning().cdrs(Query::default()).await.unwrap();
    let causes: Vec<_> = found.items.iter().map(|(_, cdr)| (cdr.call_id.as_str(), cdr.stop_cause.as_str())).collect();
    assert_eq!(causes, [("a-1", "callee"), ("a-2", "lost")]);
    store.stop().await;
}

#[test]
fn times_are_written_as_rfc_3339() {
    for (unix_ms, expected) in [
        (0, ""),
        (1, "1970-01-01T00:00:00.001Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
        (4_102_444_800_000, "2100-01-01T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (START_MS, "2026-11-21T08:15:00.000Z"),
    ] {
        assert_eq!(cdr::rfc3339(unix_ms), expected);
    }
}

/// Child of the next test: answers calls and ends them until it is killed, and tells each answer.
#[test]
#[ignore = "runs as a child of another test"]
fn child_records_until_killed() {
    let Ok(dir) = std::env::var("TANDEM_PORTS_CHILD") else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (port, mut mail) = runtime.block_on(open(Path::new(&dir)));
    let mut told = std::io::stdout().lock();
    for number in 1..1_000_000u64 {
        post(&port, number * 2, Record::Start(parties(number.into())));
        post(&port, number * 2 + 1, Record::Stop { id: id(number.into()), stop: stop() });
        if number % 20 == 0 {
            for _ in 0..40 {
                let answer = mail.next_blocking();
                assert_eq!(answer.letter, Letter::Kept);
                writeln!(told, "kept {}", answer.thread.0).unwrap();
            }
            told.flush().unwrap();
        }
    }
}

#[tokio::test]
async fn every_answered_record_survives_kill_9_exactly_once() {
    let dir = Directory::new("records");
    let mut told = 0;
    for round in 1..=2 {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "records::tests::child_records_until_killed", "--ignored", "--nocapture"])
            .env("TANDEM_PORTS_CHILD", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let number = |line: String| line.split("kept ").nth(1).and_then(|text| text.parse::<u64>().ok());
        told = lines.by_ref().map_while(Result::ok).filter_map(number).take(400 * round).last().unwrap();
        child.kill().unwrap();
        told = lines.map_while(Result::ok).filter_map(number).last().unwrap_or(told).max(told);
        child.wait().unwrap();
    }
    let (port, _) = open(dir.path()).await;
    port.stop().await;
    let mut found: Vec<u64> = cdrs(dir.path()).iter().map(|cdr| cdr.call_id[2..].parse().unwrap()).collect();
    let count = found.len();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), count, "a call is billed twice");
    for number in 1..=told / 2 - 1 {
        assert!(found.binary_search(&number).is_ok(), "call {number} was answered and is lost");
    }
}
