//! Inside a call: hold, resume, glare, INFO, UPDATE, hanging up.

use sip::{Builder, Message, Method, Name, Status};

use crate::plan::Side;

use super::client::Purpose;
use super::line::Theirs;
use super::text::{answering, branch_of, target};
use super::{Hand, Note, Phone, Stage, What};

impl Phone {
    /// The call is up: what this side does from now on.
    pub(super) fn begin_talk(&mut self, id: u64, side: Side, hand: &mut Hand) {
        let Some(number) = self.line(id).and_then(|line| line.attempt) else { return };
        let script = self.attempt(number).clone();
        if script.hangs_up == side {
            hand.after(script.talk_ms, What::Hangup, id);
        }
        if let Some((who, after, length)) = script.hold
            && who == side
        {
            hand.after(after, What::Hold, id);
            hand.after(after + length, What::Resume, id);
        }
        if let Some(after) = script.glare_ms {
            hand.after(after, What::Glare, id);
        }
        if let Some((who, after, _)) = script.refer
            && who == side
        {
            hand.after(after, What::Refer, id);
        }
        if side == Side::Caller {
            if let Some(after) = script.info_ms {
                hand.after(after, What::Info, id);
            }
        } else if let Some(after) = script.update_ms {
            hand.after(after, What::Update, id);
        }
    }

    pub(super) fn up(&self, id: u64) -> Option<usize> {
        self.lines.iter().position(|line| line.id == id && line.stage == Stage::Up && !line.bye_sent)
    }

    pub(super) fn reinvite(&mut self, id: u64, hold: bool, hand: &mut Hand) {
        let Some(place) = self.up(id) else { return };
        let line = &self.lines[place];
        if line.ours.is_some() || line.theirs.as_ref().is_some_and(|theirs| !theirs.acknowledged) {
            // RFC 3261 14.1: not while another one is under way.
            return;
        }
        let branch = self.branch();
        let line = &mut self.lines[place];
        line.cseq += 1;
        line.sdp_version += 1;
        line.holding = hold;
        let number = line.cseq;
        let line = &self.lines[place];
        let direction = if hold { "sendonly" } else { "sendrecv" };
        let request = self.capabilities(self.inside(line, Method::Invite, &branch, number));
        let request = request.body(b"application/sdp", self.sdp(line, direction).as_bytes()).build();
        let client = self.launch(request, Purpose::Reinvite, Some(id), hand);
        self.lines[place].ours = Some(client);
    }

    pub(super) fn reinvite_done(&mut self, line: Option<u64>, message: &Message, status: u16, hand: &mut Hand) {
        let Some(line) = line.and_then(|line| self.line(line)) else { return };
        let (id, side) = (line.id, line.side);
        line.ours = None;
        match status {
            200..=299 => {
                line.hear(message.view().body());
                if let Some(uri) = target(&message.view()) {
                    line.target = uri;
                }
                self.acknowledge(id, message, hand);
            }
            491 if !line.retried => {
                line.retried = true;
                // RFC 3261 14.1: the owner of the Call-ID waits longer.
                let wait = match side {
                    Side::Caller => self.dice.between(2_100, 4_000),
                    Side::Callee => self.dice.between(0, 2_000),
                };
                hand.after(wait, What::Retry, id);
            }
            481 | 408 => self.line_gone(Some(id), hand),
            _ => {}
        }
    }

    pub(super) fn on_reinvite(&mut self, id: u64, message: &Message, hand: &mut Hand) {
        let Some(line_id) = self.known_dialog(id, message, hand) else { return };
        let Some(place) = self.lines.iter().position(|line| line.id == line_id) else { return };
        if self.lines[place].stage == Stage::Decided {
            // Only who has our 2xx can go on to this: its ACK was lost or overtaken.
            self.acknowledged(line_id, hand);
        }
        let line = &mut self.lines[place];
        let status = match line.stage {
            Stage::Over => Some(Status(481)),
            _ if line.bye_sent => Some(Status(481)),
            _ if line.ours.is_some() => Some(Status(491)),
            _ if line.theirs.as_ref().is_some_and(|theirs| theirs.reply.is_none()) => Some(Status(500)),
            _ => None,
        };
        let view = message.view();
        let tag = line.local_tag.clone();
        if let Some(uri) = target(&view).filter(|_| status.is_none()) {
            line.target = uri;
        }
        let offer = !view.body().is_empty();
        if status.is_none() {
            line.sdp_version += 1;
            line.hear(view.body());
        }
        let direction = if offer { answering(view.body()) } else { "sendrecv" };
        let sdp = self.sdp(&self.lines[place], direction);
        let code = status.unwrap_or(Status::OK);
        let mut reply = self.capabilities(Builder::reply_to(&view, code, Some(tag.as_bytes())));
        if status.is_none() {
            if let Some(interval) = view.header(Name::SessionExpires).filter(|_| self.device.timer) {
                let interval = super::text::text(interval);
                let interval = interval.split(';').next().unwrap_or("1800").to_owned();
                reply = reply.header(Name::SessionExpires, format!("{interval};refresher=uac"));
            }
            reply = reply.body(b"application/sdp", sdp.as_bytes());
        }
        let reply = reply.build();
        if status.is_none() {
            self.lines[place].theirs = Some(Theirs {
                request: message.clone(),
                branch: branch_of(&view),
                initial: false,
                offer,
                provisional: None,
                rseq: 0,
                reply: Some(reply.clone()),
                resend_ms: 500,
                acknowledged: false,
            });
            hand.after(500, What::ResendFinal, line_id);
            hand.after(32_000, What::NoAck, line_id);
        }
        self.reply(id, reply, hand);
    }

