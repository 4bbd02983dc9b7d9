use std::str::FromStr;

use fabric::{Address, NodeId, Thread};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, NAPTR, SOA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{Inbox, exchange, home};

/// A name server with a few records; names under `silent.test` get no answer, under `broken.test` SERVFAIL.
struct Server {
    address: SocketAddr,
    asked: Arc<Counter>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(records: Vec<(&'static str, RData)>) -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Counter::default());
        let count = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                count.one();
                let request = Message::from_vec(&buffer[..length]).unwrap();
                if let Some(answer) = answer(&request, &records) {
                    socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
                }
            }
        });
        Server { address, asked, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(request: &Message, records: &[(&'static str, RData)]) -> Option<Message> {
    let question = request.queries[0].clone();
    let asked = question.name().to_ascii().to_ascii_lowercase();
    if asked.ends_with("silent.test.") {
        return None;
    }
    let mut answer = Message::response(request.metadata.id, request.metadata.op_code);
    let kind = question.query_type();
    let of_name = records.iter().filter(|(owner, _)| *owner == asked);
    let fits = |data: &RData| data.record_type() == kind || data.record_type() == RecordType::CNAME;
    for (owner, data) in of_name.clone().filter(|(_, data)| fits(data)) {
        answer.add_answer(Record::from_rdata(Name::from_str(owner).unwrap(), 3600, data.clone()));
    }
    if asked.ends_with("broken.test.") {
        answer.metadata.response_code = ResponseCode::ServFail;
    } else if of_name.count() == 0 {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    if answer.answers.is_empty() {
        // Without it nothing negative may be cached: RFC 2308 5.
        let soa = SOA::new(name("ns.test."), name("host.test."), 1, 60, 60, 60, 60);
        answer.add_authority(Record::from_rdata(name("test."), 60, RData::SOA(soa)));
    }
    answer.add_query(question);
    Some(answer)
}

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn zone() -> Vec<(&'static str, RData)> {
    let naptr = |order, services: &str, replacement: &str| {
        let services = services.as_bytes().to_vec().into_boxed_slice();
        RData::NAPTR(NAPTR::new(order, 10, Box::from(*b"s"), services, Box::from(*b""), name(replacement)))
    };
    let a = |text: &str| RData::A(A(text.parse().unwrap()));
    vec![
        ("example.test.", naptr(20, "SIP+D2U", "_sip._udp.example.test.")),
        ("example.test.", naptr(10, "SIP+D2T", "_sip._tcp.example.test.")),
        ("_sip._udp.example.test.", RData::SRV(SRV::new(0, 1, 5070, name("one.example.test.")))),
        ("_sip._tcp.example.test.", RData::SRV(SRV::new(1, 1, 5080, name("one.example.test.")))),
        ("_sip._tcp.example.test.", RData::SRV(SRV::new(0, 1, 5090, name("two.example.test.")))),
        ("one.example.test.", a("198.51.100.1")),
        ("one.example.test.", RData::AAAA(AAAA("2001:db8::1".parse().unwrap()))),
        ("two.example.test.", a("198.51.100.2")),
        ("plain.test.", a("198.51.100.9")),
        ("evil.test.", a("127.0.0.1")),
        ("evil.test.", a("10.0.0.1")),
        ("evil.test.", a("198.51.100.66")),
        ("_sip._udp.ssh.test.", RData::SRV(SRV::new(0, 1, 22, name("plain.test.")))),
        ("loop.test.", RData::CNAME(CNAME(name("pool.test.")))),
        ("pool.test.", RData::CNAME(CNAME(name("loop.test.")))),
    ]
}

async fn open(settings: Settings) -> (Handle, Inbox, Server) {
    let server = Server::start(zone()).await;
    let (post, mail) = exchange();
    let settings = Settings { servers: vec![server.address], ..settings };
    (start(settings, post, &home()).await.unwrap(), mail, server)
}

fn ask(host: &str) -> Envelope {
    let ask = NamesAsk { host: host.to_owned(), port: None, transport: None, sips: false };
    let letter = Letter::NamesAsk(Box::new(ask));
    Envelope::ask(Address::Control(NodeId(1)), Address::Names(NodeId(1)), Thread(4), letter)
}

async fn answered(port: &Handle, mail: &mut Inbox, host: &str) -> Letter {
    port.post(ask(host));
    let answer = mail.next().await;
    assert_eq!((answer.to, answer.thread), (Address::Control(NodeId(1)), Thread(4)));
    answer.letter
}

async fn targets(port: &Handle, mail: &mut Inbox, host: &str) -> Vec<String> {
    match answered(port, mail, host).await {
        Letter::Names(found) => found.iter().map(|t| format!("{} {}", t.transport.param(), t.address)).collect(),
        other => panic!("{host}: {other:?}"),
    }
}

#[tokio::test]
async fn follows_naptr_srv_and_addresses() {
    let (port, mut mail, _server) = open(Settings::default()).await;
    let expected = [
        "tcp 198.51.100.2:5090",
        "tcp 198.51.100.1:5080",
        "tcp [2001:db8::1]:5080",
        "udp 198.51.100.1:5070",
        "udp [2001:db8::1]:5070",
    ];
    assert_eq!(targets(&port, &mut mail, "example.test").await, expected);
    assert_eq!(targets(&port, &mut mail, "plain.test").await, ["udp 198.51.100.9:5060"]);
    assert_eq!(targets(&port, &mut mail, "nowhere.test").await, [""; 0]);
    assert_eq!(targets(&port, &mut mail, "not a name").await, [""; 0]);
}

#[tokio::test]
async fn asks_a_server_once_and_for_literals_never() {
    let (port, mut mail, server) = open(Settings::default()).await;
    targets(&port, &mut mail, "example.test").await;
    let asked = server.asked.get();
    for _ in 0..3 {
        targets(&port, &mut mail, "EXAMPLE.test").await;
    }
    assert_eq!(targets(&port, &mut mail, "198.51.100.5").await, ["udp 198.51.100.5:5060"]);
    assert_eq!(server.asked.get(), asked, "everything came from the cache");
}

#[tokio::test]
async fn keeps_to_the_egress_policy() {
    let (port, mut mail, _server) = open(Settings::default()).await;
    assert_eq!(targets(&port, &mut mail, "evil.test").await, ["udp 198.51.100.66:5060"]);
    assert_eq!(targets(&port, &mut mail, "ssh.test").await, [""; 0]);
    assert_eq!(targets(&port, &mut mail, "127.0.0.1").await, [""; 0]);
    assert!(port.counters().contains(&("refused_targets", 4)), "{:?}", port.counters());
    let (port, mut mail, _server) = open(Settings { allow_loopback: true, ..Settings::default() }).await;
    assert_eq!(targets(&port, &mut mail, "evil.test").await, ["udp 127.0.0.1:5060", "udp 198.51.100.66:5060"]);
}

#[tokio::test]
async fn a_failure_comes_back_within_the_deadline() {
    let (port, mut mail, _server) = open(Settings { deadline_ms: 300, ..Settings::default() }).await;
    let asked = std::time::Instant::now();
    for host in ["silent.test", "broken.test"] {
        match answered(&port, &mut mail, host).await {
            Letter::Returned(fault) => assert!(fault.retry, "{host}: {fault:?}"),
            other => panic!("{host}: {other:?}"),
        }
    }
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    // A loop leads nowhere or fails; what matters is that it ends.
    assert!(matches!(answered(&port, &mut mail, "loop.test").await, Letter::Names(_) | Letter::Returned(_)));
}

#[tokio::test]
async fn questions_beyond_the_limit_come_back_at_once() {
    let (port, mut mail, _server) = open(Settings { asks_max: 1, deadline_ms: 500, ..Settings::default() }).await;
    port.post(ask("silent.test"));
    port.post(ask("silent.test"));
    let kinds = [mail.next().await.letter, mail.next().await.letter].map(|letter| match letter {
        Letter::Returned(fault) => fault.kind,
        other => panic!("{other:?}"),
    });
    assert_eq!(kinds[0], FaultKind::Overload);
    assert_ne!(kinds[1], FaultKind::Overload);
}
