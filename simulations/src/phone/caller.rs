//! Calling: INVITE, provisionals, giving up, the answer and its ACK.

use std::collections::BTreeMap;

use sip::{Message, Method, Name};

use crate::plan::{Callee, DOMAIN, Side};

use super::client::{Purpose, State};
use super::text::{answering, bracketed, target, text};
use super::{Hand, Line, Note, Phone, Stage, What};

impl Phone {
    pub(super) fn dial(&mut self, number: usize, hand: &mut Hand) {
        let attempt = self.attempt(number).clone();
        let uri = match attempt.callee {
            Callee::User(user) => {
                let user = &self.plan.users[user];
                let name = if number.is_multiple_of(2) { &user.name } else { &user.number };
                format!("sip:{name}@{DOMAIN}")
            }
            Callee::Unknown => format!("sip:nobody@{DOMAIN}"),
            Callee::Foreign => "sip:someone@elsewhere.test".to_owned(),
        };
        if attempt.page {
            return self.page(number, &uri, hand);
        }
        let id = self.next();
        let mut line = Line {
            id,
            attempt: Some(number),
            side: Side::Caller,
            stage: Stage::Early,
            call_id: self.new_call_id(),
            local_tag: self.tag(),
            local: self.own_address(),
            remote: format!("<{uri}>"),
            remote_tag: None,
            target: uri,
            routes: Vec::new(),
            cseq: 1,
            remote_cseq: 0,
            sdp_version: 1,
            holding: false,
            invite: 0,
            wants_cancel: false,
            cancelled: false,
            ack: None,
            theirs: None,
            ours: None,
            retried: false,
            rseq_seen: BTreeMap::new(),
            bye_sent: false,
            media: None,
        };
        hand.notes.push(Note::Dialled { attempt: number, call_id: line.call_id.clone() });
        let branch = self.branch();
        let mut invite = self.capabilities(self.inside(&line, Method::Invite, &branch, 1));
        if self.device.timer {
            invite = invite.header(Name::SessionExpires, "1800").header(Name::MinSe, "90");
        }
        if !attempt.delayed_offer {
            invite = invite.body(b"application/sdp", self.sdp(&line, "sendrecv").as_bytes());
        }
        line.invite = self.launch(invite.build(), Purpose::Invite, Some(id), hand);
        self.lines.push(line);
        if let Some(wait) = attempt.cancel_ms {
            hand.after(wait, What::Cancel, id);
        } else {
            // Nobody listens to a ringing tone for ever.
            hand.after(70_000, What::Cancel, id);
        }
    }

    fn page(&mut self, number: usize, uri: &str, hand: &mut Hand) {
        let (branch, call_id, tag, me) = (self.branch(), self.new_call_id(), self.tag(), self.own_address());
        hand.notes.push(Note::Dialled { attempt: number, call_id: call_id.clone() });
        let from = format!("{me};tag={tag}");
        let request = self
            .request(Method::Message, uri, &branch, &from, &format!("<{uri}>"), &call_id, 1)
            .body(b"text/plain", format!("attempt {number}").as_bytes())
            .build();
        self.launch(request, Purpose::Page(number), None, hand);
    }

    pub(super) fn on_provisional(
        &mut self,
        client: u64,
        purpose: Purpose,
        line: Option<u64>,
        message: &Message,
        hand: &mut Hand,
    ) {
        if purpose != Purpose::Invite {
            return;
        }
        let view = message.view();
        let status = view.status().map_or(0, |status| status.code());
        let Some(line) = line.and_then(|line| self.line(line)) else { return };
        let id = line.id;
        if let Some(attempt) = line.attempt {
            hand.notes.push(Note::Provisional { attempt, status });
        }
        let wants_cancel = line.wants_cancel && !line.cancelled;
        if status > 100 && view.has_option(Name::Require, "100rel") {
            self.acknowledge_provisional(id, message, hand);
        }
        if wants_cancel {
            self.cancel(id, client, hand);
        }
    }

    /// RFC 3262 4: in order, once each.
    fn acknowledge_provisional(&mut self, id: u64, message: &Message, hand: &mut Hand) {
        let view = message.view();
        let (Ok(Some(rseq)), Ok(cseq)) = (view.number(Name::RSeq), view.cseq()) else {
            return self.wrong(hand, 12, None, "reliable provisional without RSeq".to_owned());
        };
        let offers_nothing = !self.device.reliable;
        let Some(line) = self.line(id) else { return };
        let attempt = line.attempt;
        if offers_nothing {
            return self.wrong(hand, 12, attempt, "100rel required of a phone that does not support it".to_owned());
        }
        let dialog = view.to().ok().and_then(|to| to.tag().map(text)).unwrap_or_default();
        match line.rseq_seen.get(&dialog) {
            Some(seen) if rseq <= *seen => {}
            Some(seen) if rseq != seen + 1 => return,
            _ => {
                line.rseq_seen.insert(dialog, rseq);
            }
        }
        line.cseq += 1;
        let number = line.cseq;
        let rack = format!("{rseq} {} {}", cseq.number, cseq.method.as_str());
        let tag = view.to().ok().and_then(|to| to.tag().map(text));
        let uri = target(&view);
        let branch = self.branch();
        let Some(line) = self.line(id) else { return };
        let (kept_tag, kept_target) = (line.remote_tag.take(), line.target.clone());
        line.remote_tag = tag;
        if let Some(uri) = uri {
            line.target = uri;
        }
        let place = self.lines.iter().position(|line| line.id == id).unwrap_or_default();
        let request = self.inside(&self.lines[place], Method::Prack, &branch, number).header(Name::RAck, rack).build();
        self.lines[place].remote_tag = kept_tag;
        self.lines[place].target = kept_target;
        self.launch(request, Purpose::Prack, Some(id), hand);
    }

