//! What a REGISTER does to an address-of-record: all of it or nothing. RFC 3261 10.3, RFC 5626 6.

use fabric::hash::hash64;
use fabric::letters::location::{Bind, BindChange, Binding};
use fabric::{Now, Reject};
use sip::{Status, Uri};

use crate::record::{Contents, Entry, Tombstone, now_ms};

/// What a change is measured by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub now: Now,
    /// Most contacts, count.
    pub contacts_max: u16,
    pub evict_oldest: bool,
    /// How long removed bindings are remembered, milliseconds.
    pub tombstone_ms: u64,
    /// Key of the Call-ID hashes in tombstones.
    pub secret: [u8; 16],
}

/// How much a demand has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    /// Only what is remembered against late requests: nothing for the store.
    Tombstones,
    Bindings,
}

/// Applies a demand to what is there; says how much has changed.
///
/// A demand that has been met already by this very Call-ID and CSeq number changes nothing and is no error: it was posted
/// twice because an answer was lost with its node.
///
/// Errors: `Reject` 500 when the REGISTER is not newer than what its Call-ID did before (10.3 steps 6 and 7),
/// 403 when there would be too many contacts. `contents` is then to be thrown away.
pub fn apply<'a>(contents: &mut Contents<'a>, bind: &'a Bind, rules: &Rules) -> Result<Effect, Reject> {
    contents.prune(rules.now);
    if is_done(contents, bind, rules) {
        return Ok(Effect::Nothing);
    }
    let mut change = Change { contents, bind, rules, touched: Vec::new(), buried: false };
    let bindings = match &bind.change {
        BindChange::Fetch => false,
        BindChange::RemoveAll => change.remove_all()?,
        BindChange::Contacts(contacts) => change.contacts(contacts)?,
        BindChange::Remove(contact) => change.remove_by_operator(contact),
    };
    Ok(match (bindings, change.buried) {
        (true, _) => Effect::Bindings,
        (false, true) => Effect::Tombstones,
        (false, false) => Effect::Nothing,
    })
}

/// Whether this demand was met before, to the letter; the end of a binding may differ by how long a repetition takes.
// Deviation: 10.3 step 7 refuses it. A client cannot do so, its registration knows its retransmissions.
fn is_done(contents: &Contents<'_>, bind: &Bind, rules: &Rules) -> bool {
    let call_id = hash_of(&bind.call_id, rules);
    let buried =
        || contents.tombstones.iter().any(|tombstone| tombstone.call_id == call_id && tombstone.cseq == bind.cseq);
    let set = |entry: &Entry<'_>, new: &Entry<'_>| {
        let apart_ms = entry.ends.expires_ms(rules.now).abs_diff(new.ends.expires_ms(rules.now));
        entry.call_id == &*bind.call_id
            && entry.cseq == bind.cseq
            && apart_ms <= REPEATED_MS
            && *entry == Entry { ends: entry.ends, ..*new }
    };
    match &bind.change {
        BindChange::Fetch | BindChange::Remove(_) => false,
        BindChange::RemoveAll => contents.entries.iter().all(Entry::is_permanent) && buried(),
        BindChange::Contacts(contacts) => {
            let done = |binding: &Binding| match Entry::of(binding, rules.now) {
                Some(new) => contents.entries.iter().any(|entry| set(entry, &new)),
                None => !contents.entries.iter().any(|entry| is_same(entry, binding)) && buried(),
            };
            !contacts.is_empty() && contacts.iter().all(done)
        }
    }
}

struct Change<'c, 'a> {
    contents: &'c mut Contents<'a>,
    bind: &'a Bind,
    rules: &'c Rules,
    /// Contacts that this demand has set; naming one twice is no second CSeq.
    touched: Vec<&'a str>,
    buried: bool,
}

