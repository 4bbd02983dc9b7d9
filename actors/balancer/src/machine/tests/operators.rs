//! Floods, bans, draining, telling.

use fabric::letters::control::{SharedBan, Verdict};

use super::*;

fn options() -> String {
    request("OPTIONS", "sip:198.51.100.1", "<sip:198.51.100.1>", "")
}

/// Ten messages a second, five at once, a ban of a minute after twenty dropped.
fn strict() -> Settings {
    Settings {
        flood_messages_per_s: 10,
        flood_burst: 5,
        flood_drops_to_ban: 20,
        flood_ban_s: 60,
        ..Settings::default()
    }
}

fn elsewhere(remote: &str) -> Flow {
    Flow { remote: remote.parse().expect("an address"), ..flow() }
}

fn answered(bench: &mut Bench, flow: Flow, count: usize) -> usize {
    (0..count).filter(|_| !bench.receive_over(flow, options()).0.is_empty()).count()
}

#[test]
fn a_flood_is_cut_and_then_banned() {
    let mut bench = Bench::new(strict());
    assert_eq!(answered(&mut bench, flow(), 15), 5, "the burst");
    bench.wait(1_000);
    assert_eq!(answered(&mut bench, flow(), 8), 5, "it has filled up again");
    assert!(bench.bans().is_empty());
    assert_eq!(answered(&mut bench, flow(), 40), 0);
    let bans = bench.bans();
    assert_eq!((bans.len(), bans[0].address.to_string(), &*bans[0].reason), (1, "192.0.2.9".to_owned(), "flood"));
    assert_eq!((bans[0].since_ms, bans[0].until_ms), (bench.now.unix_ms, bench.now.unix_ms + 60_000));
    assert_eq!(answered(&mut bench, elsewhere("192.0.2.10:4711"), 1), 1, "its neighbour is heard");
    bench.wait(59_999);
    assert_eq!(answered(&mut bench, elsewhere("192.0.2.9:9"), 1), 0, "from every port");
    bench.wait(1);
    assert_eq!(answered(&mut bench, flow(), 1), 1);
}

#[test]
fn other_balancers_of_the_node_hear_of_a_ban() {
    let mut bench = Bench::new(Settings { siblings: 3, ..strict() });
    let mail: Vec<_> = (0..25).flat_map(|_| bench.receive(options()).0).collect();
    let told: Vec<_> = mail.iter().filter(|mail| matches!(&mail.letter, Letter::Control(_))).collect();
    assert_eq!(
        told.iter().map(|mail| mail.to).collect::<Vec<_>>(),
        [Address::Balancer(NodeId(1), 1), Address::Balancer(NodeId(1), 2)]
    );
    let mut other = Bench::new(Settings::default());
    other.machine = Balancer::new(&other.home, 1, Arc::new(Settings { siblings: 3, ..strict() }));
    other.run(told[0].clone()).none();
    assert_eq!(other.bans().len(), 1);
}

#[test]
fn what_is_under_way_comes_before_the_new() {
    let mut bench = Bench::new(strict());
    answered(&mut bench, flow(), 5);
    let contact = format!("sip:{}@198.51.100.1", bench.token(Address::Call(Key(7))));
    let bye = request("BYE", &contact, "<sip:b@d>;tag=t", "");
    assert_eq!(bench.receive(options()).outcome(), "drop");
    assert_eq!(bench.receive(bye.clone()).outcome(), "call");
    let branch = format!("Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{}", bench.token(Address::Call(Key(7))));
    let ringing = format!(
        "SIP/2.0 180 Ringing\r\n{branch}\r\nFrom: <sip:a@d>;tag=f\r\nTo: <sip:b@d>;tag=t\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
    );
    assert_eq!(bench.receive(ringing).outcome(), "call");
    let forged = bye.replace(&contact[4..12], "AAAAAAAA");
    assert_eq!(bench.receive(forged).outcome(), "drop");
    let passed = (0..100).filter(|_| bench.receive(bye.clone()).outcome() == "call").count();
    assert!(passed < 20, "but not without end: {passed}");
}

