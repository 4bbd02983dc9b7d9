use super::*;
use crate::testing::{all_torture, torture};
use crate::{Builder, Method, Name};

#[test]
fn the_kept_index_gives_the_same_view() {
    for (name, bytes) in all_torture() {
        let Ok(view) = View::parse(&bytes, &Limits::default()) else { continue };
        let parsed = Message::parse(bytes.clone().into(), &Limits::default()).unwrap();
        for message in [parsed.clone(), view.to_message()] {
            assert_eq!(message, parsed, "{name}");
            assert_eq!(message.view().records(), view.records(), "{name}");
            assert_eq!(message.view().head, view.head, "{name}");
            assert_eq!(message.bytes(), view.bytes(), "{name}");
            assert_eq!(message.is_request(), view.is_request(), "{name}");
            assert_eq!(message.status(), view.status(), "{name}");
            assert_eq!(message.method(), view.method(), "{name}");
        }
    }
}

#[test]
fn a_slice_of_its_buffer_without_the_noise() {
    let message = Message::parse(torture("dblreq").into(), &Limits::default()).unwrap();
    assert!(message.bytes().ends_with(b"Content-Length: 0\r\n\r\n"));
    let leading = [b"\r\n\r\n", &torture("lwsdisp")[..]].concat();
    let message = Message::parse(leading.into(), &Limits::default()).unwrap();
    assert_eq!(&message.bytes()[..], &torture("lwsdisp")[..]);
    assert_eq!(format!("{message:?}"), "Message(OPTIONS sip:user@example.com SIP/2.0)");
}

#[test]
fn travels_as_its_bytes() {
    let message = Builder::request(Method::Options, "sip:a@b").header(Name::CallId, "1").build();
    let packed = postcard::to_allocvec(&message).unwrap();
    assert_eq!(packed.len(), message.bytes().len() + 1);
    let unpacked: Message = postcard::from_bytes(&packed).unwrap();
    assert_eq!(unpacked, message);
    assert_eq!(unpacked.view().call_id(), Ok(&b"1"[..]));
    let broken = postcard::to_allocvec(&serde_bytes_of(b"no message")).unwrap();
    assert!(postcard::from_bytes::<Message>(&broken).is_err());
}

fn serde_bytes_of(bytes: &'static [u8]) -> Bytes {
    Bytes::from_static(bytes)
}

#[test]
fn small_in_memory() {
    assert!(size_of::<Message>() <= 96, "{}", size_of::<Message>());
    assert_eq!(size_of::<Rec>(), 12);
}
