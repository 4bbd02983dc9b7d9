//! The operator's file is read again while the node runs: nodes and pairs come and go. What else has changed there waits
//! for the next start, and is named.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use fabric::letters::control::{Control, ControlAnswer, Members};
use fabric::{Address, Letter, NodeId, Table};
use ports::links::PeerSettings;
use serde_json::{Value, json};
use tracing::info;

use super::cluster::Membership;
use crate::config::Config;
use crate::config::cluster::{Cluster, Member, votes};

/// What a node runs with, and where it stands.
pub(crate) struct Running {
    /// `None` when the configuration came from no file.
    file: Option<PathBuf>,
    /// As at the start, but for what was read again.
    config: Config,
    /// The text of the start, as a table: what differs from it later waits for a restart.
    text: toml::Table,
}

impl Running {
    pub fn new(config: &Config) -> Running {
        let file = config.origin.as_ref().map(|origin| origin.file.clone());
        let text = config.origin.as_ref().map(|origin| origin.text.parse().unwrap_or_default());
        Running { file, config: config.clone(), text: text.unwrap_or_default() }
    }
}

impl Membership {
    /// Reads the file again and follows it. The answer names nodes that were added and removed, pairs as they are now, and
    /// sections that wait for a restart. Errors, in a sentence: nothing has changed then.
    pub async fn reload(&self) -> Result<Value, String> {
        // One after the other: two readings of different files would mix.
        let mut running = self.running.lock().await;
        let file = running.file.clone().ok_or_else(|| "this node was not started from a file".to_owned())?;
        let config = Config::load(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let (old, _) = running.config.member().ok_or_else(|| "this node is alone".to_owned())?;
        let (cluster, me) = config.member().ok_or_else(|| "the file has no section [cluster] any more".to_owned())?;
        may_follow(&running.config, &config, &self.office.table())?;
        if config.is_director() {
            self.tell_director(cluster).await?;
        }
        let peers: Vec<PeerSettings> = cluster.links(me).peers;
        self.links.follow(peers).await.map_err(|error| error.to_string())?;
        self.set_roster(&config);
        let added = without(&cluster.nodes, &old.nodes);
        let removed = without(&old.nodes, &cluster.nodes);
        let later = differences(&running.text, config.origin.as_ref().map_or("", |origin| &origin.text));
        info!(?added, ?removed, pairs = cluster.pairs.len(), ?later, "the configuration is read again");
        let pairs: Vec<Value> =
            cluster.pairs.iter().map(|pair| json!({"pair": pair.pair, "nodes": pair.nodes})).collect();
        let answer = json!({"added": added, "removed": removed, "pairs": pairs, "restart_for": later});
        running.config = config;
        Ok(answer)
    }

    async fn tell_director(&self, cluster: &Cluster) -> Result<(), String> {
        let settings = cluster.director();
        let nodes = settings.members.into_iter().map(|member| (member.node, member.chassis, member.name)).collect();
        let pairs = settings.pairs.iter().map(|pair| (pair.pair, pair.nodes)).collect();
        let letter = Letter::Control(Box::new(Control::Members(Members { nodes, pairs })));
        match self.exchange.ask(Address::Director(self.me), letter, TELL_PATIENCE).await {
            Letter::ControlAnswer(answer) => match *answer {
                ControlAnswer::Refused(why) => Err(why),
                _ => Ok(()),
            },
            Letter::Returned(fault) => Err(format!("the director does not answer: {}", fault.what)),
            _ => Err("the director does not answer".to_owned()),
        }
    }
}

/// What a running node cannot follow, in a sentence.
fn may_follow(old: &Config, new: &Config, table: &Table) -> Result<(), String> {
    let (Some((was, me)), Some((is, now))) = (old.member(), new.member()) else {
        return Err("a node does not join or leave a cluster without a restart".to_owned());
    };
    if old.node != new.node || me != now {
        return Err(format!("the row of this node (number {}) has changed: that needs a restart", old.node));
    }
    let voters = |cluster: &Cluster| -> Vec<Member> {
        cluster.nodes.iter().filter(|member| votes(member.roles)).cloned().collect()
    };
    if voters(was) != voters(is) {
        return Err(
            "directors have changed: they change one at a time, each with a restart of all directors".to_owned()
        );
    }
    let balancers = |cluster: &Cluster| -> Vec<Member> { cluster.balancers().cloned().collect() };
    if balancers(was) != balancers(is) || was.sites != is.sites {
        return Err("balancers or sites have changed: that needs a restart of the nodes, one after another".to_owned());
    }
    if was.zones() != is.zones() {
        return Err("there are more or fewer zones than before: that needs a restart of all nodes at once".to_owned());
    }
    for member in &is.nodes {
        if was.member(member.node).is_some_and(|before| before.chassis != member.chassis) {
            return Err(format!("node {} stands on another chassis: give it another number", member.node));
        }
    }
    for node in without(&was.nodes, &is.nodes) {
        let id = Some(NodeId(node));
        let holds =
            |row: &&fabric::ownership::Ownership| [row.active, row.standby, row.learner, row.next].contains(&id);
        if let Some(row) = table.groups.iter().find(holds) {
            return Err(format!(
                "node {node} still has a part in group {}: take its pair out first, and the node when `tandem ctl cluster` shows that it holds nothing",
                row.group.0
            ));
        }
    }
    Ok(())
}

/// Numbers of nodes that are here and not there.
fn without(here: &[Member], there: &[Member]) -> Vec<u16> {
    let there: BTreeSet<u16> = there.iter().map(|member| member.node).collect();
    here.iter().map(|member| member.node).filter(|node| !there.contains(node)).collect()
}

/// Keys and sections that differ, but for nodes and pairs of the cluster.
fn differences(old: &toml::Table, new: &str) -> Vec<String> {
    let new: toml::Table = new.parse().unwrap_or_default();
    let mut found = changed("", old, &new, &["cluster"]);
    let empty = toml::Table::new();
    let of = |table: &'_ toml::Table| table.get("cluster").and_then(toml::Value::as_table).cloned();
    let (before, after) = (of(old).unwrap_or_else(|| empty.clone()), of(&new).unwrap_or(empty));
    found.extend(changed("cluster.", &before, &after, &["nodes", "pairs"]));
    found
}

fn changed(prefix: &str, old: &toml::Table, new: &toml::Table, but: &[&str]) -> Vec<String> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).filter(|key| !but.contains(&key.as_str())).collect();
    keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).map(|key| format!("{prefix}{key}")).collect()
}

/// Longest wait for the director of this node.
const TELL_PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
