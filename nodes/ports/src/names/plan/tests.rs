use std::collections::BTreeMap;

use super::super::resolver::Naptr;
use super::*;

/// A zone in memory; what is not there does not exist, `fails` cannot be told.
#[derive(Default)]
struct Zone {
    naptr: BTreeMap<&'static str, Vec<Naptr>>,
    srv: BTreeMap<&'static str, Vec<Srv>>,
    hosts: BTreeMap<&'static str, Vec<&'static str>>,
    fails: Vec<&'static str>,
}

impl Zone {
    fn look<T: Clone>(&self, name: &str, table: &BTreeMap<&'static str, Vec<T>>) -> Result<Vec<T>, Failure> {
        match self.fails.contains(&name) {
            true => Err(Failure("SERVFAIL".to_owned())),
            false => Ok(table.get(name).cloned().unwrap_or_default()),
        }
    }
}

impl Lookups for Zone {
    async fn naptr(&self, name: &str) -> Result<Vec<Naptr>, Failure> {
        self.look(name, &self.naptr)
    }

    async fn srv(&self, name: &str) -> Result<Vec<Srv>, Failure> {
        self.look(name, &self.srv)
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        Ok(self.look(name, &self.hosts)?.iter().map(|address| address.parse().unwrap()).collect())
    }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv { priority, weight, port, target: target.to_owned() }
}

fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
    Naptr { order, preference, service: service.to_owned(), replacement: replacement.to_owned() }
}

fn ask(host: &str, port: Option<u16>, transport: Option<Transport>, sips: bool) -> NamesAsk {
    NamesAsk { host: host.to_owned(), port, transport, sips }
}

async fn targets(zone: &Zone, transports: &[Transport], ask: NamesAsk) -> Result<Vec<String>, Failure> {
    let dice = Dice::new(&[1; 16]);
    let plan = Plan { resolver: zone, transports, dice: &dice, targets_max: 4 };
    let found = plan.targets(&ask).await?;
    Ok(found.iter().map(|target| format!("{} {}", target.transport.param(), target.address)).collect())
}

const BOTH: &[Transport] = &[Transport::Udp, Transport::Tcp];

/// A provider as in RFC 3263 4.1's example.
fn provider() -> Zone {
    let mut zone = Zone::default();
    zone.naptr.insert(
        "example.com",
        vec![
            naptr(100, 50, "SIP+D2U", "_sip._udp.example.com"),
            naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
            naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com"),
            naptr(10, 1, "E2U+sip", "elsewhere.example.com"),
        ],
    );
    zone.srv.insert("_sip._tcp.example.com", vec![srv(1, 0, 5060, "b.example.com"), srv(0, 0, 5080, "a.example.com")]);
    zone.srv.insert("_sip._udp.example.com", vec![srv(0, 0, 5060, "a.example.com")]);
    zone.srv.insert("_sips._tcp.example.com", vec![srv(0, 0, 5061, "a.example.com")]);
    zone.hosts.insert("a.example.com", vec!["192.0.2.1", "2001:db8::1"]);
    zone.hosts.insert("b.example.com", vec!["192.0.2.2"]);
    zone
}

#[test]
fn literals_need_no_question() {
    let rows = [
        ("192.0.2.1", None, None, false, Some("udp 192.0.2.1:5060")),
        ("192.0.2.1", Some(5070), Some(Transport::Tcp), false, Some("tcp 192.0.2.1:5070")),
        ("2001:db8::1", None, None, false, Some("udp [2001:db8::1]:5060")),
        ("[2001:db8::1]", None, None, true, Some("tls [2001:db8::1]:5061")),
        ("192.0.2.1", None, Some(Transport::Tcp), true, Some("tls 192.0.2.1:5061")),
        ("example.com", None, None, false, None),
    ];
    for (host, port, transport, sips, expected) in rows {
        let found = literal(&ask(host, port, transport, sips));
        let found = found.map(|target| format!("{} {}", target.transport.param(), target.address));
        assert_eq!(found.as_deref(), expected, "{host}");
    }
}

