//! TCP, long messages, and what belongs to no call.

use std::net::SocketAddr;

use crate::stage::{Phone, Props, Stage, ip6};

#[test]
fn a_tcp_caller_reaches_a_udp_callee() {
    let stage = Stage::plain(81);
    stage.register(&stage.phone(2));
    let callee = stage.sipp(&stage.phone(2), crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    let caller = stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).over_tcp().run().passed();
    let callee = callee.end().passed();
    assert!(caller.first("200 INVITE").header("Contact").expect("a Contact").to_lowercase().contains("transport=tcp"));
    assert!(callee.first("INVITE").header("Via").expect("a Via").contains("/UDP"));
}

#[test]
fn a_message_of_more_than_1300_bytes_arrives_whole() {
    let stage = Stage::plain(82);
    stage.register(&stage.phone(2));
    let subject = "x".repeat(1400);
    let callee = stage.sipp(&stage.phone(2), crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    stage
        .sipp(
            &stage.phone(1),
            &format!(
                "> INVITE sdp | Subject: {subject}
                 < 407 auth
                 > ACK
                 > INVITE sdp auth | Subject: {subject}
                 < 100
                 < 180
                 < 200
                 > ACK
                 wait 300
                 > BYE
                 < 200"
            ),
        )
        .run()
        .passed();
    let callee = callee.end().passed();
    assert!(callee.first("INVITE").text.contains(&subject), "the long header arrived");
}

#[test]
fn the_switch_answers_options() {
    let stage = Stage::plain(83);
    let played = stage.sipp(&stage.phone(1), "> OPTIONS server\n< 200 | ~ Allow:").run().passed();
    assert!(!played.first("200 OPTIONS").text.to_lowercase().contains("tandem"), "no banner");
}

#[test]
fn max_forwards_of_zero_is_refused() {
    let stage = Stage::plain(84);
    let socket = std::net::UdpSocket::bind((stage.ip(21), 5060)).expect("an address of the test");
    socket.set_read_timeout(Some(std::time::Duration::from_secs(3))).expect("a timeout");
    let via = socket.local_addr().expect("its address");
    let request = format!(
        "INVITE sip:user2@example.test SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK1\r\nMax-Forwards: 0\r\n\
                   From: <sip:user1@example.test>;tag=1\r\nTo: <sip:user2@example.test>\r\nCall-ID: zero\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send_to(request.as_bytes(), stage.switch.sip).expect("sent");
    let mut buffer = [0; 2000];
    let length = socket.recv(&mut buffer).expect("an answer");
    assert!(buffer[..length].starts_with(b"SIP/2.0 483 "), "{}", String::from_utf8_lossy(&buffer[..length]));
}

#[test]
fn an_ipv6_caller_reaches_an_ipv4_callee() {
    let stage = Stage::new(85, Props { relays: 1, ipv6: true, ..Props::default() });
    stage.register(&stage.phone(2));
    let switch = ip6(85);
    let caller = Phone { address: SocketAddr::new(switch.ip(), switch.port() + 1), ..stage.phone(1) };
    let callee = stage.sipp(&stage.phone(2), crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    let caller = stage.sipp(&caller, crate::calls::CALLS_AND_HANGS_UP).through(switch).run().passed();
    let callee = callee.end().passed();
    let answer = caller.first("200 INVITE");
    assert!(answer.header("Contact").expect("a Contact").contains(&format!("@{switch}")), "{}", answer.text);
    assert!(answer.body().contains("c=IN IP6 ::1"), "the relay speaks IPv6 there: {}", answer.body());
    let offer = callee.first("INVITE");
    assert!(offer.body().contains(&format!("c=IN IP4 {}", stage.relays[0].address)), "and IPv4 here: {}", offer.body());
    assert!(!offer.text.contains("::1"), "nothing of one network in the other: {}", offer.text);
    assert_eq!(stage.wait_for_cdrs(1)[0]["source_ip"], "::1");
}
