//! Where letters go: to a room here, to the owner of a slot, to whoever holds a site; and what is kept until it got there.

use fabric::{Address, Envelope, Fault, Instant, Letter, NodeId, Parcel, Table, Thread};

use crate::mail;
use crate::office::{Inner, Office, Seat};
use crate::primary::Released;

impl Office {
    /// Finds the way of a letter; `Some` for this node.
    pub(crate) fn direct(&self, inner: &mut Inner, mail: Envelope, now: Instant) -> Option<Envelope> {
        let me = self.home.node;
        if mail.to.slot().is_some() {
            if let Some(Seat::Active(primary)) = inner.group_of(mail.to).and_then(|group| inner.seats.get(&group)) {
                let inside = inner.group_of(mail.from) == Some(primary.group);
                if primary.yielding.is_none() || inside || matches!(mail.letter, Letter::Revive | Letter::Retire) {
                    return Some(mail);
                }
                inner.waiting.push((now, mail));
                return None;
            }
            if matches!(mail.letter, Letter::Retire) {
                return Some(mail);
            }
        }
        let to = self.target(&inner.table, &mail);
        if fabric::mutant!(OrphansAnswered) && to.is_some_and(|to| to != me && !inner.sessions.contains(&to)) {
            return Some(mail);
        }
        if to == Some(me) && mail.to.slot().is_none() {
            return match mail.to {
                Address::Office(_) => {
                    self.on_letter(inner, mail, now);
                    None
                }
                _ => Some(mail),
            };
        }
        if to.is_some_and(|to| is_lost(&inner.table, &mail, to)) {
            return self.direct(inner, lost(&mail), now);
        }
        if to == Some(me) || !mail.letter.wants_receipt() {
            // Ours by the table, but not taken up yet; or not worth keeping.
            match to {
                Some(to) if to != me => drop(self.links.send(to, Parcel::Mail { receipt: 0, mail: Box::new(mail) })),
                Some(_) if inner.waiting.len() < self.settings.mail_max => inner.waiting.push((now, mail)),
                _ => {}
            }
            return None;
        }
        let receipt = inner.outgoing.keep(&mail, to, now, self.settings.mail_max);
        if let Some(to) = to {
            self.links.send(to, Parcel::Mail { receipt, mail: Box::new(mail) });
        }
        None
    }

    /// The node that a letter goes to, as far as it is known.
    pub(crate) fn target(&self, table: &Table, mail: &Envelope) -> Option<NodeId> {
        match mail.to {
            Address::Balancer(node, _) | Address::Flow(node) => Some(table.holder(node)),
            other => match other.node() {
                Some(node) => Some(node),
                None => table.owner_of(other)?.active,
            },
        }
    }

    pub(crate) fn on_mail(&self, inner: &mut Inner, from: NodeId, receipt: u64, mut mail: Envelope, now: Instant) {
        if let Some(group) = inner.group_of(mail.from) {
            let fence = inner.fence.entry(group).or_default();
            if mail.epoch < *fence && !fabric::mutant!(EpochUnchecked) {
                inner.counts.stale_letters += 1;
                // Its sender has been replaced; it need not keep what it sent.
                inner.give_receipts(&[mail::seal(from, receipt)]);
                return;
            }
            *fence = mail.epoch;
            inner.note_taken(group, mail.epoch);
        }
        mail.receipt = if receipt == 0 { 0 } else { mail::seal(from, receipt) };
        if mail.to.slot().is_some() {
            match inner.group_of(mail.to).and_then(|group| inner.seats.get(&group)) {
                Some(Seat::Active(primary)) if primary.yielding.is_none() => inner.local.push(mail),
                // Perhaps the sender knows more than we do; if not, it will know soon.
                _ if inner.waiting.len() < self.settings.mail_max => inner.waiting.push((now, mail)),
                _ => {}
            }
            return;
        }
        if self.target(&inner.table, &mail) != Some(self.home.node) {
            return;
        }
        inner.give_receipts(&[mail.receipt]);
        mail.receipt = 0;
        match mail.to {
            Address::Office(_) => self.on_letter(inner, mail, now),
            _ => inner.local.push(mail),
        }
    }

