//! Being called: ringing, the script's answer, CANCEL, and the 2xx until its ACK.

use std::collections::BTreeMap;

use sip::{Builder, Message, Method, Name, Status};

use crate::plan::{Reply, Side};

use super::line::Theirs;
use super::text::{answering, bracketed, branch_of, target, text};
use super::{Hand, Line, Media, Note, Phone, Stage, What};

const T1_MS: u64 = 500;
const T2_MS: u64 = 4_000;
const NO_ACK_MS: u64 = 64 * T1_MS;

impl Phone {
    pub(super) fn on_invite(&mut self, id: u64, message: &Message, hand: &mut Hand) {
        let view = message.view();
        if view.to().is_ok_and(|to| to.tag().is_some()) {
            return self.on_reinvite(id, message, hand);
        }
        let attempt = self.whose(message);
        if let Some(line) = self.line_of(&view) {
            let attempt = line.attempt;
            self.wrong(hand, 10, attempt, "the same INVITE on another branch".to_owned());
            return self.answer(id, message, Status(482), hand);
        }
        if let Some(number) = attempt
            && self.lines.iter().any(|line| line.attempt == Some(number) && line.side == Side::Callee)
        {
            self.wrong(hand, 10, attempt, "rung twice by one call".to_owned());
        }
        let line = self.called(id, message, attempt);
        let line_id = line.id;
        self.lines.push(line);
        let trying = Builder::reply_to(&view, Status::TRYING, None).build();
        self.reply(id, trying, hand);
        hand.after(self.device.slow_ms.max(1), What::Ring, line_id);
    }

    /// Which attempt this is: the caller's user name or number is in From.
    fn whose(&self, message: &Message) -> Option<usize> {
        let view = message.view();
        let from = view.from().ok()?.uri().ok()?;
        let name = text(&from.user_decoded());
        let name = name.trim_start_matches('+');
        let caller = self.plan.users.iter().position(|user| user.name == name || user.number == name)?;
        self.plan.attempt_between(caller, self.device.user)
    }

    fn called(&mut self, server: u64, message: &Message, attempt: Option<usize>) -> Line {
        let view = message.view();
        let mut routes: Vec<String> = view.values(Name::RecordRoute).map(text).collect();
        routes.retain(|route| !route.is_empty());
        Line {
            id: server,
            attempt,
            side: Side::Callee,
            stage: Stage::Early,
            call_id: view.call_id().map(text).unwrap_or_default(),
            local_tag: self.tag(),
            local: bracketed(&view, Name::To).unwrap_or_default(),
            remote: bracketed(&view, Name::From).unwrap_or_default(),
            remote_tag: view.from().ok().and_then(|from| from.tag().map(text)),
            target: target(&view).unwrap_or_default(),
            routes,
            cseq: 0,
            remote_cseq: view.cseq().map_or(0, |cseq| cseq.number),
            sdp_version: 1,
            holding: false,
            invite: 0,
            wants_cancel: false,
            cancelled: false,
            ack: None,
            theirs: Some(Theirs {
                request: message.clone(),
                branch: branch_of(&view),
                initial: true,
                offer: !view.body().is_empty(),
                provisional: None,
                rseq: 0,
                reply: None,
                resend_ms: T1_MS,
                acknowledged: false,
            }),
            ours: None,
            retried: false,
            rseq_seen: BTreeMap::new(),
            bye_sent: false,
            media: Media::of(view.body()),
        }
    }

    pub(super) fn ring(&mut self, id: u64, hand: &mut Hand) {
        let Some(place) = self.early(id) else { return };
        let attempt = self.lines[place].attempt;
        if let Some(attempt) = attempt {
            hand.notes.push(Note::Ringing { attempt });
        }
        let script = attempt.map(|number| self.attempt(number).clone());
        let early = script.as_ref().is_some_and(|script| script.early_media);
        let tag = self.lines[place].local_tag.clone();
        let Some(theirs) = &self.lines[place].theirs else { return };
        let (request, offer) = (theirs.request.clone(), theirs.offer);
        let reliable = self.device.reliable && offer && request.view().has_option(Name::Supported, "100rel");
        let status = if early && offer { Status(183) } else { Status(180) };
        let mut reply = self.reply_with_contact(&request, status, &tag);
        if reliable {
            reply = reply.header(Name::Require, "100rel").header(Name::RSeq, "1");
        }
        if status.code() == 183 {
            let sdp = self.sdp(&self.lines[place], answering(request.view().body()));
            reply = reply.body(b"application/sdp", sdp.as_bytes());
        }
        let reply = reply.build();
        if reliable && let Some(theirs) = &mut self.lines[place].theirs {
            theirs.provisional = Some((1, reply.clone()));
            theirs.rseq = 1;
            theirs.resend_ms = T1_MS;
            hand.after(T1_MS, What::ResendProvisional, id);
        }
        self.reply(id, reply, hand);
        hand.after(script.map_or(60_000, |script| script.ring_ms), What::Answer, id);
    }

