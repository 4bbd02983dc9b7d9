//! The watch: looks at what nodes accept, own and send while it happens (I1, I2, I5, I8, I27), and times take-overs.

use std::collections::{BTreeMap, BTreeSet};

use fabric::hash::{FixedMap, hash64};
use fabric::{Address, Envelope, Epoch, GroupId, Letter, NodeId, Parcel, SLOTS, Table};
use sip::{Limits, Method, Name, View};

use crate::cluster::lab::ClusterLab;
use crate::cluster::node::{Accepted, Doings};
use crate::cluster::outcome::{Moment, Takeover};
use crate::cluster::scene::{NodeSpec, Role, Scene};
use crate::cluster::sometimes::Sometimes;

/// A judgement before it has words for people.
pub struct Wrong {
    pub invariant: u8,
    pub at: u64,
    pub attempt: Option<usize>,
    pub text: String,
}

pub struct Watch {
    specs: Vec<NodeSpec>,
    sites: Vec<usize>,
    pub wrongs: Vec<Wrong>,
    pub sometimes: Sometimes,
    pub timeline: Vec<Moment>,
    /// The latest table that any node obeys.
    pub table: Table,
    /// Highest epoch accepted, by acceptor and slot.
    accepted: FixedMap<(usize, u16), Epoch>,
    /// Who had effects of a slot in an epoch accepted.
    authors: FixedMap<(u16, Epoch), NodeId>,
    /// What calls have said to callers, once a second chassis knows of it: hash of call and message.
    recorded: FixedMap<u64, ()>,
    /// Effects that the visited node had counted as unprotected before this visit.
    pub unprotected: u64,
    /// Since when each node is gone, not to be reached or not well: by the fault that did it.
    pub hurt: BTreeMap<usize, u64>,
    /// Nodes that were asked to give something up.
    pub asked: BTreeMap<usize, u64>,
    pub takeovers: Vec<Takeover>,
    /// Take-overs whose first effect is awaited: group to place in `takeovers`.
    awaited: BTreeMap<GroupId, usize>,
    /// When each group changed its owner last, microseconds.
    changed: BTreeMap<GroupId, u64>,
    /// When anything was last said of each group that is not as before, microseconds.
    moved: BTreeMap<GroupId, u64>,
    /// Calls of which something went on after their owner had died: by Call-ID's slot.
    pub orphans: BTreeMap<usize, u64>,
    pub registrations: u64,
    /// Calls of which a record has come to a second node.
    pub images: BTreeSet<Address>,
    /// The director that the others report to.
    pub leader: Option<usize>,
    /// Mail that was sent before: node and receipt.
    sent: BTreeMap<usize, u64>,
    limits: Limits,
}

impl Watch {
    pub fn new(scene: &Scene) -> Watch {
        Watch {
            specs: scene.nodes.clone(),
            sites: scene.sites.clone(),
            wrongs: Vec::new(),
            sometimes: Sometimes::default(),
            timeline: Vec::new(),
            table: Table::default(),
            accepted: FixedMap::default(),
            authors: FixedMap::default(),
            recorded: FixedMap::default(),
            unprotected: 0,
            hurt: BTreeMap::new(),
            asked: BTreeMap::new(),
            takeovers: Vec::new(),
            awaited: BTreeMap::new(),
            changed: BTreeMap::new(),
            moved: BTreeMap::new(),
            orphans: BTreeMap::new(),
            registrations: 0,
            images: BTreeSet::new(),
            leader: None,
            sent: BTreeMap::new(),
            limits: Limits::default(),
        }
    }

    pub fn fail(&mut self, invariant: u8, now: u64, text: impl Into<String>) {
        self.fail_call(invariant, now, None, text);
    }

    pub fn fail_call(&mut self, invariant: u8, now: u64, attempt: Option<usize>, text: impl Into<String>) {
        if self.wrongs.len() < WRONGS_MAX {
            self.wrongs.push(Wrong { invariant, at: now, attempt, text: text.into() });
        }
    }

