//! The anchor with the world around it.

mod weather;

use fabric::{NodeId, Thread, Trace};

use super::*;
use crate::bencode::Value;
use crate::settings::RelaySettings;

const CALLER: Address = Address::Media(Key(7));

/// An anchor with the world around it: each step gives back all letters that came out, as text.
struct Bench {
    anchor: Anchor,
    now: Now,
    out: Outbox,
    /// Datagrams sent so far.
    sent: Vec<(u16, Bytes)>,
    thread: u64,
}

fn bench(relays: u16, edit: impl Fn(&mut Settings)) -> Bench {
    let mut settings = Settings {
        relays: (0..relays).map(|n| RelaySettings::new(format!("m{n}"), format!("127.0.0.1:{n}"))).collect(),
        ..Settings::default()
    };
    edit(&mut settings);
    let home = Home::new(NodeId(1), [9; 16], 1);
    let me = home.anchor();
    let now = Now { instant: Instant(1_000_000), unix_ms: 1_800_000_000_000 };
    Bench { anchor: Anchor::new(&home, 0, Arc::new(settings)), now, out: Outbox::new(me), sent: Vec::new(), thread: 0 }
}

impl Bench {
    fn ask(&mut self, verb: RelayVerb, call: &str, relay: Option<u16>) -> Vec<String> {
        self.ask_with(verb, call, relay, Some("b"))
    }

    fn ask_with(&mut self, verb: RelayVerb, call: &str, relay: Option<u16>, to: Option<&str>) -> Vec<String> {
        let ask = RelayAsk {
            verb,
            relay,
            call_id: call.into(),
            from_tag: "a".into(),
            to_tag: to.map(str::to_owned),
            via_branch: None,
            sdp: Bytes::from_static(b"v=0\r\n"),
            flags: vec![],
            replace: vec![],
            keys: vec![],
        };
        self.thread += 1;
        let mut mail = Envelope::ask(CALLER, self.out.me(), Thread(self.thread), Letter::RelayAsk(Box::new(ask)));
        mail.trace = Trace(self.thread);
        self.handle(mail)
    }

    /// A reply to the last command of this name to this relay.
    fn reply(&mut self, relay: u16, command: &str, document: &str) -> Vec<String> {
        let datagram = self.sent.iter().rev().find(|(to, bytes)| *to == relay && name(bytes).0 == command);
        let cookie = ng::split(&datagram.expect("a command of this name").1).unwrap().0.to_owned();
        self.receive(relay, format!("{cookie} {document}"))
    }

    fn receive(&mut self, relay: u16, datagram: String) -> Vec<String> {
        let letter = Letter::RelayReceived(relay, Bytes::from(datagram));
        self.handle(Envelope::new(Address::Relay(NodeId(1)), self.out.me(), letter))
    }

    fn handle(&mut self, mail: Envelope) -> Vec<String> {
        self.out.open(mail.to, Some(&mail));
        self.anchor.handle(mail, self.now, &mut self.out);
        self.letters()
    }

    /// Lets time pass, waking the machine at each deadline; pings are answered by the relays named.
    fn pass(&mut self, milliseconds: u64, alive: &[u16]) -> Vec<String> {
        let end = self.now.instant + Duration::from_millis(milliseconds);
        let mut seen = Vec::new();
        while let Some(at) = self.anchor.deadline().filter(|at| *at <= end) {
            self.now = self.now.after(at.since(self.now.instant));
            self.anchor.wake(self.now, &mut self.out);
            let before = self.sent.len();
            seen.extend(self.letters());
            let pings: Vec<_> =
                self.sent[before..].iter().filter(|(_, bytes)| name(bytes).0 == "ping").map(|(n, _)| *n).collect();
            for relay in pings.into_iter().filter(|relay| alive.contains(relay)) {
                seen.extend(self.reply(relay, "ping", "d6:result4:ponge"));
            }
        }
        self.now = self.now.after(end.since(self.now.instant));
        seen.retain(|line| !line.ends_with(" ping "));
        seen
    }

