//! Requests that a phone sends: resent until answered (UDP), answered once with credentials, given up after 32 s.

use auth::{Answering, Challenge, Ha1, choose, respond};
use sip::{Builder, Message, Method, MethodName, Name};

use super::register::Held;
use super::text::{branch_of, text};
use super::{Hand, Note, Phone, What};

pub(super) struct Client {
    pub id: u64,
    branch: String,
    pub method: MethodName,
    pub message: Message,
    pub purpose: Purpose,
    pub line: Option<u64>,
    pub state: State,
    resend_ms: u64,
    /// Challenges answered so far.
    challenged: u8,
    ack: Option<Message>,
    since_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Calling,
    Proceeding,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Register,
    Invite,
    Reinvite,
    Cancel,
    Bye,
    Prack,
    Refer,
    Other,
    Page(usize),
}

const T1_MS: u64 = 500;
const T2_MS: u64 = 4_000;
const GIVE_UP_MS: u64 = 64 * T1_MS;
const FORGET_MS: u64 = 80_000;

impl Phone {
    /// Sends a request and waits for what comes back.
    pub(super) fn launch(&mut self, message: Message, purpose: Purpose, line: Option<u64>, hand: &mut Hand) -> u64 {
        self.launch_again(message, purpose, line, 0, hand)
    }

    fn launch_again(
        &mut self,
        message: Message,
        purpose: Purpose,
        line: Option<u64>,
        challenged: u8,
        hand: &mut Hand,
    ) -> u64 {
        self.clients.retain(|client| client.state != State::Done || client.since_ms + FORGET_MS > hand.now_ms);
        let id = self.next();
        let client = Client {
            id,
            branch: branch_of(&message.view()),
            method: message.method(),
            message: message.clone(),
            purpose,
            line,
            state: State::Calling,
            resend_ms: T1_MS,
            challenged,
            ack: None,
            since_ms: hand.now_ms,
        };
        self.clients.push(client);
        if !self.is_reliable() {
            hand.after(T1_MS, What::Resend, id);
        }
        hand.after(GIVE_UP_MS, What::GiveUp, id);
        hand.sends.push(message);
        id
    }

    pub(super) fn client(&mut self, id: u64) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    pub(super) fn resend(&mut self, id: u64, hand: &mut Hand) {
        let Some(client) = self.client(id) else { return };
        let invite = client.method == Method::Invite;
        match client.state {
            State::Done => return,
            State::Proceeding if invite => return,
            State::Calling if invite => client.resend_ms *= 2,
            State::Proceeding => client.resend_ms = T2_MS,
            State::Calling => client.resend_ms = (client.resend_ms * 2).min(T2_MS),
        }
        let (message, wait) = (client.message.clone(), client.resend_ms);
        hand.sends.push(message);
        hand.after(wait, What::Resend, id);
    }

    /// Everything that waits for a final answer, once more, as long as its sender would wait.
    pub(super) fn send_again(&mut self, hand: &mut Hand) {
        let over = |line: Option<u64>| {
            let line = self.lines.iter().find(|own| Some(own.id) == line);
            line.is_some_and(|line| line.stage == super::Stage::Over)
        };
        let open = self.clients.iter().filter(|client| {
            client.state != State::Done
                && client.since_ms + GIVE_UP_MS > hand.now_ms
                && (client.purpose == Purpose::Bye || !over(client.line))
        });
        let messages: Vec<Message> = open.map(|client| client.message.clone()).collect();
        hand.sends.extend(messages);
    }

    pub(super) fn client_timeout(&mut self, id: u64, hand: &mut Hand) {
        let Some(client) = self.client(id) else { return };
        let invite = client.method == Method::Invite;
        if client.state == State::Done || (invite && client.state == State::Proceeding) {
            return;
        }
        client.state = State::Done;
        let (method, branch) = (client.method.as_str().to_owned(), client.branch.clone());
        let (purpose, line) = (client.purpose, client.line);
        let attempt = match purpose {
            Purpose::Page(attempt) => Some(attempt),
            _ => line.and_then(|line| self.line(line)).and_then(|line| line.attempt),
        };
        hand.notes.push(Note::TimedOut { method, branch, attempt });
        match purpose {
            Purpose::Register => self.register_failed(None, hand),
            Purpose::Invite => self.call_failed(line, 0, hand),
            Purpose::Page(attempt) => hand.notes.push(Note::Final { attempt, status: 0 }),
            // RFC 3261 12.2.1.2: no answer inside a dialog ends it.
            Purpose::Reinvite | Purpose::Bye => self.line_over(line, hand),
            Purpose::Cancel | Purpose::Prack | Purpose::Refer | Purpose::Other => {}
        }
    }

    pub(super) fn on_response(&mut self, message: &Message, hand: &mut Hand) {
        let view = message.view();
        let branch = branch_of(&view);
        let Some(place) = self
            .clients
            .iter()
            .position(|client| client.branch == branch && view.method() == client.method.as_method())
        else {
            return;
        };
        let status = view.status().map_or(0, |status| status.code());
        let client = &mut self.clients[place];
        let (id, purpose, line, invite) = (client.id, client.purpose, client.line, client.method == Method::Invite);
        if status < 200 {
            if client.state == State::Calling {
                client.state = State::Proceeding;
            }
            if client.state != State::Done {
                self.on_provisional(id, purpose, line, message, hand);
            }
            return;
        }
        let first = client.state != State::Done;
        client.state = State::Done;
        if invite && status >= 300 {
            let ack = client.ack.get_or_insert_with(|| failure_ack(&client.message, message)).clone();
            hand.sends.push(ack);
        }
        if !first {
            if invite && status < 300 {
                self.again_ok(line, message, hand);
            }
            return;
        }
        if (status == 401 || status == 407) && self.answer_challenge(place, message, hand) {
            return;
        }
        self.on_final(purpose, line, message, status, hand);
    }