    pub fn tell(&mut self, now: u64, node: Option<usize>, event: &str, text: impl Into<String>) {
        if self.timeline.len() < MOMENTS_MAX {
            let (event, text) = (event.to_owned(), text.into());
            self.timeline.push(Moment { at_ms: now / 1_000, node, event, text });
        }
    }

    pub fn started(&mut self, now: u64, node: usize, boot: u64) {
        self.sent.remove(&node);
        if boot > 1 {
            self.hurt.remove(&node);
        }
        self.tell(now, Some(node), "up", format!("start {boot}"));
    }

    pub fn registered(&mut self, _device: usize) {
        self.registrations += 1;
    }

    pub fn stream_lost(&mut self) {
        self.sometimes.hit("stream broken in a call");
    }

    pub fn store_write(&mut self, envelope: &Envelope) {
        self.author(envelope.from, envelope.epoch, None);
    }

    fn author(&mut self, from: Address, epoch: Epoch, node: Option<NodeId>) -> Option<NodeId> {
        let (slot, node) = (from.slot()?, node?);
        let known = *self.authors.entry((slot % SLOTS, epoch)).or_insert(node);
        (known != node).then_some(known)
    }

    /// I1: epochs that somebody accepts never fall, and an epoch has one author.
    fn accepted(&mut self, now: u64, node: usize, me: NodeId, effect: &Accepted) {
        let Some(slot) = effect.from.slot() else { return };
        if effect.epoch == Epoch(0) {
            return self.fail(1, now, format!("node {} took a {} without an epoch", me.0, effect.kind));
        }
        let highest = self.accepted.entry((node, slot)).or_default();
        if effect.epoch < *highest {
            let text = format!(
                "node {} took a {} of slot {slot} in epoch {} after {}",
                me.0, effect.kind, effect.epoch.0, highest.0
            );
            return self.fail(1, now, text);
        }
        *highest = effect.epoch;
        // A balancer hands on in the actor's name.
        if effect.origin.is_none() && self.specs[node].role != Role::Proxy {
            return;
        }
        let author = effect.origin.unwrap_or(me);
        if let Some(other) = self.author(effect.from, effect.epoch, Some(author)) {
            let text = format!(
                "effects of slot {slot} in epoch {} were accepted from node {} and from node {}: a {} of a {} at node {}",
                effect.epoch.0,
                other.0,
                author.0,
                effect.kind,
                effect.from.kind(),
                me.0
            );
            self.fail(1, now, text);
        }
        let Some(group) = self.table.group_of_slot(slot) else { return };
        if let Some(place) = self.awaited.get(&group).copied()
            && self.table.group(group).is_some_and(|row| row.epoch == effect.epoch)
        {
            self.awaited.remove(&group);
            let takeover = &mut self.takeovers[place];
            takeover.effect_ms = Some((now / 1_000).saturating_sub(takeover.at_ms));
        }
    }

    /// A node obeys a table.
    pub fn on_table(&mut self, now: u64, place: usize, table: &Table, scene: &Scene) {
        let me = scene.nodes[place].id;
        if table.version > self.table.version {
            self.check_table(now, table);
            let old = std::mem::replace(&mut self.table, table.clone());
            self.tell_changes(now, &old, table);
        }
        // The moment that the next owner obeys: what a take-over is timed by.
        for row in &table.groups {
            let Some(last) = self.changed.get(&row.group).copied() else { continue };
            if row.active != Some(me) || last != NEWS | row.epoch.0 {
                continue;
            }
            self.changed.insert(row.group, row.epoch.0);
            if let Some(place) = self.awaited.get(&row.group).copied() {
                let takeover = &mut self.takeovers[place];
                takeover.owned_ms = (now / 1_000).saturating_sub(takeover.at_ms);
            }
        }
    }

