//! The cluster as this node sees it.

use fabric::{Now, zone};
use serde_json::{Value, json};
use web::metrics::Page;

use crate::boot::Membership;

/// For `tandem ctl status` and `/cluster`.
pub(super) fn status(membership: &Membership, now: Now) -> Value {
    let status = membership.office.status(now);
    let table = membership.office.table();
    let link = |node: fabric::NodeId| membership.links.peers().into_iter().find(|peer| peer.node == node);
    let roster = membership.roster();
    let members: Vec<Value> = roster
        .members
        .iter()
        .map(|member| {
            let node = fabric::NodeId(member.node);
            let known = table.members.iter().find(|row| row.node == node);
            let peer = link(node);
            let own = node == membership.me;
            json!({
                "node": member.node,
                "name": member.name,
                "chassis": member.chassis,
                "roles": member.roles.iter().map(|role| role.name()).collect::<Vec<_>>(),
                "up": known.is_some_and(|row| row.up),
                "link": if own { Value::Null } else { json!(peer.as_ref().is_some_and(|peer| peer.connected)) },
                "round_trip_us": peer.as_ref().and_then(|peer| peer.round_trip).map(|length| length.as_micros() as u64),
                "trouble": peer.map(|peer| peer.trouble).unwrap_or_default(),
            })
        })
        .collect();
    let sites: Vec<Value> = table
        .sites
        .iter()
        .map(|row| json!({"site": row.site.0, "holder": row.holder.0, "epoch": row.epoch.0}))
        .collect();
    json!({
        "name": membership.name,
        "node": membership.me.0,
        "boot": membership.boot.to_string(),
        "version": status.version,
        "lease_ms": status.lease_ms,
        "groups": status.groups.iter().map(group).collect::<Vec<_>>(),
        "slots": slots(&table),
        "sites": sites,
        "nodes": members,
        "counts": status.counts,
        "warnings": warnings(roster.warnings, &status.warning),
    })
}

fn group(row: &office::GroupStatus) -> Value {
    json!({
        "group": row.group.0,
        "pair": zone::of_pair(row.pair).1,
        "zone": zone::of_pair(row.pair).0,
        "epoch": row.epoch.0,
        "active": row.active.map(|node| node.0),
        "standby": row.standby.map(|node| node.0),
        "full": row.full,
        "role": row.role,
        "machines": row.machines,
        "dormant": row.dormant,
        "held": row.held,
        "record": row.number,
    })
}

/// Slots of each group, by its number.
fn slots(table: &fabric::Table) -> Value {
    let mut counts = serde_json::Map::new();
    for (slots, group) in &table.slots {
        let count = counts.entry(group.0.to_string()).or_insert(json!(0));
        *count = json!(count.as_u64().unwrap_or(0) + u64::from(*slots));
    }
    Value::Object(counts)
}

fn warnings(mut all: Vec<String>, said: &str) -> Vec<String> {
    if !said.is_empty() && !all.iter().any(|known| known == said) {
        all.push(said.to_owned());
    }
    all
}

pub(super) fn metrics(page: &mut Page, membership: &Membership, now: Now) {
    let status = membership.office.status(now);
    page.one("cluster_table_version", "gauge", "Version of the ownership table in force.", status.version);
    page.one("cluster_lease_ms", "gauge", "What the node's lease has left.", status.lease_ms);
    page.family("cluster_group_epoch", "gauge", "Epoch of a group, by what this node is for it.");
    for row in &status.groups {
        let (group, pair) = (row.group.0.to_string(), zone::of_pair(row.pair).1.to_string());
        page.sample(
            "cluster_group_epoch",
            &[("group", &group), ("pair", &pair), ("role", row.role)],
            row.epoch.0 as f64,
        );
    }
    page.family("cluster_group_machines", "gauge", "Machines or images of a group that this node holds.");
    for row in &status.groups {
        let group = row.group.0.to_string();
        page.sample("cluster_group_machines", &[("group", &group), ("role", row.role)], row.machines as f64);
    }
    let unprotected = status.groups.iter().filter(|row| row.role == "active" && !row.full).count();
    page.one("cluster_groups_alone", "gauge", "Groups active here without a full standby.", unprotected as u64);
    let counts = &status.counts;
    page.family("cluster_total", "counter", "What the office counts: see docs/operations/cluster.md.");
    for (what, count) in [
        ("stale_letters", counts.stale_letters),
        ("stale_records", counts.stale_records),
        ("stale_taken", counts.stale_taken),
        ("unprotected", counts.unprotected),
        ("resent", counts.resent),
        ("given_up", counts.given_up),
        ("take_overs", counts.take_overs),
        ("cold_starts", counts.cold_starts),
        ("restored", counts.restored),
        ("unreadable", counts.unreadable),
        ("fills", counts.fills),
        ("differences", counts.differences),
        ("records_out", counts.records_out),
        ("records_in", counts.records_in),
    ] {
        page.sample("cluster_total", &[("what", what)], count as f64);
    }
    page.family("link_up", "gauge", "1 while the link to this node has a connection.");
    for peer in membership.links.peers() {
        page.sample("link_up", &[("node", &peer.node.0.to_string())], f64::from(u8::from(peer.connected)));
    }
}
