//! Requests that a phone receives: answered once, and the same again for every copy.

use sip::{Builder, Message, Method, MethodName, Name, Status};

use super::text::branch_of;
use super::{Hand, Phone, What};

pub(super) struct Server {
    pub id: u64,
    branch: String,
    method: MethodName,
    reply: Option<Message>,
    /// Not sent yet: a slow phone.
    held: Option<Message>,
    since_ms: u64,
}

const FORGET_MS: u64 = 80_000;

impl Phone {
    pub(super) fn on_request(&mut self, message: &Message, hand: &mut Hand) {
        let view = message.view();
        let method = view.method();
        let branch = branch_of(&view);
        if method == Method::Ack {
            return self.on_ack(message, hand);
        }
        let known = self.servers.iter().find(|server| server.branch == branch && method == server.method.as_method());
        if let Some(known) = known {
            hand.sends.extend(known.reply.clone());
            return;
        }
        self.servers.retain(|server| server.since_ms + FORGET_MS > hand.now_ms);
        let id = self.next();
        self.servers.push(Server {
            id,
            branch,
            method: method.to_owned(),
            reply: None,
            held: None,
            since_ms: hand.now_ms,
        });
        match method {
            Method::Invite => self.on_invite(id, message, hand),
            Method::Cancel => self.on_cancel(id, message, hand),
            Method::Bye => self.on_bye(id, message, hand),
            Method::Prack => self.on_prack(id, message, hand),
            Method::Update => self.on_update(id, message, hand),
            Method::Info => self.on_info(id, message, hand),
            Method::Notify => self.on_notify(id, message, hand),
            Method::Options | Method::Message => self.answer_slowly(id, message, Status::OK, hand),
            _ => self.answer(id, message, Status(405), hand),
        }
    }

    /// Sends a response and keeps it for copies of the request.
    pub(super) fn reply(&mut self, id: u64, reply: Message, hand: &mut Hand) {
        if let Some(server) = self.servers.iter_mut().find(|server| server.id == id) {
            server.reply = Some(reply.clone());
        }
        hand.sends.push(reply);
    }

    pub(super) fn answer(&mut self, id: u64, request: &Message, status: Status, hand: &mut Hand) {
        let tag = self.tag();
        let reply = Builder::reply_to(&request.view(), status, Some(tag.as_bytes())).build();
        self.reply(id, reply, hand);
    }

    pub(super) fn answer_slowly(&mut self, id: u64, request: &Message, status: Status, hand: &mut Hand) {
        if self.device.slow_ms == 0 {
            return self.answer(id, request, status, hand);
        }
        let tag = self.tag();
        let reply = Builder::reply_to(&request.view(), status, Some(tag.as_bytes())).build();
        if let Some(server) = self.servers.iter_mut().find(|server| server.id == id) {
            server.held = Some(reply);
        }
        hand.after(self.device.slow_ms, What::Reply, id);
    }

    pub(super) fn late_reply(&mut self, id: u64, hand: &mut Hand) {
        let held = self.servers.iter_mut().find(|server| server.id == id).and_then(|server| server.held.take());
        if let Some(reply) = held {
            self.reply(id, reply, hand);
        }
    }

    /// Whether a request belongs to a dialog; 481 otherwise.
    pub(super) fn known_dialog(&mut self, id: u64, request: &Message, hand: &mut Hand) -> Option<u64> {
        let view = request.view();
        let line = self.line_of(&view).map(|line| (line.id, line.remote_cseq));
        let number = view.cseq().map_or(0, |cseq| cseq.number);
        match line {
            None => {
                self.answer(id, request, Status(481), hand);
                None
            }
            // RFC 3261 12.2.2: an old request that was overtaken.
            Some((_, seen)) if number < seen => {
                self.answer(id, request, Status(500), hand);
                None
            }
            Some((line, _)) => {
                if let Some(line) = self.line(line) {
                    line.remote_cseq = number;
                }
                Some(line)
            }
        }
    }

    pub(super) fn reply_with_contact(&mut self, request: &Message, status: Status, tag: &str) -> Builder {
        let reply = Builder::reply_to(&request.view(), status, Some(tag.as_bytes()));
        reply.header(Name::Contact, self.contact())
    }
}

impl Server {
    pub(super) fn matches(&self, branch: &str, method: Method<'_>) -> bool {
        self.branch == branch && method == self.method.as_method()
    }
}
