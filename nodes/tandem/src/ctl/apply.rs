//! `tandem ctl apply`: brings a switch to what a YAML file says, through its API. Running it twice changes nothing.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::http::{Client, Trust, encode};
use crate::{Failure, say};

#[derive(clap::Args)]
pub struct Arguments {
    /// YAML file with `domains`, `customers` and `subscribers`.
    file: PathBuf,
    /// The API.
    #[arg(long, default_value = "https://127.0.0.1:1443", value_name = "URL")]
    api: String,
    /// Name and password for the API; the environment variable TANDEM_API_USER when left out.
    #[arg(long, value_name = "NAME:PASSWORD")]
    user: Option<String>,
    /// PEM certificate of the API (default: the one that a solo switch makes in /var/lib/tandem).
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Take any certificate.
    #[arg(long)]
    insecure: bool,
}

/// What the file may hold.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Wanted {
    domains: Vec<Map<String, Value>>,
    customers: Vec<Map<String, Value>>,
    subscribers: Vec<Map<String, Value>>,
}

pub fn run(arguments: &Arguments, as_json: bool) -> Result<(), Failure> {
    let text = std::fs::read_to_string(&arguments.file)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", arguments.file.display())))?;
    let wanted: Wanted = serde_yaml_ng::from_str(&text)
        .map_err(|error| Failure::refused(format!("{}: {error}", arguments.file.display())))?;
    let user = arguments.user.clone().or_else(|| std::env::var("TANDEM_API_USER").ok());
    let user = user.ok_or_else(|| Failure::usage("who are you? Say --user NAME:PASSWORD or set TANDEM_API_USER"))?;
    let trust = match (&arguments.ca, arguments.insecure) {
        (Some(path), _) => Trust::File(path),
        (None, true) => Trust::Nothing,
        (None, false) => Trust::Default,
    };
    let entries = wanted.domains.len() + wanted.customers.len() + wanted.subscribers.len();
    let mut applier = Applier {
        client: Client::api(&arguments.api, &user, &trust)?,
        file: &arguments.file,
        customers: BTreeMap::new(),
        bar: bar(entries, as_json),
        done: Vec::new(),
        as_json,
    };
    let applied = applier.all(wanted);
    applier.bar.finish_and_clear();
    if as_json {
        say(&format!("{}\n", json!({"total_count": applier.done.len(), "applied": applier.done})));
    }
    applied
}

/// A progress bar where a person waits for a long file.
fn bar(entries: usize, as_json: bool) -> ProgressBar {
    if as_json || entries < LONG || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(entries as u64).with_style(style)
}

/// Entries from which a file is long, count.
const LONG: usize = 50;

/// Subscribers that are worked on at a time, count.
const GROUP: usize = 32;

struct Applier<'a> {
    client: Client,
    file: &'a Path,
    /// Ids of customers by their external id.
    customers: BTreeMap<String, u64>,
    bar: ProgressBar,
    done: Vec<Value>,
    as_json: bool,
}

/// What became of an entry.
struct Applied {
    id: u64,
    result: &'static str,
    label: String,
}

