//! A phone: a small user agent with a character, written without the switch's own transaction and dialog rules, so that
//! the two do not share their mistakes. It is a machine too: messages, timers and orders in; messages, timers and notes out.

mod callee;
mod caller;
mod client;
mod line;
mod register;
mod server;
mod talk;
mod text;
mod transfer;

use fabric::letters::flow::Transport;
use sip::{Limits, Message, View};

use crate::dice::Dice;
use crate::plan::{Attempt, Device, Plan, Side};
use client::Client;
pub use line::{Line, Media, Stage};
use register::Registering;
use server::Server;

/// What a phone does to the world in one step.
#[derive(Default)]
pub struct Hand {
    pub now_ms: u64,
    pub sends: Vec<Message>,
    pub timers: Vec<(u64, Timer)>,
    pub notes: Vec<Note>,
}

impl Hand {
    fn after(&mut self, wait_ms: u64, what: What, id: u64) {
        self.timers.push((self.now_ms + wait_ms, Timer { what, id }));
    }
}

/// A timer of a phone; the number says which transaction, line or attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    pub what: What,
    pub id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Boot,
    Refresh,
    Unregister,
    Reboot,
    Dial,
    Cancel,
    Resend,
    GiveUp,
    Ring,
    Answer,
    ResendProvisional,
    ResendFinal,
    NoAck,
    Reply,
    Hangup,
    Hold,
    Resume,
    Glare,
    Retry,
    Info,
    Update,
    Refer,
}

/// What a phone tells the judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A REGISTER that changes the binding is under way.
    Binding,
    /// 200: our contact is bound until then; `None`: it is not bound.
    Bound {
        until_ms: Option<u64>,
        contacts: usize,
    },
    /// The REGISTER was refused for good.
    Unbound {
        status: u16,
    },
    Dialled {
        attempt: usize,
        call_id: String,
    },
    Provisional {
        attempt: usize,
        status: u16,
    },
    Final {
        attempt: usize,
        status: u16,
    },
    GaveUp {
        attempt: usize,
    },
    Ringing {
        attempt: usize,
    },
    /// This phone answered, refused or was cancelled.
    Quiet {
        attempt: usize,
        status: u16,
    },
    Up {
        attempt: usize,
        side: Side,
    },
    HungUp {
        attempt: usize,
        side: Side,
    },
    Down {
        attempt: usize,
        side: Side,
    },
    /// The call was forgotten, without a word.
    Dropped {
        attempt: usize,
    },
    /// A REFER was sent; and how the transfer ended, by the last NOTIFY or the refusal.
    Referred {
        attempt: usize,
    },
    ReferDone {
        attempt: usize,
        status: u16,
    },
    /// A request of ours got no final response in 32 s.
    TimedOut {
        method: String,
        branch: String,
        attempt: Option<usize>,
    },
    /// Our 2xx got no ACK in 32 s.
    NoAck {
        attempt: Option<usize>,
    },
    Rebooted,
    /// Something that the switch must never do.
    Wrong {
        invariant: u8,
        attempt: Option<usize>,
        what: String,
    },
}

pub struct Phone {
    pub index: usize,
    pub plan: std::sync::Arc<Plan>,
    pub device: Device,
    user: String,
    password: String,
    dice: Dice,
    serial: u64,
    boots: u64,
    registering: Registering,
    pub lines: Vec<Line>,
    clients: Vec<Client>,
    servers: Vec<Server>,
    limits: Limits,
}

impl Phone {
    pub fn new(index: usize, plan: std::sync::Arc<Plan>) -> Phone {
        let device = plan.devices[index].clone();
        let user = &plan.users[device.user];
        Phone {
            index,
            user: user.name.clone(),
            password: if device.wrong_password { "wrong".to_owned() } else { user.password.clone() },
            dice: Dice::named(plan.seed, &[b"phone", &(index as u64).to_le_bytes()]),
            device,
            serial: 0,
            boots: 0,
            registering: Registering::default(),
            lines: Vec::new(),
            clients: Vec::new(),
            servers: Vec::new(),
            limits: Limits::default(),
            plan,
        }
    }

