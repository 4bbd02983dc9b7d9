//! Media through a real rtpengine, counted by tshark.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use crate::process::{Process, until};
use crate::relay::relay_ip;
use crate::sipp::Played;
use crate::stage::{Props, Stage};
use crate::switch::relay_section;

/// A SIPp scenario can replay RTP, but baresip talks by itself: see `deploy/run --call`. Here SIPp echoes (`-rtp_echo`)
/// what our own sender speaks, so that every packet can be counted.
const LONG_CALL: &str = "
    > INVITE sdp
    < 407 auth
    > ACK
    > INVITE sdp auth
    < 100
    < 180?
    < 200 | ~ m=audio
    > ACK
    wait 2500
    > BYE
    < 200";

const ANSWERS: &str = "< INVITE\n> 180\n> 200 sdp\n< ACK\n< BYE\n> 200";

#[test]
fn rtp_flows_both_ways_through_the_relay() {
    let stage = Stage::with_relay(91);
    stage.register(&stage.phone(2));
    let capture = capture(&stage);
    let callee = stage.sipp(&stage.phone(2), ANSWERS).args(&["-rtp_echo", "-mp", "16000"]).start();
    let caller = stage.sipp(&stage.phone(1), &LONG_CALL.replace(" sdp", " sdp port=14000")).start();
    caller.wait_for("the answer", |message| !message.sent && message.gist() == "200 INVITE");
    caller.wait_for("the ACK", |message| message.sent && message.gist() == "ACK");
    speak((stage.ip(21), 14000).into(), &stage, 50);
    let caller = caller.end().passed();
    let callee = callee.end().passed();
    assert_anchored(stage.relays[0].address, &caller, &callee);
    let (to_callee, to_caller) = counted(capture, &stage);
    assert!(to_callee >= 45, "{to_callee} of 50 packets reached the callee");
    assert!(to_caller >= 45, "{to_caller} of 50 echoed packets came back");
    let cdr = &stage.wait_for_cdrs(1)[0];
    assert_eq!(cdr["media_relay"], "media1");
    assert!(cdr["packets_from_caller"].as_u64().is_some_and(|packets| packets >= 45), "{cdr}");
    until("the relay has no session left", Duration::from_secs(10), || {
        stage.switch.ctl(&["status"])["relays"][0]["sessions"].as_u64() == Some(0)
    });
}

#[test]
fn without_a_relay_a_call_is_refused_when_policy_says_so() {
    let stage = Stage::new(92, Props { toml: &relay_gone(92, "refuse"), ..Props::default() });
    stage.register(&stage.phone(2));
    let caller = stage
        .sipp(&stage.phone(1), "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 503\n> ACK")
        .run()
        .passed();
    assert_eq!(caller.count("503 INVITE"), 1);
}

#[test]
fn without_a_relay_a_call_goes_unanchored_when_policy_says_so() {
    let stage = Stage::new(93, Props { toml: &relay_gone(93, "unanchored"), ..Props::default() });
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    let caller = stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).run().passed();
    let callee = callee.end().passed();
    assert_eq!(callee.first("INVITE").media().expect("SDP").0, stage.ip(21).to_string(), "the caller's own address");
    assert_eq!(caller.first("200 INVITE").media().expect("SDP").0, stage.ip(22).to_string());
}

#[test]
fn signalling_goes_on_when_the_relay_is_killed_during_a_call() {
    let mut stage = Stage::with_relay(94);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), "< INVITE\n> 180\n> 200 sdp\n< ACK\n< BYE\n> 200").start();
    let caller = stage.sipp(&stage.phone(1), LONG_CALL).within(30).start();
    caller.wait_for("the ACK", |message| message.sent && message.gist() == "ACK");
    stage.relays[0].kill();
    caller.end().passed();
    callee.end().passed();
    assert_eq!(stage.wait_for_cdrs(1)[0]["stop_cause"], "caller");
    stage.relays[0].restart();
    let callee = stage.sipp(&stage.phone(2), ANSWERS).start();
    until("the relay is healthy again", Duration::from_secs(15), || {
        stage.switch.ctl(&["status"])["relays"][0]["healthy"].as_bool() == Some(true)
    });
    let caller = stage.sipp(&stage.phone(1), LONG_CALL).run().passed();
    assert_anchored(stage.relays[0].address, &caller, &callee.end().passed());
}

/// Configuration of a relay that does not answer, and what to do then.
fn relay_gone(net: u8, policy: &str) -> String {
    let relay = relay_section("gone", relay_ip(net, 0));
    format!("{relay}[call]\nwithout_relay = \"{policy}\"\n")
}

/// Both phones were told this address of a relay, and different ports.
fn assert_anchored(relay: Ipv4Addr, caller: &Played, callee: &Played) {
    let told_caller = caller.first("200 INVITE").media().expect("SDP for the caller");
    let told_callee = callee.first("INVITE").media().expect("SDP for the callee");
    assert_eq!((told_caller.0, told_callee.0), (relay.to_string(), relay.to_string()));
    assert_ne!(told_caller.1, told_callee.1);
}

