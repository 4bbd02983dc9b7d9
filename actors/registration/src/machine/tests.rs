//! Letters in, letters out: every way a REGISTER can go.

use auth::{Challenge, Policy};
use fabric::NodeId;
use fabric::letters::flow::Flow;

use super::*;
use bench::*;

pub(crate) mod bench;

#[test]
fn a_first_register_is_challenged_and_forgotten() {
    let mut bench = Bench::new(settings());
    let reply = bench.register(&Req::default()).one_reply();
    assert_eq!(reply.start_line(), "SIP/2.0 401 Unauthorized");
    let challenges: Vec<_> = reply.headers(Name::WwwAuthenticate);
    assert_eq!(challenges.len(), 2);
    assert!(challenges[0].contains("algorithm=SHA-256") && challenges[1].contains("algorithm=MD5"));
    assert!(challenges.iter().all(|value| value.contains("realm=\"d.test\"") && value.contains("qop=\"auth\"")));
    assert!(bench.machine.is_idle(), "a flood leaves nothing behind");
    assert_eq!(bench.machine.deadline(), None);
}

#[test]
fn a_phone_registers() {
    for algorithm in [0, 1] {
        let mut bench = Bench::new(settings());
        let request = bench.answered(&Req::default(), algorithm);
        let ask = bench.register(&request).one();
        assert_eq!(ask.to, Address::Store(NodeId(1)));
        assert_eq!(
            ask.letter,
            Letter::AccountAsk(Box::new(AccountAsk { user: "alice".into(), domain: "d.test".into() }))
        );
        let bind = bench.answer(&ask, alice()).one();
        assert_eq!(bind.to, bench.desk.home.location("alice@d.test"));
        let Letter::Bind(wanted) = &bind.letter else { panic!("{bind:?}") };
        assert_eq!((&*wanted.aor, &*wanted.call_id, wanted.cseq, wanted.contacts_max), ("alice@d.test", "c1", 2, 0));
        let BindChange::Contacts(contacts) = &wanted.change else { panic!("{wanted:?}") };
        assert_eq!(*contacts[0].path, *path());
        let reply = bench.answer(&bind, bound(contacts)).one_reply();
        assert_eq!(reply.start_line(), "SIP/2.0 200 OK");
        assert_eq!(reply.headers(Name::Contact), ["<sip:alice@192.0.2.9:4711>;expires=3600"]);
        assert_eq!(reply.headers(Name::Path), Vec::<String>::new());
        assert_eq!(reply.flow, flow());
        assert!(!bench.machine.is_idle(), "its nonce counts must be remembered");
        bench.wait(301_000);
        bench.wake().none();
        assert!(bench.machine.is_idle());
    }
}

#[test]
fn a_refresh_may_count_its_nonce_on() {
    let mut bench = Bench::new(settings());
    let first = bench.answered(&Req::default(), 0);
    bench.accepted(&first);
    let second = Req { cseq: 3, branch: "b3", ..bench.counted(&Req::default(), 0, &first, 2) };
    bench.accepted(&second);
}

#[test]
fn nobody_learns_who_exists() {
    let mut shapes = Vec::new();
    for account in [Account::UnknownUser, subscriber(|known| known.ha1_sha256 = [0; 32])] {
        let mut bench = Bench::new(settings());
        let request = bench.answered(&Req::default(), 0);
        let ask = bench.register(&request).one();
        let reply = bench.answer(&ask, Letter::Account(account)).one_reply();
        let names: Vec<_> = reply.message.view().fields().map(|field| field.id).collect();
        shapes.push((reply.start_line(), names, reply.message.bytes().len()));
        assert!(bench.machine.is_idle());
    }
    assert_eq!(shapes[0], shapes[1]);
    assert_eq!(shapes[0].0, "SIP/2.0 401 Unauthorized");
}

