//! A call as a ladder: who said what to whom, drawn from traced messages.
//!
//! The first sender stands left, the switch next to it, everybody else to the right. Where the terminal is too narrow
//! for columns, each message is a line of its own.

use serde::Deserialize;

use crate::screen::cut;

/// One traced message, as the control port tells it.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    pub unix_ms: u64,
    pub inbound: bool,
    pub remote: String,
    pub first_line: String,
    pub cseq: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub content_type: Option<String>,
}

/// Who takes part: a name to show and the address that tells them apart; `None` is the switch.
struct Participant {
    label: String,
    remote: Option<String>,
}

/// The ladder as text that fits `width` columns.
pub fn draw(messages: &[Message], width: usize) -> String {
    let Some(first) = messages.first() else { return "no messages\n".to_owned() };
    let participants = participants(messages);
    let spacing = width.saturating_sub(TIME_WIDTH + MARGIN * 2) / participants.len().saturating_sub(1).max(1);
    let spacing = spacing.min(SPACING_MAX);
    if spacing < SPACING_MIN {
        return listed(messages, &participants, first.unix_ms, width);
    }
    let mut text = heading(&participants, spacing);
    for message in messages {
        let time = seconds(message.unix_ms, first.unix_ms);
        text.push_str(&format!("{time:>TIME_WIDTH$}{}\n", rung(message, &participants, spacing)));
    }
    text
}

/// Columns for the time.
const TIME_WIDTH: usize = 10;

/// Columns left and right of the outer participants, for half of their names.
const MARGIN: usize = 11;

/// Narrowest and widest distance between two participants, columns.
const SPACING_MIN: usize = 20;
const SPACING_MAX: usize = 38;

fn participants(messages: &[Message]) -> Vec<Participant> {
    let mut remotes: Vec<(&str, Option<String>)> = Vec::new();
    for message in messages {
        let known = remotes.iter().position(|(remote, _)| *remote == message.remote);
        let place = known.unwrap_or_else(|| {
            remotes.push((&message.remote, None));
            remotes.len() - 1
        });
        if remotes[place].1.is_none() {
            remotes[place].1 = name(message);
        }
    }
    let label = |(remote, name): &(&str, Option<String>)| Participant {
        label: name.as_ref().map_or((*remote).to_owned(), |name| format!("{name} {remote}")),
        remote: Some((*remote).to_owned()),
    };
    let mut all: Vec<Participant> = remotes.iter().map(label).collect();
    all.insert(1.min(all.len()), Participant { label: "tandem".to_owned(), remote: None });
    all
}

/// What the other side is called: by its From when it asks, by the To when it is asked.
fn name(message: &Message) -> Option<String> {
    let request = !message.first_line.starts_with("SIP/2.0 ");
    let uri = match (request, message.inbound) {
        (true, true) => message.from.as_deref()?,
        (true, false) => message.to.as_deref()?,
        (false, _) => return None,
    };
    let rest = uri.split_once("sip:").or_else(|| uri.split_once("sips:"))?.1;
    let (user, _) = rest.split_once('@')?;
    (user.len() <= 24 && !user.is_empty()).then(|| user.chars().filter(|c| !c.is_control()).collect())
}

fn heading(participants: &[Participant], spacing: usize) -> String {
    let column = |place: usize| TIME_WIDTH + MARGIN + place * spacing;
    let mut names = String::new();
    let mut addresses = String::new();
    for (place, participant) in participants.iter().enumerate() {
        let (name, address) = match (&participant.remote, participant.label.split_once(' ')) {
            (Some(_), Some((name, address))) => (name, address),
            (Some(_), None) => (participant.label.as_str(), ""),
            (None, _) => (participant.label.as_str(), ""),
        };
        centre(&mut names, name, column(place), spacing - 1);
        centre(&mut addresses, address, column(place), spacing - 1);
    }
    let posts: String = bare(participants.len(), spacing);
    let posts = format!("{}{posts}", " ".repeat(TIME_WIDTH));
    match addresses.trim().is_empty() {
        true => format!("{}\n{posts}\n", names.trim_end()),
        false => format!("{}\n{}\n{posts}\n", names.trim_end(), addresses.trim_end()),
    }
}

/// Writes a text around a column, cut to a width.
fn centre(line: &mut String, text: &str, column: usize, width: usize) {
    let text = cut(text, width);
    let start = column.saturating_sub(text.chars().count() / 2);
    let pad = start.saturating_sub(line.chars().count());
    line.extend(std::iter::repeat_n(' ', pad));
    line.push_str(&text);
}

/// A line with the posts of all participants and nothing between them.
fn bare(count: usize, spacing: usize) -> String {
    let mut line = " ".repeat(MARGIN);
    for place in 0..count {
        line.push('|');
        if place + 1 < count {
            line.push_str(&" ".repeat(spacing - 1));
        }
    }
    line
}

fn rung(message: &Message, participants: &[Participant], spacing: usize) -> String {
    let switch = participants.iter().position(|participant| participant.remote.is_none()).unwrap_or(0);
    let other =
        participants.iter().position(|participant| participant.remote.as_ref() == Some(&message.remote)).unwrap_or(0);
    let (left, right) = (switch.min(other), switch.max(other));
    let to_right = message.inbound == (switch > other);
    let room = (right - left) * spacing - 1;
    let label = format!(" {} ", cut(&what(message), room.saturating_sub(6)));
    let dashes = room - 1 - label.chars().count();
    let (before, after) = (dashes / 2, dashes - dashes / 2);
    let arrow = match to_right {
        true => format!("{}{label}{}>", "-".repeat(before), "-".repeat(after)),
        false => format!("<{}{label}{}", "-".repeat(before), "-".repeat(after)),
    };
    let posts: Vec<char> = bare(participants.len(), spacing).chars().collect();
    let start = MARGIN + left * spacing + 1;
    let line: String =
        posts[..start].iter().copied().chain(arrow.chars()).chain(posts[start + room..].iter().copied()).collect();
    line.trim_end().to_owned()
}

/// `INVITE sdp`, `200 OK (INVITE) sdp`.
fn what(message: &Message) -> String {
    let line: String = message.first_line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let method = message.cseq.as_deref().and_then(|cseq| cseq.split_whitespace().nth(1)).unwrap_or("?");
    let mut text = match line.strip_prefix("SIP/2.0 ") {
        Some(status) => format!("{status} ({method})"),
        None => line.split(' ').next().unwrap_or_default().to_owned(),
    };
    if message.content_type.as_deref().is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/sdp")) {
        text.push_str(" sdp");
    }
    text
}

fn listed(messages: &[Message], participants: &[Participant], first_ms: u64, width: usize) -> String {
    let mut text = String::new();
    for message in messages {
        let other = participants.iter().find(|participant| participant.remote.as_ref() == Some(&message.remote));
        let other = other.map_or(message.remote.as_str(), |other| other.label.split(' ').next().unwrap_or_default());
        let (from, to) = if message.inbound { (other, "tandem") } else { ("tandem", other) };
        let line = format!("{} {from} > {to}: {}", seconds(message.unix_ms, first_ms), what(message));
        text.push_str(&cut(&line, width));
        text.push('\n');
    }
    text
}

fn seconds(at_ms: u64, first_ms: u64) -> String {
    let since = at_ms.saturating_sub(first_ms);
    format!("{}.{:03}", since / 1000, since % 1000)
}

#[cfg(test)]
mod tests;