    /// I5, and what must hold of every table.
    fn check_table(&mut self, now: u64, table: &Table) {
        let chassis = |node: NodeId| self.specs.get(usize::from(node.0).wrapping_sub(1)).map(|spec| spec.chassis);
        let mut wrongs = Vec::new();
        for row in &table.groups {
            let (active, standby) = (row.active.and_then(chassis), row.standby.and_then(chassis));
            if active.is_some() && active == standby {
                wrongs.push((5, format!("both replicas of group {} stand on one chassis", row.group.0)));
            }
            if let Some(old) = self.table.group(row.group) {
                if row.epoch < old.epoch {
                    wrongs.push((
                        1,
                        format!("the epoch of group {} fell from {} to {}", row.group.0, old.epoch.0, row.epoch.0),
                    ));
                }
                if row.epoch == old.epoch && row.active != old.active && old.active.is_some() {
                    wrongs.push((1, format!("group {} has two owners in epoch {}", row.group.0, row.epoch.0)));
                }
            }
        }
        if !table.slots.is_empty() {
            let slots: u32 = table.slots.iter().map(|(slots, _)| u32::from(*slots)).sum();
            if slots != u32::from(SLOTS) {
                wrongs.push((3, format!("the table speaks of {slots} slots")));
            }
        }
        for (invariant, text) in wrongs {
            self.fail(invariant, now, text);
        }
    }

    fn tell_changes(&mut self, now: u64, old: &Table, new: &Table) {
        let place = |node: Option<NodeId>| node.and_then(|node| usize::from(node.0).checked_sub(1));
        for row in &new.groups {
            let before = old.group(row.group);
            if before != Some(row) {
                self.moved.insert(row.group, now);
            }
            if before.is_some_and(|before| before.epoch == row.epoch && before.active == row.active) {
                continue;
            }
            let text = format!("group {} epoch {}", row.group.0, row.epoch.0);
            self.tell(now, place(row.active), "owns", text);
            let Some(from) = before.and_then(|before| place(before.active)) else { continue };
            let Some(to) = place(row.active) else { continue };
            let filling = before.is_some_and(|before| before.standby == row.active && !before.full);
            self.took_over(now, format!("group {}", row.group.0), from, to, filling);
            self.awaited.insert(row.group, self.takeovers.len() - 1);
            self.changed.insert(row.group, NEWS | row.epoch.0);
        }
    }

    /// Whether a group has been as it is for a while.
    fn is_settled(&self, group: GroupId, now: u64) -> bool {
        self.moved.get(&group).is_some_and(|moved| moved + CALM_US <= now)
    }

    fn took_over(&mut self, now: u64, what: String, from: usize, to: usize, filling: bool) {
        let fault = self.hurt.get(&from).copied();
        let since = fault.or_else(|| self.asked.get(&from).copied()).unwrap_or(now);
        let again = self.takeovers.iter().any(|old| {
            old.what == what && !old.planned && old.at_ms + 10_000 > since / 1_000 && old.to == self.name(from)
        });
        self.sometimes.hit(if fault.is_some() { "take-over" } else { "operator moved a group" });
        if fault.is_some() && filling {
            self.sometimes.hit("standby promoted while it was filled");
        }
        if again && fault.is_some() {
            self.sometimes.hit("take-over of a take-over");
        }
        let (from, to) = (self.name(from), self.name(to));
        let owned_ms = (now.saturating_sub(since)) / 1_000;
        let (at_ms, planned) = (since / 1_000, fault.is_none());
        self.takeovers.push(Takeover { what, from, to, at_ms, owned_ms, effect_ms: None, planned });
    }

    fn name(&self, place: usize) -> String {
        format!("node {}", self.specs[place].id.0)
    }

    pub fn address_moved(&mut self, now: u64, site: usize, node: usize) {
        let own = self.sites[site];
        self.tell(now, Some(node), "holds", format!("address of site {}", self.specs[own].id.0));
        let from = if node == own { None } else { Some(own) };
        if let Some(from) = from.filter(|from| self.hurt.contains_key(from)) {
            self.sometimes.hit("site taken over");
            self.took_over(now, format!("site {}", self.specs[own].id.0), from, node, false);
        }
    }
}

