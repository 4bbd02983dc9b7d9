use super::*;

fn ask(verb: RelayVerb) -> RelayAsk {
    RelayAsk {
        verb,
        relay: None,
        call_id: "c1".into(),
        from_tag: "a".into(),
        to_tag: Some("b".into()),
        via_branch: None,
        sdp: Bytes::from_static(b"v=0\r\n"),
        flags: vec!["strict-source".into()],
        replace: vec!["origin".into()],
        keys: vec![("ICE".into(), "remove".into()), ("received from".into(), "IP4 192.0.2.1".into())],
    }
}

#[test]
fn commands_as_they_are_sent() {
    let plain = |mut ask: RelayAsk| {
        (ask.flags, ask.replace, ask.keys) = (vec![], vec![], vec![]);
        ask
    };
    let rows = [
        (
            ask(RelayVerb::Offer),
            "k d7:command5:offer7:call-id2:c18:from-tag1:a6:to-tag1:b3:sdp5:v=0\r\n8:supportsl10:load limite5:flagsl13:strict-sourcee\
             7:replacel6:origine3:ICE6:remove13:received froml3:IP49:192.0.2.1ee",
        ),
        (plain(ask(RelayVerb::Answer)), "k d7:command6:answer7:call-id2:c18:from-tag1:a6:to-tag1:b3:sdp5:v=0\r\ne"),
        (
            RelayAsk { to_tag: None, via_branch: Some("z".into()), ..plain(ask(RelayVerb::Delete)) },
            "k d7:command6:delete7:call-id2:c18:from-tag1:a10:via-branch1:z12:delete delayi7ee",
        ),
        (
            RelayAsk { to_tag: None, from_tag: String::new(), ..plain(ask(RelayVerb::Query)) },
            "k d7:command5:query7:call-id2:c1e",
        ),
    ];
    for (ask, expected) in rows {
        assert_eq!(String::from_utf8(command("k", &ask, 7).to_vec()).unwrap(), expected);
    }
    assert_eq!(ping("5323_1"), "5323_1 d7:command4:pinge");
}

#[test]
fn what_replies_say() {
    let text = |text: &str| text.to_owned();
    let rows = [
        ("d6:result4:ponge", Reply::Pong),
        ("d6:result10:load limit7:message4:busye", Reply::Full(text("busy"))),
        (
            "d6:result5:error12:error-reason30:Parallel session limit reachede",
            Reply::Full(text("Parallel session limit reached")),
        ),
        ("d6:result5:error12:error-reason16:Ran out of portse", Reply::Full(text("Ran out of ports"))),
        ("d6:result5:error12:error-reason15:Unknown call-ide", Reply::Unknown(text("Unknown call-id"))),
        (
            "d7:warning38:Call-ID not found or tags didn't match6:result2:oke",
            Reply::Unknown(text("Call-ID not found or tags didn't match")),
        ),
        ("d6:result5:error12:error-reason19:Failed to parse SDPe", Reply::Refused(text("Failed to parse SDP"))),
        ("d6:result5:errore", Reply::Refused(text("no reason given"))),
        ("d6:result3:whae", Reply::Refused(text("a reply without a result"))),
        ("de", Reply::Refused(text("a reply without a result"))),
        ("le", Reply::Refused(text("a reply without a result"))),
    ];
    for (document, expected) in rows {
        assert_eq!(reply(document.as_bytes()), Ok(expected), "{document}");
    }
    assert!(reply(b"nonsense").is_err());
    let Ok(Reply::Done(value)) = reply(include_bytes!("../../fixtures/offer_reply.bin")) else {
        panic!("recorded offer")
    };
    assert!(value.bytes("sdp").unwrap().starts_with(b"v=0\r\n"));
}

#[test]
fn cookies_are_split_off() {
    assert_eq!(split(b"abc_1 d6:result4:ponge"), Some(("abc_1", &b"d6:result4:ponge"[..])));
    for broken in [&b""[..], b"abc", &[b'a'; 100], b"\xff\xfe d"] {
        assert_eq!(split(broken), None);
    }
}
