use super::*;
use crate::{Address, Key, Letter, NodeId, Thread};

fn sample() -> Envelope {
    Envelope::ask(Address::Control(NodeId(1)), Address::Call(Key(7)), Thread(3), Letter::Describe)
}

#[test]
fn decodes_what_it_encodes() {
    assert_eq!(decode(&encode(&sample())), Ok(sample()));
}

#[test]
fn refuses_other_versions_sizes_and_noise() {
    assert_eq!(decode(&[]), Err(CodecError::Empty));
    assert_eq!(decode(&[9, 1, 2]), Err(CodecError::Version(9)));
    assert_eq!(decode(&[VERSION, 200, 1]), Err(CodecError::Malformed));
    assert!(matches!(decode(&vec![VERSION; ENVELOPE_BYTES_MAX + 1]), Err(CodecError::TooLarge(_))));
}
