//! Offer and answer: which message may carry which. RFC 3261 13.2.1, RFC 3262 5, RFC 3311 5, RFC 6337 2.

use fabric::Reject;
use serde::{Deserialize, Serialize};
use sip::Status;

use crate::Side;
use crate::glare::busy;

/// Messages that can carry a session description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carrier {
    Invite,
    /// A provisional response that nobody acknowledges.
    Unreliable,
    /// A reliable provisional response.
    Reliable,
    /// 2xx to INVITE.
    Success,
    Ack,
    Prack,
    /// 2xx to PRACK.
    PrackSuccess,
    Update,
    /// 2xx to UPDATE.
    UpdateSuccess,
}

/// What the session description of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// There is none, and none is missing.
    Nothing,
    Offer,
    Answer,
    /// A forecast of the answer in an unreliable response, or a repetition of it: binds nobody (RFC 3261 13.2.1).
    Copy,
}

/// A message that breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// An offer while an offer of the other side waits for its answer: 491.
    Glare,
    /// An offer while one of the same side waits for its answer, or before there can be one: 500 with Retry-After.
    Busy,
    /// The answer has to be here and is not: 400, or BYE when it is no request.
    NoAnswer,
    /// A 2xx to an INVITE without offer has to carry one: ACK and BYE.
    NoOffer,
    /// A message that belongs to no exchange (a response to an INVITE that is not open): ignore it.
    Stray,
}

/// Where offer and answer of one dialog stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiation {
    /// The unanswered offer: who made it, in what.
    offer: Option<(Side, Carrier)>,
    /// The INVITE without final response: who sent it, and whether its offer has been made.
    invite: Option<(Side, bool)>,
    /// There has been a complete exchange.
    session: bool,
}

impl Negotiation {
    /// We send such a message. An error is a mistake of ours: nothing has changed, do not send it so.
    pub fn sent(&mut self, carrier: Carrier, has_session: bool) -> Result<Part, Breach> {
        self.pass(Side::Us, carrier, has_session)
    }

    /// The peer's message arrived. After an error it must not be acted upon; `Breach::reject` answers a request.
    pub fn received(&mut self, carrier: Carrier, has_session: bool) -> Result<Part, Breach> {
        self.pass(Side::Peer, carrier, has_session)
    }

    /// A request of `by` ended without 2xx: its offer, and what was offered in its course, is void.
    pub fn failed(&mut self, by: Side, request: Carrier) {
        if request != Carrier::Invite {
            self.offer = self.offer.filter(|offer| *offer != (by, request));
        } else if self.invite.is_some_and(|(caller, _)| caller == by) {
            self.invite = None;
            self.offer = self.offer.filter(|(_, carrier)| *carrier == Carrier::Update);
        }
    }

    /// May we make an offer now in an INVITE or UPDATE?
    pub fn may_offer(&self, carrier: Carrier) -> bool {
        let mut trial = *self;
        trial.sent(carrier, true) == Ok(Part::Offer)
    }

    /// Whether an offer of this side waits for its answer.
    pub fn is_open(&self, side: Side) -> bool {
        self.offer.is_some_and(|(by, _)| by == side)
    }

    /// Whether there has been a complete exchange.
    pub fn has_session(&self) -> bool {
        self.session
    }

    fn pass(&mut self, by: Side, carrier: Carrier, has: bool) -> Result<Part, Breach> {
        match carrier {
            Carrier::Invite => self.invite(by, has),
            Carrier::Unreliable => Ok(if has { Part::Copy } else { Part::Nothing }),
            Carrier::Reliable | Carrier::Success => self.response(by, carrier, has),
            Carrier::Ack => self.answer(by, Carrier::Success, has),
            Carrier::Prack if self.offer == Some((by.other(), Carrier::Reliable)) => {
                self.answer(by, Carrier::Reliable, has)
            }
            Carrier::Prack | Carrier::Update if has => self.offer(by, carrier),
            Carrier::Prack | Carrier::Update => Ok(Part::Nothing),
            Carrier::PrackSuccess => self.answer(by, Carrier::Prack, has),
            Carrier::UpdateSuccess => self.answer(by, Carrier::Update, has),
        }
    }

    fn invite(&mut self, by: Side, has: bool) -> Result<Part, Breach> {
        let holder = self.invite.map(|(caller, _)| caller).or(self.offer.map(|(by, _)| by));
        match holder {
            Some(holder) if holder == by => Err(Breach::Busy),
            Some(_) => Err(Breach::Glare),
            None => {
                self.invite = Some((by, has));
                if !has {
                    return Ok(Part::Nothing);
                }
                self.offer = Some((by, Carrier::Invite));
                Ok(Part::Offer)
            }
        }
    }

    fn response(&mut self, by: Side, carrier: Carrier, has: bool) -> Result<Part, Breach> {
        let Some((caller, offered)) = self.invite.filter(|(caller, _)| *caller != by) else {
            return Err(Breach::Stray);
        };
        let last = carrier == Carrier::Success;
        let part = match self.offer {
            Some(offer) if offer == (caller, Carrier::Invite) => match (has, last) {
                (true, _) => {
                    self.settle();
                    Part::Answer
                }
                (false, false) => Part::Nothing,
                (false, true) => return Err(self.broken(Breach::NoAnswer)),
            },
            // The 2xx overtook the PRACK with our answer: the same offer stands, the ACK may answer it.
            Some((offerer, Carrier::Reliable)) if offerer == by => {
                if last {
                    self.offer = Some((by, Carrier::Success));
                }
                if has { Part::Copy } else { Part::Nothing }
            }
            None if !offered && has => {
                self.offer = Some((by, carrier));
                self.invite = Some((caller, true));
                Part::Offer
            }
            None if !offered && last => return Err(self.broken(Breach::NoOffer)),
            _ if has => Part::Copy,
            _ => Part::Nothing,
        };
        if last {
            self.invite = None;
        }
        Ok(part)
    }

    /// The answer to an offer that the other side made in `to`, or a message that happens to come where one might.
    fn answer(&mut self, by: Side, to: Carrier, has: bool) -> Result<Part, Breach> {
        match (self.offer == Some((by.other(), to)), has) {
            (true, true) => {
                self.settle();
                Ok(Part::Answer)
            }
            (true, false) => {
                self.offer = None;
                Err(Breach::NoAnswer)
            }
            (false, true) => Ok(Part::Copy),
            (false, false) => Ok(Part::Nothing),
        }
    }

    fn offer(&mut self, by: Side, carrier: Carrier) -> Result<Part, Breach> {
        match self.offer {
            Some((offerer, _)) if offerer == by => Err(Breach::Busy),
            Some(_) => Err(Breach::Glare),
            None if !self.session => Err(Breach::Busy),
            None => {
                self.offer = Some((by, carrier));
                Ok(Part::Offer)
            }
        }
    }

    fn settle(&mut self) {
        self.offer = None;
        self.session = true;
    }

    fn broken(&mut self, breach: Breach) -> Breach {
        self.offer = None;
        self.invite = None;
        breach
    }
}

impl Breach {
    /// The answer to a request that breaks the rules; `seed` chooses Retry-After.
    pub fn reject(self, seed: u64) -> Reject {
        match self {
            Breach::Glare => Reject::new(Status::REQUEST_PENDING),
            Breach::Busy => busy(seed),
            Breach::NoAnswer | Breach::NoOffer => {
                Reject::new(Status::BAD_REQUEST).reason("Missing Session Description")
            }
            Breach::Stray => Reject::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        }
    }
}

#[cfg(test)]
mod tests;
