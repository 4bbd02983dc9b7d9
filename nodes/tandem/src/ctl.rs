//! `tandem ctl`: what an operator asks of a running switch.

mod apply;
mod certificate;
mod cluster;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::http::{Client, encode};
use crate::ladder::{self, Message};
use crate::screen::{self, span, table};
use crate::{Failure, say};

#[derive(Args)]
pub struct Arguments {
    /// The switch's control port.
    #[arg(long, global = true, default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    control: String,
    /// Print the switch's answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What the node is doing: calls, registrations, relays, listeners.
    Status,
    /// Who is reachable where; of one address-of-record when it is given.
    Registrations {
        #[arg(value_name = "USER@DOMAIN")]
        aor: Option<String>,
    },
    /// Calls that are going on.
    Calls,
    /// End a call.
    Hangup {
        /// Key of the call, as `calls` shows it.
        key: String,
    },
    /// The messages of a call as a ladder.
    Trace {
        /// Key of the call, as `calls` shows it, or the Call-ID of one of its legs.
        #[arg(value_name = "KEY-OR-CALL-ID", required_unless_present = "last")]
        call: Option<String>,
        /// The most recent call.
        #[arg(long, conflicts_with = "call")]
        last: bool,
        /// Print the messages themselves instead of the ladder.
        #[arg(long)]
        full: bool,
    },
    /// Addresses whose messages are dropped.
    Bans,
    /// Drop all messages from an address.
    Ban {
        address: std::net::IpAddr,
        /// How long, seconds.
        #[arg(long, default_value_t = 3_600)]
        seconds: u32,
        /// Why, for people.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take messages from an address again.
    Unban { address: std::net::IpAddr },
    /// Refuse new calls and registrations; running calls go on.
    Drain,
    /// Take new calls and registrations again.
    Undrain,
    /// Exit 0 when the node takes calls, 1 and why when it does not.
    Ready,
    /// The cluster as this node sees it: groups, sites, nodes and links.
    Cluster,
    /// Exit 0 when the node is active for a group or holds a site, 1 when it is standby or nothing.
    CheckActive,
    /// Make the node active for what it is the full standby of, without loss.
    MakeActive {
        /// Only this group.
        #[arg(long)]
        group: Option<u16>,
        /// Another node than the one that is asked.
        #[arg(long)]
        node: Option<u16>,
        /// Take over although the directors cannot know that the active node is dead. Only when you have seen that it is:
        /// two active nodes are the worst that can happen to a pair.
        #[arg(long)]
        force: bool,
    },
    /// Hand what the node is active for to its standbys, without loss.
    MakeStandby {
        /// Only this group.
        #[arg(long)]
        group: Option<u16>,
        /// Another node than the one that is asked.
        #[arg(long)]
        node: Option<u16>,
    },
    /// Let the node hold the addresses of a balancer site.
    HoldSite {
        /// Number of the site; default the node's own.
        site: Option<u16>,
        /// Another node than the one that is asked.
        #[arg(long)]
        node: Option<u16>,
    },
    /// Read the configuration again: nodes and pairs that were added to or taken out of the file come and go without a restart.
    Reload,
    /// Change what is logged: error, warn, info, debug, trace, or a filter like info,call=debug.
    Log { level: String },
    /// Provision domains, customers, subscribers and preferences from a YAML file, through the API; what is there already is updated.
    Apply(apply::Arguments),
    /// Make and show the certificates by which the nodes of a cluster know each other.
    Certificate(certificate::Arguments),
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Command::Apply(apply) = &arguments.command {
        return apply::run(apply, arguments.json);
    }
    if let Command::Certificate(certificate) = &arguments.command {
        return certificate::run(certificate, arguments.json);
    }
    let client = Client::control(&arguments.control);
    let (answer, text) = ask(&client, &arguments.command)?;
    match arguments.json {
        true => say(&format!("{}\n", serde_json::to_string_pretty(&answer).unwrap_or_default())),
        false => say(&text),
    }
    Ok(())
}

/// The switch's answer, and what it looks like to people.
fn ask(client: &Client, command: &Command) -> Result<(Value, String), Failure> {
    let get = |path: &str| client.good("GET", path, None);
    let post = |path: &str, body: Value| client.good("POST", path, Some(&body));
    let width = screen::width();
    Ok(match command {
        Command::Status => with(get("/status")?, |answer| status(answer, width)),
        Command::Registrations { aor } => {
            let path =
                aor.as_ref().map_or("/registrations".to_owned(), |aor| format!("/registrations?aor={}", encode(aor)));
            with(get(&path)?, |answer| registrations(answer, width))
        }
        Command::Calls => with(get("/calls")?, |answer| calls(answer, width)),
        Command::Hangup { key } => {
            with(post(&format!("/calls/{}/hangup", encode(key)), json!({}))?, |_| format!("{key}: ended\n"))
        }
        Command::Trace { call, full, .. } => {
            let answer = get(&trace_path(call.as_deref()))?;
            let text = if *full { whole(&answer) } else { drawn(&answer, width)? };
            (answer, text)
        }
        Command::Bans => with(get("/bans")?, |answer| bans(answer, width)),
        Command::Ban { address, seconds, reason } => {
            let body = json!({"address": address, "seconds": seconds, "reason": reason});
            with(post("/bans", body)?, |_| format!("{address}: banned for {}\n", span(u64::from(*seconds))))
        }
        Command::Unban { address } => {
            let path = format!("/bans/{}", encode(&address.to_string()));
            with(client.good("DELETE", &path, None)?, |_| format!("{address}: no longer banned\n"))
        }
        Command::Drain => {
            with(post("/drain", json!({}))?, |_| "drained: new calls and registrations are refused\n".to_owned())
        }
        Command::Undrain => {
            with(post("/undrain", json!({}))?, |_| "new calls and registrations are taken\n".to_owned())
        }
        Command::Ready => with(get("/ready")?, |_| "ready\n".to_owned()),
        Command::Cluster => with(get("/cluster")?, |answer| cluster::show(answer, width)),
        Command::CheckActive => cluster::check_active(client)?,
        Command::MakeActive { group, node, force } => {
            let body = json!({"group": group, "node": node, "force": force});
            with(post("/cluster/make-active", body)?, |_| "active\n".to_owned())
        }
        Command::MakeStandby { group, node } => {
            let body = json!({"group": group, "node": node});
            with(post("/cluster/make-standby", body)?, |_| "handed over\n".to_owned())
        }
        Command::HoldSite { site, node } => {
            let body = json!({"site": site, "node": node});
            with(post("/cluster/hold-site", body)?, |_| "held\n".to_owned())
        }
        Command::Reload => with(post("/cluster/reload", json!({}))?, cluster::reloaded),
        Command::Log { level } => with(post("/log", json!({"level": level}))?, |_| format!("logging {level}\n")),
        Command::Apply(_) | Command::Certificate(_) => unreachable!("these do not go to the control port"),
    })
}

fn with(answer: Value, show: impl FnOnce(&Value) -> String) -> (Value, String) {
    let text = show(&answer);
    (answer, text)
}

/// A key is 32 hex digits; anything else is a Call-ID.
fn trace_path(call: Option<&str>) -> String {
    match call {
        None => "/trace".to_owned(),
        Some(key) if key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("/calls/{key}/trace")
        }
        Some(call_id) => format!("/trace?call_id={}", encode(call_id)),
    }
}