    /// A letter for the office itself.
    pub(crate) fn on_letter(&self, inner: &mut Inner, mail: Envelope, now: Instant) {
        match mail.letter {
            Letter::Grant(grant) if grant.boot == self.boot && grant.granted => {
                inner.lease.granted(grant.director, grant.sent, self.majority(), self.settings.lease());
                self.release_all(inner, now);
            }
            Letter::Table(table) if table.version > inner.table.version => {
                let was = self.standing(inner);
                self.on_table(inner, table, now);
                let is = self.standing(inner);
                if is != was && inner.next_beat > now {
                    // The directors wait for it.
                    inner.next_beat = now + self.settings.beat();
                    self.beat(inner, now);
                }
            }
            _ => {}
        }
    }

    /// Sends kept mail where the new table says.
    pub(crate) fn redirect(&self, inner: &mut Inner, now: Instant) {
        let table = inner.table.clone();
        let mut moved = inner.outgoing.redirect(|mail| self.target(&table, mail));
        if fabric::mutant!(HeldForgotten) {
            moved.clear();
        }
        for mail in inner.outgoing.give_up(|mail, to| is_lost(&table, mail, to)) {
            let here = self.direct(inner, lost(&mail), now);
            inner.local.extend(here);
        }
        for (receipt, to, mail) in moved {
            if to == self.home.node {
                inner.outgoing.take(receipt);
                let here = self.direct(inner, mail, now);
                inner.local.extend(here);
            } else {
                self.links.send(to, Parcel::Mail { receipt, mail: Box::new(mail) });
            }
        }
        self.retry_waiting(inner, now);
    }

    /// Offers letters again that had to wait.
    pub(crate) fn retry_waiting(&self, inner: &mut Inner, now: Instant) {
        for (since, mail) in std::mem::take(&mut inner.waiting) {
            if now.since(since) > self.settings.hold() {
                inner.outgoing.given_up += 1;
                continue;
            }
            if mail.receipt == 0 {
                let before = inner.waiting.len();
                if let Some(mail) = self.direct(inner, mail, now) {
                    inner.local.push(mail);
                }
                inner.waiting[before..].iter_mut().for_each(|waiting| waiting.0 = since);
                continue;
            }
            match inner.group_of(mail.to).and_then(|group| inner.seats.get(&group)) {
                Some(Seat::Active(primary)) if primary.yielding.is_none() => inner.local.push(mail),
                // The sender keeps it, and sends it to whoever is the owner.
                Some(Seat::Active(_)) | None | Some(Seat::Backup(_)) => inner.waiting.push((since, mail)),
            }
        }
    }

    pub(crate) fn release_all(&self, inner: &mut Inner, now: Instant) {
        let may_act = self.may_act(inner, now);
        let mut all = Vec::new();
        for seat in inner.seats.values_mut() {
            if let Seat::Active(primary) = seat
                && primary.held() > 0
            {
                all.push(primary.release(may_act));
            }
        }
        for released in all {
            self.let_go(inner, released, now);
        }
    }

    /// Sends what may leave.
    pub(crate) fn let_go(&self, inner: &mut Inner, released: Released, now: Instant) {
        inner.give_receipts(&released.receipts);
        for mail in released.effects {
            let here = self.direct(inner, mail, now);
            inner.local.extend(here);
        }
    }
}

/// Whether a question asks a port or a resident of a node that the directors hold for dead: no other node will answer it,
/// and who asks may know another way.
fn is_lost(table: &Table, mail: &Envelope, to: NodeId) -> bool {
    mail.to.slot().is_none()
        && mail.thread != Thread::NONE
        && mail.letter.is_question()
        && table.members.iter().any(|member| member.node == to && !member.up && member.boot != 0)
}

fn lost(mail: &Envelope) -> Envelope {
    mail.answer(Letter::Returned(Fault::unavailable("the node is down")))
}
