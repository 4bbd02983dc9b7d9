use super::*;
use crate::testing::*;

impl Subject for ClientNonInvite {
    fn apply(&mut self, input: Input, now: Now, out: &mut Events) {
        let request = request("OPTIONS");
        match input {
            Response(code) => self.on_response(response(&request, code), now, out),
            Broken => self.on_transport_error(now, out),
            other => panic!("{other:?} does not happen to a client"),
        }
    }
    fn wake(&mut self, now: Now, out: &mut Events) {
        ClientNonInvite::wake(self, now, out);
    }
    fn deadline(&self) -> Option<Instant> {
        ClientNonInvite::deadline(self)
    }
    fn state(&self) -> &'static str {
        ClientNonInvite::state(self)
    }
    fn due(&self, timer: char) -> Option<Instant> {
        let timer = match timer {
            'E' => Timer::E,
            'F' => Timer::F,
            _ => Timer::K,
        };
        self.timers.due(&timer)
    }
    fn revived(&self) -> ClientNonInvite {
        codec(self)
    }
}

fn reach(state: &str, reliable: bool) -> (ClientNonInvite, Now) {
    let mut now = start();
    let mut out = Events::new();
    let mut machine = ClientNonInvite::new(request("OPTIONS"), reliable, now, &timings(), &mut out);
    assert_eq!(words(out), ["wire OPTIONS"]);
    let path: &[Input] = match state {
        "proceeding" => &[Response(100)],
        "completed" => &[Response(200)],
        "terminated" => &[Fires('F')],
        _ => &[],
    };
    for step in path {
        feed(&mut machine, *step, &mut now);
    }
    (machine, now)
}

/// RFC 3261 figure 6.
const TABLE: &[Row] = &[
    ("udp", "trying", Fires('E'), "trying", &["wire OPTIONS"]),
    ("udp", "trying", Fires('F'), "terminated", &["user timeout", "end"]),
    ("udp", "trying", Broken, "terminated", &["user transport", "end"]),
    ("udp", "trying", Response(100), "proceeding", &["user 100"]),
    ("udp", "trying", Response(180), "proceeding", &["user 180"]),
    ("udp", "trying", Response(200), "completed", &["user 200"]),
    ("udp", "trying", Response(301), "completed", &["user 301"]),
    ("udp", "trying", Response(404), "completed", &["user 404"]),
    ("udp", "trying", Response(500), "completed", &["user 500"]),
    ("udp", "trying", Response(600), "completed", &["user 600"]),
    ("udp", "proceeding", Fires('E'), "proceeding", &["wire OPTIONS"]),
    ("udp", "proceeding", Fires('F'), "terminated", &["user timeout", "end"]),
    ("udp", "proceeding", Broken, "terminated", &["user transport", "end"]),
    ("udp", "proceeding", Response(100), "proceeding", &["user 100"]),
    ("udp", "proceeding", Response(180), "proceeding", &["user 180"]),
    ("udp", "proceeding", Response(200), "completed", &["user 200"]),
    ("udp", "proceeding", Response(301), "completed", &["user 301"]),
    ("udp", "proceeding", Response(404), "completed", &["user 404"]),
    ("udp", "proceeding", Response(500), "completed", &["user 500"]),
    ("udp", "proceeding", Response(600), "completed", &["user 600"]),
    ("udp", "completed", Fires('E'), "completed", &[]),
    ("udp", "completed", Fires('F'), "completed", &[]),
    ("udp", "completed", Fires('K'), "terminated", &["end"]),
    ("udp", "completed", Broken, "completed", &[]),
    ("udp", "completed", Response(100), "completed", &[]),
    ("udp", "completed", Response(180), "completed", &[]),
    ("udp", "completed", Response(200), "completed", &[]),
    ("udp", "completed", Response(301), "completed", &[]),
    ("udp", "completed", Response(404), "completed", &[]),
    ("udp", "completed", Response(500), "completed", &[]),
    ("udp", "completed", Response(600), "completed", &[]),
    ("udp", "terminated", Fires('E'), "terminated", &[]),
    ("udp", "terminated", Fires('F'), "terminated", &[]),
    ("udp", "terminated", Broken, "terminated", &[]),
    ("udp", "terminated", Response(100), "terminated", &[]),
    ("udp", "terminated", Response(180), "terminated", &[]),
    ("udp", "terminated", Response(200), "terminated", &[]),
    ("udp", "terminated", Response(301), "terminated", &[]),
    ("udp", "terminated", Response(404), "terminated", &[]),
    ("udp", "terminated", Response(500), "terminated", &[]),
    ("udp", "terminated", Response(600), "terminated", &[]),
    // A reliable transport: no Timer E, and Timer K is zero.
    ("tcp", "trying", Fires('E'), "trying", &[]),
    ("tcp", "trying", Fires('F'), "terminated", &["user timeout", "end"]),
    ("tcp", "trying", Response(100), "proceeding", &["user 100"]),
    ("tcp", "trying", Response(200), "terminated", &["user 200", "end"]),
    ("tcp", "proceeding", Fires('E'), "proceeding", &[]),
    ("tcp", "proceeding", Response(404), "terminated", &["user 404", "end"]),
];

#[test]
fn every_arrow_of_the_figure() {
    run(TABLE, reach);
    let inputs = [
        Fires('E'),
        Fires('F'),
        Broken,
        Response(100),
        Response(180),
        Response(200),
        Response(301),
        Response(404),
        Response(500),
        Response(600),
    ];
    complete(TABLE, "udp", &["trying", "proceeding", "completed", "terminated"], &inputs);
}

#[test]
fn an_unanswered_request_goes_out_eleven_times() {
    let (mut machine, now) = reach("trying", false);
    let got = timeline(&mut machine, now);
    let at: Vec<u64> = got.iter().filter(|(_, word)| word == "wire OPTIONS").map(|(at_ms, _)| *at_ms).collect();
    assert_eq!(at, [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(got[10..], [(32_000, "user timeout".to_string()), (32_000, "end".to_string())]);
}

#[test]
fn after_a_provisional_response_it_goes_out_every_t2() {
    let (mut machine, now) = reach("proceeding", false);
    let got = timeline(&mut machine, now);
    let at: Vec<u64> = got.iter().filter(|(_, word)| word == "wire OPTIONS").map(|(at_ms, _)| *at_ms).collect();
    assert_eq!(at, [500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500]);
}

#[test]
fn repeated_answers_are_absorbed_for_t4() {
    let (mut machine, now) = reach("completed", false);
    assert_eq!(timeline(&mut machine, now), [(5_000, "end".to_string())]);
    assert_eq!(machine.request(), None, "an answered request is not kept");
}

#[test]
fn a_request_in_place_of_a_response_changes_nothing() {
    let (mut machine, now) = reach("trying", false);
    let before = machine.clone();
    machine.on_response(request("OPTIONS"), now, &mut Events::new());
    assert_eq!(machine, before);
}

#[test]
fn timers_of_zero_do_not_spin() {
    let zero = Timings { t1_ms: 0, t2_ms: 0, t4_ms: 0, ..timings() };
    let mut machine = ClientNonInvite::new(request("OPTIONS"), false, start(), &zero, &mut Events::new());
    let got = timeline(&mut machine, start());
    assert_eq!(got.last(), Some(&(64, "end".to_string())));
}

#[test]
fn a_transaction_is_small() {
    assert!(size_of::<ClientNonInvite>() <= 80, "{} bytes", size_of::<ClientNonInvite>());
}