#[test]
fn credentials_that_need_no_account_to_be_refused() {
    for (what, auth, status) in [
        ("forged nonce", digest("alice", "d.test", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 401),
        ("no nonce of ours", digest("alice", "d.test", "abc"), 401),
        ("another realm", digest("alice", "other.test", "abc"), 401),
        ("unknown scheme", "NoOneKnowsThisScheme opaque-data=here".to_owned(), 401),
        ("broken digest", "Digest username=\"alice".to_owned(), 400),
        ("no response", "Digest username=\"alice\", realm=\"d.test\"".to_owned(), 400),
    ] {
        let mut bench = Bench::new(settings());
        let reply = bench.register(&Req { auth: Some(auth), ..Req::default() }).one_reply();
        assert_eq!(reply.status(), status, "{what}");
        assert!(bench.machine.is_idle(), "{what}");
    }
}

#[test]
fn nonces_are_bound_to_their_call() {
    let mut bench = Bench::new(settings());
    let request = Req { call_id: "c2", ..bench.answered(&Req::default(), 0) };
    assert_eq!(bench.register(&request).one_reply().status(), 401, "stolen for another Call-ID");
}

#[test]
fn replays() {
    let mut bench = Bench::new(settings());
    let first = bench.answered(&Req::default(), 0);
    bench.accepted(&first);
    let far = Req { cseq: 3, branch: "b3", ..bench.counted(&Req::default(), 0, &first, 40) };
    bench.accepted(&far);
    for (what, request) in [
        ("same nonce and count", Req { cseq: 4, branch: "b4", ..first.clone() }),
        ("from elsewhere", Req { port: 9, ..first.clone() }),
        ("lower count", Req { cseq: 5, branch: "b5", ..bench.counted(&Req::default(), 0, &first, 2) }),
    ] {
        let ask = bench.register(&request).one();
        let reply = bench.answer(&ask, alice()).one_reply();
        assert_eq!(reply.status(), 401, "{what}");
        assert!(!reply.headers(Name::WwwAuthenticate)[0].contains("stale"), "{what}");
    }
}

#[test]
fn stale_nonces() {
    let mut bench = Bench::new(settings());
    let request = bench.answered(&Req::default(), 0);
    bench.wait(300_000);
    let ask = bench.register(&request).one();
    let reply = bench.answer(&ask, alice()).one_reply();
    assert_eq!(reply.status(), 401);
    assert!(reply.headers(Name::WwwAuthenticate)[0].contains("stale=true"));
    let ask = bench.register(&request).one();
    let reply = bench.answer(&ask, Letter::Account(Account::UnknownUser)).one_reply();
    assert!(!reply.headers(Name::WwwAuthenticate)[0].contains("stale"), "stale is said to those who know the password");
    // The node is started anew: it has forgotten which counts it took, so its old nonces are stale.
    let mut bench = Bench::new(settings());
    let request = bench.answered(&Req::default(), 0);
    bench.now = Now { instant: Instant(5_000_000), unix_ms: bench.now.unix_ms + 20_000 };
    let ask = bench.register(&request).one();
    assert!(bench.answer(&ask, alice()).one_reply().headers(Name::WwwAuthenticate)[0].contains("stale=true"));
}

#[test]
fn other_requests_than_the_hashed_one() {
    for (what, change) in [
        ("another Request-URI", (|request| request.uri = "sip:other.test") as fn(&mut Req)),
        ("MD5 where it is forbidden", |_| {}),
    ] {
        let digest = Policy { sha256: true, md5: what != "MD5 where it is forbidden", ..Policy::default() };
        let mut bench = Bench::new(Settings { digest, ..settings() });
        let mut request = bench
            .answered_with(&Req::default(), |challenge| Challenge { algorithm: auth::Algorithm::Md5, ..challenge });
        change(&mut request);
        let ask = bench.register(&request).one();
        assert_eq!(bench.answer(&ask, alice()).one_reply().status(), 401, "{what}");
    }
}

#[test]
fn whose_address_of_record() {
    let global = |known: &mut Subscriber| known.lock = Lock::Global;
    for (what, to, account, status) in [
        ("own number", "<sip:+4311001@d.test>", subscriber(|_| {}), None),
        ("somebody else's", "<sip:bob@d.test>", subscriber(|_| {}), Some(403)),
        ("locked", "<sip:alice@d.test>", subscriber(global), Some(403)),
        ("locked for calls only", "<sip:alice@d.test>", subscriber(|known| known.lock = Lock::All), None),
        ("foreign domain", "<sip:alice@d.test>", Account::ForeignDomain, Some(403)),
    ] {
        let mut bench = Bench::new(settings());
        let request = bench.answered(&Req { to, ..Req::default() }, 0);
        let ask = bench.register(&request).one();
        let out = bench.answer(&ask, Letter::Account(account));
        match status {
            Some(status) => assert_eq!(out.one_reply().status(), status, "{what}"),
            None => assert!(matches!(out.one().letter, Letter::Bind(bind) if &*bind.aor == "alice@d.test"), "{what}"),
        }
    }
}

#[test]
fn what_cannot_be_a_register_for_us() {
    for (what, request, status) in [
        ("To is no SIP address", Req { to: "<isbn:2983792873>", ..Req::default() }, 400),
        ("an extension we lack", Req { fields: "Require: gruu\r\n", ..Req::default() }, 420),
    ] {
        assert_eq!(Bench::new(settings()).register(&request).one_reply().status(), status, "{what}");
    }
    for (what, fields, status) in [
        ("misused star", "Contact: *\r\nExpires: 60\r\n", 400),
        ("too brief", "Contact: <sip:a@h>;expires=5\r\n", 423),
        ("our own address", "Contact: <sip:a@198.51.100.1>\r\n", 403),
    ] {
        let mut bench = Bench::new(settings());
        let request = bench.answered(&Req { fields, ..Req::default() }, 0);
        let ask = bench.register(&request).one();
        assert_eq!(bench.answer(&ask, alice()).one_reply().status(), status, "{what}");
        assert_eq!(bench.register(&request).one_reply().status(), status, "{what}, sent again");
    }
}

#[test]
fn what_a_register_does() {
    for (fields, change) in [("", "Fetch"), ("Contact: *\r\nExpires: 0\r\n", "RemoveAll"), (CONTACT, "Contacts")] {
        let mut bench = Bench::new(settings());
        let request = bench.answered(&Req { fields, ..Req::default() }, 0);
        let ask = bench.register(&request).one();
        let Letter::Bind(bind) = bench.answer(&ask, alice()).one().letter else { panic!("no demand") };
        assert!(format!("{:?}", bind.change).starts_with(change));
    }
}

#[test]
fn retransmissions_while_it_waits_are_absorbed() {
    let mut bench = Bench::new(settings());
    let request = bench.answered(&Req::default(), 0);
    let ask = bench.register(&request).one();
    bench.register(&request).none();
    let bind = bench.answer(&ask, alice()).one();
    bench.register(&request).none();
    bench.answer(&ask, alice()).none();
    let other = bench.register(&Req { cseq: 9, branch: "b9", ..request.clone() }).one_reply();
    assert_eq!(other.status(), 500, "one REGISTER at a time");
    assert_eq!(other.headers(Name::RetryAfter), ["1"]);
    assert_eq!(bench.answer(&bind, bound(&[])).one_reply().status(), 200);
    bench.answer(&bind, bound(&[])).none();
}

#[test]
fn retransmissions_of_an_accepted_request_are_told_again() {
    let mut bench = Bench::new(settings());
    let fields = "Supported: path, outbound\r\nContact: <sip:alice@192.0.2.9>;+sip.instance=\"<u>\";reg-id=1\r\n";
    let request = bench.answered(&Req { fields, ..Req::default() }, 0);
    let first = bench.accepted(&request);
    bench.wait(500);
    let ask = bench.register(&request).one();
    bench.register(&request).none();
    let tell = bench.answer(&ask, alice()).one();
    let Letter::Bind(demand) = &tell.letter else { panic!("{tell:?}") };
    assert_eq!(demand.change, BindChange::Fetch, "nothing is bound twice");
    let Bound::Bindings(bindings) = &first.1 else { panic!("{first:?}") };
    let again = bench.answer(&tell, bound(bindings)).one_reply();
    assert_eq!(again.message.bytes(), first.0.message.bytes(), "the same answer");
    assert_eq!(again.headers(Name::Require), ["outbound"]);
    assert_eq!(again.headers(Name::FlowTimer), ["120"]);
    assert_eq!(again.headers(Name::Path), [path()]);
}

/// A client over a stream never asks twice, but once more where its stream has ended: the same answer goes to the next one.
#[test]
fn copies_on_the_next_stream_are_answered_there() {
    for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
        for copies_after in ["account", "bind", "answer"] {
            let mut bench = Bench::new(settings());
            let request = Req { transport, ..bench.answered(&Req::default(), 0) };
            let next = Flow { transport, connection: 9, remote: "192.0.2.9:4999".parse().unwrap(), ..flow() };
            let copy = |bench: &mut Bench| bench.sip(message(&request.text()), next, false);
            let ask = bench.register(&request).one();
            if copies_after == "account" {
                copy(&mut bench).none();
            }
            let bind = bench.answer(&ask, alice()).one();
            if copies_after == "bind" {
                copy(&mut bench).none();
            }
            let mut reply = bench.answer(&bind, bound(&[])).one_reply();
            if copies_after == "answer" {
                assert_eq!((reply.status(), reply.flow.remote.port()), (200, 4711));
                let ask = copy(&mut bench).one();
                let tell = bench.answer(&ask, alice()).one();
                let Letter::Bind(demand) = &tell.letter else { panic!("{tell:?}") };
                assert_eq!(demand.change, BindChange::Fetch, "nothing is bound twice");
                reply = bench.answer(&tell, bound(&[])).one_reply();
            }
            assert_eq!((reply.status(), reply.flow), (200, next), "a copy after the {copies_after}");
        }
    }
}