    fn on_final(&mut self, purpose: Purpose, line: Option<u64>, message: &Message, status: u16, hand: &mut Hand) {
        match purpose {
            Purpose::Register => self.registered(message, status, hand),
            Purpose::Invite if status < 300 => self.call_answered(line, message, hand),
            Purpose::Invite => self.call_failed(line, status, hand),
            Purpose::Reinvite => self.reinvite_done(line, message, status, hand),
            Purpose::Bye => self.line_over(line, hand),
            Purpose::Page(attempt) => hand.notes.push(Note::Final { attempt, status }),
            Purpose::Refer => self.refer_answered(line, status, hand),
            Purpose::Other if status == 481 || status == 408 => self.line_gone(line, hand),
            Purpose::Cancel | Purpose::Prack | Purpose::Other => {}
        }
    }

    /// Sends the request once more with credentials; false when there is no sense in it.
    fn answer_challenge(&mut self, place: usize, message: &Message, hand: &mut Hand) -> bool {
        let (view, old) = (message.view(), self.clients[place].message.clone());
        let (purpose, line, challenged) =
            (self.clients[place].purpose, self.clients[place].line, self.clients[place].challenged);
        let proxy = view.status().is_some_and(|status| status.code() == 407);
        let challenges: Vec<Challenge<'_>> = view
            .headers(if proxy { Name::ProxyAuthenticate } else { Name::WwwAuthenticate })
            .filter_map(|value| Challenge::parse(value).ok())
            .collect();
        let Some(challenge) = choose(&challenges) else { return false };
        // The same credentials would be refused again, unless only the nonce was too old.
        let tries_max = if challenge.stale { 4 } else { 1 };
        if challenged >= tries_max {
            return false;
        }
        let realm = text(&challenge.realm);
        let held = Held { realm, proxy, nc: 0, challenge: text(first_challenge(&view, proxy)) };
        let again = self.with_credentials(&old, held, purpose == Purpose::Register);
        let Some((again, cseq)) = again else { return false };
        if let Some(line) = line.and_then(|line| self.line(line)) {
            line.cseq = line.cseq.max(cseq);
        }
        if purpose == Purpose::Register {
            self.registering.cseq = cseq;
        }
        let id = self.launch_again(again, purpose, line, challenged + 1, hand);
        if let Some(line) = line.and_then(|line| self.line(line)) {
            match purpose {
                Purpose::Invite => line.invite = id,
                Purpose::Reinvite => line.ours = Some(id),
                _ => {}
            }
        }
        true
    }

    /// The same request with a new branch, the next CSeq and credentials.
    pub(super) fn with_credentials(&mut self, old: &Message, mut held: Held, keep: bool) -> Option<(Message, u32)> {
        let view = old.view();
        let cseq = view.cseq().ok()?.number + 1;
        let challenge = Challenge::parse(held.challenge.as_bytes()).ok()?;
        held.nc += 1;
        let uri = text(view.uri());
        let ha1 = Ha1::of(&self.user, &held.realm, &self.password);
        let serial = self.next();
        let cnonce = format!("{:016x}{serial:x}", self.dice.roll());
        let method = view.method();
        let value = respond(
            &challenge,
            &Answering {
                user: &self.user,
                ha1: &ha1,
                method: method.as_str(),
                uri: &uri,
                nc: held.nc,
                cnonce: &cnonce,
            },
        )?;
        let branch = self.branch();
        let name = if held.proxy { Name::ProxyAuthorization } else { Name::Authorization };
        let mut request = Builder::request(method, &uri)
            .header(Name::Via, self.via(&branch))
            .copy_where(&view, |field| {
                !matches!(
                    field.id,
                    Name::Via
                        | Name::CSeq
                        | Name::ContentLength
                        | Name::ContentType
                        | Name::Authorization
                        | Name::ProxyAuthorization
                )
            })
            .header(Name::CSeq, format!("{cseq} {}", method.as_str()))
            .header(name, value);
        if let Some(kind) = view.header(Name::ContentType) {
            request = request.body(kind, view.body());
        }
        let built = request.build();
        if keep && self.device.keeps_nonce {
            self.registering.held = Some(held);
        }
        Some((built, cseq))
    }
}

fn first_challenge<'a>(view: &sip::View<'a>, proxy: bool) -> &'a [u8] {
    let name = if proxy { Name::ProxyAuthenticate } else { Name::WwwAuthenticate };
    view.headers(name)
        .find(|value| {
            let parsed = Challenge::parse(value);
            parsed.is_ok_and(|challenge| choose(std::slice::from_ref(&challenge)).is_some())
        })
        .unwrap_or(b"")
}

/// RFC 3261 17.1.1.3.
fn failure_ack(invite: &Message, response: &Message) -> Message {
    let (invite, response) = (invite.view(), response.view());
    let cseq = invite.cseq().map_or(0, |cseq| cseq.number);
    let mut ack = Builder::request(Method::Ack, invite.uri());
    ack = ack.copy(&invite, Name::Via).header(Name::MaxForwards, "70").copy(&invite, Name::From);
    ack = ack.copy(&response, Name::To).copy(&invite, Name::CallId).copy(&invite, Name::Route);
    ack.header(Name::CSeq, format!("{cseq} ACK")).build()
}