#[test]
fn s9_a_forged_source_bans_nobody_who_is_known() {
    let mut bench = Bench::new(strict());
    let phone = flow();
    let ok = parse(
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKa;rport=4711\r\nFrom: <sip:a@d>;tag=f\r\n\
          To: <sip:a@d>;tag=t\r\nCall-ID: c\r\nCSeq: 2 REGISTER\r\n\r\n",
    );
    bench.send(ok, phone).one();
    let forged = elsewhere("192.0.2.9:9999");
    answered(&mut bench, forged, 200);
    assert!(bench.bans().is_empty(), "its address has a verified flow");
    assert_eq!(answered(&mut bench, phone, 5), 5, "which has a rate of its own");
    answered(&mut bench, phone, 200);
    assert!(bench.bans().is_empty());
    // A 200 to something else proves nothing.
    let mut bench = Bench::new(strict());
    let ok = parse(
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKa;rport=4711\r\nFrom: <sip:a@d>;tag=f\r\n\
          To: <sip:a@d>;tag=t\r\nCall-ID: c\r\nCSeq: 2 OPTIONS\r\n\r\n",
    );
    bench.send(ok, phone).one();
    answered(&mut bench, phone, 200);
    assert_eq!(bench.bans().len(), 1);
}

#[test]
fn s9_a_balancer_objects_to_the_ban_of_whom_it_knows() {
    let (other, third) = (Address::Balancer(NodeId(2), 0), Address::Balancer(NodeId(3), 0));
    let mut bench = Bench::new(Settings { peers: vec![NodeId(1), NodeId(2), NodeId(3)], ..strict() });
    let ok = parse(
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9:4711;branch=z9hG4bKa;rport=4711\r\nFrom: <sip:a@d>;tag=f\r\n\
          To: <sip:a@d>;tag=t\r\nCall-ID: c\r\nCSeq: 2 REGISTER\r\n\r\n",
    );
    bench.send(ok, flow()).one();
    let ban = |stamp, by_hand| SharedBan {
        address: flow().remote.ip(),
        verdict: Verdict::Banned,
        origin: NodeId(2),
        stamp,
        left_ms: 60_000,
        by_hand,
        reason: "x".into(),
    };
    let news = |ban| Envelope::new(other, me(), Letter::Control(Box::new(Control::BanNews(vec![ban]))));
    let told: Vec<_> = bench.run(news(ban(5, false))).0.into_iter().map(|mail| (mail.to, mail.letter)).collect();
    let [(to, Letter::Control(first)), (also, _)] = &told[..] else { panic!("{told:?}") };
    let Control::BanNews(objection) = &**first else { panic!("{first:?}") };
    assert_eq!((*to, *also), (other, third), "both hear the objection");
    assert_eq!((objection[0].verdict, objection[0].origin), (Verdict::Vouched, NodeId(1)));
    assert_eq!(answered(&mut bench, flow(), 1), 1, "the phone is heard");
    // The other one takes it back, and does not ban again for what is forged.
    let mut far = Bench::new(strict());
    far.machine.guard.bans.take(&ban(5, false), far.now);
    far.machine.guard.bans.take(&objection[0], far.now);
    answered(&mut far, elsewhere("192.0.2.9:9999"), 500);
    assert!(far.bans().is_empty());
    // An operator knows what he does.
    bench.run(news(ban(bench.now.unix_ms + 1, true))).none();
    assert_eq!(answered(&mut bench, flow(), 1), 0);
}

#[test]
fn trusted_addresses_are_not_counted() {
    let settings = Settings { trusted: vec!["192.0.2.0/24".parse().expect("a network")], ..strict() };
    let mut bench = Bench::new(settings);
    assert_eq!(answered(&mut bench, flow(), 500), 500);
    bench.control(Control::Ban { address: flow().remote.ip(), seconds: 60, reason: "test".into() });
    assert_eq!(answered(&mut bench, flow(), 1), 1, "nor banned");
}

#[test]
fn the_limit_can_be_switched_off() {
    let mut bench = Bench::new(Settings { flood_messages_per_s: 0, ..strict() });
    assert_eq!(answered(&mut bench, flow(), 500), 500);
    let mut bench = Bench::new(Settings { flood_drops_to_ban: 0, ..strict() });
    answered(&mut bench, flow(), 500);
    assert!(bench.bans().is_empty(), "a limit without bans");
}