    /// RFC 3262 3: doubling, for 32 s.
    pub(super) fn resend_provisional(&mut self, id: u64, hand: &mut Hand) {
        let Some(place) = self.early(id) else { return };
        let Some(theirs) = &mut self.lines[place].theirs else { return };
        let Some((_, reply)) = &theirs.provisional else { return };
        theirs.resend_ms *= 2;
        if theirs.resend_ms > NO_ACK_MS {
            return self.refuse(id, Status(504), hand);
        }
        hand.sends.push(reply.clone());
        hand.after(theirs.resend_ms, What::ResendProvisional, id);
    }

    pub(super) fn on_prack(&mut self, id: u64, message: &Message, hand: &mut Hand) {
        let Some(line) = self.known_dialog(id, message, hand) else { return };
        let rack =
            message.view().header(Name::RAck).and_then(|value| sip::parse_rack(value).ok()).map(|(rseq, _)| rseq);
        let matches = self.line(line).and_then(|line| line.theirs.as_mut()).is_some_and(|theirs| {
            let matches = theirs.provisional.as_ref().is_some_and(|(rseq, _)| Some(*rseq) == rack);
            if matches {
                theirs.provisional = None;
            }
            matches
        });
        let status = if matches { Status::OK } else { Status(481) };
        self.answer(id, message, status, hand);
    }

    /// The script says how this call goes on.
    pub(super) fn decide(&mut self, id: u64, hand: &mut Hand) {
        let Some(place) = self.early(id) else { return };
        let line = &self.lines[place];
        if line.theirs.as_ref().is_some_and(|theirs| theirs.provisional.is_some()) {
            return hand.after(100, What::Answer, id);
        }
        let Some(number) = line.attempt else { return self.refuse(id, Status(480), hand) };
        let script = self.attempt(number);
        let (reply, mine) = (script.reply, script.everybody || script.answers == self.device.ordinal);
        if !mine {
            return;
        }
        match reply {
            Reply::Answer => self.accept(id, hand),
            Reply::Busy => self.refuse(id, Status(486), hand),
            Reply::Decline => self.refuse(id, Status(603), hand),
            Reply::Ring => {}
        }
    }

    fn accept(&mut self, id: u64, hand: &mut Hand) {
        let Some(place) = self.early(id) else { return };
        let tag = self.lines[place].local_tag.clone();
        let Some(theirs) = &self.lines[place].theirs else { return };
        let request = theirs.request.clone();
        let direction = if theirs.offer { answering(request.view().body()) } else { "sendrecv" };
        let sdp = self.sdp(&self.lines[place], direction);
        let mut reply = self.capabilities(Builder::reply_to(&request.view(), Status::OK, Some(tag.as_bytes())));
        if self.device.timer
            && let Some(interval) = request.view().header(Name::SessionExpires)
        {
            let interval = text(interval);
            let interval = interval.split(';').next().unwrap_or("1800").to_owned();
            reply =
                reply.header(Name::SessionExpires, format!("{interval};refresher=uac")).header(Name::Require, "timer");
        }
        let reply = reply.body(b"application/sdp", sdp.as_bytes()).build();
        self.decided(id, reply, hand);
    }

    fn refuse(&mut self, id: u64, status: Status, hand: &mut Hand) {
        let Some(place) = self.early(id) else { return };
        let tag = self.lines[place].local_tag.clone();
        let Some(theirs) = &self.lines[place].theirs else { return };
        let request = theirs.request.clone();
        let reply = Builder::reply_to(&request.view(), status, Some(tag.as_bytes())).build();
        self.decided(id, reply, hand);
    }

