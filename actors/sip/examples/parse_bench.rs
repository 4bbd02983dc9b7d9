//! What reading a message and the whole work of a load balancer on it cost: nanoseconds and allocations, as JSON.
//! Run: `cargo run --release -p sip --example parse_bench [-- ROUNDS]`.

use sip::{Limits, Name, Splices, View};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

struct Counting(AtomicU64);

// SAFETY: every call goes to the system allocator unchanged; only a counter is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.0.fetch_add(1, Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting(AtomicU64::new(0));

const PER_ROUND: u32 = 20_000;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(25).clamp(1, 1_000);
    let invite = sized(INVITE, 1_310);
    let register = sized(REGISTER, 834);
    let mut rows = Vec::new();
    for (message, bytes) in [("invite", &invite), ("register", &register)] {
        let mut out = Vec::with_capacity(4_096);
        rows.push(row(message, "parse", bytes.len(), measure(rounds, || parse(bytes))));
        rows.push(row(message, "check", bytes.len(), measure(rounds, || check(bytes))));
        rows.push(row(message, "lb_job", bytes.len(), measure(rounds, || lb_job(bytes, &mut out, false))));
        rows.push(row(message, "lb_job_full", bytes.len(), measure(rounds, || lb_job(bytes, &mut out, true))));
        rows.push(row(message, "to_message", bytes.len(), measure(rounds, || keep(bytes))));
    }
    println!(
        "{{\"bench\":\"sip_parse\",\"rounds\":{rounds},\"per_round\":{PER_ROUND},\"rows\":[\n{}\n]}}",
        rows.join(",\n")
    );
}

fn parse(bytes: &[u8]) -> usize {
    let view = View::parse(black_box(bytes), &Limits::default()).expect("a valid message");
    black_box(&view);
    view.body().len()
}

fn check(bytes: &[u8]) -> usize {
    let view = View::parse(black_box(bytes), &Limits::default()).expect("a valid message");
    usize::from(view.check().is_ok())
}

fn keep(bytes: &[u8]) -> usize {
    let view = View::parse(black_box(bytes), &Limits::default()).expect("a valid message");
    black_box(view.to_message()).bytes().len()
}

/// Everything a balancer does with a request but the sending; `full` adds Record-Route and another Request-URI.
fn lb_job(bytes: &[u8], out: &mut Vec<u8>, full: bool) -> usize {
    let view = View::parse(black_box(bytes), &Limits::default()).expect("a valid message");
    black_box(view.call_id().ok());
    black_box(view.top_via().ok().and_then(|via| via.branch()));
    black_box(view.from().ok().and_then(|from| from.tag()));
    black_box(view.to().ok().and_then(|to| to.tag()));
    black_box(view.contacts().next().and_then(Result::ok));
    black_box(view.routes().next().and_then(Result::ok));
    let mut splices = Splices::new(&view);
    splices.push_front(Name::Via, b"SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKtandem.0123456789abcdef0123456789abcdef");
    if full {
        splices.push_front(Name::RecordRoute, b"<sip:0123456789abcdef@192.0.2.10:5060;lr>");
        splices.set_uri(b"sip:bob@192.0.2.77:5060;transport=udp");
    }
    splices.stamp_via(Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 23))), Some(40_960));
    splices.decrement_max_forwards();
    splices.remove_first_value(Name::Route);
    out.clear();
    splices.apply(out);
    black_box(out.len())
}

/// Median, least and most nanoseconds of one call over the rounds, and allocations of one call.
fn measure(rounds: usize, mut job: impl FnMut() -> usize) -> (f64, f64, f64, f64) {
    for _ in 0..PER_ROUND {
        black_box(job());
    }
    let before = ALLOCATOR.0.load(Relaxed);
    for _ in 0..1_000 {
        black_box(job());
    }
    let allocations = (ALLOCATOR.0.load(Relaxed) - before) as f64 / 1_000.0;
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..PER_ROUND {
                black_box(job());
            }
            start.elapsed().as_nanos() as f64 / f64::from(PER_ROUND)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[rounds / 2], times[0], times[rounds - 1], allocations)
}

fn row(message: &str, job: &str, bytes: usize, (median, least, most, allocations): (f64, f64, f64, f64)) -> String {
    format!(
        "{{\"message\":\"{message}\",\"bytes\":{bytes},\"job\":\"{job}\",\"ns_median\":{median:.1},\"ns_min\":{least:.1},\"ns_max\":{most:.1},\"allocations\":{allocations}}}"
    )
}

/// The text with CRLF line ends, its `PADDING` stretched until the message has the wanted size.
fn sized(text: &str, size: usize) -> Vec<u8> {
    let text = text.replace('\n', "\r\n");
    let padding = (size + "PADDING".len()).checked_sub(text.len()).expect("the text is not longer than wanted");
    let bytes = text.replace("PADDING", &"x".repeat(padding)).into_bytes();
    assert_eq!(bytes.len(), size);
    bytes
}

const INVITE: &str = "\
INVITE sip:+4315550002@tandem.example.net SIP/2.0
Via: SIP/2.0/UDP 10.11.12.13:5060;rport;branch=z9hG4bKPj0b5b6c52-2a6e-4f2d-8d3b-6a1b2c3d4e5f
Max-Forwards: 70
Route: <sip:lb.at.tandem.example.net;lr>
From: \"Alice Example\" <sip:+4315550001@tandem.example.net>;tag=7c1d9e2f-aa55-4f0e-9c1b-0d2e3f4a5b6c
To: <sip:+4315550002@tandem.example.net>
Contact: <sip:+4315550001@10.11.12.13:5060;ob>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"
Call-ID: 3f0c9b1e-1d2c-4b3a-9f8e-7d6c5b4a3f2e
CSeq: 21234 INVITE
Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS
Supported: replaces, 100rel, timer, norefersub, outbound, path
Session-Expires: 1800
Min-SE: 90
User-Agent: PADDING
Accept: application/sdp, application/dtmf-relay
P-Preferred-Identity: <sip:+4315550001@tandem.example.net>
Date: Sat, 13 Nov 2010 23:29:00 GMT
Content-Type: application/sdp
Content-Length: 264

v=0
o=- 3871234567 3871234567 IN IP4 10.11.12.13
s=-
c=IN IP4 10.11.12.13
t=0 0
m=audio 4000 RTP/AVP 8 0 18 101
a=rtcp:4001 IN IP4 10.11.12.13
a=sendrecv
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:18 G729/8000
a=rtpmap:101 telephone-event/8000
";

const REGISTER: &str = "\
REGISTER sip:tandem.example.net SIP/2.0
Via: SIP/2.0/UDP 10.11.12.13:5060;rport;branch=z9hG4bKPj9d8c7b6a-5f4e-4d3c-8b2a-1f0e9d8c7b6a
Max-Forwards: 70
From: <sip:+4315550001@tandem.example.net>;tag=1f2e3d4c-5b6a-4978-8695-a4b3c2d1e0f9
To: <sip:+4315550001@tandem.example.net>
Call-ID: 0a1b2c3d-4e5f-4061-8273-849506a7b8c9
CSeq: 4711 REGISTER
Contact: <sip:+4315550001@10.11.12.13:5060;ob>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1
Expires: 300
Supported: outbound, path
Allow: INVITE, ACK, BYE, CANCEL
User-Agent: PADDING
Authorization: Digest username=\"4315550001\", realm=\"tandem.example.net\", nonce=\"abc\", uri=\"sip:tandem.example.net\", response=\"0123456789abcdef0123456789abcdef\", algorithm=MD5
Content-Length: 0

";
