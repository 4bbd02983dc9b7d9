use super::*;
use crate::letters::cluster::{Divides, Hearing};
use crate::{Address, Instant, Key, Letter, NodeId, Thread};

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

/// Bytes of version 1: they may never change, whatever becomes of the types.
#[test]
fn golden_bytes_of_version_1() {
    let locate = Envelope::new(Address::Nobody, Address::Location(5), Letter::Locate("a@b".into()));
    let rows: &[(Envelope, &[u8])] =
        &[(sample(), &[1, 2, 7, 12, 1, 3, 0, 0, 0, 26]), (locate, &[1, 5, 5, 13, 0, 0, 0, 0, 11, 3, 97, 64, 98])];
    let hearing = Hearing {
        node: NodeId(5),
        boot: 2,
        sent: Instant(300),
        deaf: vec![NodeId(2), NodeId(4)],
        rests: Some(Instant(7)),
    };
    let hearing = Envelope::new(Address::Nobody, Address::Location(5), Letter::Hearing(Box::new(hearing)));
    let divides = Divides { director: NodeId(3), round: 9, apart: vec![(NodeId(5), NodeId(2))], ..Divides::default() };
    let divides = Envelope::new(Address::Nobody, Address::Location(5), Letter::Divides(Box::new(divides)));
    let rows = &[
        rows,
        &[
            (hearing, &[1, 5, 5, 13, 0, 0, 0, 0, 41, 5, 2, 172, 2, 2, 2, 4, 1, 7][..]),
            (divides, &[1, 5, 5, 13, 0, 0, 0, 0, 42, 3, 0, 0, 9, 0, 1, 5, 2, 0, 0][..]),
        ],
    ]
    .concat();
    for (envelope, golden) in rows {
        assert_eq!(encode(envelope), *golden);
        assert_eq!(decode(golden).as_ref(), Ok(envelope));
    }
}
