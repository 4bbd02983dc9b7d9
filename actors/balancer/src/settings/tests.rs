use super::*;

#[test]
fn networks() {
    for (net, inside, outside) in [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
        ("10.0.0.0/8", "::ffff:10.1.2.3", "11.0.0.0"),
        ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ("::/0", "2001:db8::1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
    ] {
        let net: Net = net.parse().expect(net);
        assert!(net.contains(inside.parse().expect("an address")), "{net} has {inside}");
        assert!(!net.contains(outside.parse().expect("an address")), "{net} has not {outside}");
    }
    for wrong in ["", "host", "192.0.2.1/33", "2001:db8::/129", "192.0.2.1/", "192.0.2.1/-1", "192.0.2.1/8/8"] {
        assert!(wrong.parse::<Net>().is_err(), "{wrong}");
    }
}
