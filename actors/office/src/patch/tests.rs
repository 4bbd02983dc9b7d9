use fabric::Address;

use super::*;
use crate::image::Images;

fn part(number: usize, fill: u8) -> Part {
    Part { name: format!("{number:06}").into(), value: Some(Bytes::from(vec![fill; 600])) }
}

/// A step that changes a whole location shard arrives in pieces that a parcel can carry, each patched as it was.
#[test]
fn what_is_too_much_for_a_parcel_goes_in_pieces() {
    let address = Address::Location(1);
    let mut images = Images::default();
    let before: Vec<Part> = (0..3_000).filter(|number| number % 3 == 0).map(|number| part(number, 1)).collect();
    images.put(address, &before);
    let meant: Vec<Part> = (0..3_000).map(|number| part(number, 2)).collect();
    let mut folded = meant.clone();
    let patches = fold(&mut folded, images.get(address));
    assert!(patches.len() > 900);
    let pieces = pieces(folded, &patches);
    assert!(pieces.len() > 1);
    let mut arrived = Vec::new();
    for (parts, patches) in pieces {
        let bytes: usize = parts.iter().map(|part| part.value.as_ref().map_or(0, Bytes::len)).sum();
        assert!(bytes <= RECORD_BYTES_MAX);
        arrived.extend(unfold(parts, &patches, images.get(address)).expect("patches fit"));
    }
    assert!(arrived == meant);
    assert_eq!(super::pieces(Vec::new(), &[]).len(), 1, "a step without parts is a record as well");
}
