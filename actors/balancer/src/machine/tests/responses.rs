//! Responses: only what answers a request of ours goes in.

use super::*;

#[test]
fn only_our_own_branches() {
    let mut bench = Bench::new(Settings::default());
    let call = Address::Call(Key(77));
    let branch = format!("z9hG4bK{}tail9", bench.token(call));
    let via = format!("Via: SIP/2.0/UDP 198.51.100.1:5060;branch={branch};rport=5060\r\n");
    let rows = [
        ("ours", response(&via), Some(call)),
        (
            "a registration's",
            response(&via.replace(&branch, &format!("z9hG4bK{}", bench.token(Address::Registration(Key(4)))))),
            Some(Address::Registration(Key(4))),
        ),
        ("a forged token", response(&via.replace(&branch[7..15], "AAAAAAAA")), None),
        ("no token", response(&via.replace(&branch, "z9hG4bKabc")), None),
        ("no cookie", response(&via.replace("z9hG4bK", "")), None),
        ("no branch", response("Via: SIP/2.0/UDP 198.51.100.1:5060\r\n"), None),
        ("no Via", response(""), None),
        ("two Vias", response(&format!("{via}Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n")), None),
        (
            "two Vias in a line",
            response(&format!("{}, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n", via.trim_end())),
            None,
        ),
        ("ours not on top", response(&format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n{via}")), None),
        ("a wrong CSeq", response(&via).replace("CSeq: 7", "CSeq: x"), None),
        ("a status beyond 699", response(&via).replace("200 OK", "700 OK"), None),
        ("a body that is cut", response(&via).replace("Content-Length: 0", "Content-Length: 9"), None),
    ];
    for (what, text, expected) in rows {
        let out = bench.receive(text);
        match expected {
            Some(address) => {
                let (to, sip) = out.sip_in();
                assert_eq!((to, sip.token.map(|token| token.to)), (address, Some(address)), "{what}");
                assert!(!sip.nat && sip.path.is_none());
            }
            None => out.none(),
        }
    }
}

#[test]
fn a_response_is_not_changed() {
    let mut bench = Bench::new(Settings::default());
    let branch = format!("z9hG4bK{}1", bench.token(Address::Call(Key(77))));
    let bytes = Bytes::from(response(&format!("Via: SIP/2.0/UDP 198.51.100.1:5060;branch={branch};rport=5060\r\n")));
    let (_, sip) = bench.receive(bytes.clone()).sip_in();
    assert_eq!(sip.message.bytes().as_ptr(), bytes.as_ptr());
}

fn response(via: &str) -> String {
    format!(
        "SIP/2.0 200 OK\r\n{via}From: <sip:a@d>;tag=f\r\nTo: <sip:b@d>;tag=t\r\nCall-ID: c1@x\r\nCSeq: 7 INVITE\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
