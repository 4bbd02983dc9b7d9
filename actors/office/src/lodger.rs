//! A machine as the office hosts it: every step is recorded, its letters leave when they may, its clock may be another
//! node's.

use std::sync::Arc;

use fabric::{Address, Envelope, Epoch, Instant, Letter, Machine, Now, Outbox, Part, Thread};

use crate::image::shift;
use crate::office::Office;
use crate::primary::Step;

/// One replicated machine.
pub(crate) struct Lodger {
    office: Arc<Office>,
    address: Address,
    machine: Box<dyn Machine>,
    /// Epoch that it was founded in: under another one it is somebody else's.
    epoch: Epoch,
    /// Microseconds from this node's clock to the machine's.
    offset: i64,
    /// Its slot has another owner, or its end is recorded and it may go.
    retired: bool,
    /// Not recorded before, or its end was.
    fresh: bool,
    stir: Option<Box<Stir>>,
    /// Questions of its last life, to be asked again at the next step.
    again: Vec<Envelope>,
}

/// What has happened since the last record.
#[derive(Default)]
struct Stir {
    since: Instant,
    asked: Vec<Envelope>,
    answered: Vec<Thread>,
    receipts: Vec<u64>,
}

impl Lodger {
    pub fn new(office: Arc<Office>, address: Address, epoch: Epoch, machine: Box<dyn Machine>) -> Lodger {
        let (offset, again) = (0, Vec::new());
        Lodger { office, address, machine, epoch, offset, retired: false, fresh: true, stir: None, again }
    }

    /// One that lived elsewhere, or before a panic.
    pub fn restored(
        office: Arc<Office>,
        address: Address,
        epoch: Epoch,
        machine: Box<dyn Machine>,
        offset: i64,
        again: Vec<Envelope>,
    ) -> Lodger {
        let mut again = if fabric::mutant!(QuestionsForgotten) { Vec::new() } else { again };
        // A question that it gave up itself would only undo what came after.
        again.retain(|mail| machine.waits_for(mail.thread));
        Lodger { office, address, machine, epoch, offset, retired: false, fresh: false, stir: None, again }
    }

    fn shifted(&self, now: Now) -> Now {
        Now { instant: shift(now.instant, self.offset), ..now }
    }

    /// Deals with what a step has posted, from letter number `mark` of the outbox on.
    fn close(&mut self, mark: usize, receipt: u64, answered: Option<Thread>, now: Now, out: &mut Outbox) {
        let mut mail = out.split_off(mark);
        let again = std::mem::take(&mut self.again);
        mail.extend(again.into_iter().map(|mail| self.office.readdressed(mail)));
        let over = self.machine.is_idle();
        let pressing = over || mail.iter().any(|mail| !mail.letter.is_harmless());
        let stir = self.stir.get_or_insert_with(|| Box::new(Stir { since: now.instant, ..Stir::default() }));
        if receipt != 0 {
            stir.receipts.push(receipt);
        }
        if let Some(thread) = answered {
            stir.asked.retain(|mail| mail.thread != thread);
            stir.answered.push(thread);
        }
        for mail in &mail {
            if mail.thread != Thread::NONE && mail.from == self.address && mail.letter.is_question() {
                stir.asked.push(mail.clone());
            }
        }
        for letter in &mut mail {
            letter.epoch = self.epoch;
        }
        if pressing {
            self.record(over, mail, now, out);
        } else {
            mail.into_iter().for_each(|mail| out.put(mail));
        }
    }

    /// Records everything since the last time; letters go into `out` as far as they may leave.
    fn record(&mut self, over: bool, mail: Vec<Envelope>, now: Now, out: &mut Outbox) {
        let stir = self.stir.take().unwrap_or_default();
        let mut parts: Vec<Part> = Vec::new();
        if !over {
            self.machine.save(self.fresh, &mut parts);
        }
        self.fresh = over;
        let Stir { asked, answered, receipts, .. } = *stir;
        let axis = self.shifted(now).instant;
        let step = Step {
            address: self.address,
            axis,
            parts,
            gone: over,
            asked,
            answered,
            effects: Vec::new(),
            left: Vec::new(),
            receipts,
        };
        let waits = |thread| self.machine.waits_for(thread);
        match self.office.step(self.epoch, step, mail, &waits, now) {
            Some(leaving) => leaving.into_iter().for_each(|mail| out.put(mail)),
            None => self.retired = true,
        }
    }
}

impl Machine for Lodger {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        if self.retired || !self.office.is_tenant(self.address, self.epoch) {
            self.retired = true;
            if !matches!(mail.letter, Letter::Retire | Letter::Revive) {
                self.office.postpone(mail, now);
            }
            return;
        }
        if matches!(mail.letter, Letter::Retire) {
            // Meant for one that lived here before.
            return;
        }
        let mark = out.mail().len();
        let (receipt, thread) = (mail.receipt, mail.thread);
        let answered = (thread != Thread::NONE && mail.letter.is_answer()).then_some(thread);
        if !matches!(mail.letter, Letter::Revive) {
            let shifted = self.shifted(now);
            self.machine.handle(mail, shifted, out);
        }
        self.close(mark, receipt, answered, now, out);
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        if self.retired || !self.office.is_tenant(self.address, self.epoch) {
            self.retired = true;
            return;
        }
        let shifted = self.shifted(now);
        if self.machine.deadline().is_some_and(|due| due <= shifted.instant) {
            let mark = out.mail().len();
            self.machine.wake(shifted, out);
            // What time alone has changed, and nobody was told of, happens again to whoever restores the machine: it
            // needs no record of its own.
            if out.mail().len() > mark || self.machine.is_idle() || !self.again.is_empty() {
                self.close(mark, 0, None, now, out);
            }
        }
        if self.stir.as_ref().is_some_and(|stir| self.office.record_due(stir.since) <= now.instant) {
            self.record(false, Vec::new(), now, out);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.retired {
            return None;
        }
        let own = self.machine.deadline().map(|due| shift(due, -self.offset));
        let record = self.stir.as_ref().map(|stir| self.office.record_due(stir.since));
        own.into_iter().chain(record).min()
    }

    fn is_idle(&self) -> bool {
        self.retired || (self.stir.is_none() && self.machine.is_idle())
    }

    fn is_quiet(&self) -> bool {
        self.stir.is_none() && self.machine.is_quiet()
    }
}
