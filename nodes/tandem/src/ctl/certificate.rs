//! `tandem ctl certificate`: the authority of a small cluster and the certificates of its nodes. Works on files; no
//! switch is asked.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use fabric::NodeId;
use ports::links::certificate::{self, CertificateError, Order, Pair, Shown};
use ports::links::roles::{Role, Roles};
use serde_json::{Value, json};

use crate::screen::span;
use crate::{Failure, say};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the authority whose signature the nodes of one cluster trust: authority.pem for every node, authority.key for a safe place.
    Authority {
        /// Directory to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Name for people.
        #[arg(long, default_value = "tandem authority")]
        name: String,
        /// How long it is good for.
        #[arg(long, default_value_t = 3_650)]
        days: u32,
    },
    /// Make the certificate of a node: NAME.pem and NAME.key, and a copy of authority.pem.
    Node {
        /// Directory with authority.pem and authority.key.
        #[arg(long, value_name = "DIR")]
        authority: PathBuf,
        /// Number of the node in its configuration (`node`).
        #[arg(long)]
        node: u16,
        /// Name of the node: letters, digits and hyphens.
        #[arg(long)]
        name: String,
        /// Chassis that it stands on: what fails together.
        #[arg(long)]
        chassis: u16,
        /// balancer, proxy, director, witness, web, dns; separated by commas.
        #[arg(long, value_delimiter = ',', required = true)]
        roles: Vec<Role>,
        /// How long it is good for; links take a renewed file without a restart.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// Directory to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// What a certificate says: node, chassis, roles, expiry. Exit 1 when it has expired.
    Show {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub fn run(arguments: &Arguments, is_json: bool) -> Result<(), Failure> {
    let (answer, text) = match &arguments.command {
        Command::Authority { out, name, days } => authority(out, name, *days)?,
        Command::Node { authority, node, name, chassis, roles, days, out } => {
            let roles = roles.iter().copied().collect();
            let order = Order { node: NodeId(*node), name: name.clone(), chassis: *chassis, roles, days: *days };
            of_node(authority, &order, out)?
        }
        Command::Show { file } => {
            let shown = certificate::show_file(file).map_err(refused)?;
            let (answer, text, is_over) = show(&shown, unix_s(SystemTime::now()));
            print(is_json, &answer, &text)?;
            return match is_over {
                true => Err(Failure::refused(format!("{} has expired", file.display()))),
                false => Ok(()),
            };
        }
    };
    print(is_json, &answer, &text)
}

fn print(is_json: bool, answer: &Value, text: &str) -> Result<(), Failure> {
    match is_json {
        true => say(&format!("{}\n", serde_json::to_string_pretty(answer).unwrap_or_default())),
        false => say(text),
    }
    Ok(())
}

fn authority(out: &Path, name: &str, days: u32) -> Result<(Value, String), Failure> {
    let pair = certificate::authority(name, days, SystemTime::now()).map_err(refused)?;
    let (certificate, key) = pair.write(out, AUTHORITY).map_err(refused)?;
    let text = format!(
        "{}: for every node (`authority` under [cluster])\n{}: keep it where no node can read it\n",
        certificate.display(),
        key.display()
    );
    Ok((json!({"certificate": certificate, "key": key}), text))
}

fn of_node(authority: &Path, order: &Order, out: &Path) -> Result<(Value, String), Failure> {
    if order.name == AUTHORITY {
        return Err(Failure::usage(format!(
            "a node cannot be called `{AUTHORITY}`: its files would be the authority's"
        )));
    }
    let signer = signer(authority)?;
    let pair = certificate::node(&signer, order, SystemTime::now()).map_err(refused)?;
    let (certificate, key) = pair.write(out, &order.name).map_err(refused)?;
    let trusted = out.join(format!("{AUTHORITY}.pem"));
    match std::fs::read_to_string(&trusted) {
        Ok(text) if text == signer.certificate => {}
        Ok(_) => {
            let path = trusted.display();
            return Err(Failure::refused(format!("{path} is another authority's; its nodes would not trust this one")));
        }
        Err(_) => certificate::write_new(&trusted, &signer.certificate, 0o644).map_err(refused)?,
    }
    let text = format!(
        "[cluster]\ncertificate = \"{}\"\nkey = \"{}\"\nauthority = \"{}\"\n",
        certificate.display(),
        key.display(),
        trusted.display()
    );
    Ok((json!({"certificate": certificate, "key": key, "authority": trusted}), text))
}

fn signer(directory: &Path) -> Result<Pair, Failure> {
    let file = |end: &str| directory.join(format!("{AUTHORITY}.{end}"));
    certificate::load(&file("pem"), &file("key")).map_err(|error| {
        let path = directory.display();
        Failure::refused(format!("{error}; make an authority with `tandem ctl certificate authority --out {path}`"))
    })
}

/// For programs, for people, and whether it is over.
fn show(shown: &Shown, now_s: i64) -> (Value, String, bool) {
    let (mut answer, head, end_s) = match shown {
        Shown::Authority { name, not_after_s } => {
            (json!({"authority": name}), format!("authority  {name}\n"), *not_after_s)
        }
        Shown::Node(facts) => {
            let roles = facts.roles;
            let answer = json!({
                "node": facts.node.0,
                "name": facts.name,
                "chassis": facts.chassis,
                "roles": roles.iter().map(Role::name).collect::<Vec<_>>(),
            });
            let head = format!(
                "node       {}\nname       {}\nchassis    {}\nroles      {}\n",
                facts.node.0,
                facts.name,
                facts.chassis,
                named(roles)
            );
            (answer, head, facts.not_after_s)
        }
    };
    answer["not_after"] = json!(end_s);
    let left_s = end_s - now_s;
    let expiry = match u64::try_from(left_s) {
        Ok(left_s) if left_s > 0 => format!("in {}", span(left_s)),
        _ => format!("{} ago", span(left_s.unsigned_abs())),
    };
    (answer, format!("{head}expires    {} ({expiry})\n", date(end_s)), left_s <= 0)
}

fn named(roles: Roles) -> String {
    if roles.is_empty() { "none".to_owned() } else { roles.to_string() }
}

/// `2026-11-21`, by the days-to-civil algorithm for the Gregorian calendar.
fn date(unix_s: i64) -> String {
    let days = unix_s.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn unix_s(now: SystemTime) -> i64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

fn refused(error: CertificateError) -> Failure {
    Failure::refused(error.to_string())
}

/// Name of the authority's files.
const AUTHORITY: &str = "authority";

#[cfg(test)]
mod tests;
