//! What the ports cost: `cargo run --release -p ports --example measure`. CPU is user and system time of this process;
//! the sender of the UDP part is a child process and does not count.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric::letters::flow::{Transmit, Transport};
use fabric::letters::location::{Binding, StoredBindings};
use fabric::letters::media::MediaStats;
use fabric::letters::record::{CallParties, CallStop, Party, Record, RecordId, StopCause};
use fabric::letters::subscriber::AccountAsk;
use fabric::{Address, Clock, Envelope, Home, Key, Letter, NodeId, Now, Post, Thread};
use ports::{flow, records, store};
use tokio::sync::mpsc;

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
        Now { instant: fabric::Instant(since.as_micros() as u64), unix_ms: since.as_millis() as u64 }
    }
}

struct Channel(mpsc::UnboundedSender<Envelope>);

impl Post for Channel {
    fn post(&self, envelope: Envelope) {
        let _ = self.0.send(envelope);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, "flood", address, rate] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return flood(address.parse().expect("an address"), rate.parse().expect("a rate"));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let home = Home::new(NodeId(1), [7; 16], 64);
    for rate in [6_000, 30_000, 0] {
        for send_batched in [false, true] {
            runtime.block_on(echo(&home, send_batched, rate));
        }
    }
    let dir = std::env::temp_dir().join(format!("tandem-measure-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    runtime.block_on(bindings(&home, &dir));
    runtime.block_on(accounts(&home, &dir));
    runtime.block_on(call_records(&dir));
    let _ = std::fs::remove_dir_all(&dir);
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks = |place: usize| fields[place].parse::<u64>().expect("ticks");
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
}

fn line(what: &str, count: u64, wall: Duration, used: Duration) {
    let per = used.as_nanos() as f64 / count as f64 / 1000.0;
    println!(
        "{what:<44} {count:>8} in {:>6.2} s  {:>9.0}/s  {per:>6.2} µs CPU each",
        wall.as_secs_f64(),
        count as f64 / wall.as_secs_f64()
    );
}

/// Every datagram received goes through a task and is sent back.
async fn echo(home: &Home, send_batched: bool, rate: u64) {
    let (sender, mut received) = mpsc::unbounded_channel();
    let listen = flow::Listen {
        transport: Transport::Udp,
        address: "127.0.0.1:0".parse().expect("an address"),
        advertise: None,
        sockets: 1,
        wildcard: false,
        floating: false,
    };
    let udp = ports::udp::Settings { send_batched, ..ports::udp::Settings::default() };
    let settings = flow::Settings { listen: vec![listen], udp, ..flow::Settings::default() };
    let port = flow::start(settings, Arc::new(Channel(sender)), home, Arc::new(SystemClock)).await.expect("a port");
    let address = port.listeners()[0].bound.to_string();
    let answering = port.clone();
    let echoing = tokio::spawn(async move {
        while let Some(envelope) = received.recv().await {
            if let Letter::Received(got) = envelope.letter {
                let letter = Letter::Transmit(Transmit { flow: got.flow, bytes: got.bytes });
                answering.post(Envelope::new(envelope.to, envelope.from, letter));
            }
        }
    });
    let (begun, used) = (Instant::now(), cpu());
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["flood", &address, &rate.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("a child");
    tokio::task::spawn_blocking(move || child.wait()).await.expect("a wait").expect("a child's end");
    let (wall, used) = (begun.elapsed(), cpu() - used);
    let sent = port.counters().into_iter().find(|(name, _)| *name == "udp_packets_out").expect("a counter").1;
    let mode = if send_batched { "batched" } else { "at once" };
    line(&format!("udp echo, sent {mode}, rate {rate}"), sent.max(1), wall, used);
    echoing.abort();
    port.stop().await;
}

/// Sends for three seconds at `rate` a second, 0 as fast as a window of 256 allows, and reads what comes back.
fn flood(address: SocketAddr, rate: u64) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(address).expect("an address");
    socket.set_nonblocking(true).expect("a socket");
    let message = vec![b'x'; 700];
    let mut buffer = [0; 2048];
    let begun = Instant::now();
    let (mut sent, mut back) = (0u64, 0u64);
    while begun.elapsed() < Duration::from_secs(3) {
        while socket.recv(&mut buffer).is_ok() {
            back += 1;
        }
        let due = if rate == 0 { back + 256 } else { begun.elapsed().as_micros() as u64 * rate / 1_000_000 };
        while sent < due && socket.send(&message).is_ok() {
            sent += 1;
        }
        if rate > 0 {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

fn open_store(dir: &Path) -> store::Settings {
    store::Settings { file: dir.join("tandem.db"), ..store::Settings::default() }
}

const AORS: u64 = 100_000;

async fn bindings(home: &Home, dir: &Path) {
    let (sender, mut mail) = mpsc::unbounded_channel();
    let post: Arc<dyn Post> = Arc::new(Channel(sender));
    let port = store::start(open_store(dir), post, home, Arc::new(SystemClock)).await.expect("a store");
    let keep = |number: u64| {
        // Spread over the table, as devices are over time.
        let aor = format!("user{:05}@example.test", number * 7919 % AORS);
        let binding = Binding {
            contact: format!("<sip:user{number}@192.0.2.{}:5060>", number % 250).into(),
            path: "<sip:AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrSt@192.0.2.1;lr;ob>".into(),
            call_id: format!("{number:032x}").into(),
            cseq: 1,
            q: 1000,
            expires_ms: u64::MAX,
            instance: None,
            reg_id: 0,
            user_agent: Some("measure".into()),
            received: Some("192.0.2.7:5060".into()),
            nat: false,
        };
        let letter = Letter::KeepBindings(Box::new(StoredBindings { aor: aor.into(), bindings: vec![binding] }));
        port.post(Envelope::ask(Address::Location(0), home.store(), Thread(number + 1), letter));
    };
    for (what, rate) in [
        ("keep bindings, first, 6000/s", 6_000u64),
        ("keep bindings, again, 6000/s", 6_000),
        ("keep bindings, no pause", 0),
    ] {
        let (begun, used) = (Instant::now(), cpu());
        let (mut sent, mut kept) = (0, 0);
        while kept < AORS {
            let due = if rate == 0 { kept + 1_000 } else { begun.elapsed().as_micros() as u64 * rate / 1_000_000 };
            while sent < due.min(AORS) {
                keep(sent);
                sent += 1;
            }
            while mail.try_recv().is_ok() {
                kept += 1;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        line(what, AORS, begun.elapsed(), cpu() - used);
    }
    println!("  {:?}", port.counters());
    port.stop().await;

    let (sender, mut mail) = mpsc::unbounded_channel();
    let begun = Instant::now();
    let port =
        store::start(open_store(dir), Arc::new(Channel(sender)), home, Arc::new(SystemClock)).await.expect("a store");
    let (mut found, before) = (0, resident_bytes());
    for shard in 0..home.shards {
        port.post(Envelope::ask(
            Address::Location(shard),
            home.store(),
            Thread(1),
            Letter::LoadBindings(shard, home.shards),
        ));
    }
    for _ in 0..home.shards {
        if let Some(Envelope { letter: Letter::LoadedBindings(loaded), .. }) = mail.recv().await {
            found += loaded.len();
        }
    }
    println!(
        "open and load {found} bindings in {} shards: {:?}; held {} MB",
        home.shards,
        begun.elapsed(),
        (resident_bytes() - before) >> 20
    );
    port.stop().await;
}

async fn accounts(home: &Home, dir: &Path) {
    let (sender, mut mail) = mpsc::unbounded_channel();
    let port =
        store::start(open_store(dir), Arc::new(Channel(sender)), home, Arc::new(SystemClock)).await.expect("a store");
    let provisioning = port.provisioning();
    provisioning
        .create_domain(store::DomainFields { domain: "example.test".into(), reseller_id: None })
        .await
        .expect("a domain");
    let customer = provisioning.create_customer(store::CustomerFields::default()).await.expect("a customer");
    let before = resident_bytes();
    let (begun, used) = (Instant::now(), cpu());
    for hundred in 0..AORS / 100 {
        let many = (hundred * 100..hundred * 100 + 100).map(|number| store::SubscriberFields {
            domain: Some("example.test".into()),
            username: format!("user{number:05}"),
            password: Some("secret1".into()),
            customer_id: Some(customer.id),
            primary_number: Some(store::Number { cc: "43".into(), ac: "1".into(), sn: format!("{number:06}") }),
            ..store::SubscriberFields::default()
        });
        provisioning.create_subscribers(many.collect()).await.expect("subscribers");
    }
    line("create subscribers, 100 a call", AORS, begun.elapsed(), cpu() - used);
    println!("  directory: {} bytes a subscriber", (resident_bytes().saturating_sub(before)) / AORS);
    let (begun, used) = (Instant::now(), cpu());
    for number in 0..1_000_000u64 {
        let ask = AccountAsk { user: format!("user{:05}", number * 7919 % AORS), domain: "example.test".into() };
        port.post(Envelope::ask(
            Address::Control(NodeId(1)),
            home.store(),
            Thread(1),
            Letter::AccountAsk(Box::new(ask)),
        ));
        let _ = mail.try_recv();
    }
    line("account asks", 1_000_000, begun.elapsed(), cpu() - used);
    port.stop().await;
    let begun = Instant::now();
    let (sender, _mail) = mpsc::unbounded_channel();
    let port =
        store::start(open_store(dir), Arc::new(Channel(sender)), home, Arc::new(SystemClock)).await.expect("a store");
    println!("open with {AORS} subscribers: {:?}", begun.elapsed());
    port.stop().await;
}

async fn call_records(dir: &Path) {
    let (sender, mut mail) = mpsc::unbounded_channel();
    let post: Arc<dyn Post> = Arc::new(Channel(sender));
    let paths: [PathBuf; 2] = [dir.join("records"), dir.join("cdr")];
    let settings =
        records::Settings { journal_dir: paths[0].clone(), cdr_dir: paths[1].clone(), ..records::Settings::default() };
    let (sender, _nobody) = mpsc::unbounded_channel();
    let home = Home::new(NodeId(1), [7; 16], 64);
    let store =
        store::start(open_store(dir), Arc::new(Channel(sender)), &home, Arc::new(SystemClock)).await.expect("a store");
    let port = records::start(settings, post, Arc::new(SystemClock), Some(&store)).await.expect("a port");
    let calls = 20_000u64;
    let rate = 2_000;
    let (begun, used) = (Instant::now(), cpu());
    let (mut sent, mut kept) = (0, 0);
    while kept < calls * 2 {
        let due = begun.elapsed().as_micros() as u64 * rate / 1_000_000;
        while sent < due.min(calls) {
            let id = RecordId { call: Key(u128::from(sent) << 64 | 5), init_ms: 1_795_248_900_000, leg: 1 };
            let party =
                Party { subscriber_id: 1, user: "alice".into(), domain: "example.test".into(), ..Party::default() };
            let parties = CallParties {
                id,
                call_id: format!("{sent:032x}"),
                callee_call_id: format!("{sent:032x}-b"),
                source: party.clone(),
                destination: party,
                dialled: "sip:1002@example.test".into(),
                routed: "sip:bob@192.0.2.7:5060".into(),
                source_ip: "192.0.2.8:5060".into(),
                init_ms: id.init_ms,
                ring_ms: id.init_ms + 100,
                start_ms: id.init_ms + 1_000,
            };
            let stop = CallStop {
                end_ms: id.init_ms + 10_000,
                duration_ms: 9_000,
                cause: StopCause::CallerHangup,
                status: 200,
                reason: "OK".into(),
                media: MediaStats::default(),
            };
            for record in [Record::Start(parties), Record::Stop { id, stop }] {
                port.post(Envelope::ask(
                    Address::Call(id.call),
                    home.records(),
                    Thread(1),
                    Letter::Record(Box::new(record)),
                ));
            }
            sent += 1;
        }
        while mail.try_recv().is_ok() {
            kept += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    line("call records (start, stop, files, database)", calls, begun.elapsed(), cpu() - used);
    println!("  {:?}", port.counters());
    port.stop().await;
    store.stop().await;
}
