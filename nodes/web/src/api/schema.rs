//! Fields of a resource as data: the one table that validation and the OpenAPI description are both made from.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::problem::Problem;
use super::resources::Resource;

/// One field of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub rule: Rule,
    /// What it is, for people.
    pub about: &'static str,
}

/// Who writes a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Must be in every POST and PUT.
    Required,
    /// May be left out or `null`.
    Optional,
    /// Ours; ignored where a client sends it back.
    ReadOnly,
    /// Taken and never shown.
    WriteOnly,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text without control characters, at most so many bytes.
    Text(usize),
    /// User part of a SIP URI, at most so many bytes.
    User(usize),
    /// Digits, at most so many.
    Digits(usize),
    /// Host name or address literal.
    Host,
    /// IP address.
    Address,
    /// `sip:` or `sips:` URI.
    Uri,
    /// Whole number from, to.
    Integer(i64, i64),
    /// Number from 0 to 1 with at most three decimals (RFC 3261 25.1 `qvalue`).
    Quality,
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Moment as RFC 3339 writes it, or `YYYY-MM-DD hh:mm:ss` in UTC.
    Moment,
    Object(&'static [Field]),
    /// At most so many of these.
    List(&'static Kind, usize),
}

pub const fn required(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, rule: Rule::Required, about }
}

pub const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, rule: Rule::Optional, about }
}

pub const fn read_only(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, rule: Rule::ReadOnly, about }
}

pub const fn write_only(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, rule: Rule::WriteOnly, about }
}

/// Checks a body against the fields and gives back what a client may set, without nulls.
///
/// Errors: 422 with the path of the field. Read-only fields and `_links` are left out silently, so that what was got can be put back.
pub fn validate(resource: &Resource, body: Value) -> Result<Map<String, Value>, Problem> {
    match body {
        Value::Object(map) if resource.open => {
            let (known, open) = map
                .into_iter()
                .partition(|(name, _)| name.starts_with('_') || resource.fields.iter().any(|field| field.name == name));
            let mut clean = object(resource.fields, known, "")?;
            clean.extend(open_fields(open)?);
            Ok(clean)
        }
        Value::Object(map) => object(resource.fields, map, ""),
        _ => Err(Problem::field("", "the body must be a JSON object")),
    }
}

/// Fields of free name: texts, numbers and flags, or lists of them, in bounds.
fn open_fields(map: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    if map.len() > OPEN_FIELDS_MAX {
        return Err(Problem::field("", format!("at most {OPEN_FIELDS_MAX} entries")));
    }
    let plain = |value: &Value| match value {
        Value::String(text) => text.len() <= OPEN_BYTES_MAX && !text.chars().any(char::is_control),
        Value::Number(_) | Value::Bool(_) => true,
        _ => false,
    };
    let mut clean = Map::new();
    for (name, value) in map {
        if name.is_empty() || name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(Problem::field(name, "a preference's name is letters, digits and underscores"));
        }
        match &value {
            Value::Null => continue,
            Value::Array(items) if items.len() <= OPEN_FIELDS_MAX && items.iter().all(plain) => {}
            value if plain(value) => {}
            _ => return Err(Problem::field(name, "must be a short text, a number, a flag or a list of them")),
        }
        clean.insert(name, value);
    }
    Ok(clean)
}

/// Fields of free name in one entity, and entries of a list, count.
const OPEN_FIELDS_MAX: usize = 500;

/// Longest text in a field of free name, bytes.
const OPEN_BYTES_MAX: usize = 1024;

