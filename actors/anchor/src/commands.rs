//! Commands under way: cookie, bytes for sending again, and the two timers of each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use fabric::letters::media::RelayAsk;
use fabric::{Address, Envelope, Instant, Thread, Trace};

/// Commands without a reply so far, by the number in their cookie.
#[derive(Default)]
pub struct Commands {
    next: u64,
    open: BTreeMap<u64, Command>,
    /// When to look at which command.
    due: BTreeSet<(Instant, u64)>,
    /// Which command a question is being answered by.
    asked: BTreeMap<(Address, Thread), u64>,
}

/// One command to one rtpengine.
pub struct Command {
    pub purpose: Purpose,
    pub relay: u16,
    pub bytes: Bytes,
    /// Time until it is sent again; zero for a ping, which is not.
    resend: Duration,
    /// When it is looked at next.
    at: Instant,
    deadline: Instant,
}

/// What a command is for.
pub enum Purpose {
    Ping,
    Ask(Box<Question>),
    Leftover(Leftover),
}

/// An ask of a media session, and how far it has come.
pub struct Question {
    from: Address,
    thread: Thread,
    trace: Trace,
    pub ask: RelayAsk,
    /// When it comes back, whatever is left to try.
    pub give_up: Instant,
    /// rtpengines that have failed it.
    pub tried: Vec<u16>,
    /// The last one was full, not dead.
    pub full: bool,
}

/// A session that may stand on an rtpengine though nobody uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    pub relay: u16,
    pub call_id: String,
    pub from_tag: String,
    pub since: Instant,
}

impl Command {
    /// A command that is given up at `deadline`.
    pub fn new(purpose: Purpose, relay: u16, bytes: Bytes, resend: Duration, deadline: Instant) -> Command {
        Command { purpose, relay, bytes, resend, at: deadline, deadline }
    }
}

impl Question {
    pub fn new(mail: &Envelope, ask: RelayAsk, give_up: Instant) -> Question {
        Question {
            from: mail.from,
            thread: mail.thread,
            trace: mail.trace,
            ask,
            give_up,
            tried: Vec::new(),
            full: false,
        }
    }

    /// Where the answer goes.
    pub fn sender(&self) -> (Address, Thread, Trace) {
        (self.from, self.thread, self.trace)
    }
}

/// What became of a command whose time has come.
pub enum Due {
    /// Send these bytes to this rtpengine again.
    Resend(u16, Bytes),
    /// No reply within its deadline; it is gone from the table.
    Overdue(Command),
}

impl Commands {
    /// Number for the cookie of the next command.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether this very question is being answered: the next owner of a media session asks again what is open.
    pub fn is_asked(&self, from: Address, thread: Thread, ask: &RelayAsk) -> bool {
        let command = self.asked.get(&(from, thread)).and_then(|number| self.open.get(number));
        command.is_some_and(|command| matches!(&command.purpose, Purpose::Ask(question) if question.ask == *ask))
    }

    /// Takes in a command that is sent now.
    pub fn open(&mut self, number: u64, mut command: Command, now: Instant) {
        command.at = match command.resend.is_zero() {
            true => command.deadline,
            false => command.deadline.min(now + command.resend),
        };
        self.due.insert((command.at, number));
        if let Purpose::Ask(question) = &command.purpose {
            self.asked.insert((question.from, question.thread), number);
        }
        self.open.insert(number, command);
    }

    /// Takes out the command that a reply from `relay` belongs to.
    pub fn close(&mut self, number: u64, relay: u16) -> Option<Command> {
        if self.open.get(&number)?.relay != relay {
            return None;
        }
        self.remove(number)
    }

    /// The next command whose time has come.
    pub fn due(&mut self, now: Instant) -> Option<Due> {
        let (at, number) = *self.due.first()?;
        if at > now {
            return None;
        }
        let command = self.open.get_mut(&number).expect("every due entry has its command");
        if command.deadline <= now {
            return self.remove(number).map(Due::Overdue);
        }
        self.due.remove(&(at, number));
        command.resend = command.resend.saturating_mul(2);
        command.at = command.deadline.min(now + command.resend);
        self.due.insert((command.at, number));
        Some(Due::Resend(command.relay, command.bytes.clone()))
    }

    /// Takes out everything that waits for `relay`.
    pub fn close_all(&mut self, relay: u16) -> Vec<Command> {
        self.close_where(|command| command.relay == relay)
    }

    /// Takes out the commands for which `gone` holds.
    pub fn close_where(&mut self, gone: impl Fn(&Command) -> bool) -> Vec<Command> {
        let numbers: Vec<u64> =
            self.open.iter().filter(|(_, command)| gone(command)).map(|(number, _)| *number).collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    pub fn earliest(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    fn remove(&mut self, number: u64) -> Option<Command> {
        let command = self.open.remove(&number)?;
        self.due.remove(&(command.at, number));
        if let Purpose::Ask(question) = &command.purpose {
            let of = (question.from, question.thread);
            if self.asked.get(&of) == Some(&number) {
                self.asked.remove(&of);
            }
        }
        Some(command)
    }
}

#[cfg(test)]
mod tests;
