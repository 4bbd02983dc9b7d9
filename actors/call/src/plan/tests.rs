use fabric::{Home, Instant, NodeId};

use super::*;
use crate::settings::Outbound;

fn flow(transport: Transport, local: &str, remote: &str) -> Flow {
    Flow {
        balancer: fabric::Address::Balancer(NodeId(1), 0),
        transport,
        listener: 3,
        local: local.parse().expect("address"),
        remote: remote.parse().expect("address"),
        connection: 7,
    }
}

fn binding(contact: &str, path: &str, q: u16, expires_ms: u64) -> Binding {
    Binding {
        contact: contact.into(),
        path: path.into(),
        call_id: "r".into(),
        cseq: 1,
        q,
        expires_ms,
        instance: None,
        reg_id: 0,
        user_agent: None,
        received: None,
        nat: false,
    }
}

#[test]
fn branches_in_the_order_of_trying() {
    let home = Home::new(NodeId(1), [7; 16], 4);
    let way = flow(Transport::Tcp, "198.51.100.1:5060", "192.0.2.9:40000");
    let path = format!("<sip:{}@198.51.100.1;lr;ob>, <sip:far.example;lr>", home.tokens.seal_flow(&way));
    let bindings = [
        binding("sip:low@192.0.2.1", &path, 100, 2_000),
        binding("sip:dead@192.0.2.2", &path, 1000, 1_000),
        binding("sip:high@192.0.2.3", &path, 900, 2_000),
        binding("sip:lost@192.0.2.4", "<sip:forged@198.51.100.1;lr>", 500, u64::MAX),
        binding("sip:more@192.0.2.5", "", 50, 2_000),
    ];
    let now = Now { instant: Instant(0), unix_ms: 1_000 };
    let settings = Settings { targets_max: 3, ..Settings::default() };
    let branches = branches(&bindings, 4, &settings, &home.tokens, now);
    let seen: Vec<_> = branches.iter().map(|branch| (branch.leg, &*branch.contact, branch.flow.is_some())).collect();
    assert_eq!(
        seen,
        [(4, "sip:high@192.0.2.3", true), (5, "sip:lost@192.0.2.4", false), (6, "sip:low@192.0.2.1", true)]
    );
    assert_eq!((branches[0].flow, &*branches[0].routes), (Some(way), "<sip:far.example;lr>"));
}

#[test]
fn names_of_contacts() {
    // contact, host, port, transport, sips
    let rows = [
        ("sip:a@host.test", "host.test", None, None, false),
        ("sip:a@192.0.2.1:5070;transport=TCP", "192.0.2.1", Some(5070), Some(Transport::Tcp), false),
        ("sips:a@[2001:db8::1]:5061", "2001:db8::1", Some(5061), None, true),
    ];
    for (contact, host, port, transport, sips) in rows {
        let wanted = NamesAsk { host: host.to_owned(), port, transport, sips };
        assert_eq!(resolve(contact), Some(wanted), "{contact}");
    }
    assert_eq!(resolve("not a uri"), None);
}

#[test]
fn flows_without_a_path() {
    let outbound = vec![
        Outbound {
            site: NodeId(2),
            listener: 1,
            transport: Transport::Tcp,
            local: "198.51.100.1:5060".parse().expect("address"),
        },
        Outbound {
            site: NodeId(2),
            listener: 2,
            transport: Transport::Udp,
            local: "[2001:db8::1]:5060".parse().expect("address"),
        },
    ];
    let settings = Settings { outbound, ..Settings::default() };
    let source = flow(Transport::Udp, "198.51.100.1:5060", "192.0.2.1:5060");
    // target, listener it leaves from
    let rows = [
        (Transport::Udp, "192.0.2.9:5060", Some(3)),
        (Transport::Tcp, "192.0.2.9:5060", Some(1)),
        (Transport::Udp, "[2001:db8::9]:5060", Some(2)),
        (Transport::Tcp, "[2001:db8::9]:5060", None),
        (Transport::Tls, "192.0.2.9:5061", None),
    ];
    for (transport, address, listener) in rows {
        let target = Target { transport, address: address.parse().expect("address") };
        let found = flow_to(&target, &source, &settings);
        assert_eq!(found.map(|flow| flow.listener), listener, "{transport:?} {address}");
        assert!(found.is_none_or(|flow| flow.connection == 0 && flow.remote == target.address));
    }
}