impl ClusterLab {
    /// What rooms and ports of a node have taken from actors.
    pub(super) fn accepted(&mut self, node: usize, doings: &mut Doings) {
        let me = self.id(node);
        let table =
            self.nodes[node].host.as_ref().filter(|_| !doings.accepted.is_empty()).map(|host| host.office.table());
        for effect in doings.accepted.drain(..) {
            // What comes from elsewhere is held against the table that this node obeys.
            let actor =
                effect.origin.and_then(|node| self.scene.place(node)).filter(|place| self.role(*place) == Role::Proxy);
            let known = actor.and(table.as_ref()).and_then(|table| table.owner_of(effect.from));
            if let Some(row) = known.filter(|row| effect.epoch < row.epoch) {
                let text = format!(
                    "node {} took a {} of group {} in epoch {} and knows of epoch {}",
                    me.0, effect.kind, row.group.0, effect.epoch.0, row.epoch.0
                );
                self.watch.fail(1, self.now, text);
            }
            if !effect.keyed {
                self.watch.accepted(self.now, node, me, &effect);
            }
            if effect.origin.is_none() {
                self.watch_lease(node, effect.kind);
            }
        }
    }

    /// I2: a node acts only inside its lease.
    fn watch_lease(&mut self, node: usize, kind: &'static str) {
        if self.role(node) != Role::Proxy || self.scene.plan.topology.directors < 3 {
            return;
        }
        let own = &self.nodes[node];
        let Some(host) = &own.host else { return };
        if host.office.status(own.clock.now(self.now)).lease_ms == 0 {
            let text = format!("node {} acts without a lease: {kind}", self.id(node).0);
            self.watch.fail(2, self.now, text);
        }
    }

    pub(super) fn watch_sent(&mut self, from: usize, parcel: &Parcel) {
        let Parcel::Mail { receipt, mail } = parcel else { return };
        if let (Letter::Silences(_), Address::Director(leader)) = (&mail.letter, mail.to) {
            self.watch.leader = self.scene.place(leader);
        }
        if mail.from.slot().is_none() || mail.to.slot().is_some() || mail.letter.is_harmless() {
            return;
        }
        // Letters that are sent again were posted under an earlier lease; acceptors fence them.
        let last = self.watch.sent.entry(from).or_default();
        if *receipt != 0 && *receipt <= *last {
            return;
        }
        *last = (*last).max(*receipt);
        self.watch_lease(from, mail.letter.kind());
        if let Some(said) = said_to_caller(mail) {
            self.watch_recorded(from, mail.from, said);
        }
    }

    /// I8, I6: what promises something to a caller stands in a record that a second chassis has taken, effect by effect.
    /// What leaves without is counted by its node in the same moment, and only for want of a standby that can take it.
    fn watch_recorded(&mut self, node: usize, call: Address, said: Said) {
        if self.watch.recorded.contains_key(&said.hash) {
            return;
        }
        let Some(host) = &self.nodes[node].host else { return };
        let counted = host.office.unprotected() > self.watch.unprotected;
        self.watch.sometimes.hit("unprotected effect");
        let row = host.office.table().owner_of(call).cloned();
        let full = row.as_ref().is_some_and(|row| row.full && row.standby.is_some());
        let calm = self.menu.is_calm(self.now) && row.is_some_and(|row| self.watch.is_settled(row.group, self.now));
        let why = match counted {
            false => "and nobody has counted it",
            true if full && calm => "though the standby is full and nothing is wrong",
            true => return,
        };
        let attempt = self.street.book.attempt_of(&said.call_id);
        let invariant = if said.status < 200 { 8 } else { 6 };
        let (status, id) = (said.status, self.id(node).0);
        let text = format!("a {status} leaves node {id} before a second chassis knows of it, {why}");
        self.watch.fail_call(invariant, self.now, attempt, text);
    }

    pub(super) fn watch_arrived(&mut self, _from: usize, to: usize, parcel: &Parcel) {
        self.watch_stale(to, parcel);
        if let Parcel::Record(record) = parcel
            && matches!(record.address, Address::Call(_))
        {
            self.watch.images.insert(record.address);
            let said = record.effects.iter().filter_map(said_to_caller);
            self.watch.recorded.extend(said.map(|said| (said.hash, ())));
        }
    }

