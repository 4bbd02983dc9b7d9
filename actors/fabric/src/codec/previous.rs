//! What the release before this one can read: nodes of both run side by side while a switch is upgraded or rolled back.
//!
//! The bytes are the same; what is new are variants at the end of their enums. A parcel with one of these is malformed for
//! the older build, which drops it alone. At every release the two limits move up to what that release knew.

use crate::{Address, Envelope, Letter, Parcel};

/// Kinds of letters that it knows: the first so many of `Letter::KINDS`.
pub const LETTERS: usize = 41;

/// Kinds of addresses that it knows, by their short words.
pub const ADDRESSES: [&str; 17] = [
    "balancer",
    "anchor",
    "call",
    "media",
    "registration",
    "location",
    "flow",
    "store",
    "records",
    "names",
    "relay",
    "tracer",
    "control",
    "nobody",
    "director",
    "office",
    "journal",
];

/// Whether it reads this parcel.
pub fn reads(parcel: &Parcel) -> bool {
    match parcel {
        Parcel::Mail { mail, .. } => knows(mail),
        Parcel::Record(record) => {
            knows_address(record.address) && record.asked.iter().chain(&record.effects).all(knows)
        }
        Parcel::Receipt(_)
        | Parcel::FillStart { .. }
        | Parcel::FillEnd { .. }
        | Parcel::Digest { .. }
        | Parcel::Ack { .. }
        | Parcel::Again { .. }
        | Parcel::Split { .. }
        | Parcel::Released { .. } => true,
    }
}

fn knows(mail: &Envelope) -> bool {
    knows_letter(&mail.letter, LETTERS) && knows_address(mail.from) && knows_address(mail.to)
}

fn knows_letter(letter: &Letter, letters: usize) -> bool {
    letter.code() < letters
}

fn knows_address(address: Address) -> bool {
    ADDRESSES.contains(&address.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NodeId, Thread};

    fn mail(letter: Letter) -> Envelope {
        Envelope::ask(Address::Control(NodeId(1)), Address::Location(2), Thread(3), letter)
    }

    #[test]
    fn what_it_knew_is_the_beginning_of_what_there_is() {
        assert!(LETTERS <= Letter::KINDS.len());
        assert_eq!((Letter::KINDS[0], Letter::KINDS[LETTERS - 1]), ("returned", "retire"));
    }

    #[test]
    fn a_letter_that_came_later_is_not_read() {
        let (old, new) = (mail(Letter::Describe), mail(Letter::Retire));
        assert!(knows(&old) && knows(&new) && reads(&Parcel::Mail { receipt: 0, mail: Box::new(new) }));
        assert!(knows_letter(&Letter::Revive, 40) && !knows_letter(&Letter::Retire, 40));
    }
}
