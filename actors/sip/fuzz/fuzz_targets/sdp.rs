#![no_main]

use sdp::Session;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(session) = Session::parse(bytes) else { return };
    let printed = session.to_bytes();
    let again = Session::parse(&printed).expect("what was printed can be read");
    assert_eq!(again.to_bytes(), printed);
    let _ = (session.is_hold(), session.origin(), session.connection(), session.media.len());
    let _ = sdp::check_answer(&session, &again);
});