#[tokio::test]
async fn naptr_chooses_the_transport_and_srv_the_host() {
    let zone = provider();
    let found = targets(&zone, BOTH, ask("example.com", None, None, false)).await.unwrap();
    let expected =
        ["tcp 192.0.2.1:5080", "tcp [2001:db8::1]:5080", "tcp 192.0.2.2:5060", "udp 192.0.2.1:5060"].map(String::from);
    assert_eq!(found, expected, "order 90 before 100, SRV priority 0 before 1, four targets at most");
    let found = targets(&zone, &[Transport::Udp], ask("example.com", None, None, false)).await.unwrap();
    assert_eq!(found, ["udp 192.0.2.1:5060", "udp [2001:db8::1]:5060"], "only what we speak");
}

#[tokio::test]
async fn sips_takes_nothing_but_tls() {
    let zone = provider();
    let with_tls = [Transport::Udp, Transport::Tcp, Transport::Tls];
    let found = targets(&zone, &with_tls, ask("example.com", None, None, true)).await.unwrap();
    assert_eq!(found, ["tls 192.0.2.1:5061", "tls [2001:db8::1]:5061"]);
}

#[tokio::test]
async fn a_port_rules_srv_out_and_a_transport_rules_naptr_out() {
    let mut zone = provider();
    zone.hosts.insert("example.com", vec!["192.0.2.9"]);
    let rows = [
        (Some(5099), None, vec!["udp 192.0.2.9:5099"]),
        (Some(5099), Some(Transport::Tcp), vec!["tcp 192.0.2.9:5099"]),
        (None, Some(Transport::Udp), vec!["udp 192.0.2.1:5060", "udp [2001:db8::1]:5060"]),
    ];
    for (port, transport, expected) in rows {
        assert_eq!(targets(&zone, BOTH, ask("example.com", port, transport, false)).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn without_naptr_it_asks_for_srv_and_without_srv_for_addresses() {
    let mut zone = provider();
    zone.naptr.clear();
    let found = targets(&zone, BOTH, ask("example.com", None, None, false)).await.unwrap();
    assert_eq!(found[0], "udp 192.0.2.1:5060", "our own order of transports");
    zone.srv.clear();
    zone.hosts.insert("example.com", vec!["192.0.2.9"]);
    let found = targets(&zone, BOTH, ask("example.com", None, None, false)).await.unwrap();
    assert_eq!(found, ["udp 192.0.2.9:5060"]);
    let found = targets(&zone, BOTH, ask("example.com", None, Some(Transport::Tcp), false)).await.unwrap();
    assert_eq!(found, ["tcp 192.0.2.9:5060"]);
    assert!(targets(&zone, BOTH, ask("nowhere.example", None, None, false)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_root_target_means_no_service() {
    let mut zone = provider();
    zone.hosts.insert("example.com", vec!["192.0.2.9"]);
    zone.srv.insert("_sip._udp.example.com", vec![srv(0, 0, 0, "")]);
    let found = targets(&zone, BOTH, ask("example.com", None, Some(Transport::Udp), false)).await.unwrap();
    assert!(found.is_empty(), "RFC 2782: the service is decidedly not available");
}

#[tokio::test]
async fn a_failing_server_is_no_missing_name() {
    let zone = Zone { fails: vec!["example.com"], ..provider() };
    assert!(targets(&zone, BOTH, ask("example.com", None, None, false)).await.is_err());
}

#[test]
fn weights_share_the_load_within_a_priority() {
    let dice = Dice::new(&[7; 16]);
    let records =
        vec![srv(5, 10, 1, "backup"), srv(1, 60, 1, "a"), srv(1, 30, 1, "b"), srv(1, 10, 1, "c"), srv(1, 0, 1, "z")];
    let mut first: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..10_000 {
        let ordered = in_order(records.clone(), &dice);
        assert_eq!(ordered.len(), 5);
        assert_eq!(ordered[4].target, "backup", "a higher priority number is always later");
        *first.entry(ordered[0].target.clone()).or_default() += 1;
    }
    for (target, low, high) in [("a", 5_700, 6_300), ("b", 2_750, 3_250), ("c", 800, 1_200), ("z", 20, 200)] {
        assert!((low..high).contains(&first[target]), "{first:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_order() {
    let records = || (0..20).map(|number| srv(0, number, number, "host")).collect::<Vec<_>>();
    let (one, two) = (Dice::new(&[3; 16]), Dice::new(&[3; 16]));
    for _ in 0..10 {
        assert_eq!(in_order(records(), &one), in_order(records(), &two));
    }
}
