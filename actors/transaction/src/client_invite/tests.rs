use super::*;
use crate::testing::*;
use sip::Builder;

impl Subject for ClientInvite {
    fn apply(&mut self, input: Input, now: Now, out: &mut Events) {
        let invite = request("INVITE");
        match input {
            Response(code) => self.on_response(response(&invite, code), now, out),
            Again => self.on_response(response(&invite, if self.state() == "accepted" { 200 } else { 486 }), now, out),
            Cancel => ClientInvite::cancel(self, None, now, out),
            Acknowledge => self.acknowledge(ack("a6c85cf")),
            Broken => self.on_transport_error(now, out),
            other => panic!("{other:?} does not happen to a client"),
        }
    }
    fn wake(&mut self, now: Now, out: &mut Events) {
        ClientInvite::wake(self, now, out);
    }
    fn deadline(&self) -> Option<Instant> {
        ClientInvite::deadline(self)
    }
    fn state(&self) -> &'static str {
        ClientInvite::state(self)
    }
    fn due(&self, timer: char) -> Option<Instant> {
        let timer = match timer {
            'A' => Timer::A,
            'B' => Timer::B,
            'C' => Timer::C,
            'D' => Timer::D,
            'M' => Timer::M,
            _ => Timer::Cancelled,
        };
        self.timers.due(&timer)
    }
    fn revived(&self) -> ClientInvite {
        codec(self)
    }
}

fn ack(tag: &str) -> Message {
    message(&format!(
        "ACK sip:bob@b.example SIP/2.0\nVia: SIP/2.0/UDP a.example;branch=z9hG4bKack\nFrom: <sip:a@a.example>;tag=1\n\
         To: <sip:bob@b.example>;tag={tag}\nCall-ID: a84b4c76e66710@a.example\nCSeq: 314159 ACK\n\n"
    ))
}

fn reach(state: &str, reliable: bool) -> (ClientInvite, Now) {
    let mut now = start();
    let mut out = Events::new();
    let mut machine = ClientInvite::new(request("INVITE"), reliable, now, &timings(), &mut out);
    assert_eq!(words(out), ["wire INVITE"]);
    let path: &[Input] = match state {
        "proceeding" => &[Response(180)],
        "accepted" => &[Response(200)],
        "completed" => &[Response(486)],
        "terminated" => &[Fires('B')],
        _ => &[],
    };
    for step in path {
        feed(&mut machine, *step, &mut now);
    }
    (machine, now)
}