impl<'a> Change<'_, 'a> {
    fn remove_all(&mut self) -> Result<bool, Reject> {
        for entry in self.contents.entries.iter().filter(|entry| !entry.is_permanent()) {
            self.check_order(entry)?;
        }
        self.check_tombstones()?;
        let (gone, kept) =
            std::mem::take(&mut self.contents.entries).into_iter().partition(|entry| !entry.is_permanent());
        self.contents.entries = kept;
        let gone: Vec<Entry<'a>> = gone;
        gone.iter().for_each(|entry| self.bury(entry));
        self.bury_request();
        Ok(!gone.is_empty())
    }

    fn contacts(&mut self, contacts: &'a [Binding]) -> Result<bool, Reject> {
        let operator = contacts.iter().all(|contact| contact.expires_ms == u64::MAX);
        if !operator {
            self.check_tombstones()?;
        }
        let mut changed = false;
        for binding in contacts {
            changed |= self.contact(binding)?;
        }
        self.limit()?;
        Ok(changed)
    }

    fn contact(&mut self, binding: &'a Binding) -> Result<bool, Reject> {
        let new = Entry::of(binding, self.rules.now);
        let place = self.contents.entries.iter().position(|entry| is_same(entry, binding));
        let by_operator = new.is_some_and(|entry| entry.is_permanent());
        if let Some(old) = place.map(|place| self.contents.entries[place]) {
            if old.is_permanent() && !by_operator {
                return Ok(false);
            }
            if !by_operator && !self.touched.contains(&old.contact) {
                self.check_order(&old)?;
            }
        }
        match (place, new) {
            (Some(place), Some(new)) => {
                let old = std::mem::replace(&mut self.contents.entries[place], new);
                if old.call_id != new.call_id {
                    self.bury(&old);
                }
                self.touched.push(new.contact);
            }
            (Some(place), None) => {
                let old = self.contents.entries.remove(place);
                self.bury(&old);
                self.bury_request();
            }
            (None, Some(new)) => {
                self.contents.entries.push(new);
                self.touched.push(new.contact);
            }
            // It was not there, or its REGISTER comes later than its removal: then it must not come at all.
            (None, None) => {
                self.bury_request();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn remove_by_operator(&mut self, contact: &str) -> bool {
        let is_it = |entry: &Entry<'_>| same_contact(entry.contact, contact);
        let (gone, kept) = std::mem::take(&mut self.contents.entries).into_iter().partition(is_it);
        self.contents.entries = kept;
        let gone: Vec<Entry<'a>> = gone;
        gone.iter().for_each(|entry| self.bury(entry));
        !gone.is_empty()
    }

    /// RFC 3261 10.3 step 7: the same Call-ID needs a higher CSeq, else the whole request fails.
    fn check_order(&self, old: &Entry<'_>) -> Result<(), Reject> {
        if *old.call_id == *self.bind.call_id && self.bind.cseq <= old.cseq {
            return Err(out_of_order());
        }
        Ok(())
    }

    fn check_tombstones(&self) -> Result<(), Reject> {
        if self.contents.tombstones.is_empty() {
            return Ok(());
        }
        let call_id = self.hash(&self.bind.call_id);
        let late = |tombstone: &Tombstone| tombstone.call_id == call_id && self.bind.cseq <= tombstone.cseq;
        if self.contents.tombstones.iter().any(late) { Err(out_of_order()) } else { Ok(()) }
    }

    /// Too many contacts: those that were there before give way in the order of their end, when they may.
    fn limit(&mut self) -> Result<(), Reject> {
        let max = match self.bind.contacts_max {
            0 => self.rules.contacts_max,
            own => own,
        };
        loop {
            let counted = self.contents.entries.iter().filter(|entry| !entry.is_permanent()).count();
            let before_max = self.touched.is_empty();
            if counted <= usize::from(max) || before_max {
                return Ok(());
            }
            let oldest = self.contents.entries.iter().enumerate();
            let oldest = oldest
                .filter(|(_, entry)| !entry.is_permanent() && !self.touched.contains(&entry.contact))
                .min_by_key(|(_, entry)| entry.ends)
                .map(|(place, _)| place);
            match oldest.filter(|_| self.rules.evict_oldest) {
                Some(place) => {
                    let gone = self.contents.entries.remove(place);
                    self.bury(&gone);
                }
                None => return Err(Reject::new(Status::FORBIDDEN).reason("Too Many Contacts")),
            }
        }
    }

    fn bury(&mut self, gone: &Entry<'_>) {
        let (call_id, cseq) = (self.hash(gone.call_id), gone.cseq);
        self.add_tombstone(call_id, cseq);
    }

    fn bury_request(&mut self) {
        let (call_id, cseq) = (self.hash(&self.bind.call_id), self.bind.cseq);
        self.add_tombstone(call_id, cseq);
    }

    fn add_tombstone(&mut self, call_id: u64, cseq: u32) {
        if self.rules.tombstone_ms == 0 || fabric::mutant!(TombstoneForgotten) {
            return;
        }
        self.buried = true;
        let until_ms = now_ms(self.rules.now) + self.rules.tombstone_ms;
        let tombstones = &mut self.contents.tombstones;
        match tombstones.iter_mut().find(|tombstone| tombstone.call_id == call_id) {
            Some(tombstone) => {
                tombstone.cseq = tombstone.cseq.max(cseq);
                tombstone.until_ms = until_ms;
            }
            None => {
                if tombstones.len() >= TOMBSTONES_MAX {
                    tombstones.remove(0);
                }
                tombstones.push(Tombstone { call_id, cseq, until_ms });
            }
        }
    }

    fn hash(&self, call_id: &str) -> u64 {
        hash_of(call_id, self.rules)
    }
}

/// A Call-ID as tombstones name it.
fn hash_of(call_id: &str, rules: &Rules) -> u64 {
    hash64(&rules.secret, &[b"tombstone", call_id.as_bytes()])
}

/// How far apart the ends of a binding may be in a demand and its repetition, milliseconds: timer F, and clocks that differ.
const REPEATED_MS: u64 = 40_000;

/// Most tombstones of one address-of-record, count; the oldest gives way.
const TOMBSTONES_MAX: usize = 16;

fn out_of_order() -> Reject {
    Reject::new(Status::SERVER_INTERNAL_ERROR).reason("CSeq Out Of Order")
}

/// Whether a new binding takes the place of this one: the same flow of the same instance (RFC 5626 6), else an equal contact.
fn is_same(entry: &Entry<'_>, binding: &Binding) -> bool {
    match (flow_of(entry.instance, entry.reg_id), flow_of(binding.instance.as_deref(), binding.reg_id)) {
        (Some(old), Some(new)) => old == new,
        (None, None) => same_contact(entry.contact, &binding.contact),
        _ => false,
    }
}

fn flow_of(instance: Option<&str>, reg_id: u32) -> Option<(&str, u32)> {
    instance.filter(|_| reg_id != 0).map(|instance| (instance, reg_id))
}

/// RFC 3261 19.1.4.
fn same_contact(one: &str, other: &str) -> bool {
    one == other
        || matches!((Uri::parse(one.as_bytes()), Uri::parse(other.as_bytes())), (Ok(one), Ok(other)) if one.equals(&other))
}

#[cfg(test)]
mod tests;
