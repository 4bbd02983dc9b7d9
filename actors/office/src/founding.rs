//! How machines come to life in a node that is not alone: restored where a replica has them, founded where they are new,
//! not at all where somebody else owns them.

use std::sync::Arc;

use fabric::{Address, Envelope, Founder, Housing, Instant, Letter, Machine, Now, Outbox, Part};
use tracing::error;

use crate::image::shift;
use crate::lodger::Lodger;
use crate::office::{Claim, Office};

pub(crate) struct Founding {
    pub office: Arc<Office>,
    pub roles: Arc<dyn Founder>,
}

impl Founder for Founding {
    fn found(&self, address: Address, letter: &Letter, now: Now) -> Option<Box<dyn Machine>> {
        if !self.roles.is_replicated(address) {
            return self.roles.found(address, letter, now);
        }
        // Nobody is brought to life to be told to go.
        if matches!(letter, Letter::Retire) {
            return None;
        }
        let epoch = match self.office.claim(address) {
            Claim::Refused if fabric::mutant!(OrphansAnswered) => return self.roles.found(address, letter, now),
            Claim::Refused if matches!(letter, Letter::Revive) => return None,
            // It was ours when the letter set out: the next owner gets it, and nobody is told that there is no such call.
            Claim::Refused => return Some(Box::new(Stray(self.office.clone()))),
            Claim::New(epoch) => epoch,
            Claim::Image { epoch, parts, offset, asked } => {
                let offset = if fabric::mutant!(TimerRestarted) { 0 } else { offset };
                let shifted = Now { instant: shift(now.instant, offset), ..now };
                match self.roles.restore(address, &parts, shifted) {
                    Some(machine) => {
                        let office = self.office.clone();
                        office.count(|counts| counts.restored += 1);
                        return Some(Box::new(Lodger::restored(office, address, epoch, machine, offset, asked)));
                    }
                    None => {
                        error!(kind = address.kind(), key = ?address.key(), "a replica cannot be read");
                        self.office.count(|counts| counts.unreadable += 1);
                        epoch
                    }
                }
            }
        };
        if matches!(letter, Letter::Revive) {
            return None;
        }
        let machine = self.roles.found(address, letter, now)?;
        Some(Box::new(Lodger::new(self.office.clone(), address, epoch, machine)))
    }

    fn restore(&self, address: Address, parts: &[Part], now: Now) -> Option<Box<dyn Machine>> {
        self.roles.restore(address, parts, now)
    }

    fn is_replicated(&self, address: Address) -> bool {
        self.roles.is_replicated(address)
    }

    fn housing(&self, address: Address) -> Housing {
        self.roles.housing(address)
    }
}

/// Takes the letters of an address that has just become somebody else's, and keeps them for its owner.
struct Stray(Arc<Office>);

impl Machine for Stray {
    fn handle(&mut self, mail: Envelope, now: Now, _: &mut Outbox) {
        if !matches!(mail.letter, Letter::Revive | Letter::Retire) {
            self.0.postpone(mail, now);
        }
    }

    fn wake(&mut self, _: Now, _: &mut Outbox) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn is_idle(&self) -> bool {
        true
    }
}