/// RFC 3261 figure 5 as RFC 6026 8.4 draws it anew, with Timer C of RFC 3261 16.6 and the CANCEL of RFC 3261 9.1.
const TABLE: &[Row] = &[
    ("udp", "calling", Fires('A'), "calling", &["wire INVITE"]),
    ("udp", "calling", Fires('B'), "terminated", &["user timeout", "end"]),
    ("udp", "calling", Broken, "terminated", &["user transport", "end"]),
    ("udp", "calling", Response(100), "proceeding", &["user 100"]),
    ("udp", "calling", Response(180), "proceeding", &["user 180"]),
    ("udp", "calling", Response(200), "accepted", &["user 200"]),
    ("udp", "calling", Response(302), "completed", &["wire ACK", "user 302"]),
    ("udp", "calling", Response(486), "completed", &["wire ACK", "user 486"]),
    ("udp", "calling", Response(503), "completed", &["wire ACK", "user 503"]),
    ("udp", "calling", Response(603), "completed", &["wire ACK", "user 603"]),
    ("udp", "calling", Cancel, "calling", &[]),
    ("udp", "calling", Acknowledge, "calling", &[]),
    ("udp", "proceeding", Fires('A'), "proceeding", &[]),
    ("udp", "proceeding", Fires('B'), "proceeding", &[]),
    ("udp", "proceeding", Fires('C'), "proceeding", &["user overdue", "cancel CANCEL"]),
    ("udp", "proceeding", Broken, "proceeding", &[]),
    ("udp", "proceeding", Response(100), "proceeding", &["user 100"]),
    ("udp", "proceeding", Response(180), "proceeding", &["user 180"]),
    ("udp", "proceeding", Response(200), "accepted", &["user 200"]),
    ("udp", "proceeding", Response(302), "completed", &["wire ACK", "user 302"]),
    ("udp", "proceeding", Response(486), "completed", &["wire ACK", "user 486"]),
    ("udp", "proceeding", Response(503), "completed", &["wire ACK", "user 503"]),
    ("udp", "proceeding", Response(603), "completed", &["wire ACK", "user 603"]),
    ("udp", "proceeding", Cancel, "proceeding", &["cancel CANCEL"]),
    ("udp", "proceeding", Acknowledge, "proceeding", &[]),
    ("udp", "accepted", Fires('M'), "terminated", &["end"]),
    ("udp", "accepted", Broken, "accepted", &[]),
    ("udp", "accepted", Response(100), "accepted", &[]),
    ("udp", "accepted", Response(180), "accepted", &[]),
    ("udp", "accepted", Response(200), "accepted", &["user 200"]),
    ("udp", "accepted", Response(302), "accepted", &[]),
    ("udp", "accepted", Response(486), "accepted", &[]),
    ("udp", "accepted", Response(503), "accepted", &[]),
    ("udp", "accepted", Response(603), "accepted", &[]),
    ("udp", "accepted", Cancel, "accepted", &[]),
    ("udp", "accepted", Acknowledge, "accepted", &[]),
    ("udp", "completed", Fires('D'), "terminated", &["end"]),
    ("udp", "completed", Broken, "completed", &[]),
    ("udp", "completed", Response(100), "completed", &[]),
    ("udp", "completed", Response(180), "completed", &[]),
    ("udp", "completed", Response(200), "completed", &[]),
    ("udp", "completed", Response(302), "completed", &["wire ACK"]),
    ("udp", "completed", Response(486), "completed", &["wire ACK"]),
    ("udp", "completed", Response(503), "completed", &["wire ACK"]),
    ("udp", "completed", Response(603), "completed", &["wire ACK"]),
    ("udp", "completed", Cancel, "completed", &[]),
    ("udp", "completed", Acknowledge, "completed", &[]),
    ("udp", "terminated", Broken, "terminated", &[]),
    ("udp", "terminated", Response(100), "terminated", &[]),
    ("udp", "terminated", Response(180), "terminated", &[]),
    ("udp", "terminated", Response(200), "terminated", &[]),
    ("udp", "terminated", Response(302), "terminated", &[]),
    ("udp", "terminated", Response(486), "terminated", &[]),
    ("udp", "terminated", Response(503), "terminated", &[]),
    ("udp", "terminated", Response(603), "terminated", &[]),
    ("udp", "terminated", Cancel, "terminated", &[]),
    ("udp", "terminated", Acknowledge, "terminated", &[]),
    // A reliable transport resends by itself (no Timer A) and repeats nothing afterwards (Timer D is zero).
    ("tcp", "calling", Fires('A'), "calling", &[]),
    ("tcp", "calling", Fires('B'), "terminated", &["user timeout", "end"]),
    ("tcp", "calling", Response(180), "proceeding", &["user 180"]),
    ("tcp", "calling", Response(200), "accepted", &["user 200"]),
    ("tcp", "calling", Response(486), "terminated", &["wire ACK", "user 486", "end"]),
    ("tcp", "proceeding", Response(486), "terminated", &["wire ACK", "user 486", "end"]),
    ("tcp", "accepted", Response(200), "accepted", &["user 200"]),
    ("tcp", "accepted", Fires('M'), "terminated", &["end"]),
];

#[test]
fn every_arrow_of_the_figure() {
    run(TABLE, reach);
    let inputs = [
        Broken,
        Cancel,
        Acknowledge,
        Response(100),
        Response(180),
        Response(200),
        Response(302),
        Response(486),
        Response(503),
        Response(603),
    ];
    complete(TABLE, "udp", &["calling", "proceeding", "accepted", "completed", "terminated"], &inputs);
}

