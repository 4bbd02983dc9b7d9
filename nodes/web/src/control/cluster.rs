//! Ownership: who has what, and the operator's word on it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fabric::letters::cluster::Order;
use fabric::{GroupId, NodeId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Refusal, Shared};

/// `GET /cluster`.
pub(super) async fn seen(State(control): Shared) -> Answer {
    control.switch.cluster().await.map(Json).ok_or_else(alone)
}

/// `GET /cluster/active`: whether this node is active for something, and a line that says so.
pub(super) async fn active(State(control): Shared) -> Answer {
    let cluster = control.switch.node.cluster().ok_or_else(alone)?;
    let me = &cluster["node"];
    let rows = |key: &str| cluster[key].as_array().cloned().unwrap_or_default();
    let of = |role: &str| {
        let groups = rows("groups");
        let numbers: Vec<String> =
            groups.iter().filter(|row| row["role"] == role).map(|row| row["group"].to_string()).collect();
        numbers.join(", ")
    };
    let sites: Vec<String> =
        rows("sites").iter().filter(|row| row["holder"] == *me).map(|row| row["site"].to_string()).collect();
    let (groups, standby, sites) = (of("active"), of("standby"), sites.join(", "));
    let mut said = Vec::new();
    for (what, which) in [("is active for group", &groups), ("holds site", &sites), ("is standby for group", &standby)]
    {
        if !which.is_empty() {
            said.push(format!("{what} {which}"));
        }
    }
    if cluster["version"] == 0 {
        said.push("has heard of no director yet".to_owned());
    } else if said.is_empty() {
        said.push("has no part in any group".to_owned());
    }
    let is_active = !groups.is_empty() || !sites.is_empty();
    Ok(Json(json!({"active": is_active, "why": format!("node {me} {}", said.join(", "))})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    /// Default: all.
    group: Option<u16>,
    /// Default: this node.
    node: Option<u16>,
    /// Take it although the active node says nothing and the directors cannot know that it is dead.
    #[serde(default)]
    force: bool,
}

/// `POST /cluster/make-active`.
pub(super) async fn make_active(State(control): Shared, Json(wanted): Json<Move>) -> Answer {
    let node = wanted.node.map_or(control.switch.home.node, NodeId);
    let group = wanted.group.map(GroupId);
    let order = match wanted.force {
        false => Order::MakeActive { node, group },
        true => Order::Force { node, group },
    };
    carry_out(&control, order).await
}

/// `POST /cluster/make-standby`.
pub(super) async fn make_standby(State(control): Shared, Json(wanted): Json<Move>) -> Answer {
    let node = wanted.node.map_or(control.switch.home.node, NodeId);
    carry_out(&control, Order::MakeStandby { node, group: wanted.group.map(GroupId) }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hold {
    /// Default: this node's own.
    site: Option<u16>,
    /// Default: this node.
    node: Option<u16>,
}

/// `POST /cluster/hold-site`.
pub(super) async fn hold_site(State(control): Shared, Json(wanted): Json<Hold>) -> Answer {
    let node = wanted.node.map_or(control.switch.home.node, NodeId);
    let site = wanted.site.map_or(control.switch.home.node, NodeId);
    carry_out(&control, Order::HoldSite { site, node }).await
}

/// `POST /cluster/reload`.
pub(super) async fn reload(State(control): Shared) -> Answer {
    let answer = control.switch.node.reload().await.map_err(|why| Refusal(StatusCode::CONFLICT, why))?;
    tracing::info!(target: "audit", %answer, "reload");
    Ok(Json(answer))
}

async fn carry_out(control: &super::Control, order: Order) -> Answer {
    if control.switch.node.cluster().is_none() {
        return Err(alone());
    }
    control.switch.order(order).await?;
    tracing::info!(target: "audit", ?order, "order");
    Ok(Json(json!({"done": true})))
}

fn alone() -> Refusal {
    Refusal(StatusCode::NOT_FOUND, "this node is alone: its configuration has no section [cluster]".to_owned())
}

/// Why a node of a cluster does not take part yet; `None` when it does.
pub(super) fn why_not_ready(cluster: &Value) -> Option<String> {
    if cluster["version"] == 0 {
        return Some("no director has been heard: are a majority of them running, and do the links stand?".to_owned());
    }
    let groups = cluster["groups"].as_array()?;
    let orphans = groups.iter().filter(|row| row["active"].is_null()).count();
    (orphans == groups.len() && orphans > 0).then(|| format!("none of {orphans} groups has an active node"))
}
