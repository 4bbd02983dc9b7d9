//! Floating addresses: they follow their site to whoever holds it, by a command of the operator's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fabric::NodeId;
use office::Office;
use tokio::process::Command;
use tracing::{info, warn};

use crate::config::Config;

/// Keeps the addresses of this machine as the table wants them.
pub(super) struct Addresses {
    me: NodeId,
    office: Arc<Office>,
    up: Vec<String>,
    down: Vec<String>,
    deadline: Duration,
    floating: BTreeMap<NodeId, BTreeSet<IpAddr>>,
    held: BTreeSet<NodeId>,
}

impl Addresses {
    /// `None` when no address of this node moves.
    pub fn new(config: &Config, office: &Arc<Office>) -> Option<Addresses> {
        let cluster = config.cluster.as_ref()?;
        let mut floating: BTreeMap<NodeId, BTreeSet<IpAddr>> = BTreeMap::new();
        for site in config.sites() {
            for listen in config.listeners(site).filter(|listen| listen.floating) {
                floating.entry(site).or_default().insert(listen.address.ip());
            }
        }
        (!floating.is_empty()).then(|| Addresses {
            me: NodeId(config.node),
            office: office.clone(),
            up: cluster.address_up.clone(),
            down: cluster.address_down.clone(),
            deadline: Duration::from_millis(u64::from(cluster.address_deadline_ms)),
            floating,
            held: BTreeSet::new(),
        })
    }

    /// Takes every floating address away: one may be left over from a process that was killed.
    pub async fn clear(&self) {
        for (site, addresses) in &self.floating {
            self.all(&self.down, *site, addresses, true).await;
        }
    }

    /// Follows the table until the task is aborted.
    pub async fn run(mut self) {
        let mut version = 0;
        loop {
            let table = self.office.table();
            if table.version != version {
                version = table.version;
                let rows = table.sites.iter().filter(|row| row.holder == self.me);
                let ours: BTreeSet<NodeId> =
                    rows.map(|row| row.site).filter(|site| self.floating.contains_key(site)).collect();
                self.follow(ours).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn follow(&mut self, ours: BTreeSet<NodeId>) {
        for site in self.held.difference(&ours) {
            self.all(&self.down, *site, &self.floating[site], false).await;
        }
        for site in ours.difference(&self.held) {
            self.all(&self.up, *site, &self.floating[site], false).await;
        }
        self.held = ours;
    }

    async fn all(&self, command: &[String], site: NodeId, addresses: &BTreeSet<IpAddr>, quiet: bool) {
        for address in addresses {
            let filled: Vec<String> = command
                .iter()
                .map(|word| word.replace("{address}", &address.to_string()).replace("{site}", &site.0.to_string()))
                .collect();
            run(&filled, self.deadline, quiet).await;
        }
    }
}

/// Runs a command without a shell and says how it went; `quiet` when it may well fail.
async fn run(words: &[String], deadline: Duration, quiet: bool) {
    let Some((program, arguments)) = words.split_first() else { return };
    let line = words.join(" ");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let why = match tokio::time::timeout(deadline, command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            info!(command = line, "address moved");
            return;
        }
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("{}: {}", output.status, said.trim().chars().take(SAID_MAX).collect::<String>())
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("took longer than {} ms", deadline.as_millis()),
    };
    if !quiet {
        warn!(command = line, why, "the address was not moved");
    }
}

/// Pause between two looks at the table.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Of what a command says on its standard error, characters.
const SAID_MAX: usize = 200;
