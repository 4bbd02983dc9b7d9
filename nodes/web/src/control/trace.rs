//! Traced messages as JSON: what a ladder is drawn from.

use fabric::Key;
use fabric::letters::flow::Traced;
use serde_json::{Value, json};

use crate::moment;

/// The messages of one call, oldest first.
pub fn document(key: Option<Key>, messages: &[Traced]) -> Value {
    let shown: Vec<Value> = messages.iter().map(message).collect();
    json!({"key": key.map(|key| key.to_string()), "total_count": shown.len(), "messages": shown})
}

/// The call that has a leg with this Call-ID.
pub fn key_of(messages: &[Traced], call_id: &str) -> Option<Key> {
    let found = messages.iter().find(|message| header(&text(message), &["call-id", "i"]).as_deref() == Some(call_id));
    found.map(|message| message.key)
}

/// The call whose first INVITE is the most recent.
pub fn last_call(messages: &[Traced]) -> Option<Key> {
    let is_invite = |message: &&Traced| message.inbound && message.bytes.starts_with(b"INVITE ");
    messages.iter().rev().find(is_invite).map(|message| message.key)
}

fn message(message: &Traced) -> Value {
    let text = text(message);
    let first_line = text.lines().next().unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    json!({
        "time": moment::text(message.unix_ms),
        "unix_ms": message.unix_ms,
        "inbound": message.inbound,
        "transport": message.flow.transport.param(),
        "local": message.flow.local.to_string(),
        "remote": message.flow.remote.to_string(),
        "first_line": first_line,
        "cseq": header(&text, &["cseq"]),
        "call_id": header(&text, &["call-id", "i"]),
        "from": header(&text, &["from", "f"]),
        "to": header(&text, &["to", "t"]),
        "content_type": header(&text, &["content-type", "c"]),
        "body_bytes": body.len(),
        "bytes": message.bytes.len(),
        "text": text,
    })
}

fn text(message: &Traced) -> String {
    String::from_utf8_lossy(&message.bytes).into_owned()
}

/// Value of the first header field with one of these names (lower case).
fn header(text: &str, names: &[&str]) -> Option<String> {
    let head = text.split_once("\r\n\r\n").map_or(text, |(head, _)| head);
    head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        names.contains(&name.trim().to_ascii_lowercase().as_str()).then(|| value.trim().to_owned())
    })
}