#[test]
fn operators_ban_and_unban() {
    let mut bench = Bench::new(Settings::default());
    let address = flow().remote.ip();
    assert_eq!(bench.control(Control::Ban { address, seconds: 10, reason: "by hand".into() }), ControlAnswer::Done);
    assert_eq!(answered(&mut bench, flow(), 3), 0);
    assert_eq!((bench.bans()[0].dropped, &*bench.bans()[0].reason), (3, "by hand"));
    assert_eq!(bench.control(Control::Unban(address)), ControlAnswer::Done);
    assert!(matches!(bench.control(Control::Unban(address)), ControlAnswer::Refused(_)));
    assert_eq!(answered(&mut bench, flow(), 1), 1);
    bench.control(Control::Ban { address, seconds: 10, reason: "again".into() });
    let due = bench.machine.deadline().expect("the end of the ban");
    assert_eq!(due.since(bench.now.instant), Duration::from_secs(10));
    bench.wait(10_000);
    bench.machine.wake(bench.now, &mut Outbox::new(me()));
    assert_eq!(bench.machine.deadline(), None);
    assert!(bench.bans().is_empty());
}

#[test]
fn draining_refuses_the_new_and_only_that() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.control(Control::Drain(true)), ControlAnswer::Done);
    let contact = format!("sip:{}@198.51.100.1", bench.token(Address::Call(Key(7))));
    let tagged = "<sip:b@d>;tag=t";
    for (what, text, outcome) in [
        ("INVITE", request("INVITE", "sip:b@d", "<sip:b@d>", ""), "503"),
        ("REGISTER", request("REGISTER", "sip:d", "<sip:b@d>", ""), "503"),
        ("OPTIONS to the switch", options(), "503"),
        ("MESSAGE", request("MESSAGE", "sip:b@d", "<sip:b@d>", ""), "503"),
        ("CANCEL", request("CANCEL", "sip:b@d", "<sip:b@d>", ""), "call"),
        ("ACK to a refusal", request("ACK", "sip:b@d", tagged, ""), "call"),
        ("re-INVITE", request("INVITE", &contact, tagged, ""), "call"),
        ("BYE", request("BYE", &contact, tagged, ""), "call"),
    ] {
        assert_eq!(bench.receive(text).outcome(), outcome, "{what}");
    }
    let mut told = std::collections::BTreeSet::new();
    for number in 0..50 {
        let text = request("INVITE", "sip:b@d", "<sip:b@d>", "").replace("c1@x", &format!("c{number}@x"));
        let (reply, _) = bench.receive(text).reply();
        let seconds: u32 = header(&reply, Name::RetryAfter).parse().expect("seconds");
        assert!((2..=10).contains(&seconds), "{seconds}");
        told.insert(seconds);
    }
    assert!(told.len() > 4, "spread: {told:?}");
    bench.control(Control::Drain(false));
    assert_eq!(bench.receive(options()).outcome(), "200");
}

#[test]
fn the_machine_tells_what_happened() {
    let mut bench = Bench::new(Settings::default());
    bench.receive(options()).one();
    bench.receive(request("INVITE", "sip:b@d", "<sip:b@d>", "")).one();
    bench.receive("SIP/2.0 200 OK\r\n\r\n").none();
    let mail = Envelope::ask(Address::Control(NodeId(1)), me(), Thread(9), Letter::Describe);
    let Letter::Described(told) = bench.run(mail).one().letter else { panic!("not told") };
    let Description::Machine { name, facts } = *told else { panic!("no machine") };
    assert_eq!(name, "balancer 0");
    for fact in [("received", "3"), ("answered", "1"), ("forwarded", "1"), ("stray_responses", "1")] {
        assert!(facts.contains(&(fact.0.to_owned(), fact.1.to_owned())), "{fact:?} in {facts:?}");
    }
}

#[test]
fn stray_letters_are_ignored() {
    let mut bench = Bench::new(Settings::default());
    for letter in [
        Letter::Returned(Fault::timeout("late")),
        Letter::FlowClosed(flow()),
        Letter::Kept,
        Letter::Control(Box::new(Control::HangUp)),
    ] {
        bench.run(Envelope::ask(Address::Flow(NodeId(1)), me(), Thread(9), letter)).none();
    }
    assert!(!bench.machine.is_idle());
}