fn drawn(answer: &Value, width: usize) -> Result<String, Failure> {
    let messages: Vec<Message> = serde_json::from_value(answer["messages"].clone())
        .map_err(|error| Failure::refused(format!("the switch's answer cannot be read: {error}")))?;
    Ok(ladder::draw(&messages, width))
}

fn whole(answer: &Value) -> String {
    let mut text = String::new();
    for message in items(answer, "messages") {
        let arrow = if message["inbound"] == true { "from" } else { "to" };
        text.push_str(&format!(
            "--- {} {arrow} {} {}\n{}\n",
            cell(message, "time"),
            cell(message, "transport"),
            cell(message, "remote"),
            cell(message, "text").replace('\r', "")
        ));
    }
    text
}

fn status(answer: &Value, width: usize) -> String {
    let mut text = String::new();
    for (label, value) in [
        ("node", format!("{} (number {})", cell(answer, "name"), cell(answer, "node"))),
        ("version", cell(answer, "version")),
        ("roles", items(answer, "roles").filter_map(Value::as_str).collect::<Vec<_>>().join(", ")),
        ("up", span(answer["uptime_s"].as_u64().unwrap_or(0))),
        ("new calls", if answer["draining"] == true { "refused (drained)".to_owned() } else { "taken".to_owned() }),
        ("calls", cell(answer, "calls")),
        ("registrations", cell(answer, "registrations")),
    ] {
        text.push_str(&format!("{label:<14} {value}\n"));
    }
    let listeners: Vec<Vec<String>> = items(answer, "listeners")
        .map(|row| columns(row, &["transport", "address", "advertise", "sockets", "site"]))
        .collect();
    if !listeners.is_empty() {
        let headings = ["LISTENER", "ADDRESS", "ADVERTISED", "SOCKETS", "SITE"];
        text.push_str(&format!("\n{}", table(&headings, &listeners, width)));
    }
    if answer["cluster"].is_object() {
        text.push_str(&format!("\n{}", cluster::show(&answer["cluster"], width)));
    }
    let relays: Vec<Vec<String>> = items(answer, "relays")
        .map(|row| {
            let healthy = if row["healthy"] == true { "yes" } else { "no" };
            vec![cell(row, "name"), cell(row, "address"), healthy.to_owned(), cell(row, "sessions")]
        })
        .collect();
    let has_balancer = items(answer, "roles").any(|role| role == "balancer");
    match relays.is_empty() {
        true if !has_balancer => {}
        true => text.push_str("\nno media relay is configured\n"),
        false => text.push_str(&format!("\n{}", table(&["RELAY", "ADDRESS", "HEALTHY", "SESSIONS"], &relays, width))),
    }
    text
}