    pub(super) fn inform(&mut self, id: u64, hand: &mut Hand) {
        let Some(place) = self.up(id) else { return };
        let branch = self.branch();
        self.lines[place].cseq += 1;
        let line = &self.lines[place];
        let request = self
            .inside(line, Method::Info, &branch, line.cseq)
            .body(b"application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n")
            .build();
        self.launch(request, Purpose::Other, Some(id), hand);
    }

    pub(super) fn update(&mut self, id: u64, hand: &mut Hand) {
        let Some(place) = self.up(id) else { return };
        let branch = self.branch();
        self.lines[place].cseq += 1;
        let line = &self.lines[place];
        let request =
            self.inside(line, Method::Update, &branch, line.cseq).header(Name::Contact, self.contact()).build();
        self.launch(request, Purpose::Other, Some(id), hand);
    }

    pub(super) fn on_info(&mut self, id: u64, message: &Message, hand: &mut Hand) {
        if self.known_dialog(id, message, hand).is_some() {
            self.answer_slowly(id, message, Status::OK, hand);
        }
    }

    pub(super) fn on_update(&mut self, id: u64, message: &Message, hand: &mut Hand) {
        let Some(line) = self.known_dialog(id, message, hand) else { return };
        let Some(place) = self.lines.iter().position(|other| other.id == line) else { return };
        let tag = self.lines[place].local_tag.clone();
        if self.lines[place].stage == Stage::Over {
            return self.answer(id, message, Status(481), hand);
        }
        let view = message.view();
        let mut reply = self.reply_with_contact(message, Status::OK, &tag);
        if let Some(interval) = view.header(Name::SessionExpires).filter(|_| self.device.timer) {
            reply = reply.header(Name::SessionExpires, interval);
        }
        if !view.body().is_empty() {
            self.lines[place].hear(view.body());
            let sdp = self.sdp(&self.lines[place], answering(view.body()));
            reply = reply.body(b"application/sdp", sdp.as_bytes());
        }
        self.reply(id, reply.build(), hand);
    }

    /// The talk is over: BYE, or nothing at all.
    pub(super) fn end_talk(&mut self, id: u64, hand: &mut Hand) {
        let line = self.lines.iter().find(|line| line.id == id && line.stage == Stage::Up);
        let attempt = line.and_then(|line| line.attempt).filter(|number| self.attempt(*number).drops);
        let (Some(line), Some(attempt)) = (line, attempt) else { return self.hang_up(id, hand) };
        let side = line.side;
        self.lines.retain(|line| line.id != id);
        self.clients.retain(|client| client.line != Some(id));
        hand.notes.extend([Note::Dropped { attempt }, Note::Down { attempt, side }]);
    }

    pub(super) fn hang_up(&mut self, id: u64, hand: &mut Hand) {
        let Some(place) = self.lines.iter().position(|line| line.id == id && line.stage != Stage::Over) else { return };
        if self.lines[place].bye_sent {
            return;
        }
        let branch = self.branch();
        let line = &mut self.lines[place];
        line.cseq += 1;
        line.bye_sent = true;
        let (attempt, side) = (line.attempt, line.side);
        let line = &self.lines[place];
        let request = self.inside(line, Method::Bye, &branch, line.cseq).build();
        if let Some(attempt) = attempt {
            hand.notes.push(Note::HungUp { attempt, side });
        }
        self.launch(request, Purpose::Bye, Some(id), hand);
    }

    pub(super) fn on_bye(&mut self, id: u64, message: &Message, hand: &mut Hand) {
        let Some(line) = self.known_dialog(id, message, hand) else { return };
        self.answer_slowly(id, message, Status::OK, hand);
        self.line_over(Some(line), hand);
    }

    /// The dialog has ended.
    pub(super) fn line_over(&mut self, line: Option<u64>, hand: &mut Hand) {
        let Some(line) = line.and_then(|line| self.line(line)) else { return };
        if line.stage == Stage::Over {
            return;
        }
        line.stage = Stage::Over;
        if let Some(attempt) = line.attempt {
            hand.notes.push(Note::Down { attempt, side: line.side });
        }
    }

    /// 481 or 408 inside a dialog ends it: RFC 3261 12.2.1.2.
    pub(super) fn line_gone(&mut self, line: Option<u64>, hand: &mut Hand) {
        if let Some(line) = line.and_then(|line| self.line(line))
            && line.stage != Stage::Over
        {
            let id = line.id;
            self.hang_up(id, hand);
        }
    }
}