/// Networks that deliver twice, and late: no copy of an earlier request disturbs a later one.
#[test]
fn late_copies_disturb_nobody() {
    let mut bench = Bench::new(settings());
    let first = Req::default();
    let request = bench.answered(&first, 0);
    let ask = bench.register(&request).one();
    bench.register(&first).none();
    let bind = bench.answer(&ask, alice()).one();
    bench.register(&first).none();
    assert_eq!(bench.answer(&bind, bound(&[])).one_reply().status(), 200);
    // A copy of the answered request is being told again when the next one comes.
    let tell = bench.register(&request).one();
    let next = Req { cseq: 3, branch: "b3", ..bench.counted(&first, 0, &request, 2) };
    bench.wait(1);
    let ask = bench.register(&next).one();
    bench.answer(&tell, alice()).none();
    let bind = bench.answer(&ask, alice()).one();
    assert_eq!(bench.answer(&bind, bound(&[])).one_reply().status(), 200);
}

#[test]
fn refusals_of_the_location_are_passed_on() {
    let mut bench = Bench::new(settings());
    let request = bench.answered(&Req::default(), 0);
    let ask = bench.register(&request).one();
    let bind = bench.answer(&ask, alice()).one();
    let refused = Letter::Bound(Box::new(Bound::Refused(Reject::new(Status::FORBIDDEN).reason("Too Many Contacts"))));
    let reply = bench.answer(&bind, refused).one_reply();
    assert_eq!(reply.start_line(), "SIP/2.0 403 Too Many Contacts");
    assert_eq!(bench.register(&request).one_reply().status(), 403);
}

