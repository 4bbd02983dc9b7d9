use super::*;

const REQUEST: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

#[test]
fn tells_the_address_a_request_comes_from() {
    let answer = answer(&REQUEST, "192.0.2.1:32853".parse().unwrap()).unwrap();
    // RFC 5769 2.2 has the same address and port: their XOR forms are a147 and e112a643.
    assert_eq!(answer[..4], [1, 1, 0, 12]);
    assert_eq!(answer[4..20], REQUEST[4..20]);
    assert_eq!(answer[20..], [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
}

#[test]
fn tells_an_ipv6_address_xored_with_cookie_and_transaction() {
    let from: SocketAddr = "[2001:db8::7]:5060".parse().unwrap();
    let answer = answer(&REQUEST, from).unwrap();
    assert_eq!(answer[..4], [1, 1, 0, 24]);
    let unmasked: Vec<u8> = answer[28..].iter().zip(&REQUEST[4..]).map(|(byte, mask)| byte ^ mask).collect();
    assert_eq!(unmasked, "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
}

#[test]
fn takes_nothing_else_for_stun() {
    let from = "192.0.2.1:5060".parse().unwrap();
    let changed = |place: usize, value: u8| {
        let mut request = REQUEST;
        request[place] = value;
        request
    };
    for request in [&REQUEST[..19], &changed(1, 2), &changed(0, 1), &changed(4, 0), &changed(3, 4), b"", b"OPTIONS"] {
        assert_eq!(answer(request, from), None, "{request:?}");
    }
}