#[test]
fn an_unanswered_invite_goes_out_seven_times() {
    let (mut machine, now) = reach("calling", false);
    let got = timeline(&mut machine, now);
    let at: Vec<u64> = got.iter().filter(|(_, word)| word == "wire INVITE").map(|(at_ms, _)| *at_ms).collect();
    assert_eq!(at, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert_eq!(got[6..], [(32_000, "user timeout".to_string()), (32_000, "end".to_string())]);
}

#[test]
fn ringing_ends_by_timer_c_and_then_by_silence() {
    let (mut machine, now) = reach("proceeding", false);
    let want = [(185_000, "user overdue"), (185_000, "cancel CANCEL"), (217_000, "user timeout"), (217_000, "end")];
    let got = timeline(&mut machine, now);
    assert_eq!(got.iter().map(|(at, word)| (*at, word.as_str())).collect::<Vec<_>>(), want);
}

#[test]
fn ringing_again_prolongs_timer_c_but_100_does_not() {
    for (code, expected_ms) in [(100, 185_000), (180, 285_000), (183, 285_000), (199, 285_000)] {
        let (mut machine, now) = reach("proceeding", false);
        let mut later = now.after(millis(100_000));
        feed(&mut machine, Response(code), &mut later);
        assert_eq!(machine.due('C'), Some(now.instant + millis(expected_ms)), "{code}");
    }
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    for first in [100, 180] {
        let (mut machine, mut now) = reach("calling", false);
        let mut out = Events::new();
        machine.cancel(Some("SIP;cause=200;text=\"Call completed elsewhere\""), now, &mut out);
        machine.cancel(None, now, &mut out);
        assert!(out.is_empty());
        assert_eq!(feed(&mut machine, Fires('A'), &mut now), ["wire INVITE"], "still being sent");
        machine.on_response(response(&request("INVITE"), first), now, &mut out);
        let events = out.take();
        let Event::Cancel(cancel) = &events[1] else { panic!("{events:?}") };
        assert_eq!(
            cancel.view().header(sip::Name::Reason),
            Some(&b"SIP;cause=200;text=\"Call completed elsewhere\""[..])
        );
        machine.cancel(None, now, &mut out);
        assert!(out.is_empty(), "one CANCEL is enough");
    }
}

#[test]
fn a_cancelled_invite_ends_with_any_final_response() {
    for (code, posts) in [(487, &["wire ACK", "user 487"][..]), (200, &["user 200"]), (486, &["wire ACK", "user 486"])]
    {
        let (mut machine, mut now) = reach("proceeding", false);
        feed(&mut machine, Cancel, &mut now);
        assert_eq!(feed(&mut machine, Response(180), &mut now), ["user 180"], "late ringing revives no Timer C");
        assert_eq!(machine.due('C'), None);
        assert_eq!(feed(&mut machine, Response(code), &mut now), posts);
    }
}

#[test]
fn a_cancel_before_any_response_is_void_after_a_final_one() {
    let (mut machine, mut now) = reach("calling", false);
    feed(&mut machine, Cancel, &mut now);
    assert_eq!(feed(&mut machine, Response(200), &mut now), ["user 200"]);
    let (mut machine, mut now) = reach("calling", false);
    feed(&mut machine, Cancel, &mut now);
    assert_eq!(feed(&mut machine, Response(486), &mut now), ["wire ACK", "user 486"]);
}

#[test]
fn a_repeated_2xx_gets_its_own_ack() {
    let (mut machine, mut now) = reach("accepted", false);
    feed(&mut machine, Acknowledge, &mut now);
    assert_eq!(feed(&mut machine, Again, &mut now), ["again ACK"]);
    let mut out = Events::new();
    let other = Builder::reply_to(&request("INVITE").view(), sip::Status::OK, Some(b"other")).build();
    machine.on_response(other.clone(), now, &mut out);
    assert_eq!(out.take(), [Event::ToUser(other.clone())], "another branch answered too");
    machine.acknowledge(ack("other"));
    machine.on_response(other, now, &mut out);
    assert_eq!(out.take(), [Event::Ack(ack("other"))]);
    assert_eq!(feed(&mut machine, Again, &mut now), ["again ACK"]);
}

#[test]
fn a_flood_of_answers_costs_bounded_memory() {
    let (mut machine, now) = reach("accepted", false);
    for number in 0..100 {
        machine.acknowledge(ack(&format!("tag{number}")));
    }
    let State::Accepted { acks } = &machine.state else { panic!() };
    assert_eq!(acks.len(), ANSWERS_MAX);
    assert_eq!(machine.deadline(), Some(now.instant + timings().transaction()));
}

#[test]
fn a_request_in_place_of_a_response_changes_nothing() {
    let (mut machine, now) = reach("calling", false);
    let before = machine.clone();
    machine.on_response(request("INVITE"), now, &mut Events::new());
    assert_eq!(machine, before);
}

#[test]
fn late_waking_does_not_send_twice() {
    let (mut machine, now) = reach("calling", false);
    let mut out = Events::new();
    machine.wake(now.after(millis(5_000)), &mut out);
    assert_eq!(words(out), ["wire INVITE"]);
    let mut out = Events::new();
    machine.wake(now.after(millis(60_000)), &mut out);
    assert_eq!(words(out), ["wire INVITE", "user timeout", "end"]);
}

#[test]
fn settings_of_zero_do_what_they_say() {
    let never = Timings { timer_c_ms: 0, timer_d_ms: 0, ..timings() };
    let mut out = Events::new();
    let mut machine = ClientInvite::new(request("INVITE"), false, start(), &never, &mut out);
    machine.on_response(response(&request("INVITE"), 180), start(), &mut out);
    assert_eq!(machine.deadline(), None, "no Timer C");
    machine.on_response(response(&request("INVITE"), 486), start(), &mut out);
    machine.wake(start(), &mut out);
    assert!(machine.is_terminated(), "no Timer D");
}

#[test]
fn a_transaction_is_small() {
    assert!(size_of::<ClientInvite>() <= 96, "{} bytes", size_of::<ClientInvite>());
}