#[test]
fn faults_inside() {
    for (fault_at_bind, by_time) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut bench = Bench::new(settings());
        let request = bench.answered(&Req::default(), 0);
        let mut question = bench.register(&request).one();
        if fault_at_bind {
            question = bench.answer(&question, alice()).one();
        }
        let out = if by_time {
            bench.wait(4_999);
            bench.wake().none();
            bench.wait(1);
            bench.wake()
        } else {
            bench.answer(&question, Letter::Returned(Fault::unavailable("disk")))
        };
        let reply = out.one_reply();
        assert_eq!(reply.status(), 503);
        let seconds: u32 = reply.headers(Name::RetryAfter)[0].parse().expect("seconds");
        assert!((5..=10).contains(&seconds), "{seconds}");
        let late = if fault_at_bind { bound(&[]) } else { alice() };
        bench.answer(&question, late).none();
        assert_eq!(bench.machine.is_idle(), !fault_at_bind, "an accepted nonce is remembered");
    }
}

#[test]
fn phones_behind_a_nat_are_kept_alive() {
    for (what, nat, transport, sends) in [
        ("NAT", true, Transport::Udp, true),
        ("none", false, Transport::Udp, false),
        ("TCP", true, Transport::Tcp, false),
    ] {
        let mut bench = Bench::new(settings());
        let request = bench.answered(&Req { nat, transport, ..Req::default() }, 0);
        bench.accepted(&request);
        bench.wait(30_000);
        let mail = bench.wake().0;
        assert_eq!(mail.len(), usize::from(sends), "{what}");
        if sends {
            bench.wait(400_000);
            bench.wake().one();
            assert!(!bench.machine.is_idle(), "as long as the binding lasts");
            let [options] = &mail[..] else { panic!("not one") };
            let Letter::SipOut(options) = &options.letter else { panic!("{options:?}") };
            let answer = sip::Builder::reply_to(&options.message.view(), Status::OK, None).build();
            bench.sip(answer, flow(), true).none();
            let gone = bench.answered(&Req { fields: "Contact: *\r\nExpires: 0\r\n", cseq: 3, ..request.clone() }, 0);
            bench.accepted_with(&gone, &[]);
            bench.wait(400_000);
            bench.wake().none();
            assert!(bench.machine.is_idle(), "unregistered");
        }
    }
}

