//! Three nodes of Cassandra of our own, which are killed: one of them, all of them, and back.

use std::path::PathBuf;
use std::process::Command as Process;

use super::*;

/// A ring that ends with the test.
struct Ring {
    dir: PathBuf,
}

const NODES: [&str; 3] = ["127.0.0.31", "127.0.0.32", "127.0.0.33"];

impl Ring {
    async fn run(&self, command: &str, nodes: &[&str]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cassandra/run");
        let mut process = Process::new(script);
        process.arg(command).arg(&self.dir).args(nodes).env("CASSANDRA_HEAP_MB", "256").env("CASSANDRA_WAIT_S", "180");
        let done = tokio::task::spawn_blocking(move || process.status().unwrap());
        assert!(done.await.unwrap().success(), "{command} {nodes:?}");
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cassandra/run");
        let _ = Process::new(script).arg("kill").arg(&self.dir).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_while_the_store_is_away_and_everything_arrives_once() {
    if point().is_none() {
        return;
    }
    let dir = Directory::new("outage");
    let ring = Ring { dir: dir.path().join("ring") };
    ring.run("start", &NODES).await;
    let cql = Settings {
        contact_points: NODES.iter().map(|node| format!("{node}:9042")).collect(),
        replication: [("dc1".to_owned(), 3)].into(),
        timeout_ms: 5_000,
        start_wait_s: 120,
        ..settings("", "outage")
    };
    let (store, mut mail) = node(1, dir.path(), cql.clone()).await;
    let customer = stock(&store).await;
    store.provisioning().create_subscriber(subscriber("alice", customer)).await.unwrap();

    // One of three: nothing happens, at most a moment passes.
    ring.run("kill", &NODES[..1]).await;
    until("two of three take a change", async || {
        store.provisioning().create_subscriber(subscriber("bob", customer)).await.is_ok()
            || is_known(&store, &mut mail, "bob").await
    })
    .await;
    finish(&store, cdr(1, "caller"), false, stamp::of(1, NOW_MS));
    until("two of three take a record", async || count(&store, "central_cdrs") == 1).await;

    // All of them: only provisioning fails, and says why.
    ring.run("kill", &NODES[1..]).await;
    let refused = store.provisioning().create_subscriber(subscriber("carol", customer)).await;
    assert!(matches!(refused, Err(ProvisionError::Unavailable(_))), "{refused:?}");
    assert!(is_known(&store, &mut mail, "alice").await);
    keep(&store, &mut mail, "alice@example.test", 1, bindings("sip:alice")).await;
    for number in 2..100 {
        finish(&store, cdr(number, "caller"), false, stamp::of(1, NOW_MS));
    }
    assert_eq!(count(&store, "central_bindings_waiting"), 1);
    store.stop().await;

    // A start without the store: the local copy serves, and the records are still there.
    let (store, mut mail) = try_node(1, dir.path(), Settings { start_wait_s: 1, ..cql.clone() }).await;
    assert!(store.trouble().is_some());
    assert!(is_known(&store, &mut mail, "bob").await);
    assert_eq!(load(&store, &mut mail).await, [("alice@example.test".to_owned(), "sip:alice".to_owned())]);
    keep(&store, &mut mail, "bob@example.test", 1, bindings("sip:bob")).await;
    finish(&store, cdr(100, "caller"), false, stamp::of(1, NOW_MS));

    // Back again.
    ring.run("start", &NODES).await;
    println!("started");
    until("records and bindings arrive", async || {
        println!("{:?} {:?}", store.trouble(), store.counters());
        count(&store, "central_cdrs") == 99 && count(&store, "central_bindings") == 1
    })
    .await;
    until("provisioning goes on", async || store.trouble().is_none()).await;
    store.provisioning().create_subscriber(subscriber("dora", customer)).await.unwrap();
    assert_eq!(central_cdrs(&*session(&store).await).await.len(), 100);
    let (other, mut at_other) = node(2, dir.path(), cql).await;
    until("all is known elsewhere", async || is_known(&other, &mut at_other, "dora").await).await;
    store.stop().await;
    other.stop().await;
}
