use super::*;

fn allowed(settings: Settings, address: &str) -> bool {
    Policy::new(&settings).allows_address(address.parse().unwrap())
}

#[test]
fn leads_to_public_addresses_only() {
    let rows = [
        ("198.51.100.7", true),
        ("2001:db8::7", true),
        ("127.0.0.1", false),
        ("::1", false),
        ("10.1.2.3", false),
        ("172.31.255.1", false),
        ("192.168.0.1", false),
        ("100.64.0.1", false),
        ("fd00::1", false),
        ("169.254.169.254", false),
        ("fe80::1", false),
        ("0.0.0.0", false),
        ("0.1.2.3", false),
        ("::", false),
        ("224.0.0.1", false),
        ("ff02::1", false),
        ("255.255.255.255", false),
        ("::ffff:127.0.0.1", false),
        ("::127.0.0.1", false),
        ("64:ff9b::10.0.0.1", false),
        ("64:ff9b::198.51.100.7", true),
        ("2002:7f00:1::", false),
        ("::ffff:198.51.100.7", true),
    ];
    for (address, expected) in rows {
        assert_eq!(allowed(Settings::default(), address), expected, "{address}");
    }
}

#[test]
fn opens_what_the_operator_opens_and_no_more() {
    let loopback = || Settings { allow_loopback: true, ..Settings::default() };
    let private = || Settings { allow_private: true, ..Settings::default() };
    for (settings, address, expected) in [
        (loopback(), "127.0.0.1", true),
        (loopback(), "::1", true),
        (loopback(), "10.0.0.1", false),
        (private(), "10.0.0.1", true),
        (private(), "fd00::1", true),
        (private(), "127.0.0.1", false),
        (private(), "169.254.169.254", false),
    ] {
        assert_eq!(allowed(settings, address), expected, "{address}");
    }
}

#[test]
fn keeps_off_the_ports_of_other_services() {
    let policy = Policy::new(&Settings::default());
    for (target, expected) in [("198.51.100.7:5060", true), ("198.51.100.7:22", false), ("198.51.100.7:0", false)] {
        assert_eq!(policy.allows(target.parse().unwrap()), expected, "{target}");
    }
    let open = Policy::new(&Settings { port_min: 0, ..Settings::default() });
    assert!(open.allows("198.51.100.7:443".parse().unwrap()) && !open.allows("198.51.100.7:0".parse().unwrap()));
}
