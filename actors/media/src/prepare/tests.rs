use super::*;

fn profile(edit: impl Fn(&mut MediaProfile)) -> MediaProfile {
    let mut profile =
        MediaProfile { tag: "a".into(), source: Some("192.0.2.1".parse().unwrap()), ..MediaProfile::default() };
    edit(&mut profile);
    profile
}

fn body(address: &str, more: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n{more}")
}

fn keys(prepared: &Prepared) -> Vec<String> {
    prepared.keys.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// S29, S32: which source a relay is told to believe.
#[test]
fn whose_address_is_believed() {
    let own = "received from=IP4 192.0.2.1";
    let rows: &[(&str, bool, Option<&str>, Result<bool, &str>)] = &[
        // address in the SDP, behind NAT, signalling from, own source instead of the SDP's
        ("192.0.2.1", false, Some("192.0.2.1"), Ok(false)),
        ("198.51.100.7", false, Some("192.0.2.1"), Ok(false)),
        ("198.51.100.7", true, Some("192.0.2.1"), Ok(true)),
        ("192.0.2.1", true, Some("192.0.2.1"), Ok(true)),
        ("10.1.1.1", true, Some("192.0.2.1"), Ok(true)),
        ("10.1.1.1", false, Some("192.0.2.1"), Ok(true)),
        ("10.2.1.1", false, Some("192.0.2.1"), Ok(false)), // a network of ours
        ("127.0.0.1", false, Some("192.0.2.1"), Ok(true)),
        ("198.51.100.7", true, None, Ok(false)),
        ("10.1.1.1", false, None, Err("internal address 10.1.1.1")),
        ("0.0.0.0", false, Some("192.0.2.1"), Ok(false)),
        ("224.0.0.1", true, Some("192.0.2.1"), Err("multicast address 224.0.0.1")),
        ("255.255.255.255", true, Some("192.0.2.1"), Err("broadcast or reserved address 255.255.255.255")),
        ("evil.test", true, Some("192.0.2.1"), Err("host name for an address")),
    ];
    let settings =
        Settings { internal_networks: vec![crate::NetworkText("10.2.0.0/16".parse().unwrap())], ..Settings::default() };
    for (address, nat, source, expected) in rows {
        let from = profile(|profile| {
            profile.nat = *nat;
            profile.source = source.map(|source| source.parse().unwrap());
        });
        let found = prepare(body(address, "").as_bytes(), &from, &profile(|_| {}), false, &settings);
        let found = found.map(|prepared| {
            let flag = prepared.flags.iter().any(|flag| flag == "SIP-source-address");
            assert_eq!(flag, keys(&prepared).contains(&own.to_owned()), "{address}");
            assert!(prepared.flags.iter().any(|flag| flag == "strict-source"));
            assert!(prepared.flags.iter().any(|flag| flag == "endpoint-learning-heuristic"));
            flag
        });
        assert_eq!(found, expected.map_err(str::to_owned), "{address} {nat} {source:?}");
    }
}

#[test]
fn what_a_plain_phone_and_a_browser_need() {
    let rows: &[(bool, bool, bool, &[&str])] = &[
        (false, false, false, &["ICE=remove"]),
        (false, false, true, &["ICE=remove"]),
        (true, false, false, &["ICE=remove", "transport-protocol=RTP/AVP", "rtcp-mux=demux"]),
        (false, true, false, &["ICE=force", "transport-protocol=UDP/TLS/RTP/SAVPF", "rtcp-mux=require"]),
        (true, false, true, &["ICE=remove"]),
        (false, true, true, &[]),
        (true, true, false, &["ICE=force"]),
        (true, true, true, &[]),
    ];
    for (from_web, to_web, answer, expected) in rows {
        let (from, to) = (profile(|profile| profile.web = *from_web), profile(|profile| profile.web = *to_web));
        let prepared = prepare(body("192.0.2.1", "").as_bytes(), &from, &to, *answer, &Settings::default()).unwrap();
        assert_eq!(keys(&prepared), *expected, "{from_web} {to_web} {answer}");
        assert_eq!(prepared.replace, ["origin", "session-connection"]);
    }
    for (family, expected) in [(4, "address family=IP4"), (6, "address family=IP6")] {
        let to = profile(|profile| profile.family = family);
        let prepared = prepare(body("192.0.2.1", "").as_bytes(), &profile(|_| {}), &to, false, &Settings::default());
        assert!(keys(&prepared.unwrap()).contains(&expected.to_owned()));
    }
}

#[test]
fn candidates_never_lead_inside() {
    let ice = "a=ice-ufrag:x\r\na=candidate:1 1 udp 1 10.1.1.1 9 typ host\r\na=candidate:1 1 udp 1 198.51.100.1 9 typ host\r\n";
    let sdp = |web| {
        let from = profile(|profile| profile.web = web);
        let prepared = prepare(body("192.0.2.1", ice).as_bytes(), &from, &profile(|_| {}), false, &Settings::default());
        String::from_utf8(prepared.unwrap().sdp.to_vec()).unwrap()
    };
    assert!(!sdp(false).contains("candidate") && !sdp(false).contains("ice-"));
    assert!(sdp(true).contains("ice-ufrag") && sdp(true).contains("198.51.100.1") && !sdp(true).contains("10.1.1.1"));
}

#[test]
fn settings_are_read_and_unknown_ones_refused() {
    use serde::Deserialize;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, MapDeserializer};
    let read = |name: &'static str| {
        let pairs = [(name, 5u32.into_deserializer())];
        Settings::deserialize(MapDeserializer::<_, Error>::new(pairs.into_iter()))
    };
    assert_eq!(read("end_deadline_ms").unwrap().end_deadline_ms, 5);
    assert!(read("end_deadline").is_err());
}
