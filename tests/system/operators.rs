//! What an operator does to a running switch: bans, draining, stopping.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::process::until;
use crate::sipp::Sipp;
use crate::stage::{Props, Stage};

const STRICT: &str = "[call]\nwithout_relay = \"unanchored\"\n[balancer]\nflood_messages_per_s = 50\nflood_burst = 100\n\
                      flood_drops_to_ban = 200\nflood_ban_s = 60\n";

#[test]
fn a_flood_is_banned_and_others_are_served() {
    let stage = Stage::new(141, Props { toml: STRICT, ..Props::default() });
    let flooder = socket(&stage, 70);
    let start = Instant::now();
    let is_banned = |host: u8| bans(&stage).contains(&stage.ip(host).to_string());
    while !is_banned(70) {
        assert!(start.elapsed() < Duration::from_secs(5), "not banned within 5 s");
        for _ in 0..200 {
            flooder.send_to(&options(&flooder), stage.switch.sip).expect("sent");
        }
    }
    let ban = &stage.switch.get("bannedips/").embedded("bannedips")[0].clone();
    assert_eq!((ban["ip"].as_str(), ban["reason"].as_str()), (Some(stage.ip(70).to_string().as_str()), Some("flood")));
    assert!(!answered(&stage, &silent(flooder)), "nobody listens to a banned address");
    call_succeeds(&stage);
    stage.switch.ctl_raw(&["unban", &stage.ip(70).to_string()]);
    assert!(!is_banned(70));
    assert!(answered(&stage, &socket(&stage, 70)), "listened to again");
}

#[test]
fn an_operator_bans_and_unbans() {
    let stage = Stage::plain(142);
    let peer = socket(&stage, 71);
    assert!(answered(&stage, &peer));
    let address = stage.ip(71).to_string();
    stage.switch.ctl_raw(&["ban", &address, "--seconds", "600", "--reason", "rude"]);
    assert_eq!(bans(&stage), [address.clone()]);
    assert!(!answered(&stage, &peer));
    call_succeeds(&stage);
    let over_rest = stage.switch.get(&format!("bannedips/{address}"));
    assert_eq!((over_rest.status, over_rest.body["reason"].as_str()), (200, Some("rude")));
    assert!(over_rest.body["dropped"].as_u64() >= Some(1), "{over_rest:?}");
    assert_eq!(stage.switch.api_request("DELETE", &format!("bannedips/{address}"), "", &[]).status, 204);
    assert!(answered(&stage, &peer));
    assert_eq!(stage.switch.post("bannedips/", &format!(r#"{{"ip": "{address}", "seconds": 2}}"#)).status, 201);
    assert!(!answered(&stage, &peer));
    until("the ban has ended by itself", Duration::from_secs(6), || bans(&stage).is_empty());
    assert!(answered(&stage, &peer));
}

const WAITS_FOR_BYE: &str = "< INVITE\n> 180\n> 200 sdp\n< ACK\n< BYE\n> 200";
const CALLS_FOR_TWO_SECONDS: &str =
    "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 180\n< 200\n> ACK\nwait 2000\n> BYE\n< 200";

#[test]
fn a_drained_switch_refuses_new_calls_and_keeps_the_old() {
    let stage = Stage::plain(143);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), WAITS_FOR_BYE).start();
    let caller = stage.sipp(&stage.phone(1), CALLS_FOR_TWO_SECONDS).start();
    caller.wait_for("the call is up", |message| {
        message.sent && message.gist() == "ACK" && message.text.contains("CSeq: 2")
    });
    stage.switch.ctl_raw(&["drain"]);
    assert_eq!(stage.switch.ctl(&["status"])["draining"], true);
    assert!(!stage.switch.is_ready(), "a balancer in front must notice");
    let refused = "> INVITE sdp\n< 503 | ~ Retry-After: *[0-9]\n> ACK";
    stage.sipp(&stage.phone(3), refused).run().passed();
    stage.sipp(&stage.phone(3), "> REGISTER | Expires: 600\n< 503 | ~ Retry-After: *[0-9]").run().passed();
    caller.end().passed();
    callee.end().passed();
    stage.switch.ctl_raw(&["undrain"]);
    assert!(stage.switch.is_ready());
    call_succeeds(&stage);
}

#[test]
fn a_graceful_stop_lets_calls_be_set_up_and_says_farewell() {
    let mut stage = Stage::plain(144);
    stage.register(&stage.phone(2));
    stage.register(&stage.phone(3));
    // One call is up, the other still rings when SIGTERM comes; the ringing one is answered and is ended as well.
    let callee = stage.sipp(&stage.phone(2), WAITS_FOR_BYE).start();
    let talk = "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 180\n< 200\n> ACK\n< BYE\n> 200";
    let caller = stage.sipp(&stage.phone(1), talk).start();
    callee.wait_for("the call is up", |message| message.gist() == "ACK");
    let slow = stage.sipp(&stage.phone(3), "< INVITE\n> 180\nwait 1000\n> 200 sdp\n< ACK\n< BYE\n> 200").start();
    let late: Sipp = stage.sipp(&stage.phone(4), talk).calls("user3");
    let late = late.start();
    late.wait_for("it rings", |message| message.gist() == "180 INVITE");
    stage.switch.process.signal("TERM");
    for playing in [caller, callee, late, slow] {
        playing.end().passed();
    }
    let status = stage.switch.process.wait(Duration::from_secs(15)).expect("ends within its patience");
    assert!(status.success(), "{status}");
    let cdrs = stage.wait_for_cdrs(2);
    assert!(cdrs.iter().all(|cdr| cdr["call_status"] == "ok" && cdr["end_time"] != ""), "{cdrs:#?}");
    stage.switch.restart();
    assert_eq!(stage.switch.contacts("user2").len(), 1, "bindings are written");
    assert_eq!(stage.cdrs().len(), 2, "no record twice");
    call_succeeds(&stage);
}

#[test]
fn calls_that_a_crash_cuts_off_are_recorded_as_lost() {
    let mut stage = Stage::plain(145);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), WAITS_FOR_BYE).start();
    let caller = stage.sipp(&stage.phone(1), CALLS_FOR_TWO_SECONDS).start();
    callee.wait_for("the call is up", |message| message.gist() == "ACK");
    stage.switch.crash_and_restart();
    let cdr = &stage.wait_for_cdrs(1)[0];
    assert_eq!((cdr["call_status"].as_str(), cdr["stop_cause"].as_str()), (Some("ok"), Some("lost")), "{cdr:#}");
    caller.power_off();
    callee.power_off();
    call_succeeds(&stage);
}

