use super::*;

fn session(lines: &str) -> Session<'static> {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{}",
        lines.replace('|', "\r\n")
    );
    Session::parse(text.as_bytes()).unwrap().into_owned()
}

#[test]
fn which_answers_fit() {
    use AnswerError::*;
    let rows = [
        ("m=audio 1000 RTP/AVP 0 8", "m=audio 2000 RTP/AVP 8", Ok(())),
        ("m=audio 1000 RTP/AVP 0 8", "m=audio 0 RTP/AVP 0", Ok(())),
        ("m=audio 1000 RTP/AVP 0", "m=AUDIO 2000 rtp/avp 0", Ok(())),
        ("m=audio 1000 RTP/AVP 0", "", Err(Count { offered: 1, answered: 0 })),
        ("m=audio 1000 RTP/AVP 0", "m=audio 1 RTP/AVP 0|m=video 1 RTP/AVP 31", Err(Count { offered: 1, answered: 2 })),
        ("m=audio 1000 RTP/AVP 0", "m=video 2000 RTP/AVP 0", Err(Kind(0))),
        ("m=audio 1000 RTP/AVP 0", "m=audio 2000 RTP/SAVP 0", Err(Protocol(0))),
        ("m=audio 1000 RTP/AVP 0", "m=audio 0 RTP/SAVP 0", Ok(())),
        ("m=audio 0 RTP/AVP 0", "m=audio 2000 RTP/AVP 0", Err(Revived(0))),
        ("m=audio 1000 RTP/AVP 0", "m=audio 2000 RTP/AVP 8", Err(Formats(0))),
        (
            "m=audio 1000 RTP/AVP 96|a=rtpmap:96 opus/48000/2",
            "m=audio 2000 RTP/AVP 111|a=rtpmap:111 OPUS/48000/2",
            Ok(()),
        ),
        (
            "m=audio 1000 RTP/AVP 96|a=rtpmap:96 opus/48000/2",
            "m=audio 2000 RTP/AVP 96|a=rtpmap:96 speex/8000",
            Err(Formats(0)),
        ),
        ("m=audio 1000 RTP/AVP 99", "m=audio 2000 RTP/AVP 99", Ok(())),
        ("m=image 1000 udptl t38", "m=image 2000 udptl t38", Ok(())),
        ("m=audio 1000 RTP/AVP 0|a=sendonly", "m=audio 2000 RTP/AVP 0|a=recvonly", Ok(())),
        ("m=audio 1000 RTP/AVP 0|a=sendonly", "m=audio 2000 RTP/AVP 0", Err(Direction(0))),
        ("m=audio 1000 RTP/AVP 0|a=recvonly", "m=audio 2000 RTP/AVP 0|a=sendonly", Ok(())),
        ("m=audio 1000 RTP/AVP 0|a=inactive", "m=audio 2000 RTP/AVP 0|a=inactive", Ok(())),
        ("m=audio 1000 RTP/AVP 0|a=inactive", "m=audio 2000 RTP/AVP 0|a=recvonly", Err(Direction(0))),
        ("m=audio 1 RTP/AVP 0|m=video 1 RTP/AVP 31", "m=audio 1 RTP/AVP 0|m=video 1 RTP/AVP 34", Err(Formats(1))),
    ];
    for (offer, answer, expected) in rows {
        assert_eq!(check_answer(&session(offer), &session(answer)), expected, "{offer} / {answer}");
    }
}

#[test]
fn what_a_new_offer_changes() {
    let old = session("m=audio 1000 RTP/AVP 0");
    let version = |text: &str| {
        let printed = String::from_utf8(old.to_bytes()).unwrap().replace("o=- 1 1", text);
        Session::parse(printed.as_bytes()).unwrap().into_owned()
    };
    let rows = [
        ("the same again", old.clone(), Change::Nothing),
        ("version raised", version("o=- 1 2"), Change::Modified),
        ("version forgotten", session("m=audio 1000 RTP/AVP 0|a=sendonly"), Change::Modified),
        ("a stream more", session("m=audio 1000 RTP/AVP 0|m=video 1 RTP/AVP 31"), Change::Modified),
        ("a stream less", session(""), Change::Broken),
        ("another session", version("o=- 2 1"), Change::Broken),
        ("another user", version("o=x 1 1"), Change::Broken),
    ];
    for (name, new, expected) in rows {
        assert_eq!(change(&old, &new), expected, "{name}");
    }
}

#[test]
fn refusing_everything_fits_every_offer() {
    let offer = session("m=audio 1000 RTP/AVP 0|a=sendonly|m=image 2000 udptl t38|a=T38FaxVersion:0");
    let answer = refuse_all(&offer);
    assert_eq!(check_answer(&offer, &answer), Ok(()));
    assert!(answer.media.iter().all(|media| media.is_refused() && media.lines.is_empty()));
    Session::parse(&answer.to_bytes()).unwrap();
}
