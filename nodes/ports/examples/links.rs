//! What a record on a link costs: `cargo run --release -p ports --example links [records] [bytes of a part]`.
//!
//! Two nodes in this process, mutual TLS over the loopback, records of one part; prints records a second, CPU a record
//! (both ends: encode, encrypt, decrypt, decode) and bytes on the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use fabric::parcel::Record;
use fabric::{Address, Epoch, GroupId, Key, NodeId, Parcel, Part};
use ports::links::certificate::{self, Order, Pair};
use ports::links::roles::Role;
use ports::links::{Handle, Identity, PeerSettings, Settings, Sink, start};

#[derive(Default)]
struct Count(AtomicU64);

impl Sink for Count {
    fn receive(&self, _: NodeId, parcel: Parcel) {
        std::hint::black_box(&parcel);
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn on_link(&self, _: NodeId, _: bool) {}
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let records = numbers.next().transpose()?.unwrap_or(1_000_000);
    let bytes = numbers.next().transpose()?.unwrap_or(300) as usize;
    let directory = std::env::temp_dir().join(format!("tandem-links-{}", std::process::id()));
    let authority = certificate::authority("measure", 1, SystemTime::now())?;
    authority.write(&directory, "authority")?;
    let count = Arc::new(Count::default());
    let two = node(&directory, &authority, 2, 1, "127.0.0.1:9".parse()?, count.clone()).await?;
    let to = two.address().ok_or("no address")?;
    let one = node(&directory, &authority, 1, 2, to, Arc::new(Count::default())).await?;
    while !one.send(NodeId(2), &Parcel::Receipt(Vec::new())) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ahead = AHEAD_BYTES / (bytes as u64 + 64);
    println!("{records} records with a part of {bytes} bytes");
    println!("{:<28}{:>14}{:>14}{:>16}{:>14}", "load", "records/s", "us/record", "bytes/record", "records/write");
    for (name, burst, pause) in
        [("as fast as it goes", 1_000, None), ("20 at a time, 1 ms apart", 20, Some(Duration::from_millis(1)))]
    {
        let records = if pause.is_some() { records.min(60_000) } else { records };
        let (sent, wire, writes) = (count.0.load(Ordering::Relaxed), value(&one, "bytes_out"), value(&one, "writes"));
        let (begun, used) = (Instant::now(), cpu());
        let mut done = 0;
        while done < records {
            for number in done..(done + burst).min(records) {
                while !one.send(NodeId(2), &record(number, bytes)) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            done += burst;
            while done.saturating_sub(count.0.load(Ordering::Relaxed) - sent) > ahead {
                tokio::task::yield_now().await;
            }
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
        }
        while count.0.load(Ordering::Relaxed) - sent < records {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (took, used) = (begun.elapsed().as_secs_f64(), (cpu() - used).as_secs_f64());
        let each = records as f64;
        let (wire, writes) = ((value(&one, "bytes_out") - wire) as f64, (value(&one, "writes") - writes) as f64);
        let speed = each / took;
        println!("{name:<28}{speed:>14.0}{:>14.2}{:>16.0}{:>14.1}", used * 1e6 / each, wire / each, each / writes);
    }
    one.stop().await;
    two.stop().await;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

async fn node(
    directory: &std::path::Path,
    authority: &Pair,
    node: u16,
    other: u16,
    address: std::net::SocketAddr,
    sink: Arc<dyn Sink>,
) -> Result<Handle, Box<dyn std::error::Error>> {
    let (name, roles) = (format!("n{node}"), [Role::Proxy].into_iter().collect());
    let order = Order { node: NodeId(node), name: name.clone(), chassis: node, roles, days: 1 };
    let (certificate, key) = certificate::node(authority, &order, SystemTime::now())?.write(directory, &name)?;
    let settings = Settings {
        listen: Some("127.0.0.1:0".parse()?),
        certificate,
        key,
        authority: directory.join("authority.pem"),
        peers: vec![PeerSettings { node: other, chassis: other, address }],
        ..Settings::default()
    };
    let identity = Identity { node: NodeId(node), name, chassis: node, roles, boot: u64::from(node) };
    Ok(start(settings, identity, sink).await?)
}

fn record(number: u64, bytes: usize) -> Parcel {
    Parcel::Record(Box::new(Record {
        group: GroupId(1),
        epoch: Epoch(1),
        number,
        address: Address::Call(Key(u128::from(number) << 64)),
        axis: fabric::Instant(number),
        patches: Vec::new(),
        parts: vec![Part { name: "".into(), value: Some(vec![7; bytes].into()) }],
        gone: false,
        asked: Vec::new(),
        answered: Vec::new(),
        effects: Vec::new(),
        released: number,
    }))
}

fn value(handle: &Handle, name: &str) -> u64 {
    handle
        .counters()
        .into_iter()
        .find(|(other, _)| other.strip_prefix("links_") == Some(name))
        .map_or(0, |(_, value)| value)
}

/// CPU time of this process, user and system, in ticks of 10 ms.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Bytes on their way at most: a standby that keeps up.
const AHEAD_BYTES: u64 = 8 << 20;
