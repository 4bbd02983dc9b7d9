//! Keeps the NAT of a UDP binding open: an OPTIONS through the binding's own flow, whose answer nobody needs.

use std::time::Duration;

use fabric::letters::flow::{Flow, SipOut};
use fabric::letters::location::Binding;
use fabric::{Address, Home, Instant, Key, LegToken, Letter, Now, Outbox};
use serde::{Deserialize, Serialize};
use sip::{Builder, Method, Name, parse_name_addr};

/// The bindings of one registration that need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepAlive {
    /// Path of the bindings; the user part of its first URI is the flow token.
    path: Box<str>,
    contacts: Box<[Contact]>,
    pub due: Instant,
    sent: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Contact {
    uri: Box<str>,
    ends: Instant,
}

impl KeepAlive {
    /// For those bindings that came with this Call-ID from behind a NAT; `None` when there are none.
    pub fn of(
        home: &Home,
        key: Key,
        call_id: &str,
        bindings: &[Binding],
        period: Duration,
        now: Now,
    ) -> Option<Box<KeepAlive>> {
        let mine = |binding: &&Binding| {
            binding.nat && *binding.call_id == *call_id && binding.expires_ms != u64::MAX && !binding.path.is_empty()
        };
        let path = bindings.iter().find(mine)?.path.clone();
        let contacts = bindings
            .iter()
            .filter(mine)
            .map(|binding| Contact { uri: binding.contact.clone(), ends: now.instant_of(binding.expires_ms) });
        // Spread over the period, so that a restart does not make a hundred thousand phones answer at once.
        let period_us = u64::try_from(period.as_micros()).unwrap_or(u64::MAX).max(1);
        let share = home.derive(key, "keep-alive", 0) as u64 % period_us;
        let due = now.instant + Duration::from_micros(period_us - share / 2);
        Some(Box::new(KeepAlive { path, contacts: contacts.collect(), due, sent: 0 }))
    }

    /// Sends what is due; `false` when nothing is left to be kept alive.
    pub fn wake(&mut self, home: &Home, key: Key, period: Duration, now: Now, out: &mut Outbox) -> bool {
        if self.due > now.instant {
            return true;
        }
        if self.contacts.iter().any(|contact| contact.ends <= now.instant) {
            let left = self.contacts.iter().filter(|contact| contact.ends > now.instant);
            self.contacts = left.cloned().collect();
        }
        let Some(flow) = flow_of(home, &self.path).filter(|_| !self.contacts.is_empty()) else { return false };
        for contact in &self.contacts {
            self.sent = self.sent.wrapping_add(1);
            let message = options(home, key, &flow, &contact.uri, self.sent);
            out.post(flow.balancer, Letter::SipOut(Box::new(SipOut { message, flow, key })));
        }
        self.due = now.instant + period;
        true
    }
}

/// The flow of a Path value of ours.
fn flow_of(home: &Home, path: &str) -> Option<Flow> {
    let first = sip::split_commas(path.as_bytes()).next()?;
    let uri = parse_name_addr(first).ok()?.uri().ok()?;
    home.tokens.open_flow(uri.user)
}

fn options(home: &Home, key: Key, flow: &Flow, contact: &str, number: u32) -> sip::Message {
    let token = home.tokens.seal_leg(LegToken { to: Address::Registration(key), leg: 0 });
    let tag = home.derive(key, "keep-alive tag", 0) as u64;
    let (transport, local) = (flow.transport.via(), flow.local);
    Builder::request(Method::Options, contact)
        .header(Name::Via, format!("SIP/2.0/{transport} {local};branch=z9hG4bK{token}{number:x};rport"))
        .header(Name::MaxForwards, "70")
        .header(Name::From, format!("<sip:{local}>;tag={tag:016x}"))
        .header(Name::To, format!("<{contact}>"))
        .header(Name::CallId, format!("{:032x}", home.derive(key, "keep-alive call", 0)))
        .header(Name::CSeq, format!("{} OPTIONS", number % (1 << 31)))
        .build()
}

#[cfg(test)]
mod tests;
