//! What fuzzing and the property tests do with bytes from a stranger: call everything, and compare what must agree.
//! Run: `fuzz/seed`, then `cargo +nightly fuzz run message` (or uri, sdp, framing, digest) in `actors/sip`.

use sip::*;

/// Reads a datagram in every way there is; panics when two ways disagree.
pub fn message(bytes: &[u8]) {
    let limits = Limits::default();
    let salvaged = View::salvage(bytes, &limits);
    if let Some(view) = &salvaged {
        touch(view);
        let reply = Builder::reply_to(view, Status::BAD_REQUEST, Some(b"tag")).build();
        assert_eq!(reply.status(), Some(Status::BAD_REQUEST));
    }
    let view = match View::parse(bytes, &limits) {
        Ok(view) => view,
        Err(error) => {
            assert!(error.status().code() >= 400);
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(view.is_request(), salvaged.is_some());
    touch(&view);
    let strict = view.check();
    let message = Message::parse(bytes.to_vec().into(), &limits).expect("read before");
    assert_eq!(message.bytes(), view.bytes());
    assert_eq!(message.view().check(), strict);
    assert_eq!(lines(&message.view()), lines(&view));
    splices(&view);
    stream_agrees(&view);
    let copy = Builder::response(Status::OK).copy_where(&view, |_| true).payload(view.body().to_vec()).build();
    assert_eq!(copy.view().body(), view.body());
    if strict.is_ok() {
        assert!(view.top_via().is_ok() && view.from().is_ok() && view.to().is_ok());
        assert!(view.call_id().is_ok() && view.cseq().is_ok());
        assert!(!view.is_request() || view.request_uri().is_ok());
    }
    if let Some(kind) = view.header(Name::ContentType) {
        parts(kind, view.body());
    }
}

/// Cuts a stream into messages in two ways and compares.
pub fn framing(bytes: &[u8]) {
    let limits = Limits { message_bytes_max: 4_096, headers_max: 64, line_bytes_max: 1_024 };
    let whole = stream(&[bytes], limits);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let pieces = stream(&single, limits);
    assert_eq!(whole.0, pieces.0);
    // One reading sees the end of the head, the other an unfinished head that is already too long.
    assert_eq!(whole.1.is_some(), pieces.1.is_some());
    for message in &whole.0 {
        let _ = View::parse(message, &limits).map(|view| assert_eq!(view.bytes(), &message[..]));
    }
    if let Ok(Frame::Message(message)) = frame_websocket(bytes, &limits) {
        assert_eq!(&message[..], bytes);
    }
}

/// Reads a URI and writes it again.
pub fn uri(bytes: &[u8]) {
    if let Ok(address) = parse_name_addr(bytes) {
        let _ = (address.tag(), address.q(), address.expires(), address.display_decoded(), address.params().count());
        let _ = address.uri();
    }
    let Ok(uri) = Uri::parse(bytes) else { return };
    assert_eq!(uri.raw(), bytes);
    assert!(uri.equals(&uri), "{uri}");
    let _ = (uri.user_decoded(), uri.number(), uri.transport(), uri.params().count(), uri.headers().count());
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(uri.to_string(), text);
        assert_eq!(uri.host.to_string().is_empty(), uri.host == Host::Name(""));
    }
    let bracketed = [b"<", bytes, b">"].concat();
    assert_eq!(parse_name_addr(&bracketed).map(|address| address.uri), Ok(bytes));
}

/// Reads credentials and other single values.
pub fn credentials(bytes: &[u8]) {
    if let Ok(auth) = AuthParams::parse(bytes) {
        for (name, value) in auth.params() {
            let name = String::from_utf8_lossy(name);
            assert!(auth.get(&name).is_some() || name.contains('\u{fffd}'));
            assert!(value.len() <= bytes.len());
        }
    }
    let _ = parse_via(bytes).map(|via| (via.branch().is_some(), via.received(), via.rport(), via.wants_rport()));
    let _ = parse_cseq(bytes).is_ok();
    let _ = parse_rack(bytes).is_ok();
    let unfolded = unfold(bytes);
    assert!(unfolded.len() <= bytes.len());
    assert_eq!(unquote(&quote(&unfolded)).len(), unfolded.len());
    let _ = (unescape(bytes).len(), split_commas(bytes).count(), params(bytes).count());
    parts(b"multipart/mixed;boundary=x", bytes);
}

fn parts(content_type: &[u8], body: &[u8]) {
    if let Ok(parts) = multipart::parts(content_type, body) {
        let mut bytes = 0;
        for (count, part) in parts.enumerate() {
            assert!(count < multipart::PARTS_MAX);
            let _ = part.header("Content-Type");
            bytes += part.headers.len() + part.body.len();
        }
        assert!(bytes <= body.len());
    }
}

fn touch(view: &View) {
    let _ = (
        view.method(),
        view.status(),
        view.reason(),
        view.start_line(),
        view.call_id(),
        view.cseq(),
        view.max_forwards(),
    );
    let _ = (view.top_via().is_ok(), view.from().is_ok(), view.to().is_ok(), view.request_uri().is_ok());
    for name in Name::ALL {
        let values = view.values(*name).count();
        let _ = (view.addresses(*name).count(), view.option_tags(*name).count(), view.number(*name), view.count(*name));
        assert!(values == 0 || view.has(*name));
    }
    for field in view.fields() {
        let name = String::from_utf8_lossy(field.name);
        assert!(view.other(&name).is_some());
        let _ = AuthParams::parse(field.value).is_ok();
    }
    for address in view.contacts().flatten() {
        let _ = (address.q(), address.expires(), address.uri().is_ok());
    }
}

fn lines(view: &View) -> Vec<(Vec<u8>, Vec<u8>)> {
    view.fields().map(|field| (field.name.to_vec(), field.value.to_vec())).collect()
}

fn splices(view: &View) {
    let same = Splices::new(view).into_bytes();
    let again = View::parse(&same, &Limits { message_bytes_max: 1 << 20, headers_max: 1 << 20, ..Limits::default() })
        .expect("an unchanged message can be read");
    let added = usize::from(!view.has(Name::ContentLength));
    assert_eq!(lines(&again).len(), lines(view).len() + added);
    assert_eq!(lines(&again)[..lines(view).len()], lines(view));
    let mut changes = Splices::new(view);
    changes.push_front(Name::Via, b"SIP/2.0/UDP x;branch=y");
    changes.push_front(Name::RecordRoute, b"<sip:x;lr>");
    changes.stamp_via_forced(Some([192, 0, 2, 1].into()), Some(5));
    changes.decrement_max_forwards();
    changes.remove_first_value(Name::Route);
    changes.set_uri(b"sip:x");
    changes.replace_first(Name::From, b"<sip:y>");
    changes.remove_all(Name::Contact);
    changes.remove_other("X-Other");
    changes.append(Name::Path, b"<sip:p>");
    let out = changes.into_bytes();
    let wide = Limits { message_bytes_max: 1 << 20, headers_max: 1 << 20, line_bytes_max: 1 << 20 };
    let changed = View::parse(&out, &wide).expect("a changed message can be read");
    assert_eq!(changed.body(), view.body());
    assert_eq!(changed.header(Name::Via), Some(&b"SIP/2.0/UDP x;branch=y"[..]));
    assert_eq!(changed.header(Name::RecordRoute), Some(&b"<sip:x;lr>"[..]));
    assert!(!changed.has(Name::Contact) && changed.other("x-other").is_none());
    assert_eq!(changed.count(Name::Via), view.count(Name::Via) + 1);
}

/// A datagram with a Content-Length is the same message on a stream.
fn stream_agrees(view: &View) {
    if view.has(Name::ContentLength) && view.bytes().ends_with(view.body()) {
        let wide = Limits { message_bytes_max: 1 << 20, ..Limits::default() };
        let closed = sip_head_is_closed(view);
        let (messages, error) = stream(&[view.bytes()], wide);
        if closed {
            assert_eq!((messages, error), (vec![view.bytes().to_vec()], None));
        }
    }
}

/// Whether the empty line is there; a datagram may lack it.
fn sip_head_is_closed(view: &View) -> bool {
    let head = &view.bytes()[..view.bytes().len() - view.body().len()];
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

fn stream(pieces: &[&[u8]], limits: Limits) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut framer = Framer::new(limits);
    let mut messages = Vec::new();
    for piece in pieces {
        framer.feed(piece);
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(bytes))) => messages.push(bytes.to_vec()),
                Ok(Some(Frame::Ping | Frame::Pong)) => {}
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}