fn capture(stage: &Stage) -> Process {
    let file = stage.file("rtp.pcap");
    let mut command = Command::new("tshark");
    command
        .args(["-i", "lo", "-q", "-f", &format!("udp and net {}/24 and udp portrange 10000-40000", stage.ip(0)), "-w"])
        .arg(&file);
    let process = Process::start("tshark", &mut command, &stage.file("tshark.log"));
    until("tshark captures", Duration::from_secs(15), || {
        std::fs::read_to_string(stage.file("tshark.log")).is_ok_and(|log| log.contains("Capturing on"))
    });
    process
}

/// Packets from the relay to the callee's and to the caller's media port, as tshark counted them.
fn counted(mut capture: Process, stage: &Stage) -> (usize, usize) {
    std::thread::sleep(Duration::from_millis(300)); // tshark writes what the kernel has handed it; it has no flush to wait for
    capture.signal("INT");
    capture.wait(Duration::from_secs(10)).expect("tshark ends");
    let count = |filter: &str| {
        let output = Command::new("tshark")
            .args(["-r"])
            .arg(stage.file("rtp.pcap"))
            .args(["-Y", filter, "-T", "fields", "-e", "udp.length"])
            .output();
        String::from_utf8_lossy(&output.expect("tshark reads its file").stdout).lines().count()
    };
    let towards = |host: u8, port: u16| {
        count(&format!("ip.src == {} && ip.dst == {} && udp.dstport == {port}", stage.ip(9), stage.ip(host)))
    };
    (towards(22, 16000), towards(21, 14000))
}

/// Sends `count` RTP packets of PCMA from the caller's media address to the port that the caller was told.
fn speak(from: SocketAddr, stage: &Stage, count: u16) {
    let logs = std::fs::read_dir(&stage.folder).expect("the folder").flatten().map(|entry| entry.path());
    let log = logs
        .filter(|path| {
            path.extension().is_some_and(|ending| ending == "msg") && path.to_string_lossy().contains("user1")
        })
        .max();
    let messages = crate::wire::read(&log.expect("the caller's log"));
    let (ip, port) = messages
        .iter()
        .find(|message| message.gist() == "200 INVITE")
        .and_then(|message| message.media())
        .expect("an answer");
    let socket = std::net::UdpSocket::bind(from).expect("the caller's media address");
    for sequence in 0..count {
        let mut packet = vec![0x80, 8];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&0x5EED_u32.to_be_bytes());
        packet.extend_from_slice(&[0xD5; 160]);
        socket.send_to(&packet, (ip.as_str(), port)).expect("sent");
        std::thread::sleep(Duration::from_millis(20)); // the pace of speech
    }
}

#[test]
fn a_second_relay_takes_over_when_the_first_is_killed() {
    let mut stage = Stage::new(95, Props { relays: 2, ..Props::default() });
    stage.register(&stage.phone(2));
    let healthy = |stage: &Stage| {
        let status = stage.switch.ctl(&["status"]);
        let relays = status["relays"].as_array().expect("relays").clone();
        relays.iter().filter(|relay| relay["healthy"] == true).count()
    };
    until("both relays are healthy", Duration::from_secs(10), || healthy(&stage) == 2);
    // A call whose relay dies: its next re-INVITE moves the media to the other one.
    let callee = "< INVITE\n> 180\n> 200 sdp\n< ACK\n< INVITE\n> 200 INVITE sdp\n< ACK\n< BYE\n> 200";
    let caller = "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 180?\n< 200\n> ACK\nwait 6000\n\
                  > INVITE sdp\n< 100?\n< 200\n> ACK\n> BYE\n< 200";
    let callee = stage.sipp(&stage.phone(2), callee).within(40).start();
    let caller = stage.sipp(&stage.phone(1), caller).within(40).start();
    callee.wait_for("the call is up", |message| message.gist() == "ACK");
    let told = |played: &Played| -> Vec<String> {
        let received = played.messages.iter().filter(|message| !message.sent);
        received.filter_map(|message| message.media()).map(|(address, _)| address).collect()
    };
    let first = told(&callee.so_far())[0].clone();
    let at = stage.relays.iter().position(|relay| relay.address.to_string() == first).expect("one of the two");
    let second = stage.relays[1 - at].address;
    stage.relays[at].kill();
    until("its death is noticed", Duration::from_secs(10), || healthy(&stage) == 1);
    let (caller, callee) = (caller.end().passed(), callee.end().passed());
    assert_eq!(told(&callee), [first.clone(), second.to_string()]);
    assert_eq!(told(&caller), [first, second.to_string()]);
    // New calls go to the one that lives, again and again.
    for _ in 0..3 {
        let callee = stage.sipp(&stage.phone(2), ANSWERS).start();
        let caller = stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).run().passed();
        assert_anchored(second, &caller, &callee.end().passed());
    }
}