    /// A former owner's letter comes to a node that knows better: who of it refuses.
    fn watch_stale(&mut self, to: usize, parcel: &Parcel) {
        let Parcel::Mail { mail, .. } = parcel else { return };
        if mail.from.slot().is_none() || mail.letter.is_harmless() {
            return;
        }
        let is_old = |table: &Table| table.owner_of(mail.from).is_some_and(|row| mail.epoch < row.epoch);
        if !is_old(&self.watch.table) || !self.nodes[to].host.as_ref().is_some_and(|host| is_old(&host.office.table()))
        {
            return;
        }
        self.watch.sometimes.hit(match mail.to {
            Address::Balancer(..) => "stale letter refused by a balancer",
            Address::Anchor(..) => "stale letter refused by an anchor",
            _ => "stale letter refused by an actor",
        });
    }

    /// Whether the node that an owner takes over from still believes that it may act.
    pub(super) fn watch_leases(&mut self, place: usize, table: &Table) {
        let me = self.id(place);
        for row in table.groups.iter().filter(|row| row.active == Some(me)) {
            let other = (0..self.nodes.len()).filter(|other| *other != place).find(|other| {
                let node = &self.nodes[*other];
                let Some(host) = node.host.as_ref().filter(|_| !node.paused && self.role(*other) == Role::Proxy) else {
                    return false;
                };
                let theirs = host.office.table();
                let owns =
                    |own: &fabric::ownership::Ownership| own.active == Some(self.id(*other)) && own.epoch < row.epoch;
                theirs.group(row.group).is_some_and(owns) && host.office.status(node.clock.now(self.now)).lease_ms > 0
            });
            let Some(other) = other.filter(|other| !self.watch.asked.contains_key(other)) else { continue };
            self.watch.sometimes.hit("two owners inside their leases");
            // What the guard is worth: docs/RELIABILITY.md, lease and epoch.
            if self.scene.drift_permille() <= 80 {
                let (theirs, group) = (self.id(other).0, row.group.0);
                let text = format!("node {theirs} still has a lease while node {} owns group {group}", me.0);
                self.watch.fail(2, self.now, text);
            }
        }
    }

    /// I27: nothing that a phone gets names another phone's private address.
    pub(super) fn watch_edge(&mut self, _node: usize, device: usize, bytes: &[u8]) {
        let Ok(view) = View::parse(bytes, &self.watch.limits) else { return };
        if !view.is_request() {
            return;
        }
        let own = self.scene.script.devices[device].private.ip().to_string();
        for name in [Name::Via, Name::Contact, Name::RecordRoute, Name::CallId, Name::From] {
            for value in view.headers(name) {
                let text = String::from_utf8_lossy(value);
                if text.contains("192.168.") && !text.contains(&own) {
                    let what = format!("device {device} is told of an inside address: {name:?}: {text}");
                    self.watch.fail(27, self.now, what);
                }
            }
        }
    }
}

/// A response to an INVITE that lets a caller believe in something.
struct Said {
    hash: u64,
    status: u16,
    call_id: Vec<u8>,
}

fn said_to_caller(mail: &Envelope) -> Option<Said> {
    let (Letter::SipOut(out), Address::Call(_)) = (&mail.letter, mail.from) else { return None };
    let view = out.message.view();
    let status = view.status()?.code();
    if view.method() != Method::Invite || status >= 300 {
        return None;
    }
    let slot = mail.from.slot().unwrap_or_default().to_le_bytes();
    let hash = hash64(b"said to a caller", &[&slot, view.bytes()]);
    Some(Said { hash, status, call_id: view.call_id().unwrap_or_default().to_vec() })
}

#[cfg(test)]
mod tests;

/// Marks an epoch whose owner has not obeyed yet.
const NEWS: u64 = 1 << 63;

/// After this long without a fault or a change nothing is left of it, microseconds.
pub(super) const CALM_US: u64 = 5_000_000;

/// Failures kept of a run; more of them say nothing new.
const WRONGS_MAX: usize = 200;

/// Moments kept for the timeline.
const MOMENTS_MAX: usize = 5_000;
