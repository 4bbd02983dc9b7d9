//! Which header fields of one leg the other leg gets to see: a white list, so that nothing of a network leaks through
//! a back-to-back agent, and identity that only we assert (RFC 3325, RFC 3323).

use fabric::letters::subscriber::Subscriber;
use sip::{Builder, Method, Name, View};

/// Methods that a call serves or passes on.
pub(crate) const METHODS: &[&str] =
    &["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "MESSAGE", "REFER", "NOTIFY"];

/// Extensions that a call understands (RFC 3262, RFC 4028).
pub(crate) const EXTENSIONS: &[&str] = &["100rel", "timer"];

/// What is known of the side that a message came from.
#[derive(Clone, Copy)]
pub(crate) struct Passing {
    /// A trunk that may assert identities and diversions.
    pub trusted: bool,
    pub user_agent: bool,
}

const IN_REQUESTS: &[Name] = &[
    Name::Subject,
    Name::AlertInfo,
    Name::Organization,
    Name::InReplyTo,
    Name::Priority,
    Name::Accept,
    Name::Reason,
    Name::ContentDisposition,
    Name::MimeVersion,
];

/// Only a trusted side may say these: they decide who is billed or shown.
const IN_TRUSTED_REQUESTS: &[Name] = &[Name::Diversion, Name::HistoryInfo];

const IN_RESPONSES: &[Name] = &[
    Name::AlertInfo,
    Name::Organization,
    Name::RetryAfter,
    Name::Reason,
    Name::Accept,
    Name::Unsupported,
    Name::ContentDisposition,
    Name::MimeVersion,
];

/// Copies what a request may carry to the other leg.
pub(crate) fn pass_request(mut to: Builder, from: &View<'_>, passing: Passing) -> Builder {
    for name in IN_REQUESTS {
        to = to.copy(from, *name);
    }
    if passing.trusted {
        for name in IN_TRUSTED_REQUESTS {
            to = to.copy(from, *name);
        }
    }
    if from.method() == Method::Info {
        for field in ["Info-Package", "Recv-Info"] {
            if let Some(value) = from.other(field) {
                to = to.other(field, value);
            }
        }
    }
    if passing.user_agent {
        to = to.copy(from, Name::UserAgent);
    }
    to
}

/// Copies what a response may carry to the other leg.
pub(crate) fn pass_response(mut to: Builder, from: &View<'_>, passing: Passing) -> Builder {
    for name in IN_RESPONSES {
        to = to.copy(from, *name);
    }
    if passing.user_agent {
        to = to.copy(from, Name::Server).copy(from, Name::UserAgent);
    }
    to
}

/// The Allow of one side as the other may see it: what that side understands and we pass on.
pub(crate) fn allow(from: &View<'_>) -> String {
    let mut listed = from.option_tags(Name::Allow).peekable();
    if listed.peek().is_none() {
        return "INVITE, ACK, CANCEL, BYE, OPTIONS".to_owned();
    }
    let mut allow = String::with_capacity(80);
    for method in listed.filter(|method| METHODS.contains(method)) {
        if !allow.is_empty() {
            allow.push_str(", ");
        }
        allow.push_str(method);
    }
    allow
}

/// Our own Allow, for answers that we give ourselves.
pub(crate) fn own_allow() -> String {
    METHODS.join(", ")
}

/// P-Asserted-Identity that a call of this subscriber carries; `None` when it asked not to be named (RFC 3323 4.2 `id`).
pub(crate) fn asserted_identity(request: &View<'_>, caller: &Subscriber) -> Option<String> {
    if wants_privacy(request, "id") {
        return None;
    }
    let user = caller.numbers.first().map_or(caller.username.as_str(), String::as_str);
    Some(format!("<sip:{user}@{}>", caller.domain))
}

/// Whether the Privacy header names this kind (RFC 3323 4.2: values are separated by semicolons).
pub(crate) fn wants_privacy(request: &View<'_>, kind: &str) -> bool {
    request.headers(Name::Privacy).any(|line| {
        line.split(|byte| matches!(byte, b';' | b','))
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(kind.as_bytes()))
    })
}

/// Extensions that are required of us and that we do not know (RFC 3261 8.2.2.3); empty when all is well.
pub(crate) fn unsupported(request: &View<'_>) -> Vec<String> {
    let required = request.option_tags(Name::Require).chain(request.option_tags(Name::ProxyRequire));
    required.filter(|tag| !EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(tag))).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
