use super::*;
use crate::testing::*;

impl Subject for ServerNonInvite {
    fn apply(&mut self, input: Input, now: Now, out: &mut Events) {
        match input {
            Again => self.on_request(out),
            Respond(code) => self.respond(response(&request("BYE"), code), now, out),
            Broken => self.on_transport_error(now, out),
            other => panic!("{other:?} does not happen to a server"),
        }
    }
    fn wake(&mut self, now: Now, out: &mut Events) {
        ServerNonInvite::wake(self, now, out);
    }
    fn deadline(&self) -> Option<Instant> {
        ServerNonInvite::deadline(self)
    }
    fn state(&self) -> &'static str {
        ServerNonInvite::state(self)
    }
    fn due(&self, _timer: char) -> Option<Instant> {
        self.timers.due(&Timer::J)
    }
    fn revived(&self) -> ServerNonInvite {
        codec(self)
    }
}

fn reach(state: &str, reliable: bool) -> (ServerNonInvite, Now) {
    let mut now = start();
    let mut machine = ServerNonInvite::new(reliable, &timings());
    let path: &[Input] = match state {
        "proceeding" => &[Respond(100)],
        "completed" => &[Respond(200)],
        "terminated" => &[Respond(200), Fires('J')],
        _ => &[],
    };
    for step in path {
        feed(&mut machine, *step, &mut now);
    }
    (machine, now)
}

/// RFC 3261 figure 8.
const TABLE: &[Row] = &[
    ("udp", "trying", Again, "trying", &[]),
    ("udp", "trying", Respond(100), "proceeding", &["wire 100"]),
    ("udp", "trying", Respond(200), "completed", &["wire 200"]),
    ("udp", "trying", Respond(404), "completed", &["wire 404"]),
    ("udp", "trying", Broken, "trying", &[]),
    ("udp", "trying", Fires('J'), "trying", &[]),
    ("udp", "proceeding", Again, "proceeding", &["wire 100"]),
    ("udp", "proceeding", Respond(100), "proceeding", &["wire 100"]),
    ("udp", "proceeding", Respond(200), "completed", &["wire 200"]),
    ("udp", "proceeding", Respond(404), "completed", &["wire 404"]),
    ("udp", "proceeding", Broken, "terminated", &["user transport", "end"]),
    ("udp", "proceeding", Fires('J'), "proceeding", &[]),
    ("udp", "completed", Again, "completed", &["wire 200"]),
    ("udp", "completed", Respond(100), "completed", &[]),
    ("udp", "completed", Respond(200), "completed", &[]),
    ("udp", "completed", Respond(404), "completed", &[]),
    ("udp", "completed", Broken, "terminated", &["user transport", "end"]),
    ("udp", "completed", Fires('J'), "terminated", &["end"]),
    ("udp", "terminated", Again, "terminated", &[]),
    ("udp", "terminated", Respond(100), "terminated", &[]),
    ("udp", "terminated", Respond(200), "terminated", &[]),
    ("udp", "terminated", Respond(404), "terminated", &[]),
    ("udp", "terminated", Broken, "terminated", &[]),
    ("udp", "terminated", Fires('J'), "terminated", &[]),
    // A reliable transport repeats nothing: Timer J is zero.
    ("tcp", "trying", Respond(200), "terminated", &["wire 200", "end"]),
    ("tcp", "proceeding", Respond(404), "terminated", &["wire 404", "end"]),
];

#[test]
fn every_arrow_of_the_figure() {
    run(TABLE, reach);
    let inputs = [Again, Respond(100), Respond(200), Respond(404), Broken, Fires('J')];
    complete(TABLE, "udp", &["trying", "proceeding", "completed", "terminated"], &inputs);
}

#[test]
fn the_answer_is_kept_for_32_seconds() {
    let (mut machine, now) = reach("completed", false);
    assert_eq!(timeline(&mut machine, now), [(32_000, "end".to_string())]);
}

#[test]
fn a_transaction_is_small() {
    assert!(size_of::<ServerNonInvite>() <= 80, "{} bytes", size_of::<ServerNonInvite>());
}
