use std::net::SocketAddr;

use fabric::letters::flow::{Flow, SipIn, Transport};
use fabric::letters::media::{MediaAsk, MediaProfile};
use fabric::{
    Address, Envelope, Fault, Founder, Home, Housing, Instant, Key, Letter, NodeId, Now, Outbox, Part, Thread,
};

use super::{RoleSettings, Roles};

const KEY: Key = Key(7);

#[test]
fn who_founds_whom() {
    let roles = roles();
    let (call, registration, media) = (Address::Call(KEY), Address::Registration(KEY), Address::Media(KEY));
    for (address, letter, founds) in [
        (call, request("INVITE"), true),
        (call, request("CANCEL"), true),
        (call, request("OPTIONS"), true),
        (call, request("BYE"), true),
        (call, request("ACK"), false),
        (call, response(), false),
        (call, Letter::Describe, false),
        (call, Letter::Returned(Fault::timeout("store")), false),
        (call, Letter::Kept, false),
        (registration, request("REGISTER"), true),
        (registration, request("OPTIONS"), false),
        (registration, response(), false),
        (media, offer(), true),
        (media, Letter::MediaAsk(Box::new(MediaAsk::End)), true),
        (media, Letter::MediaAsk(Box::new(MediaAsk::Drop { leg: 1 })), false),
        (media, request("INVITE"), false),
        (Address::Location(3), Letter::Describe, true),
        (Address::Location(4), Letter::Describe, false),
        (Address::Balancer(NodeId(1), 0), Letter::Describe, true),
        (Address::Balancer(NodeId(2), 0), Letter::Describe, false),
        (Address::Anchor(NodeId(1), 0), Letter::Describe, true),
        (Address::Anchor(NodeId(2), 0), Letter::Describe, false),
        (Address::Store(NodeId(1)), Letter::Describe, false),
        (Address::Nobody, request("INVITE"), false),
    ] {
        let found = roles.found(address, &letter, now()).is_some();
        assert_eq!(found, founds, "{} for {address:?}", letter.kind());
    }
}

#[test]
fn who_lives_where() {
    let roles = roles();
    for (address, housing) in [
        (Address::Call(KEY), Housing::Own),
        (Address::Registration(KEY), Housing::Hive(2)),
        (Address::Media(KEY), Housing::Hive(2)),
        (Address::Balancer(NodeId(1), 0), Housing::Resident),
        (Address::Location(0), Housing::Resident),
        (Address::Anchor(NodeId(1), 0), Housing::Resident),
        (Address::Store(NodeId(1)), Housing::Port),
        (Address::Control(NodeId(1)), Housing::Port),
    ] {
        assert_eq!(roles.housing(address), housing, "{address:?}");
    }
}

fn roles() -> Roles {
    roles_of(false)
}

fn roles_of(clustered: bool) -> Roles {
    let settings = RoleSettings {
        balancer: Default::default(),
        registration: Default::default(),
        location: Default::default(),
        call: Default::default(),
        media: Default::default(),
        anchor: Default::default(),
        hives: 2,
        clustered,
    };
    Roles::new(Home::new(NodeId(1), [1; 16], 4), settings)
}

/// In a cluster shards move like everything else that has a slot.
#[test]
fn shards_of_a_cluster_live_in_hives() {
    let roles = roles_of(true);
    assert_eq!(roles.housing(Address::Location(0)), Housing::Hive(2));
    for (address, replicated) in [
        (Address::Call(KEY), true),
        (Address::Media(KEY), true),
        (Address::Registration(KEY), true),
        (Address::Location(0), true),
        (Address::Balancer(NodeId(1), 0), false),
        (Address::Anchor(NodeId(1), 0), false),
        (Address::Director(NodeId(1)), false),
        (Address::Store(NodeId(1)), false),
    ] {
        assert_eq!(roles.is_replicated(address), replicated, "{address:?}");
    }
}

#[test]
fn what_was_saved_is_made_again() {
    let roles = roles_of(true);
    for (address, letter) in [
        (Address::Call(KEY), request("INVITE")),
        (Address::Registration(KEY), request("REGISTER")),
        (Address::Media(KEY), offer()),
        (Address::Location(3), Letter::Describe),
    ] {
        let mut machine = roles.found(address, &letter, now()).expect("founded");
        let mut out = Outbox::new(address);
        machine.handle(Envelope::ask(Address::Control(NodeId(1)), address, Thread(1), letter), now(), &mut out);
        let mut parts = Vec::new();
        machine.save(false, &mut parts);
        let mut again = roles.restore(address, &parts, now()).expect("restored");
        let mut twice = Vec::new();
        again.save(true, &mut twice);
        assert_eq!(twice, parts, "{address:?}");
        assert_eq!(again.deadline(), machine.deadline());
        assert!(roles.restore(address, &[], now()).is_none(), "nothing makes nothing");
        let broken = Part { name: "".into(), value: Some(bytes::Bytes::from_static(b"\xff\xff")) };
        assert!(roles.restore(address, &[broken], now()).is_none());
        assert!(roles.restore(Address::Store(NodeId(1)), &parts, now()).is_none());
    }
    assert!(roles.restore(Address::Location(4), &[], now()).is_none(), "there is no such shard");
}

fn now() -> Now {
    Now { instant: Instant(1), unix_ms: 1 }
}

fn request(method: &str) -> Letter {
    let sip = format!(
        "{method} sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.test>;tag=1\r\nTo: <sip:bob@example.test>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    );
    sip_in(&sip)
}

fn response() -> Letter {
    let sip = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:alice@example.test>;tag=1\r\n\
               To: <sip:bob@example.test>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n";
    sip_in(sip)
}

fn sip_in(text: &str) -> Letter {
    let address = SocketAddr::from(([192, 0, 2, 1], 5060));
    let source = Flow {
        balancer: Address::Balancer(NodeId(1), 0),
        transport: Transport::Udp,
        listener: 0,
        local: address,
        remote: address,
        connection: 0,
    };
    let message = sip::Message::parse(text.to_owned().into(), &sip::Limits::default()).expect("a message");
    Letter::SipIn(Box::new(SipIn { message, source, token: None, nat: false, path: None }))
}

fn offer() -> Letter {
    let profile = MediaProfile::default();
    Letter::MediaAsk(Box::new(MediaAsk::Offer {
        from_leg: 0,
        to_leg: 1,
        sdp: Default::default(),
        from_profile: profile.clone(),
        to_profile: profile,
    }))
}