    fn decided(&mut self, id: u64, reply: Message, hand: &mut Hand) {
        let status = reply.view().status().map_or(0, |status| status.code());
        let resends = status < 300 || !self.is_reliable();
        let Some(line) = self.line(id) else { return };
        line.stage = Stage::Decided;
        if let Some(attempt) = line.attempt {
            hand.notes.push(Note::Quiet { attempt, status });
        }
        if let Some(theirs) = &mut line.theirs {
            theirs.reply = Some(reply.clone());
            theirs.resend_ms = T1_MS;
        }
        if resends {
            hand.after(T1_MS, What::ResendFinal, id);
        }
        hand.after(NO_ACK_MS, What::NoAck, id);
        self.reply(id, reply, hand);
    }

    pub(super) fn resend_final(&mut self, id: u64, hand: &mut Hand) {
        let Some(theirs) = self.line(id).and_then(|line| line.theirs.as_mut()) else { return };
        if theirs.acknowledged {
            return;
        }
        let Some(reply) = theirs.reply.clone() else { return };
        theirs.resend_ms = (theirs.resend_ms * 2).min(T2_MS);
        let wait = theirs.resend_ms;
        hand.sends.push(reply);
        hand.after(wait, What::ResendFinal, id);
    }

    /// RFC 3261 13.3.1.4: an answer that nobody acknowledges ends the call.
    pub(super) fn no_ack(&mut self, id: u64, hand: &mut Hand) {
        let Some(line) = self.line(id) else { return };
        let Some(theirs) = &mut line.theirs else { return };
        if theirs.acknowledged {
            return;
        }
        let ok = theirs.reply.as_ref().is_some_and(|reply| reply.view().status().is_some_and(Status::is_success));
        let initial = theirs.initial;
        line.theirs = None;
        let attempt = line.attempt;
        if ok && line.stage != Stage::Over {
            hand.notes.push(Note::NoAck { attempt });
            self.hang_up(id, hand);
        } else if initial {
            line.stage = Stage::Over;
        }
    }

    pub(super) fn on_ack(&mut self, message: &Message, hand: &mut Hand) {
        let view = message.view();
        let number = view.cseq().map_or(0, |cseq| cseq.number);
        let Some(line) = self.line_of(&view) else { return };
        let id = line.id;
        let Some(theirs) = &mut line.theirs else { return };
        if theirs.request.view().cseq().map_or(0, |cseq| cseq.number) != number {
            return;
        }
        let Some(reply) = &theirs.reply else { return };
        line.media = Media::of(view.body()).or(line.media);
        let ok = reply.view().status().is_some_and(Status::is_success);
        let (first, initial) = (!theirs.acknowledged, theirs.initial);
        theirs.acknowledged = true;
        if !initial {
            line.theirs = None;
            return;
        }
        if !ok {
            line.theirs = None;
            line.stage = Stage::Over;
        } else if first {
            self.acknowledged(id, hand);
        }
    }

    /// Our 2xx has arrived: the call is up.
    pub(super) fn acknowledged(&mut self, id: u64, hand: &mut Hand) {
        let Some(line) = self.line(id).filter(|line| line.stage == Stage::Decided) else { return };
        line.stage = Stage::Up;
        line.theirs = None;
        let (attempt, side) = (line.attempt, line.side);
        if let Some(attempt) = attempt {
            hand.notes.push(Note::Up { attempt, side });
        }
        self.begin_talk(id, Side::Callee, hand);
    }

    pub(super) fn on_cancel(&mut self, id: u64, message: &Message, hand: &mut Hand) {
        let branch = branch_of(&message.view());
        let line = self.lines.iter().find(|line| line.theirs.as_ref().is_some_and(|theirs| theirs.branch == branch));
        let Some((line, stage)) = line.map(|line| (line.id, line.stage)) else {
            let known = self.servers_know(&branch);
            return self.answer(id, message, if known { Status::OK } else { Status(481) }, hand);
        };
        self.answer(id, message, Status::OK, hand);
        if stage == Stage::Early {
            self.refuse(line, Status(487), hand);
        }
    }

    fn servers_know(&self, branch: &str) -> bool {
        self.servers.iter().any(|server| server.is_invite(branch))
    }

    /// Place of a line that still rings.
    fn early(&self, id: u64) -> Option<usize> {
        self.lines.iter().position(|line| line.id == id && line.stage == Stage::Early && line.side == Side::Callee)
    }
}

impl super::Server {
    fn is_invite(&self, branch: &str) -> bool {
        self.matches(branch, Method::Invite)
    }
}
