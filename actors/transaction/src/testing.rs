//! Helpers of the tests: messages, and a table runner with one row per arrow of the RFC's figures.

use bytes::Bytes;
use fabric::{Instant, Now};
use sip::{Builder, Limits, Message, Status};

use crate::{Event, Events, Timings};

/// What can happen to a transaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// This timer runs out; those before it have run out too.
    Fires(char),
    /// A response with this status arrives.
    Response(u16),
    /// The same final response or request arrives once more.
    Again,
    /// The ACK arrives.
    Ack,
    /// The user sends this status.
    Respond(u16),
    /// The user cancels.
    Cancel,
    /// The user has sent the ACK for the 2xx.
    Acknowledge,
    /// The transport refuses.
    Broken,
}

pub use Input::*;

/// A transaction as the table runner drives it.
pub trait Subject {
    fn apply(&mut self, input: Input, now: Now, out: &mut Events);
    fn wake(&mut self, now: Now, out: &mut Events);
    fn deadline(&self) -> Option<Instant>;
    fn state(&self) -> &'static str;
    fn due(&self, timer: char) -> Option<Instant>;
    /// The machine after a journey through its serialised form.
    fn revived(&self) -> Self;
}

/// `(transport, state, input, next state, what comes out)`.
pub type Row = (&'static str, &'static str, Input, &'static str, &'static [&'static str]);

/// Runs every row on a machine that `reach` has brought into its state, and again on its revived twin.
pub fn run<S: Subject>(rows: &[Row], reach: impl Fn(&str, bool) -> (S, Now)) {
    for (transport, from, input, next, posts) in rows {
        for revive in [false, true] {
            let (mut subject, mut now) = reach(from, *transport == "tcp");
            assert_eq!(&subject.state(), from, "row begins in its state: {transport} {from} {input:?}");
            if revive {
                subject = subject.revived();
            }
            let got = feed(&mut subject, *input, &mut now);
            let row = format!("{transport} {from} {input:?}, revived {revive}");
            assert_eq!(&subject.state(), next, "{row}");
            assert_eq!(&got, posts, "{row}");
            assert_eq!(
                *next == "terminated",
                subject.deadline().is_none() && got.last().is_some_and(|x| x == "end") || *from == "terminated",
                "{row}: a machine that has not ended waits for something or says so"
            );
        }
    }
}

/// Fails for every state and input that has no row.
pub fn complete(rows: &[Row], transport: &str, states: &[&str], inputs: &[Input]) {
    for state in states {
        for input in inputs {
            let found = rows.iter().any(|row| row.0 == transport && row.1 == *state && row.2 == *input);
            assert!(found, "no row for {transport} {state} {input:?}");
        }
    }
}

/// Lets one thing happen; returns the words for what came out.
pub fn feed<S: Subject>(subject: &mut S, input: Input, now: &mut Now) -> Vec<String> {
    let mut out = Events::new();
    match input {
        Fires(timer) => {
            if let Some(mut due) = subject.due(timer) {
                while let Some(first) = subject.deadline().filter(|first| *first < due) {
                    go_to(now, first);
                    subject.wake(*now, &mut Events::new());
                    due = subject.due(timer).expect("the timer outlives those before it");
                }
                go_to(now, due);
            }
            subject.wake(*now, &mut out);
        }
        input => subject.apply(input, *now, &mut out),
    }
    words(out)
}

/// Wakes at each deadline until the end; `(milliseconds since start, word)` for everything that comes out.
pub fn timeline<S: Subject>(subject: &mut S, start: Now) -> Vec<(u64, String)> {
    let mut list = Vec::new();
    let mut now = start;
    while let Some(due) = subject.deadline() {
        let mut out = Events::new();
        if due > now.instant {
            subject.wake(Now { instant: Instant(due.0 - 1), ..now }, &mut out);
            assert!(out.is_empty(), "nothing happens before the deadline");
        }
        go_to(&mut now, due);
        subject.wake(now, &mut out);
        let at_ms = now.instant.since(start.instant).as_millis() as u64;
        list.extend(words(out).into_iter().map(|word| (at_ms, word)));
        assert!(list.len() < 100, "a transaction ends");
    }
    list
}

fn go_to(now: &mut Now, at: Instant) {
    *now = now.after(at.since(now.instant));
}

pub fn words(out: Events) -> Vec<String> {
    let what = |message: &Message| match message.status() {
        Some(status) => status.code().to_string(),
        None => message.method().to_string(),
    };
    out.into_iter()
        .map(|event| match event {
            Event::Send(message) => format!("wire {}", what(&message)),
            Event::ToUser(message) => format!("user {}", what(&message)),
            Event::Cancel(message) => format!("cancel {}", what(&message)),
            Event::Ack(message) => format!("again {}", what(&message)),
            Event::Overdue => "user overdue".into(),
            Event::Timeout => "user timeout".into(),
            Event::TransportFailed => "user transport".into(),
            Event::Terminated => "end".into(),
        })
        .collect()
}

pub fn start() -> Now {
    Now { instant: Instant(7_000_000), unix_ms: 1_700_000_000_000 }
}

pub fn timings() -> Timings {
    Timings::default()
}

pub fn message(text: &str) -> Message {
    Message::parse(Bytes::from(text.replace('\n', "\r\n").into_bytes()), &Limits::default()).expect("a test message")
}

pub fn request(method: &str) -> Message {
    message(&format!(
        "{method} sip:bob@b.example SIP/2.0\n\
         Via: SIP/2.0/UDP a.example;branch=z9hG4bK776asdhds\n\
         Max-Forwards: 70\n\
         From: Alice <sip:alice@a.example>;tag=1928301774\n\
         To: Bob <sip:bob@b.example>\n\
         Call-ID: a84b4c76e66710@a.example\n\
         CSeq: 314159 {method}\n\
         Contact: <sip:alice@a.example>\n\
         Content-Length: 0\n\n"
    ))
}

pub fn response(request: &Message, code: u16) -> Message {
    Builder::reply_to(&request.view(), Status(code), Some(b"a6c85cf")).build()
}

/// A machine after a journey through the codec that replicas use.
pub fn codec<T: serde::Serialize + for<'a> serde::Deserialize<'a> + PartialEq + std::fmt::Debug>(machine: &T) -> T {
    let bytes = postcard::to_allocvec(machine).expect("machines serialise");
    let twin = postcard::from_bytes(&bytes).expect("and come back");
    assert_eq!(machine, &twin);
    twin
}
