//! Legs of a call and the offers between them.

use fabric::letters::media::{MediaAsk, MediaProfile};
use serde::{Deserialize, Serialize};

/// What a media session remembers of its legs: their tags, and the last offer between each two.
#[derive(Default, Serialize, Deserialize)]
pub struct Legs {
    legs: Vec<Leg>,
    offers: Vec<Offer>,
    /// Offers that are not answered, as they were asked: a relay that takes over from a lost one must hear them too.
    open: Vec<MediaAsk>,
}

#[derive(Serialize, Deserialize)]
struct Leg {
    number: u16,
    tag: Box<str>,
}

/// The last offer between two legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub from: u16,
    pub to: u16,
    /// m-lines, which the answer must have too (RFC 3264 6).
    pub lines: u8,
    /// The relay has it; else descriptions are passed as they are.
    pub anchored: bool,
}

impl Legs {
    /// The tag under which the relay knows this leg: the first one it was given, made unlike the others'.
    pub fn tag(&mut self, number: u16, profile: &MediaProfile) -> &str {
        let place = match self.legs.iter().position(|leg| leg.number == number) {
            Some(place) => place,
            None => {
                let taken = profile.tag.is_empty() || self.legs.iter().any(|leg| *leg.tag == *profile.tag);
                let tag = if taken { format!("{}-leg{number}", profile.tag) } else { profile.tag.clone() };
                self.legs.push(Leg { number, tag: tag.into() });
                self.legs.len() - 1
            }
        };
        &self.legs[place].tag
    }

    /// The tag of a leg that is known.
    pub fn tag_of(&self, number: u16) -> Option<&str> {
        self.legs.iter().find(|leg| leg.number == number).map(|leg| &*leg.tag)
    }

    pub fn knows(&self, number: u16) -> bool {
        self.legs.iter().any(|leg| leg.number == number)
    }

    pub fn len(&self) -> usize {
        self.legs.len()
    }

    /// The first leg that is left: the caller, as long as it is there.
    pub fn first_tag(&self) -> Option<&str> {
        self.legs.first().map(|leg| &*leg.tag)
    }

    /// Notes an offer in place of the one before between the same two legs, either way.
    pub fn offered(&mut self, offer: Offer) {
        self.offers
            .retain(|old| (old.from, old.to) != (offer.from, offer.to) && (old.to, old.from) != (offer.from, offer.to));
        self.offers.push(offer);
    }

    /// The last offer of `from` to `to`.
    pub fn offer(&self, from: u16, to: u16) -> Option<Offer> {
        self.offers.iter().find(|offer| offer.from == from && offer.to == to).copied()
    }

    /// Keeps an offer until it is answered.
    pub fn keep(&mut self, offer: MediaAsk) {
        if let MediaAsk::Offer { from_leg, to_leg, .. } = offer {
            self.take(from_leg, to_leg);
            self.open.push(offer);
        }
    }

    /// The offer of `from` to `to` that is not answered; it is no longer kept.
    pub fn take(&mut self, from: u16, to: u16) -> Option<MediaAsk> {
        let is_it = |ask: &MediaAsk| matches!(ask, MediaAsk::Offer { from_leg, to_leg, .. } if (*from_leg, *to_leg) == (from, to));
        Some(self.open.swap_remove(self.open.iter().position(is_it)?))
    }

    pub fn has_offers(&self) -> bool {
        !self.offers.is_empty()
    }

    /// Forgets a leg and its offers.
    pub fn remove(&mut self, number: u16) {
        self.legs.retain(|leg| leg.number != number);
        self.offers.retain(|offer| offer.from != number && offer.to != number);
        self.open.retain(
            |ask| !matches!(ask, MediaAsk::Offer { from_leg, to_leg, .. } if *from_leg == number || *to_leg == number),
        );
        self.shrink();
    }

    /// Gives spare memory back.
    pub fn shrink(&mut self) {
        self.legs.shrink_to_fit();
        self.offers.shrink_to_fit();
        self.open.shrink_to_fit();
    }

    pub fn clear(&mut self) {
        *self = Legs::default();
    }
}
