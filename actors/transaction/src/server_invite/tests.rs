use super::*;
use crate::testing::*;
use sip::{Builder, Status};

impl Subject for ServerInvite {
    fn apply(&mut self, input: Input, now: Now, out: &mut Events) {
        let invite = request("INVITE");
        match input {
            Again => self.on_request(invite, now, out),
            Ack => self.on_request(ack("a6c85cf"), now, out),
            Respond(code) => self.respond(response(&invite, code), now, out),
            Broken => self.on_transport_error(now, out),
            other => panic!("{other:?} does not happen to a server"),
        }
    }
    fn wake(&mut self, now: Now, out: &mut Events) {
        ServerInvite::wake(self, now, out);
    }
    fn deadline(&self) -> Option<Instant> {
        ServerInvite::deadline(self)
    }
    fn state(&self) -> &'static str {
        ServerInvite::state(self)
    }
    fn due(&self, timer: char) -> Option<Instant> {
        let timer = match timer {
            'T' => Timer::Trying,
            'G' => Timer::G,
            'H' => Timer::H,
            'I' => Timer::I,
            _ => Timer::L,
        };
        self.timers.due(&timer)
    }
    fn revived(&self) -> ServerInvite {
        codec(self)
    }
}

fn ack(tag: &str) -> Message {
    ack_with("SIP/2.0/UDP a.example;branch=z9hG4bK776asdhds", tag)
}

fn ack_with(via: &str, tag: &str) -> Message {
    message(&format!(
        "ACK sip:bob@b.example SIP/2.0\nVia: {via}\nFrom: Alice <sip:alice@a.example>;tag=1928301774\n\
         To: Bob <sip:bob@b.example>;tag={tag}\nCall-ID: a84b4c76e66710@a.example\nCSeq: 314159 ACK\n\n"
    ))
}

fn reach(state: &str, reliable: bool) -> (ServerInvite, Now) {
    let mut now = start();
    let mut out = Events::new();
    let mut machine = ServerInvite::new(request("INVITE"), reliable, now, &timings(), &mut out);
    assert_eq!(words(out), ["wire 100"]);
    let path: &[Input] = match state {
        "accepted" => &[Respond(200)],
        "completed" => &[Respond(486)],
        "confirmed" => &[Respond(486), Ack],
        "terminated" => &[Respond(486), Fires('H')],
        _ => &[],
    };
    for step in path {
        feed(&mut machine, *step, &mut now);
    }
    (machine, now)
}

/// RFC 3261 figure 7 as RFC 6026 8.5 draws it anew.
const TABLE: &[Row] = &[
    ("udp", "proceeding", Again, "proceeding", &["wire 100"]),
    ("udp", "proceeding", Ack, "proceeding", &[]),
    ("udp", "proceeding", Respond(180), "proceeding", &["wire 180"]),
    ("udp", "proceeding", Respond(200), "accepted", &["wire 200"]),
    ("udp", "proceeding", Respond(302), "completed", &["wire 302"]),
    ("udp", "proceeding", Respond(486), "completed", &["wire 486"]),
    ("udp", "proceeding", Respond(603), "completed", &["wire 603"]),
    ("udp", "proceeding", Broken, "proceeding", &["user transport"]),
    ("udp", "accepted", Again, "accepted", &[]),
    ("udp", "accepted", Ack, "accepted", &["user ACK"]),
    ("udp", "accepted", Respond(180), "accepted", &[]),
    ("udp", "accepted", Respond(200), "accepted", &["wire 200"]),
    ("udp", "accepted", Respond(302), "accepted", &[]),
    ("udp", "accepted", Respond(486), "accepted", &[]),
    ("udp", "accepted", Respond(603), "accepted", &[]),
    ("udp", "accepted", Broken, "accepted", &["user transport"]),
    ("udp", "accepted", Fires('L'), "terminated", &["end"]),
    ("udp", "completed", Again, "completed", &["wire 486"]),
    ("udp", "completed", Ack, "confirmed", &[]),
    ("udp", "completed", Respond(180), "completed", &[]),
    ("udp", "completed", Respond(200), "completed", &[]),
    ("udp", "completed", Respond(302), "completed", &[]),
    ("udp", "completed", Respond(486), "completed", &[]),
    ("udp", "completed", Respond(603), "completed", &[]),
    ("udp", "completed", Broken, "completed", &["user transport"]),
    ("udp", "completed", Fires('G'), "completed", &["wire 486"]),
    ("udp", "completed", Fires('H'), "terminated", &["user timeout", "end"]),
    ("udp", "confirmed", Again, "confirmed", &[]),
    ("udp", "confirmed", Ack, "confirmed", &[]),
    ("udp", "confirmed", Respond(180), "confirmed", &[]),
    ("udp", "confirmed", Respond(200), "confirmed", &[]),
    ("udp", "confirmed", Respond(302), "confirmed", &[]),
    ("udp", "confirmed", Respond(486), "confirmed", &[]),
    ("udp", "confirmed", Respond(603), "confirmed", &[]),
    ("udp", "confirmed", Broken, "confirmed", &[]),
    ("udp", "confirmed", Fires('I'), "terminated", &["end"]),
    ("udp", "terminated", Again, "terminated", &[]),
    ("udp", "terminated", Ack, "terminated", &[]),
    ("udp", "terminated", Respond(180), "terminated", &[]),
    ("udp", "terminated", Respond(200), "terminated", &[]),
    ("udp", "terminated", Respond(302), "terminated", &[]),
    ("udp", "terminated", Respond(486), "terminated", &[]),
    ("udp", "terminated", Respond(603), "terminated", &[]),
    ("udp", "terminated", Broken, "terminated", &[]),
    // A reliable transport: no Timer G, Timer I is zero; H and L stay.
    ("tcp", "proceeding", Again, "proceeding", &["wire 100"]),
    ("tcp", "completed", Fires('G'), "completed", &[]),
    ("tcp", "completed", Fires('H'), "terminated", &["user timeout", "end"]),
    ("tcp", "completed", Ack, "terminated", &["end"]),
    ("tcp", "accepted", Fires('L'), "terminated", &["end"]),
];