    fn letters(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for envelope in self.out.take() {
            lines.push(match envelope.letter {
                Letter::RelaySend(relay, bytes) => {
                    assert_eq!(envelope.to, Address::Relay(NodeId(1)));
                    let (command, call) = name(&bytes);
                    self.sent.push((relay, bytes));
                    format!("m{relay} {command} {call}")
                }
                letter => {
                    assert_eq!((envelope.to, envelope.thread.0), (CALLER, envelope.trace.0), "thread and trace kept");
                    match letter {
                        Letter::RelayDone(done) => {
                            let stats = done.stats.map(|stats| format!("{:?}/{}", stats.relay, stats.streams.len()));
                            format!(
                                "{} done m{} {}",
                                envelope.thread.0,
                                done.relay,
                                stats.unwrap_or_else(|| text(&done.sdp))
                            )
                        }
                        Letter::Returned(fault) => {
                            format!("{} {:?} retry={} {}", envelope.thread.0, fault.kind, fault.retry, fault.what)
                        }
                        other => other.kind().to_owned(),
                    }
                }
            });
        }
        lines
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn name(datagram: &[u8]) -> (String, String) {
    let value = Value::decode(ng::split(datagram).unwrap().1).unwrap();
    (text(value.bytes("command").unwrap()), text(value.bytes("call-id").unwrap_or_default()))
}

const SDP: &str = "d3:sdp3:new6:result2:oke";
const OK: &str = "d6:result2:oke";

use RelayVerb::{Answer, Delete, Offer, Query};

/// The next owner of a media session asks again what it finds open.
#[test]
fn what_is_asked_twice_is_done_once() {
    let mut b = bench(2, |settings| settings.ping_interval_ms = 1_000_000);
    let first = b.ask(RelayVerb::Offer, "k-0", None);
    assert_eq!(first.len(), 1);
    b.thread -= 1;
    assert!(b.ask(RelayVerb::Offer, "k-0", None).is_empty(), "it is under way");
    let relay = b.sent.last().expect("an offer").0;
    assert_eq!(b.reply(relay, "offer", "d6:result2:ok3:sdp3:newe").len(), 1, "one answer");
    // Its answer was lost: the same relay says the same again.
    b.thread -= 1;
    assert_eq!(b.ask(RelayVerb::Offer, "k-0", None), [format!("m{relay} offer k-0")]);
    assert_eq!(b.reply(relay, "offer", "d6:result2:ok3:sdp3:newe"), [format!("1 done m{relay} new")]);
    for _ in 0..2 {
        b.ask_with(RelayVerb::Delete, "k-0", Some(relay), None);
        b.thread -= 1;
        assert!(b.ask_with(RelayVerb::Delete, "k-0", Some(relay), None).is_empty());
        b.thread -= 1;
    }
    let unknown = "d6:result5:error12:error-reason15:Unknown call-ide";
    assert_eq!(b.reply(relay, "delete", unknown).len(), 1, "gone is gone, and no failure");
}

#[test]
fn a_call_from_offer_to_delete() {
    let mut b = bench(1, |_| {});
    assert_eq!(b.ask(Offer, "c1", None), ["m0 offer c1"]);
    assert_eq!(b.reply(0, "offer", SDP), ["1 done m0 new"]);
    assert_eq!(b.ask(Answer, "c1", Some(0)), ["m0 answer c1"]);
    assert_eq!(b.reply(0, "answer", SDP), ["2 done m0 new"]);
    assert_eq!(b.ask(Query, "c1", Some(0)), ["m0 query c1"]);
    let recorded = text(include_bytes!("../../fixtures/query_reply.bin"));
    assert_eq!(b.reply(0, "query", &recorded), ["3 done m0 Some(\"m0\")/2"]);
    assert_eq!(b.ask_with(Delete, "c1", Some(0), None), ["m0 delete c1"]);
    assert_eq!(
        b.reply(0, "delete", &text(include_bytes!("../../fixtures/delete_reply.bin"))),
        ["4 done m0 Some(\"m0\")/2"]
    );
    assert_eq!(b.anchor.relays.get(0).unwrap().sessions, 0);
    assert_eq!(b.anchor.commands.len(), 0);
}

/// One row for each reply to each verb: what the asker gets.
#[test]
fn what_each_reply_becomes() {
    let unknown = "d6:result5:error12:error-reason15:Unknown call-ide";
    let gone = "d7:warning38:Call-ID not found or tags didn't match6:result2:oke";
    let bad = "d6:result5:error12:error-reason4:nopee";
    let full = "d6:result10:load limit7:message4:busye";
    let rows = [
        (Offer, Some(0), SDP, "1 done m0 new"),
        (Offer, Some(0), OK, "1 Refused retry=false rtpengine offer: no SDP in the reply"),
        (Offer, Some(0), "d3:sdp0:6:result2:oke", "1 Refused retry=false rtpengine offer: no SDP in the reply"),
        (Offer, Some(0), bad, "1 Refused retry=false rtpengine offer: nope"),
        (Offer, Some(0), full, "1 Overload retry=true rtpengine offer: busy"),
        (Offer, None, full, "1 Overload retry=true rtpengine offer: all are full"),
        (Offer, None, "d6:result4:ponge", "1 Refused retry=false rtpengine offer: a pong for an answer"),
        (Offer, None, "garbage", "1 Refused retry=false rtpengine offer: bad bencode at byte 0"),
        (Answer, Some(0), SDP, "1 done m0 new"),
        (Answer, Some(0), unknown, "1 Unavailable retry=false rtpengine answer: Unknown call-id"),
        (Answer, Some(0), bad, "1 Refused retry=false rtpengine answer: nope"),
        (Delete, Some(0), OK, "1 done m0 Some(\"m0\")/0"),
        (Delete, Some(0), gone, "1 done m0 None/0"),
        (Delete, Some(0), unknown, "1 done m0 None/0"),
        (Delete, Some(0), bad, "1 Refused retry=false rtpengine delete: nope"),
        (Query, Some(0), OK, "1 done m0 Some(\"m0\")/0"),
        (Query, Some(0), unknown, "1 Unavailable retry=false rtpengine query: Unknown call-id"),
    ];
    for (verb, relay, document, expected) in rows {
        let mut b = bench(1, |_| {});
        assert_eq!(b.ask(verb, "c1", relay), [format!("m0 {} c1", ng::verb(verb))]);
        assert_eq!(b.reply(0, ng::verb(verb), document), [expected], "{verb:?} {document}");
        assert_eq!(b.anchor.commands.len(), 0);
    }
}

#[test]
fn asks_that_are_answered_without_a_command() {
    let rows = [
        (0, Offer, None, "1 Unavailable retry=true rtpengine offer: none is alive"),
        (0, Offer, Some(0), "1 Unavailable retry=true rtpengine offer: 0 is dead"),
        (1, Offer, Some(5), "1 Unavailable retry=true rtpengine offer: 5 is dead"),
        (1, Answer, None, "1 Refused retry=false rtpengine answer: no such session"),
        (1, Delete, None, "1 Refused retry=false rtpengine delete: no such session"),
    ];
    for (relays, verb, relay, expected) in rows {
        assert_eq!(bench(relays, |_| {}).ask(verb, "c1", relay), [expected], "{relays} {verb:?} {relay:?}");
    }
    let mut b = bench(1, |settings| settings.commands_max = 1);
    b.ask(Offer, "c1", None);
    assert_eq!(b.ask(Offer, "c2", None), ["2 Overload retry=true rtpengine offer: too many commands"]);
    let mut b = bench(1, |settings| settings.sessions_max = 1);
    b.ask(Offer, "c1", None);
    b.reply(0, "offer", SDP);
    assert_eq!(b.ask(Offer, "c2", None), ["2 Overload retry=true rtpengine offer: too many sessions"]);
    assert_eq!(b.ask(Offer, "c1", None), ["m0 offer c1"], "a session that is there may go on");
}

#[test]
fn a_lost_datagram_is_sent_again_with_the_same_cookie() {
    let mut b = bench(1, |_| {});
    b.ask(Offer, "c1", None);
    assert_eq!(b.pass(800, &[0]), ["m0 offer c1", "m0 offer c1"]);
    let offers: Vec<_> =
        b.sent.iter().filter(|(_, bytes)| name(bytes).0 == "offer").map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(offers.len(), 3);
    assert!(offers.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(b.reply(0, "offer", SDP), ["1 done m0 new"]);
    assert_eq!(b.reply(0, "offer", SDP), Vec::<String>::new(), "the reply to the copy is nobody's");
    assert_eq!(b.pass(5_000, &[0]), Vec::<String>::new());
}

#[test]
fn replies_that_are_not_ours_change_nothing() {
    let mut b = bench(2, |_| {});
    b.ask(Offer, "c1", Some(0));
    let cookie = ng::split(&b.sent[0].1).unwrap().0.to_owned();
    for (relay, datagram) in [
        (0, String::new()),
        (0, "nonsense".to_owned()),
        (0, format!("x{cookie} {SDP}")),
        (0, format!("{cookie}9 {SDP}")),
        (0, format!("{} {SDP}", cookie.split('_').next().unwrap())),
        (1, format!("{cookie} {SDP}")), // right cookie, wrong relay
    ] {
        assert_eq!(b.receive(relay, datagram.clone()), Vec::<String>::new(), "{datagram}");
    }
    assert_eq!(b.receive(0, format!("{cookie} {SDP}")), ["1 done m0 new"]);
}

#[test]
fn cookies_differ_after_a_restart() {
    let first = |unix_ms| {
        let mut b = bench(1, |_| {});
        b.now.unix_ms = unix_ms;
        b.ask(Offer, "c1", None);
        ng::split(&b.sent[0].1).unwrap().0.to_owned()
    };
    assert_eq!(first(1_800_000_000_000), first(1_800_000_000_000), "the same in the same run");
    assert_ne!(first(1_800_000_000_000), first(1_800_000_000_001));
}

/// The relay that takes new sessions of this call, and another one.
fn order(b: &mut Bench, call: &str) -> (u16, u16) {
    let first = b.anchor.relays.choose(call, &[], b.now.instant).unwrap();
    (first, 1 - first)
}

#[test]
fn a_full_relay_is_passed_over() {
    let mut b = bench(2, |_| {});
    let (first, second) = order(&mut b, "c1");
    b.ask(Offer, "c1", None);
    let full = "d6:result10:load limit7:message4:busye";
    assert_eq!(b.reply(first, "offer", full), [format!("m{second} offer c1")]);
    assert_eq!(b.reply(second, "offer", SDP), [format!("1 done m{second} new")]);
    assert_eq!(b.ask(Offer, "c1", None), [format!("m{second} offer c1")], "the session stays where it is");
    b.ask(Offer, "c2", None);
    assert_eq!(b.reply(second, "offer", full), ["3 Overload retry=true rtpengine offer: all are full"]);
}

#[test]
fn a_dead_relay_is_left_and_what_it_may_hold_is_deleted_when_it_is_back() {
    let mut b = bench(2, |_| {});
    let (first, second) = order(&mut b, "c1");
    b.ask(Offer, "c1", None);
    // It never answers: two pings and the offer are missed, or three pings; then the offer moves.
    let seen = b.pass(1_500, &[second]);
    assert!(seen.contains(&format!("m{second} offer c1")), "{seen:?}");
    assert!(!seen.iter().any(|line| line.contains("Timeout")));
    assert_eq!(b.reply(second, "offer", SDP), [format!("1 done m{second} new")]);
    b.pass(1_500, &[second]);
    assert!(!b.anchor.relays.is_alive(first));
    assert_eq!(
        b.ask(Delete, "other", Some(first)),
        [format!("2 Unavailable retry=true rtpengine delete: {first} is dead")]
    );
    // Back again: the leftover goes with the first pong, and is tried until it is acknowledged.
    let seen = b.pass(600, &[first, second]);
    assert!(seen.contains(&format!("m{first} delete c1")), "{seen:?}");
    assert!(b.anchor.relays.is_alive(first));
    let seen = b.pass(3_000, &[first, second]);
    assert!(seen.iter().filter(|line| **line == format!("m{first} delete c1")).count() >= 3, "{seen:?}");
    assert_eq!(b.reply(first, "delete", OK), Vec::<String>::new());
    assert_eq!(b.pass(5_000, &[first, second]), Vec::<String>::new());
    assert_eq!(b.anchor.leftovers.len(), 0);
}

#[test]
fn a_leftover_is_given_up_at_its_age_or_when_there_are_too_many() {
    let mut b = bench(1, |settings| {
        settings.leftovers_max = 2;
        settings.misses_max = 1_000;
    });
    for call in ["c1", "c2", "c3"] {
        b.ask(Offer, call, None);
    }
    let seen = b.pass(1_300, &[]);
    for thread in 1..=3 {
        assert!(seen.contains(&format!("{thread} Timeout retry=true rtpengine offer")), "{seen:?}");
    }
    assert_eq!(b.anchor.leftovers.len(), 2);
    b.pass(200_000, &[]);
    assert_eq!(b.anchor.leftovers.len(), 0);
    let seen = b.pass(2_000, &[0]);
    assert_eq!(seen, Vec::<String>::new());
}

#[test]
fn a_new_offer_takes_its_leftover_over() {
    let mut b = bench(1, |settings| settings.misses_max = 1_000);
    b.ask(Offer, "c1", None);
    b.pass(1_300, &[]);
    assert_eq!(b.anchor.leftovers.len(), 1);
    assert_eq!(b.ask(Offer, "c1", None), ["m0 offer c1"]);
    assert_eq!(b.reply(0, "offer", SDP), ["2 done m0 new"]);
    assert_eq!(b.pass(2_000, &[0]), Vec::<String>::new(), "no delete");
}

#[test]
fn what_belongs_to_a_relay_fails_with_it() {
    let mut b = bench(2, |settings| settings.command_deadline_ms = 10_000);
    b.ask(Answer, "c1", Some(0));
    b.ask_with(Delete, "c2", Some(0), None);
    let seen = b.pass(2_000, &[1]);
    let ends: Vec<_> = seen.iter().filter(|line| line.contains("Timeout")).collect();
    assert_eq!(
        ends,
        ["1 Timeout retry=true rtpengine answer", "2 Timeout retry=true rtpengine delete"],
        "before their deadline"
    );
}

#[test]
fn an_ask_ends_by_its_deadline_however_many_relays_there_are() {
    let mut b = bench(9, |settings| settings.misses_max = 1_000);
    b.ask(Offer, "c1", None);
    let start = b.now.instant;
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &String| line.contains("Timeout")) {
        seen.extend(b.pass(10, &[]));
        assert!(b.now.instant.since(start) <= Duration::from_millis(2_510), "{seen:?}");
    }
    assert!(b.now.instant.since(start) >= Duration::from_millis(2_490));
}

#[test]
fn pings_go_on_for_ever_and_at_their_interval() {
    let mut b = bench(2, |_| {});
    b.pass(10_000, &[0]);
    let pings = |relay| b.sent.iter().filter(|(to, _)| *to == relay).count();
    assert!((20..=22).contains(&pings(0)) && (20..=22).contains(&pings(1)));
    assert!(b.anchor.relays.is_alive(0) && !b.anchor.relays.is_alive(1));
    assert!(bench(0, |_| {}).anchor.deadline().is_none());
    assert!(!b.anchor.is_idle());
}

#[test]
fn it_tells_how_its_relays_are() {
    let mut b = bench(1, |_| {});
    b.ask(Offer, "c1", None);
    b.reply(0, "offer", SDP);
    let Description::Machine { name, facts } = b.anchor.describe() else { panic!("a machine") };
    let fact = |name: &str| facts.iter().find(|(own, _)| own == name).unwrap().1.clone();
    assert_eq!(
        (name.as_str(), fact("relay.0.name").as_str(), fact("relay.0.healthy").as_str()),
        ("anchor", "m0", "true")
    );
    assert_eq!(fact("relay.0.sessions"), "1");
}