#[test]
fn a_broken_configuration_is_refused_with_the_place() {
    let stage = Stage::plain(146);
    let file = stage.file("broken.toml");
    for (text, wanted) in [
        ("node = 1\n[call]\nring_max = 3\n", "ring_max"),
        ("[[listen]]\ntransport = \"udp\"\naddress = \"0.0.0.0:5060\"\n", "wildcard"),
    ] {
        std::fs::write(&file, text).expect("a file");
        let output =
            std::process::Command::new(crate::switch::binary()).arg("check").arg(&file).output().expect("tandem runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn operators_see_what_goes_on_and_logs_may_be_json() {
    let toml = "[log]\nformat = \"json\"\nlevel = \"info\"\n";
    let stage = Stage::new(147, Props { toml, ..Props::default() });
    let phone = stage.phone(2);
    stage.register(&phone);
    let callee = stage.sipp(&phone, WAITS_FOR_BYE).start();
    let caller = stage.sipp(&stage.phone(1), CALLS_FOR_TWO_SECONDS).start();
    callee.wait_for("the call is up", |message| message.gist() == "ACK");
    let shown = |words: &[&str], wanted: &[&str]| {
        let text = stage.switch.ctl_raw(words);
        assert!(wanted.iter().all(|word| text.contains(word)), "{words:?}: {text}");
    };
    shown(&["calls"], &["user1", "user2", "established"]);
    shown(&["registrations"], &["user2@example.test", &phone.address.to_string()]);
    shown(&["registrations", "user3@example.test"], &["no registrations"]);
    shown(&["status"], &["system-147", "udp", "tcp", &stage.switch.sip.to_string(), "taken"]);
    caller.end().passed();
    callee.end().passed();
    let log = std::fs::read_to_string(stage.file("tandem.log")).expect("a log");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()), "{}", lines[0]);
    assert!(!log.contains("user2@"), "who calls whom is not for the log");
}

fn call_succeeds(stage: &Stage) {
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).run().passed();
    callee.end().passed();
}

fn bans(stage: &Stage) -> Vec<String> {
    let bans = stage.switch.ctl(&["bans"]);
    bans["bans"].as_array().expect("bans").iter().map(|ban| ban["address"].as_str().unwrap_or("").to_owned()).collect()
}

fn socket(stage: &Stage, host: u8) -> UdpSocket {
    let socket = UdpSocket::bind((stage.ip(host), 5060)).expect("an address of the test");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    socket
}

/// The same socket with nothing left to read.
fn silent(socket: UdpSocket) -> UdpSocket {
    let mut buffer = [0; 2_000];
    socket.set_nonblocking(true).expect("a mode");
    while socket.recv(&mut buffer).is_ok() {}
    socket.set_nonblocking(false).expect("a mode");
    socket
}

/// Whether the switch answers OPTIONS of this socket, within its second.
fn answered(stage: &Stage, socket: &UdpSocket) -> bool {
    socket.send_to(&options(socket), stage.switch.sip).expect("sent");
    socket.recv(&mut [0; 2_000]).is_ok()
}

fn options(socket: &UdpSocket) -> Vec<u8> {
    let local = socket.local_addr().expect("its address");
    format!(
        "OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKo\r\nMax-Forwards: 70\r\n\
         From: <sip:a@example.test>;tag=1\r\nTo: <sip:example.test>\r\nCall-ID: o@operators\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}