    /// The caller does not want to wait any longer.
    pub(super) fn give_up(&mut self, id: u64, hand: &mut Hand) {
        let Some(line) = self.line(id) else { return };
        if line.stage != Stage::Early || line.wants_cancel {
            return;
        }
        line.wants_cancel = true;
        let (invite, attempt) = (line.invite, line.attempt);
        if let Some(attempt) = attempt {
            hand.notes.push(Note::GaveUp { attempt });
        }
        // RFC 3261 9.1: not before a provisional response.
        if self.client(invite).is_some_and(|client| client.state == State::Proceeding) {
            self.cancel(id, invite, hand);
        }
    }

    fn cancel(&mut self, id: u64, invite: u64, hand: &mut Hand) {
        let Some(client) = self.client(invite) else { return };
        let invite = client.message.clone();
        let view = invite.view();
        let cseq = view.cseq().map_or(0, |cseq| cseq.number);
        let cancel = sip::Builder::request(Method::Cancel, view.uri())
            .copy(&view, Name::Via)
            .header(Name::MaxForwards, "70")
            .copy(&view, Name::From)
            .copy(&view, Name::To)
            .copy(&view, Name::CallId)
            .copy(&view, Name::Route)
            .header(Name::CSeq, format!("{cseq} CANCEL"))
            .build();
        if let Some(line) = self.line(id) {
            line.cancelled = true;
        }
        self.launch(cancel, Purpose::Cancel, Some(id), hand);
    }

    pub(super) fn call_answered(&mut self, line: Option<u64>, message: &Message, hand: &mut Hand) {
        let Some(line) = line.and_then(|line| self.line(line)) else { return };
        let view = message.view();
        let id = line.id;
        let attempt = line.attempt;
        line.hear(view.body());
        line.remote_tag = view.to().ok().and_then(|to| to.tag().map(text));
        line.remote = bracketed(&view, Name::To).unwrap_or_default();
        line.routes = view.values(Name::RecordRoute).map(text).collect();
        line.routes.reverse();
        match target(&view) {
            Some(uri) => line.target = uri,
            None => self.wrong(hand, 11, attempt, "2xx without Contact".to_owned()),
        }
        let Some(line) = self.line(id) else { return };
        line.stage = Stage::Up;
        let wanted = !line.wants_cancel;
        self.acknowledge(id, message, hand);
        let Some(number) = attempt else { return };
        hand.notes.push(Note::Final { attempt: number, status: view.status().map_or(200, |status| status.code()) });
        hand.notes.push(Note::Up { attempt: number, side: Side::Caller });
        if wanted {
            self.begin_talk(id, Side::Caller, hand);
        } else {
            // The answer was quicker than the CANCEL.
            hand.after(1, What::Hangup, id);
        }
    }

    /// ACK to a 2xx, kept for the next copy of it; with an answer when the 2xx made the offer.
    pub(super) fn acknowledge(&mut self, id: u64, message: &Message, hand: &mut Hand) {
        let view = message.view();
        let cseq = view.cseq().map_or(0, |cseq| cseq.number);
        let branch = self.branch();
        let Some(place) = self.lines.iter().position(|line| line.id == id) else { return };
        let line = &self.lines[place];
        let mut ack = self.inside(line, Method::Ack, &branch, cseq);
        let offered = self.clients.iter().any(|client| {
            client.line == Some(id)
                && client.message.view().cseq().is_ok_and(|own| own.number == cseq && own.method == Method::Invite)
                && !client.message.view().body().is_empty()
        });
        if !offered && !view.body().is_empty() {
            ack = ack.body(b"application/sdp", self.sdp(line, answering(view.body())).as_bytes());
        }
        let ack = ack.build();
        self.lines[place].ack = Some(ack.clone());
        hand.sends.push(ack);
    }

    /// A copy of the 2xx: our ACK was lost, or another branch answered too.
    pub(super) fn again_ok(&mut self, line: Option<u64>, message: &Message, hand: &mut Hand) {
        let Some(line) = line.and_then(|line| self.line(line)) else { return };
        let tag = message.view().to().ok().and_then(|to| to.tag().map(text));
        let attempt = line.attempt;
        if tag != line.remote_tag {
            return self.wrong(hand, 11, attempt, "a second 2xx with another tag".to_owned());
        }
        if let Some(ack) = line.ack.clone() {
            let same = ack.view().cseq().is_ok_and(|ack| message.view().cseq().is_ok_and(|ok| ok.number == ack.number));
            if same {
                hand.sends.push(ack);
            }
        }
    }

    pub(super) fn call_failed(&mut self, line: Option<u64>, status: u16, hand: &mut Hand) {
        let Some(line) = line.and_then(|line| self.line(line)) else { return };
        line.stage = Stage::Over;
        if let Some(attempt) = line.attempt {
            hand.notes.push(Note::Final { attempt, status });
        }
    }
}