fn object(fields: &[Field], map: Map<String, Value>, path: &str) -> Result<Map<String, Value>, Problem> {
    let mut clean = Map::new();
    for (name, value) in map {
        if path.is_empty() && (name == "_links" || name == "_embedded") {
            continue;
        }
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            return Err(Problem::field(join(path, &name), "no such field"));
        };
        if field.rule == Rule::ReadOnly || value.is_null() {
            continue;
        }
        clean.insert(name, check(&field.kind, value, &join(path, field.name))?);
    }
    match fields.iter().find(|field| field.rule == Rule::Required && !clean.contains_key(field.name)) {
        Some(missing) => Err(Problem::field(join(path, missing.name), "field is required")),
        None => Ok(clean),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Checks one value; the path names it in the refusal.
pub fn check(kind: &Kind, value: Value, path: &str) -> Result<Value, Problem> {
    let refuse = |why: String| Err(Problem::field(path, why));
    match kind {
        Kind::Text(_)
        | Kind::User(_)
        | Kind::Digits(_)
        | Kind::Host
        | Kind::Address
        | Kind::Uri
        | Kind::Choice(_)
        | Kind::Moment => {
            // A number where text is due is meant as its digits: YAML and JSON writers often lose the quotes.
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
                _ => return refuse("must be a string".to_owned()),
            };
            match text_fault(kind, &text) {
                Some(why) => refuse(why),
                None => Ok(Value::String(text)),
            }
        }
        Kind::Integer(low, high) => {
            let number = match &value {
                Value::Number(number) => number.as_i64(),
                Value::String(text) => text.parse().ok(),
                _ => None,
            };
            match number {
                Some(number) if (*low..=*high).contains(&number) => Ok(Value::from(number)),
                Some(_) => refuse(format!("must be from {low} to {high}")),
                None => refuse("must be a whole number".to_owned()),
            }
        }
        Kind::Quality => match value.as_f64() {
            Some(q) if (0.0..=1.0).contains(&q) => Ok(value),
            _ => refuse("must be a number from 0 to 1".to_owned()),
        },
        Kind::Flag => match &value {
            Value::Bool(_) => Ok(value),
            Value::Number(number) if number.as_i64().is_some_and(|n| n == 0 || n == 1) => {
                Ok(Value::Bool(number.as_i64() == Some(1)))
            }
            _ => refuse("must be true or false".to_owned()),
        },
        Kind::Object(fields) => match value {
            Value::Object(map) => object(fields, map, path).map(Value::Object),
            _ => refuse("must be an object".to_owned()),
        },
        Kind::List(kind, most) => match value {
            Value::Array(items) if items.len() > *most => refuse(format!("at most {most} entries")),
            Value::Array(items) => {
                let checked = items.into_iter().enumerate();
                let checked = checked.map(|(n, item)| check(kind, item, &format!("{path}[{n}]")));
                checked.collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            _ => refuse("must be a list".to_owned()),
        },
    }
}

/// Why this text is not of the kind; `None` when it is.
fn text_fault(kind: &Kind, text: &str) -> Option<String> {
    if text.chars().any(char::is_control) {
        return Some("must not hold control characters".to_owned());
    }
    let fault = |holds: bool, why: &str| (!holds).then(|| why.to_owned());
    let longest = |most: usize| (text.len() > most).then(|| format!("at most {most} bytes"));
    match kind {
        Kind::Text(most) => longest(*most),
        Kind::User(most) => longest(*most)
            .or_else(|| fault(!text.is_empty() && text.bytes().all(is_user), "must be the user part of a SIP URI")),
        Kind::Digits(most) => {
            longest(*most).or_else(|| fault(text.bytes().all(|byte| byte.is_ascii_digit()), "must be digits"))
        }
        Kind::Host => longest(253).or_else(|| fault(is_host(text), "must be a host name or an IP address")),
        Kind::Address => fault(text.parse::<IpAddr>().is_ok(), "must be an IP address"),
        Kind::Uri => longest(1024).or_else(|| fault(is_sip_uri(text), "must be a sip: or sips: URI")),
        Kind::Choice(words) => fault(words.contains(&text), &format!("must be one of {}", words.join(", "))),
        Kind::Moment => fault(crate::moment::parse(text).is_some(), "must be a date and time as RFC 3339 writes it"),
        _ => None,
    }
}

/// Bytes of the user part that need no escape (RFC 3261 25.1).
fn is_user(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/%".contains(&byte)
}

fn is_host(text: &str) -> bool {
    let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    literal.parse::<IpAddr>().is_ok() || text.split('.').all(label)
}

fn is_sip_uri(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("sip:").or_else(|| lower.strip_prefix("sips:"));
    rest.is_some_and(|rest| !rest.is_empty()) && !text.contains(['<', '>', '"', ' '])
}

#[cfg(test)]
mod tests;