#[test]
fn every_arrow_of_the_figure() {
    run(TABLE, reach);
    let inputs = [Again, Ack, Broken, Respond(180), Respond(200), Respond(302), Respond(486), Respond(603)];
    complete(TABLE, "udp", &["proceeding", "accepted", "completed", "confirmed", "terminated"], &inputs);
}

#[test]
fn a_refusal_goes_out_eleven_times_without_ack() {
    let (mut machine, now) = reach("completed", false);
    let got = timeline(&mut machine, now);
    let at: Vec<u64> = got.iter().filter(|(_, word)| word == "wire 486").map(|(at_ms, _)| *at_ms).collect();
    assert_eq!(at, [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(got[10..], [(32_000, "user timeout".to_string()), (32_000, "end".to_string())]);
}

#[test]
fn the_latest_provisional_response_is_repeated() {
    let (mut machine, mut now) = reach("proceeding", false);
    for code in [180, 183, 182] {
        feed(&mut machine, Respond(code), &mut now);
        assert_eq!(feed(&mut machine, Again, &mut now), [format!("wire {code}")]);
    }
}

#[test]
fn repeated_bytes_are_the_same_bytes() {
    let (mut machine, mut now) = reach("proceeding", false);
    let mut out = Events::new();
    let busy = Builder::reply_to(&request("INVITE").view(), Status::BUSY_HERE, Some(b"x")).other("X-Mark", "1").build();
    machine.respond(busy.clone(), now, &mut out);
    machine.on_request(request("INVITE"), now, &mut out);
    now = now.after(millis(500));
    machine.revived().wake(now, &mut out);
    assert_eq!(out.take(), vec![Event::Send(busy); 3]);
}

#[test]
fn trying_can_wait_for_a_better_answer() {
    let later = Timings { trying_ms: 200, ..timings() };
    let fresh = || {
        let mut out = Events::new();
        let machine = ServerInvite::new(request("INVITE"), false, start(), &later, &mut out);
        assert!(out.is_empty());
        assert_eq!(machine.state(), "proceeding");
        assert!(machine.is_pending());
        machine
    };
    let mut machine = fresh();
    assert_eq!(feed(&mut machine, Again, &mut start()), [""; 0], "nothing to repeat yet");
    assert_eq!(timeline(&mut machine.revived(), start()), [(200, "wire 100".to_string())]);
    for (code, state) in [(180, "proceeding"), (200, "accepted"), (407, "completed")] {
        let mut machine = fresh();
        assert_eq!(feed(&mut machine, Respond(code), &mut start()), [format!("wire {code}")]);
        assert_eq!(machine.state(), state);
        assert_eq!(machine.due('T'), None, "100 is superfluous after {code}");
    }
}

#[test]
fn an_ack_of_rfc_2543_must_show_our_tag() {
    for (via, tag, next) in [
        ("SIP/2.0/UDP a.example;branch=z9hG4bK776asdhds", "anything", "confirmed"),
        ("SIP/2.0/UDP a.example;branch=1", "a6c85cf", "confirmed"),
        ("SIP/2.0/UDP a.example;branch=1", "another", "completed"),
        ("SIP/2.0/UDP a.example", "a6c85cf", "confirmed"),
        ("SIP/2.0/UDP a.example", "another", "completed"),
    ] {
        let text = String::from_utf8(request("INVITE").bytes().to_vec()).unwrap();
        let text = text.replace("SIP/2.0/UDP a.example;branch=z9hG4bK776asdhds", via).replace('\r', "");
        let mut machine = ServerInvite::new(message(&text), false, start(), &timings(), &mut Events::new());
        machine.respond(response(&message(&text), 486), start(), &mut Events::new());
        machine.on_request(ack_with(via, tag), start(), &mut Events::new());
        assert_eq!(machine.state(), next, "{via} {tag}");
    }
}

#[test]
fn a_request_in_place_of_a_response_is_not_sent() {
    let (mut machine, now) = reach("proceeding", false);
    let mut out = Events::new();
    machine.respond(request("INVITE"), now, &mut out);
    assert!(out.is_empty());
}

#[test]
fn a_transaction_is_small() {
    assert!(size_of::<ServerInvite>() <= 80, "{} bytes", size_of::<ServerInvite>());
}
