use super::*;

#[test]
fn golden_bytes_of_the_greeting() {
    let hello = Hello {
        version_min: 1,
        version_max: 1,
        node: NodeId(3),
        chassis: 2,
        lane: Lane::Data,
        boot: 0x0102_0304_0506_0708,
        session: SessionId(0x1111_2222_3333_4444_5555_6666_7777_8888),
        received: [9, 10],
    };
    let golden = "00000036 01 544e444d 0001 0001 0003 0002 00 0102030405060708 \
                  11112222333344445555666677778888 0000000000000009 000000000000000a";
    assert_eq!(hex(&hello.encode()), golden.replace(' ', ""));
    let (kind, body) = whole(&hello.encode(), GREETING_BYTES_MAX);
    assert_eq!(Hello::decode(kind, body), Ok(hello));

    let welcome = Welcome {
        verdict: Verdict::Resumed,
        version: 1,
        node: NodeId(4),
        boot: 7,
        session: SessionId(5),
        received: [1, 2],
    };
    let golden = "0000002e 02 01 0001 0004 0000000000000007 00000000000000000000000000000005 \
                  0000000000000001 0000000000000002";
    assert_eq!(hex(&welcome.encode()), golden.replace(' ', ""));
    let (kind, body) = whole(&welcome.encode(), GREETING_BYTES_MAX);
    assert_eq!(Welcome::decode(kind, body), Ok(welcome));
}

#[test]
fn a_newer_build_may_add_to_the_greeting() {
    let mut bytes = Hello { version_max: 4, ..hello() }.encode();
    bytes.extend([1, 2, 3]);
    let length = bytes.len() as u32 - 4;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    let (kind, body) = whole(&bytes, GREETING_BYTES_MAX);
    assert_eq!(Hello::decode(kind, body).map(|hello| hello.version()), Ok(Some(VERSION)));
}

#[test]
fn golden_bytes_of_a_batch() {
    let mut frame = vec![0; BATCH_HEAD_BYTES];
    for parcel in [&b"one"[..], b"", b"three"] {
        frame.put_u32(parcel.len() as u32);
        frame.put_slice(parcel);
    }
    seal_batch(&mut frame, 1, 7, 3);
    let golden = "00000022 03 01 0000000000000007 00000003 00000003 6f6e65 00000000 00000005 7468726565";
    assert_eq!(hex(&frame), golden.replace(' ', ""));
    let (kind, body) = whole(&frame, FRAME_BYTES_MAX);
    let Ok(Frame::Batch { lane: 1, first: 7, count: 3, mut parcels }) = parse(kind, body) else { panic!("a batch") };
    assert_eq!(next_parcel(&mut parcels).as_deref(), Ok(&b"one"[..]));
    assert_eq!(next_parcel(&mut parcels).as_deref(), Ok(&b""[..]));
    assert_eq!(next_parcel(&mut parcels).as_deref(), Ok(&b"three"[..]));
    assert_eq!(next_parcel(&mut parcels), Err(FrameError::Malformed));
}

#[test]
fn golden_bytes_of_small_frames() {
    let mut out = Vec::new();
    put_ack(&mut out, [1, 2]);
    put_ping(&mut out, 3);
    put_pong(&mut out, 4);
    put_bye(&mut out);
    put_ask(&mut out, 5, b"ab");
    put_answer(&mut out, 6, AnswerStatus::Busy, b"c");
    let golden = "00000011 04 0000000000000001 0000000000000002 00000009 05 0000000000000003 \
                  00000009 06 0000000000000004 00000001 07 \
                  0000000b 08 0000000000000005 6162 0000000b 09 0000000000000006 01 63";
    assert_eq!(hex(&out), golden.replace(' ', ""));
    let mut buffer = BytesMut::from(&out[..]);
    let mut frames = Vec::new();
    while let Some((kind, body)) = cut(&mut buffer, FRAME_BYTES_MAX).expect("frames") {
        frames.push(parse(kind, body).expect("a frame"));
    }
    let [ask, answer] = [Bytes::from_static(b"ab"), Bytes::from_static(b"c")];
    let commands = [Frame::Ask(5, ask), Frame::Answer(6, AnswerStatus::Busy, answer)];
    assert_eq!(frames[..4], [Frame::Ack([1, 2]), Frame::Ping(3), Frame::Pong(4), Frame::Bye]);
    assert_eq!(frames[4..], commands);
}

#[test]
fn a_length_beyond_the_limit_allocates_nothing() {
    for (bytes, error) in [
        (&[0x80, 0, 0, 0, 0, 0, 0, 0][..], FrameError::TooLarge(1 << 31)),
        (&[0, 0x10, 0, 0], FrameError::TooLarge(1 << 20)),
        (&[0, 0, 0, 0], FrameError::Empty),
    ] {
        let mut buffer = BytesMut::from(bytes);
        let before = buffer.capacity();
        assert_eq!(cut(&mut buffer, FRAME_BYTES_MAX), Err(error));
        assert_eq!(buffer.capacity(), before);
    }
    let mut part = BytesMut::from(&[0, 0x0f, 0xff, 0xfc, 3][..]);
    assert_eq!(cut(&mut part, FRAME_BYTES_MAX), Ok(None), "the largest frame");
}

#[test]
fn what_is_no_frame_is_an_error_and_never_a_panic() {
    for kind in 0..=255u8 {
        for length in 0..64 {
            let body = Bytes::from(vec![kind; length]);
            let _ = parse(kind, body.clone());
            let _ = Hello::decode(kind, body.clone());
            let _ = Welcome::decode(kind, body.clone());
            let _ = next_parcel(&mut body.clone());
        }
    }
    assert_eq!(parse(200, Bytes::new()), Err(FrameError::Kind(200)));
    assert_eq!(parse(BATCH, Bytes::from_static(&[2; 40])), Err(FrameError::Malformed), "no such lane");
}

#[test]
fn versions_overlap_or_not() {
    for (min, max, spoken) in
        [(1, 1, Some(1)), (1, 9, Some(VERSION)), (0, 0, None), (VERSION + 1, 9, None), (3, 2, None)]
    {
        let hello = Hello { version_min: min, version_max: max, ..hello() };
        assert_eq!(hello.version(), spoken, "{min} to {max}");
    }
}

fn hello() -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        node: NodeId(1),
        chassis: 1,
        lane: Lane::Data,
        boot: 1,
        session: SessionId(0),
        received: [0; 2],
    }
}

fn whole(bytes: &[u8], bytes_max: usize) -> (u8, Bytes) {
    let mut buffer = BytesMut::from(bytes);
    let frame = cut(&mut buffer, bytes_max).expect("a frame").expect("a whole one");
    assert!(buffer.is_empty());
    frame
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
