//! Transferring: REFER to the other side's replacement and what the switch tells of it. RFC 3515 2.4, RFC 5589 5.

use sip::{Message, Method, Name, Status};

use crate::plan::DOMAIN;

use super::client::Purpose;
use super::{Hand, Note, Phone};

impl Phone {
    /// Asks for the other side to be connected to somebody else.
    pub(super) fn refer(&mut self, id: u64, hand: &mut Hand) {
        let Some(place) = self.up(id) else { return };
        let Some(attempt) = self.lines[place].attempt else { return };
        let Some((_, _, user)) = self.attempt(attempt).refer else { return };
        let target = format!("<sip:{}@{DOMAIN}>", self.plan.users[user].name);
        let branch = self.branch();
        self.lines[place].cseq += 1;
        let line = &self.lines[place];
        let request = self
            .inside(line, Method::Refer, &branch, line.cseq)
            .header(Name::Contact, self.contact())
            .header(Name::ReferTo, target)
            .build();
        hand.notes.push(Note::Referred { attempt });
        self.launch(request, Purpose::Refer, Some(id), hand);
    }

    /// 202: the rest comes by NOTIFY. Everything else: that was it.
    pub(super) fn refer_answered(&mut self, line: Option<u64>, status: u16, hand: &mut Hand) {
        if status < 300 {
            return;
        }
        if let Some(attempt) = line.and_then(|line| self.line(line)).and_then(|line| line.attempt) {
            hand.notes.push(Note::ReferDone { attempt, status });
        }
        if status == 481 || status == 408 {
            self.line_gone(line, hand);
        }
    }

    /// A status line that the switch has heard, or made.
    pub(super) fn on_notify(&mut self, id: u64, message: &Message, hand: &mut Hand) {
        let Some(line) = self.known_dialog(id, message, hand) else { return };
        self.answer_slowly(id, message, Status::OK, hand);
        let body = String::from_utf8_lossy(message.view().body()).into_owned();
        let status = body.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let attempt = self.line(line).and_then(|line| line.attempt);
        match (status, attempt) {
            (Some(status), Some(attempt)) if status >= 200 => hand.notes.push(Note::ReferDone { attempt, status }),
            (Some(_), _) => {}
            (None, attempt) => self.wrong(hand, 27, attempt, format!("a NOTIFY that says nothing: {body}")),
        }
    }
}