#[test]
fn paths_of_trusted_proxies_follow_ours() {
    let mut bench = Bench::new(settings());
    let fields = "Path: <sip:edge.example;lr>\r\nSupported: path\r\nContact: <sip:a@h>\r\n";
    let request = bench.answered(&Req { fields, ..Req::default() }, 0);
    let (reply, bindings) = bench.accepted(&request);
    let both = format!("{}, <sip:edge.example;lr>", path());
    assert_eq!(reply.headers(Name::Path), [&*both]);
    assert!(matches!(bindings, Bound::Bindings(bindings) if *bindings[0].path == *both));
}

#[test]
fn a_subscriber_may_have_a_limit_of_its_own() {
    let mut bench = Bench::new(settings());
    let request = bench.answered(&Req::default(), 0);
    let ask = bench.register(&request).one();
    let limited = |known: &mut Subscriber| {
        known.preferences.insert("contacts_max".into(), "2".into());
    };
    let bind = bench.answer(&ask, Letter::Account(subscriber(limited))).one();
    assert!(matches!(bind.letter, Letter::Bind(bind) if bind.contacts_max == 2));
}

#[test]
fn stray_letters_are_ignored() {
    let mut bench = Bench::new(settings());
    let strays = [alice(), bound(&[]), Letter::Returned(Fault::timeout("late")), Letter::Kept];
    for letter in strays {
        let mail = Envelope::ask(Address::Store(NodeId(1)), bench.me(), Thread(5), letter);
        bench.run(mail).none();
    }
    let options = Req::default().text().replace("REGISTER", "OPTIONS");
    bench.sip(message(&options), flow(), false).none();
    let told = bench.run(Envelope::ask(Address::Control(NodeId(1)), bench.me(), Thread(5), Letter::Describe)).one();
    assert!(matches!(told.letter, Letter::Described(_)));
}

/// PERFORMANCE.md: the registration's share of a stored one.
#[test]
fn a_registration_is_small() {
    assert!(size_of::<Registration>() <= 128, "{} bytes", size_of::<Registration>());
}