    /// Sets the timers of the whole script.
    pub fn begin(&mut self, hand: &mut Hand) {
        hand.timers.push((self.device.register_at_ms, Timer { what: What::Boot, id: 0 }));
        if let Some(at) = self.device.unregister_at_ms {
            hand.timers.push((at, Timer { what: What::Unregister, id: 0 }));
        }
        if let Some(at) = self.device.reboot_at_ms {
            hand.timers.push((at, Timer { what: What::Reboot, id: 0 }));
        }
        let mine = |attempt: &&Attempt| attempt.caller == self.index && !attempt.by_transfer;
        for attempt in self.plan.attempts.iter().filter(mine) {
            hand.timers.push((attempt.at_ms, Timer { what: What::Dial, id: attempt.number as u64 }));
        }
    }

    /// Whether the phone hears and says nothing.
    pub fn is_silent(&self, now_ms: u64) -> bool {
        self.device.silent_from_ms.is_some_and(|from| from <= now_ms)
    }

    pub fn on_message(&mut self, bytes: bytes::Bytes, hand: &mut Hand) {
        if self.is_silent(hand.now_ms) {
            return;
        }
        let message = match Message::parse(bytes, &self.limits) {
            Ok(message) => message,
            Err(error) => return self.wrong(hand, 27, None, format!("unreadable message: {error}")),
        };
        let view = message.view();
        if let Err(error) = view.check() {
            self.wrong(hand, 27, None, format!("message against the grammar: {error}"));
        }
        if view.is_request() {
            self.on_request(&message, hand);
        } else {
            self.on_response(&message, hand);
        }
    }

    pub fn on_timer(&mut self, timer: Timer, hand: &mut Hand) {
        if self.is_silent(hand.now_ms) {
            return;
        }
        let id = timer.id;
        match timer.what {
            What::Boot => self.register(hand),
            What::Refresh => self.refresh(id, hand),
            What::Unregister => self.unregister(hand),
            What::Reboot => self.reboot(hand),
            What::Dial => self.dial(id as usize, hand),
            What::Cancel => self.give_up(id, hand),
            What::Resend => self.resend(id, hand),
            What::GiveUp => self.client_timeout(id, hand),
            What::Ring => self.ring(id, hand),
            What::Answer => self.decide(id, hand),
            What::ResendProvisional => self.resend_provisional(id, hand),
            What::ResendFinal => self.resend_final(id, hand),
            What::NoAck => self.no_ack(id, hand),
            What::Reply => self.late_reply(id, hand),
            What::Hangup => self.end_talk(id, hand),
            What::Hold => self.reinvite(id, true, hand),
            What::Resume | What::Glare | What::Retry => self.reinvite(id, false, hand),
            What::Info => self.inform(id, hand),
            What::Update => self.update(id, hand),
            What::Refer => self.refer(id, hand),
        }
    }

    /// Forgets everything; the sockets stay.
    fn reboot(&mut self, hand: &mut Hand) {
        self.boots += 1;
        self.lines.clear();
        self.clients.clear();
        self.servers.clear();
        self.registering = Registering::after(self.boots);
        hand.notes.push(Note::Rebooted);
        hand.after(1_500, What::Boot, 0);
    }

    /// The stream to the switch has ended: what no final answer has come to is sent again on the next one, and the phone
    /// registers anew, so that it can be reached (RFC 5626 4.4.1, 4.5).
    pub fn on_stream_lost(&mut self, hand: &mut Hand) {
        if self.is_silent(hand.now_ms) {
            return;
        }
        if !self.device.rude {
            self.send_again(hand);
        }
        if self.registering.is_wanted() {
            let wait = self.dice.between(20, 1_500);
            hand.after(wait, What::Boot, 0);
        }
    }

    fn attempt(&self, number: usize) -> &Attempt {
        &self.plan.attempts[number]
    }

    fn is_reliable(&self) -> bool {
        self.device.transport != Transport::Udp
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn line(&mut self, id: u64) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.id == id)
    }

    fn line_of(&mut self, view: &View<'_>) -> Option<&mut Line> {
        let call_id = view.call_id().ok()?;
        self.lines.iter_mut().find(|line| line.call_id.as_bytes() == call_id)
    }

    fn wrong(&self, hand: &mut Hand, invariant: u8, attempt: Option<usize>, what: String) {
        hand.notes.push(Note::Wrong { invariant, attempt, what });
    }
}