impl Applier<'_> {
    fn all(&mut self, wanted: Wanted) -> Result<(), Failure> {
        for (place, domain) in wanted.domains.into_iter().enumerate() {
            let entry = format!("domains[{place}]");
            let name = self.text(&domain, "domain", &entry)?;
            let applied = self.put("domains", &[("domain", &name)], domain, name.clone(), &entry)?;
            self.tell("domains", &applied);
        }
        for (place, customer) in wanted.customers.into_iter().enumerate() {
            let entry = format!("customers[{place}]");
            let name = self.text(&customer, "external_id", &entry)?;
            let applied = self.put("customers", &[("external_id", &name)], customer, name.clone(), &entry)?;
            self.tell("customers", &applied);
            self.customers.insert(name, applied.id);
        }
        for (place, subscriber) in wanted.subscribers.iter().enumerate() {
            self.look_up_customer(subscriber, &format!("subscribers[{place}]"))?;
        }
        self.subscribers(wanted.subscribers)
    }

    /// Several at a time: the switch commits what comes together in one go.
    fn subscribers(&mut self, wanted: Vec<Map<String, Value>>) -> Result<(), Failure> {
        // A short file is done in order, so that its entities get their numbers in order.
        let size = if wanted.len() < LONG { 1 } else { GROUP };
        for (round, group) in wanted.chunks(size).enumerate() {
            let this = &*self;
            let results: Vec<Result<Applied, Failure>> = std::thread::scope(|scope| {
                let workers = group.iter().enumerate().map(|(place, fields)| {
                    let entry = format!("subscribers[{}]", round * size + place);
                    scope.spawn(move || this.subscriber(fields.clone(), &entry))
                });
                let workers: Vec<_> = workers.collect();
                workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
            });
            for result in results {
                let applied = result?;
                self.tell("subscribers", &applied);
            }
        }
        Ok(())
    }

    fn subscriber(&self, mut fields: Map<String, Value>, entry: &str) -> Result<Applied, Failure> {
        let preferences = fields.remove("preferences");
        if let Some(id) = fields.remove("customer").and_then(|name| self.customers.get(&plain(&name)?).copied()) {
            fields.insert("customer_id".to_owned(), json!(id));
        }
        let (user, domain) = (self.text(&fields, "username", entry)?, self.text(&fields, "domain", entry)?);
        let names = [("username", user.as_str()), ("domain", domain.as_str())];
        let applied = self.put("subscribers", &names, fields, format!("{user}@{domain}"), entry)?;
        if let Some(preferences) = preferences {
            let path = format!("/api/subscriberpreferences/{}", applied.id);
            let answer = self.client.send("PUT", &path, Some(&preferences))?;
            if !(200..300).contains(&answer.status) {
                return Err(self.wrong(entry, "preferences", &answer.refusal()));
            }
        }
        Ok(applied)
    }

    /// Learns the id of the customer that a subscriber names.
    fn look_up_customer(&mut self, subscriber: &Map<String, Value>, entry: &str) -> Result<(), Failure> {
        let Some(customer) = subscriber.get("customer") else { return Ok(()) };
        let name = plain(customer).ok_or_else(|| self.wrong(entry, "customer", "must be an external_id"))?;
        if !self.customers.contains_key(&name) {
            let found = self.find("customers", &[("external_id", &name)])?;
            let id = found.as_ref().and_then(|found| found["id"].as_u64());
            let unknown = || self.wrong(entry, "customer", &format!("no customer has the external_id \"{name}\""));
            let id = id.ok_or_else(unknown)?;
            self.customers.insert(name, id);
        }
        Ok(())
    }

    /// Creates the entity, or updates it where it differs.
    fn put(
        &self,
        resource: &str,
        names: &[(&str, &str)],
        fields: Map<String, Value>,
        label: String,
        entry: &str,
    ) -> Result<Applied, Failure> {
        let present = self.find(resource, names)?;
        let (id, result) = match present {
            None => {
                let answer = self.client.send("POST", &format!("/api/{resource}/"), Some(&Value::Object(fields)))?;
                if answer.status != 201 {
                    return Err(self.wrong(entry, &label, &answer.refusal()));
                }
                (answer.location.as_deref().and_then(|path| path.rsplit('/').next()?.parse().ok()), "created")
            }
            Some(present) if !differs(&present, &fields) => (present["id"].as_u64(), "unchanged"),
            Some(present) => {
                let path = format!("/api/{resource}/{}", present["id"]);
                let answer = self.client.send("PUT", &path, Some(&merged(&present, fields)))?;
                if !(200..300).contains(&answer.status) {
                    return Err(self.wrong(entry, &label, &answer.refusal()));
                }
                (present["id"].as_u64(), "updated")
            }
        };
        let id = id.ok_or_else(|| self.wrong(entry, &label, "the API told no id"))?;
        Ok(Applied { id, result, label })
    }

    fn tell(&mut self, resource: &str, applied: &Applied) {
        let Applied { id, result, label } = applied;
        self.bar.inc(1);
        match self.as_json {
            true => self.done.push(json!({"resource": resource, "name": label, "id": id, "result": result})),
            false => self.bar.suspend(|| say(&format!("{resource} {label}: {result}\n"))),
        }
    }

    fn find(&self, resource: &str, names: &[(&str, &str)]) -> Result<Option<Value>, Failure> {
        let filters: Vec<String> = names.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let page = self.client.good("GET", &format!("/api/{resource}/?{}", filters.join("&")), None)?;
        Ok(page["_embedded"][format!("ngcp:{resource}")].get(0).cloned())
    }

    fn text(&self, fields: &Map<String, Value>, name: &str, entry: &str) -> Result<String, Failure> {
        let text = fields.get(name).and_then(plain).filter(|text| !text.is_empty());
        text.ok_or_else(|| self.wrong(entry, name, "is missing"))
    }

    fn wrong(&self, entry: &str, what: &str, why: &str) -> Failure {
        Failure::refused(format!("{}: {entry}: {what}: {why}", self.file.display()))
    }
}

/// Text of a scalar: YAML writers leave quotes out.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a wanted field is not as it is. A password cannot be compared, so it is always set again.
fn differs(present: &Value, wanted: &Map<String, Value>) -> bool {
    wanted.iter().any(|(name, value)| !alike(&present[name.as_str()], value))
}

fn alike(present: &Value, wanted: &Value) -> bool {
    match (present, wanted) {
        (Value::Object(present), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| alike(present.get(name).unwrap_or(&Value::Null), value))
                && present.iter().all(|(name, value)| wanted.contains_key(name) || value.is_null() || value == "")
        }
        (Value::Array(present), Value::Array(wanted)) => {
            present.len() == wanted.len() && present.iter().zip(wanted).all(|(present, wanted)| alike(present, wanted))
        }
        _ => present == wanted || plain(present).is_some_and(|text| Some(text) == plain(wanted)),
    }
}

/// The body of the PUT: what is there, with the wanted fields over it.
fn merged(present: &Value, wanted: Map<String, Value>) -> Value {
    let mut fields = present.as_object().cloned().unwrap_or_default();
    fields.remove("_links");
    fields.extend(wanted);
    Value::Object(fields)
}

#[cfg(test)]
mod tests;
