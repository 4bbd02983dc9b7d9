use super::*;
use fabric::NodeId;
use fabric::letters::flow::Transport;

#[test]
fn every_binding_behind_a_nat_gets_an_options() {
    let (home, key) = (home(), Key(9));
    let bindings = [
        binding(&home, "sip:a@10.0.0.1", "mine", true, 100),
        binding(&home, "sip:b@10.0.0.1", "mine", true, 70),
        binding(&home, "sip:c@10.0.0.1", "other", true, 100),
        binding(&home, "sip:d@10.0.0.1", "mine", false, 100),
        Binding { expires_ms: u64::MAX, ..binding(&home, "sip:e@10.0.0.1", "mine", true, 100) },
    ];
    let mut keep = KeepAlive::of(&home, key, "mine", &bindings, PERIOD, at(0)).expect("two to be kept alive");
    assert!(keep.due > Instant(0) && keep.due <= at(30).instant, "the first one within a period");
    let mut out = Outbox::new(Address::Registration(key));
    assert!(keep.wake(&home, key, PERIOD, at(0), &mut out), "woken early");
    assert!(out.is_empty());
    assert!(keep.wake(&home, key, PERIOD, at(30), &mut out));
    assert_eq!(keep.due, at(60).instant);
    let sent: Vec<_> = out.take().into_iter().map(sip_out).collect();
    assert_eq!(sent.len(), 2);
    for (sent, contact) in sent.iter().zip(["sip:a@10.0.0.1", "sip:b@10.0.0.1"]) {
        let view = sent.message.view();
        assert_eq!((view.method(), view.uri()), (Method::Options, contact.as_bytes()));
        assert!(view.check().is_ok(), "{}", sent.message);
        assert_eq!(sent.flow, flow(), "through the flow of its Path");
        let branch = view.top_via().ok().and_then(|via| via.branch()).expect("a branch");
        let leg = home.tokens.open_leg(&branch[7..]).expect("a token of ours");
        assert_eq!(leg.to, Address::Registration(key), "its answer comes back here");
    }
    assert_ne!(branch_of(&sent[0]), branch_of(&sent[1]));
    assert!(keep.wake(&home, key, PERIOD, at(75), &mut out));
    assert_eq!(out.take().len(), 1, "the second binding has ended");
    assert!(!keep.wake(&home, key, PERIOD, at(105), &mut out), "nothing is left");
    assert!(out.is_empty());
}

#[test]
fn nothing_to_keep_alive() {
    let home = home();
    let cases = [
        Vec::new(),
        vec![binding(&home, "sip:a@10.0.0.1", "mine", false, 100)],
        vec![binding(&home, "sip:a@10.0.0.1", "other", true, 100)],
        vec![Binding { path: "".into(), ..binding(&home, "sip:a@10.0.0.1", "mine", true, 100) }],
    ];
    for bindings in cases {
        assert_eq!(KeepAlive::of(&home, Key(9), "mine", &bindings, PERIOD, at(0)), None);
    }
}

#[test]
fn a_path_that_is_not_ours_is_left_alone() {
    let home = home();
    let forged = "<sip:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@198.51.100.1:5060;lr;ob>";
    let bindings = [Binding { path: forged.into(), ..binding(&home, "sip:a@10.0.0.1", "mine", true, 100) }];
    let mut keep = KeepAlive::of(&home, Key(9), "mine", &bindings, PERIOD, at(0)).expect("looks right so far");
    let mut out = Outbox::new(Address::Registration(Key(9)));
    assert!(!keep.wake(&home, Key(9), PERIOD, at(30), &mut out));
    assert!(out.is_empty());
}

const PERIOD: Duration = Duration::from_secs(30);

fn home() -> Home {
    Home::new(NodeId(1), [7; 16], 16)
}

fn at(seconds: u64) -> Now {
    Now { instant: Instant(seconds * 1_000_000), unix_ms: 1_700_000_000_000 + seconds * 1_000 }
}

fn flow() -> Flow {
    Flow {
        balancer: Address::Balancer(NodeId(1), 0),
        transport: Transport::Udp,
        listener: 0,
        local: "198.51.100.1:5060".parse().expect("an address"),
        remote: "192.0.2.9:4711".parse().expect("an address"),
        connection: 0,
    }
}

fn binding(home: &Home, contact: &str, call_id: &str, nat: bool, lifetime_s: u64) -> Binding {
    Binding {
        contact: contact.into(),
        path: format!("<sip:{}@198.51.100.1:5060;lr;ob>", home.tokens.seal_flow(&flow())).into(),
        call_id: call_id.into(),
        cseq: 7,
        q: 1_000,
        expires_ms: at(lifetime_s).unix_ms,
        instance: None,
        reg_id: 0,
        user_agent: None,
        received: None,
        nat,
    }
}

fn sip_out(mail: fabric::Envelope) -> SipOut {
    match mail.letter {
        Letter::SipOut(sip) => *sip,
        other => panic!("{other:?}"),
    }
}

fn branch_of(sent: &SipOut) -> Vec<u8> {
    sent.message.view().top_via().ok().and_then(|via| via.branch()).unwrap_or_default().to_vec()
}
