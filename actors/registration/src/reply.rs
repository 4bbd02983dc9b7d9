//! The answers to a REGISTER.

use std::fmt::Write;

use fabric::letters::location::Binding;
use fabric::{Now, Reject};
use sip::{Builder, Message, Name, Status, View, quote};

use crate::Settings;
use crate::date::http_date;

/// What a 200 says besides the bindings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras<'a> {
    /// Path that the bindings of this request got; told when the phone supports it.
    pub path: Option<&'a str>,
    /// RFC 5626 is in force.
    pub outbound: bool,
}

/// 200 with all bindings: RFC 3261 10.3 step 8.
pub fn ok(
    view: &View<'_>,
    tag: &str,
    bindings: &[Binding],
    extras: Extras<'_>,
    now: Now,
    settings: &Settings,
) -> Message {
    let mut reply = Builder::reply_to(view, Status::OK, Some(tag.as_bytes()));
    let mut text = String::with_capacity(192);
    for binding in bindings {
        text.clear();
        contact(&mut text, binding, now, settings);
        reply = reply.header(Name::Contact, &text);
    }
    if let Some(path) = extras.path.filter(|_| view.has_option(Name::Supported, "path")) {
        reply = reply.header(Name::Path, path);
    }
    if extras.outbound {
        reply = reply.header(Name::Require, "outbound");
        if settings.flow_timer_s != 0 {
            reply = reply.header(Name::FlowTimer, settings.flow_timer_s.to_string());
        }
    }
    reply.header(Name::Date, http_date(now.unix_ms)).build()
}

/// 401 with its challenges.
pub fn challenge(view: &View<'_>, tag: &str, challenges: &[String]) -> Message {
    let reply = Builder::reply_to(view, Status::UNAUTHORIZED, Some(tag.as_bytes()));
    challenges.iter().fold(reply, |reply, value| reply.header(Name::WwwAuthenticate, value)).build()
}

/// Any other answer.
pub fn refusal(view: &View<'_>, tag: &str, reject: &Reject) -> Message {
    let mut reply = match &reject.reason {
        None => Builder::reply_to(view, reject.status, Some(tag.as_bytes())),
        Some(reason) => Builder::reply_with(view, reject.status, reason.as_bytes(), Some(tag.as_bytes())),
    };
    for (name, value) in &reject.headers {
        reply = reply.other(name, value);
    }
    reply.build()
}

fn contact(text: &mut String, binding: &Binding, now: Now, settings: &Settings) {
    let seconds = match binding.expires_ms {
        u64::MAX => u64::from(settings.expires_max_s),
        // Nearest second: a lifetime of 3600 is told as 3600 though the answer took a moment.
        at_ms => (at_ms.saturating_sub(now.unix_ms) + 500) / 1_000,
    };
    let _ = write!(text, "<{}>;expires={seconds}", binding.contact);
    if binding.q < 1_000 {
        let _ = write!(text, ";q=0.{:03}", binding.q);
        while text.ends_with('0') && !text.ends_with(".0") {
            text.pop();
        }
    }
    if let Some(instance) = &binding.instance {
        let quoted = quote(instance.as_bytes());
        let _ = write!(text, ";+sip.instance={}", String::from_utf8_lossy(&quoted));
    }
    if binding.reg_id != 0 {
        let _ = write!(text, ";reg-id={}", binding.reg_id);
    }
}

#[cfg(test)]
mod tests;
