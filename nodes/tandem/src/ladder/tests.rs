use super::{Message, draw};

fn message(ms: u64, inbound: bool, remote: &str, first_line: &str, cseq: &str, sdp: bool) -> Message {
    Message {
        unix_ms: 1_700_000_000_000 + ms,
        inbound,
        remote: remote.to_owned(),
        first_line: first_line.to_owned(),
        cseq: Some(cseq.to_owned()),
        from: Some("\"Alice\" <sip:alice@example.test>;tag=1".to_owned()),
        to: Some("<sip:bob@example.test>;tag=2".to_owned()),
        content_type: sdp.then(|| "application/sdp".to_owned()),
    }
}

fn call() -> Vec<Message> {
    let (alice, bob) = ("192.0.2.1:5060", "192.0.2.2:5060");
    vec![
        message(0, true, alice, "INVITE sip:bob@example.test SIP/2.0", "1 INVITE", true),
        message(1, false, alice, "SIP/2.0 100 Trying", "1 INVITE", false),
        message(4, false, bob, "INVITE sip:bob@192.0.2.2:5060 SIP/2.0", "1 INVITE", true),
        message(210, true, bob, "SIP/2.0 180 Ringing", "1 INVITE", false),
        message(1_500, true, bob, "SIP/2.0 200 OK", "1 INVITE", true),
        message(1_501, false, alice, "SIP/2.0 200 OK", "1 INVITE", true),
        message(1_510, true, alice, "ACK sip:AbCdEfGhIjKlMnOpQrStUvWxYz0123456789@192.0.2.9 SIP/2.0", "1 ACK", false),
    ]
}

#[test]
fn wide() {
    let expected = "
                   alice                       tandem                         bob
              192.0.2.1:5060                                            192.0.2.2:5060
                     |                            |                            |
     0.000           |------- INVITE sdp -------->|                            |
     0.001           |<--- 100 Trying (INVITE) ---|                            |
     0.004           |                            |------- INVITE sdp -------->|
     0.210           |                            |<-- 180 Ringing (INVITE) ---|
     1.500           |                            |<--- 200 OK (INVITE) sdp ---|
     1.501           |<--- 200 OK (INVITE) sdp ---|                            |
     1.510           |----------- ACK ----------->|                            |
";
    let drawn = draw(&call(), 91);
    assert_eq!(format!("\n{drawn}"), expected, "\n{drawn}");
}

#[test]
fn narrow() {
    let expected = "\
0.000 alice > tandem: INVITE sdp
0.001 tandem > alice: 100 Trying (INVIT…
0.004 tandem > bob: INVITE sdp
0.210 bob > tandem: 180 Ringing (INVITE)
1.500 bob > tandem: 200 OK (INVITE) sdp
1.501 tandem > alice: 200 OK (INVITE) s…
1.510 alice > tandem: ACK
";
    let drawn = draw(&call(), 40);
    assert_eq!(drawn, expected, "\n{drawn}");
}

#[test]
fn fits_every_width() {
    for width in 20..200 {
        let drawn = draw(&call(), width);
        assert!(drawn.lines().all(|line| line.chars().count() <= width), "{width}\n{drawn}");
    }
}

#[test]
fn control_characters_stay_out() {
    let odd = vec![message(0, true, "192.0.2.1:5060", "INVITE sip:a@b SIP/2.0\u{1b}[2J", "1 INVITE", false)];
    assert!(!draw(&odd, 100).contains('\u{1b}'));
}

#[test]
fn nothing_to_draw() {
    assert_eq!(draw(&[], 80), "no messages\n");
}
