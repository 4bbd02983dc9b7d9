//! The cluster for people.

use serde_json::Value;

use super::{cell, items};
use crate::Failure;
use crate::http::Client;
use crate::screen::table;

/// What `GET /cluster` says, as tables.
pub(super) fn show(answer: &Value, width: usize) -> String {
    let mut text = format!(
        "cluster        {}, table {}, lease {} ms\n",
        cell(answer, "name"),
        cell(answer, "version"),
        cell(answer, "lease_ms")
    );
    if let Some(leader) = answer["leader"].as_u64() {
        text.push_str(&format!("directors      node {leader} leads\n"));
    }
    for warning in items(answer, "warnings").filter_map(Value::as_str) {
        text.push_str(&format!("warning        {warning}\n"));
    }
    let groups: Vec<Vec<String>> = items(answer, "groups")
        .map(|row| {
            let slots = &answer["slots"][row["group"].to_string()];
            let standby = match (row["standby"].is_null(), row["full"] == true) {
                (true, _) => "none".to_owned(),
                (_, true) => cell(row, "standby"),
                (_, false) => format!("{} (filling)", cell(row, "standby")),
            };
            let active = if row["active"].is_null() { "none".to_owned() } else { cell(row, "active") };
            vec![
                cell(row, "group"),
                cell(row, "pair"),
                slots.as_u64().unwrap_or(0).to_string(),
                cell(row, "epoch"),
                active,
                standby,
                cell(row, "role"),
                cell(row, "machines"),
                cell(row, "held"),
            ]
        })
        .collect();
    let headings = ["GROUP", "PAIR", "SLOTS", "EPOCH", "ACTIVE", "STANDBY", "HERE", "MACHINES", "HELD"];
    text.push_str(&format!("\n{}", table(&headings, &groups, width)));
    let sites: Vec<Vec<String>> =
        items(answer, "sites").map(|row| vec![cell(row, "site"), cell(row, "holder"), cell(row, "epoch")]).collect();
    text.push_str(&format!("\n{}", table(&["SITE", "HOLDER", "EPOCH"], &sites, width)));
    let nodes: Vec<Vec<String>> = items(answer, "nodes").map(node).collect();
    let headings = ["NODE", "NAME", "CHASSIS", "ROLES", "UP", "LINK", "ROUND TRIP", "TROUBLE"];
    text.push_str(&format!("\n{}", table(&headings, &nodes, width)));
    text
}

fn node(row: &Value) -> Vec<String> {
    let roles: Vec<&str> = items(row, "roles").filter_map(Value::as_str).collect();
    let yes = |value: &Value| if *value == true { "yes" } else { "no" }.to_owned();
    let link = if row["link"].is_null() { "this node".to_owned() } else { yes(&row["link"]) };
    let round_trip = row["round_trip_us"].as_f64().map_or(String::new(), |us| format!("{:.1} ms", us / 1000.0));
    vec![
        cell(row, "node"),
        cell(row, "name"),
        cell(row, "chassis"),
        roles.join(" "),
        yes(&row["up"]),
        link,
        round_trip,
        cell(row, "trouble"),
    ]
}

/// What `POST /cluster/reload` says.
pub(super) fn reloaded(answer: &Value) -> String {
    let list = |name: &str| {
        items(answer, name).map(|one| one.as_str().map_or(one.to_string(), str::to_owned)).collect::<Vec<_>>()
    };
    let mut text = String::new();
    for (name, what) in [("added", "added"), ("removed", "removed")] {
        for node in list(name) {
            text.push_str(&format!("node {node} {what}\n"));
        }
    }
    text.push_str(&format!("{} pairs\n", items(answer, "pairs").count()));
    let later = list("restart_for");
    if !later.is_empty() {
        text.push_str(&format!("not before a restart: {}\n", later.join(", ")));
    }
    text
}

/// Exit status 0 for active, 1 otherwise, with the reason either way.
pub(super) fn check_active(client: &Client) -> Result<(Value, String), Failure> {
    let answer = client.good("GET", "/cluster/active", None)?;
    let why = cell(&answer, "why");
    match answer["active"] == true {
        true => Ok((answer, format!("{why}\n"))),
        false => Err(Failure::refused(why)),
    }
}
