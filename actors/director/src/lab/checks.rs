//! What must hold after every step, whatever happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use fabric::{GroupId, Instant, NodeId, SLOTS, Table};

use super::office::Office;

pub(crate) struct Checks {
    pub seed: u64,
    /// Every table that was ever decided.
    tables: BTreeMap<u64, Arc<Table>>,
    /// How often two tables of the same group were compared, and offices were looked at: a check that never looks finds nothing.
    pub looks: u64,
    samples: BTreeMap<(u64, usize), GroupId>,
}

impl Checks {
    pub fn new(seed: u64) -> Checks {
        Checks { seed, tables: BTreeMap::new(), looks: 0, samples: BTreeMap::new() }
    }

    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// A director has this table: there is one of each version, and what follows another may follow it.
    pub fn on_table(&mut self, table: &Arc<Table>) {
        if table.version == 0 {
            return;
        }
        let seed = self.seed;
        if let Some(known) = self.tables.get(&table.version) {
            assert!(
                Arc::ptr_eq(known, table) || **known == **table,
                "seed {seed}: two tables of version {}",
                table.version
            );
            return;
        }
        if let Some((_, before)) = self.tables.range(..table.version).next_back() {
            follows(seed, before, table);
        }
        if let Some((_, after)) = self.tables.range(table.version..).next() {
            follows(seed, table, after);
        }
        self.looks += 1;
        for row in &table.groups {
            let chassis =
                |node| table.members.iter().find(|member| Some(member.node) == node).map(|member| member.chassis);
            let apart = row.standby.is_none() || chassis(row.active) != chassis(row.standby);
            assert!(apart, "seed {seed}: both replicas of group {} on one chassis", row.group.0);
            assert!(row.active.is_none() || row.active != row.standby, "seed {seed}: its own standby");
        }
        assert_eq!(table.slots.iter().map(|(slots, _)| *slots).sum::<u16>(), SLOTS, "seed {seed}: all slots");
        self.tables.insert(table.version, Arc::clone(table));
    }

    /// Nobody acts where another one may (I1, I2).
    pub fn on_offices<'a>(&mut self, offices: impl Iterator<Item = (NodeId, &'a Office, Instant)>, lease: bool) {
        let mut actors: [Option<(NodeId, u64)>; SAMPLES] = [None; SAMPLES];
        for (node, office, now) in offices {
            if office.boot == 0 || (lease && !office.has_lease(now)) {
                continue;
            }
            let version = office.table.version;
            let acting: Vec<GroupId> = office.groups().filter(|group| office.acts(*group, now, lease)).collect();
            if acting.is_empty() {
                continue;
            }
            for (at, actor) in actors.iter_mut().enumerate() {
                if !self.sample(&office.table, at).is_some_and(|group| acting.contains(&group)) {
                    continue;
                }
                self.looks += 1;
                if let Some((other, its)) = actor {
                    panic!(
                        "seed {}: nodes {} (table {its}) and {} (table {version}) both act for slot {}",
                        self.seed,
                        other.0,
                        node.0,
                        slot(at)
                    );
                }
                *actor = Some((node, version));
            }
        }
    }

    fn sample(&mut self, table: &Table, at: usize) -> Option<GroupId> {
        if table.version == 0 {
            return None;
        }
        let group = self
            .samples
            .entry((table.version, at))
            .or_insert_with(|| table.group_of_slot(slot(at)).expect("every slot has a group"));
        Some(*group)
    }
}

/// Epochs do not go back, and an epoch has one active node.
fn follows(seed: u64, before: &Table, after: &Table) {
    for row in &after.groups {
        let Some(old) = before.group(row.group) else { continue };
        assert!(row.epoch >= old.epoch, "seed {seed}: epoch of group {} went back", row.group.0);
        let same = row.active == old.active || row.epoch > old.epoch;
        assert!(same, "seed {seed}: two active nodes of group {} in epoch {}", row.group.0, row.epoch.0);
        // Only an active node that moves its own standby away loses a full one.
        if row.epoch == old.epoch
            && row.standby != old.standby
            && row.standby.is_some()
            && old.standby.is_some()
            && old.full
        {
            assert!(row.full, "seed {seed}: group {} lost a full standby to an empty one", row.group.0);
        }
    }
    for site in &after.sites {
        let old = before.sites.iter().find(|old| old.site == site.site);
        let moved = old.is_some_and(|old| old.holder != site.holder && old.epoch >= site.epoch);
        assert!(!moved, "seed {seed}: a site moved without a new epoch");
    }
}

fn slot(at: usize) -> u16 {
    (at * usize::from(SLOTS) / SAMPLES) as u16
}

/// Slots that are looked at.
const SAMPLES: usize = 24;
