//! Registering: REGISTER, digest, refresh at half time, unregister.

use sip::{Message, Method, Name};

use crate::plan::DOMAIN;

use super::client::Purpose;
use super::text::text;
use super::{Hand, Note, Phone, What};

#[derive(Default)]
pub(super) struct Registering {
    pub call_id: String,
    tag: String,
    pub cseq: u32,
    generation: u64,
    leaving: bool,
    /// One REGISTER at a time (RFC 3261 10.2); whether another is to follow.
    pending: bool,
    again: bool,
    refused: u32,
    pub held: Option<Held>,
}

/// A challenge that is kept for the next request.
#[derive(Clone)]
pub(super) struct Held {
    pub realm: String,
    pub proxy: bool,
    pub nc: u32,
    /// The header value.
    pub challenge: String,
}

impl Registering {
    /// After a restart; timers from before it must not be taken for new ones.
    pub fn after(boots: u64) -> Registering {
        Registering { generation: boots << 32, ..Registering::default() }
    }

    /// It has registered, and means to stay.
    pub fn is_wanted(&self) -> bool {
        !self.call_id.is_empty() && !self.leaving
    }
}

impl Phone {
    pub(super) fn register(&mut self, hand: &mut Hand) {
        if self.registering.leaving {
            return;
        }
        let expires = self.device.expires_s;
        self.send_register(expires, hand);
    }

    pub(super) fn refresh(&mut self, generation: u64, hand: &mut Hand) {
        if generation == self.registering.generation {
            self.register(hand);
        }
    }

    pub(super) fn unregister(&mut self, hand: &mut Hand) {
        self.registering.leaving = true;
        self.registering.generation += 1;
        self.send_register(0, hand);
    }

    fn send_register(&mut self, expires_s: u32, hand: &mut Hand) {
        if self.registering.pending {
            self.registering.again = true;
            return;
        }
        self.registering.pending = true;
        if self.registering.call_id.is_empty() {
            self.registering.call_id = self.new_call_id();
            self.registering.tag = self.tag();
        }
        self.registering.cseq += 1;
        let (branch, me) = (self.branch(), self.own_address());
        let from = format!("{me};tag={}", self.registering.tag);
        let contact = format!(
            "{};expires={expires_s};+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-{:012}>\"",
            self.contact(),
            self.index
        );
        let uri = format!("sip:{DOMAIN}");
        let registering = &self.registering;
        let request = self
            .request(Method::Register, &uri, &branch, &from, &me, &registering.call_id, registering.cseq)
            .header(Name::Contact, contact)
            .header(Name::Expires, expires_s.to_string())
            .header(Name::Supported, "path, outbound")
            .build();
        hand.notes.push(Note::Binding);
        let held = self.registering.held.take();
        let request = match held.and_then(|held| self.with_credentials(&request, held, true)) {
            Some((request, cseq)) => {
                self.registering.cseq = cseq;
                request
            }
            None => request,
        };
        self.launch(request, Purpose::Register, None, hand);
    }

    /// The REGISTER under way is done; what waited for it goes out.
    fn register_done(&mut self, hand: &mut Hand) {
        self.registering.pending = false;
        if std::mem::take(&mut self.registering.again) {
            let expires = if self.registering.leaving { 0 } else { self.device.expires_s };
            self.send_register(expires, hand);
        }
    }

    pub(super) fn registered(&mut self, message: &Message, status: u16, hand: &mut Hand) {
        if status != 200 {
            return self.register_failed(Some(status), hand);
        }
        let view = message.view();
        let own = self.contact();
        let own = own.trim_matches(['<', '>']);
        let mut lifetime = None;
        let mut contacts = 0;
        for contact in view.contacts().flatten() {
            contacts += 1;
            if contact.uri().is_ok_and(|uri| text(uri.raw()) == own) {
                lifetime = contact.expires();
            }
        }
        self.registering.refused = 0;
        let until_ms = lifetime.map(|seconds| hand.now_ms + u64::from(seconds) * 1_000);
        let asked = if self.registering.leaving && !self.registering.again { 0 } else { self.device.expires_s };
        // Where several nodes answer, their wall clocks may differ a little.
        let slack = if self.device.patient { 3 } else { 0 };
        if lifetime.is_some_and(|seconds| seconds > asked.max(60) + slack) {
            self.wrong(hand, 16, None, format!("bound for {lifetime:?} s, asked for {asked} s"));
        }
        let stays = !self.registering.leaving || self.registering.again;
        if lifetime.is_none() && stays {
            self.wrong(hand, 16, None, "200 to REGISTER without our contact".to_owned());
        }
        hand.notes.push(Note::Bound { until_ms, contacts });
        if let Some(seconds) = lifetime.filter(|_| !self.registering.leaving) {
            self.registering.generation += 1;
            let generation = self.registering.generation;
            hand.after(u64::from(seconds) * 500, What::Refresh, generation);
        }
        self.register_done(hand);
    }

    /// `None`: no answer.
    pub(super) fn register_failed(&mut self, status: Option<u16>, hand: &mut Hand) {
        hand.notes.push(Note::Unbound { status: status.unwrap_or(0) });
        self.registering.held = None;
        self.registering.refused += 1;
        self.register_done(hand);
        if self.registering.leaving || (self.registering.refused > 2 && !self.device.patient) {
            return;
        }
        self.registering.generation += 1;
        let generation = self.registering.generation;
        hand.after(5_000, What::Refresh, generation);
    }
}