fn registrations(answer: &Value, width: usize) -> String {
    let rows: Vec<Vec<String>> = items(answer, "registrations")
        .map(|row| {
            let expires = row["expires_s"].as_u64().map_or("never".to_owned(), span);
            vec![
                cell(row, "aor"),
                cell(row, "contact"),
                cell(row, "q"),
                expires,
                cell(row, "received"),
                cell(row, "user_agent"),
            ]
        })
        .collect();
    let headings = ["AOR", "CONTACT", "Q", "EXPIRES", "RECEIVED", "USER AGENT"];
    listing(answer, &headings, &rows, width, "registrations")
}

fn calls(answer: &Value, width: usize) -> String {
    let rows: Vec<Vec<String>> = items(answer, "calls")
        .map(|row| {
            let length =
                row["duration_s"].as_u64().filter(|seconds| *seconds > 0).or(row["age_s"].as_u64()).unwrap_or(0);
            vec![cell(row, "key"), cell(row, "from"), cell(row, "to"), cell(row, "state"), span(length)]
        })
        .collect();
    listing(answer, &["KEY", "FROM", "TO", "STATE", "SINCE"], &rows, width, "calls")
}

fn bans(answer: &Value, width: usize) -> String {
    let rows: Vec<Vec<String>> = items(answer, "bans")
        .map(|row| {
            let left = row["seconds_left"].as_u64().map_or(String::new(), span);
            let origin = format!("node {}", cell(row, "origin"));
            vec![cell(row, "address"), left, cell(row, "dropped"), origin, cell(row, "reason")]
        })
        .collect();
    listing(answer, &["ADDRESS", "LEFT", "DROPPED", "BANNED BY", "REASON"], &rows, width, "bans")
}

fn listing(answer: &Value, headings: &[&str], rows: &[Vec<String>], width: usize, what: &str) -> String {
    let total = answer["total_count"].as_u64().unwrap_or(rows.len() as u64);
    match rows.len() as u64 {
        0 => format!("no {what}\n"),
        shown if shown < total => format!("{}{shown} of {total} {what}\n", table(headings, rows, width)),
        _ => table(headings, rows, width),
    }
}

fn items<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer[name].as_array().into_iter().flatten()
}

fn columns(row: &Value, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| cell(row, name)).collect()
}

/// A member as text without control characters; nothing for null.
fn cell(row: &Value, name: &str) -> String {
    let text = match &row[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if name == "text" { text } else { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() }
}
