//! The call's transactions: which there are, what each is for, and what they say to the call.

use std::collections::VecDeque;

use fabric::letters::flow::Flow;
use fabric::{Instant, Thread};
use serde::{Deserialize, Serialize};
use sip::{Message, Method, Status, View};
use transaction::{
    ClientInvite, ClientNonInvite, Event, Events, ServerInvite, ServerNonInvite, Timings, TransactionKey,
};

use crate::desk::{Desk, Identity};

/// Number of a transaction within its call; also the tail of its branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct TxId(pub u32);

/// What a transaction is for: who hears of its responses and failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Server side of an attempt (its CSeq number).
    Attempt(u32),
    /// Client side: this leg of an attempt.
    Branch { attempt: u32, leg: u16 },
    /// Server or client side of a request that passes between two legs.
    Relay(u16),
    /// The switch refreshes the session of this end of a pair.
    Refresh { pair: u16, end: crate::pair::Which },
    /// The switch says farewell to this end of a pair.
    Bye { pair: u16, end: crate::pair::Which },
    /// The re-INVITE that connects a transferred party.
    Transfer,
    /// Nobody waits for its outcome.
    Own,
    /// The NOTIFY that a transfer is done: the BYE to this end of a pair follows its outcome.
    Farewell { pair: u16, end: crate::pair::Which },
}

/// What a transaction has to say.
#[derive(Debug)]
pub(crate) enum Up {
    Response {
        tx: TxId,
        role: Role,
        message: Message,
    },
    /// No final response will come: 408 for silence, 503 when the transport refused (RFC 3261 8.1.3.1).
    Failed {
        role: Role,
        status: Status,
    },
    /// Ringing for too long (Timer C).
    Overdue {
        role: Role,
    },
    /// An ACK for a 2xx that came with the branch of its INVITE.
    Ack {
        message: Message,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Transactions {
    /// Keeps branches apart from those of an earlier life of the same call.
    base: u32,
    next: u32,
    open: Vec<Tx>,
    /// Empty between two letters.
    #[serde(skip)]
    ups: VecDeque<Up>,
    #[serde(skip)]
    timings: Timings,
}

#[derive(Serialize, Deserialize)]
struct Tx {
    id: TxId,
    leg: u16,
    flow: Box<Flow>,
    key: TransactionKey,
    role: Role,
    machine: Machine,
}

#[derive(Serialize, Deserialize)]
enum Machine {
    ClientInvite(Box<ClientInvite>),
    Client(Box<ClientNonInvite>),
    ServerInvite(Box<ServerInvite>),
    Server(Box<ServerNonInvite>),
}

/// First thread number of letters whose failure concerns a transaction; asks stay below.
const THREADS: u64 = 1 << 32;

impl Transactions {
    pub fn new(timings: Timings) -> Transactions {
        Transactions { base: 0, next: 1, open: Vec::new(), ups: VecDeque::new(), timings }
    }

    /// Bases further branches on the CSeq number of the request that caused them, unless an earlier one did.
    pub fn begin(&mut self, attempt: u32) {
        if self.base == 0 {
            self.base = attempt;
        }
    }

    /// Goes on with the settings of this node: for transactions that come out of a replica.
    pub fn resume(&mut self, timings: Timings) {
        self.timings = timings;
    }

    /// The request of a client transaction, while it is unanswered.
    pub fn request_of(&self, id: TxId) -> Option<&Message> {
        match &self.open[self.place(id)?].machine {
            Machine::ClientInvite(machine) => machine.invite(),
            Machine::Client(machine) => machine.request(),
            _ => None,
        }
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Gives spare memory back.
    pub fn shrink(&mut self) {
        self.open.shrink_to_fit();
        self.ups.shrink_to_fit();
    }

    /// A number for the next client transaction, and the Via that its request needs.
    pub fn reserve(&mut self, identity: &Identity, leg: u16, flow: &Flow) -> (TxId, String) {
        let id = self.number();
        (id, identity.via(leg, flow, &format!("{:x}.{:x}", self.base, id.0)))
    }

    /// Sends a request, whose Via came from `reserve`, and waits for its responses.
    pub fn launch(&mut self, id: TxId, leg: u16, flow: Flow, role: Role, request: Message, desk: &mut Desk<'_>) {
        let mut events = Events::new();
        let reliable = flow.transport.is_reliable();
        let key = key_of(&request.view());
        let machine = if request.view().method() == Method::Invite {
            Machine::ClientInvite(Box::new(ClientInvite::new(request, reliable, desk.now, &self.timings, &mut events)))
        } else {
            Machine::Client(Box::new(ClientNonInvite::new(request, reliable, desk.now, &self.timings, &mut events)))
        };
        self.open.push(Tx { id, leg, flow: Box::new(flow), key, role, machine });
        self.carry_out(self.open.len() - 1, events, desk);
    }

    /// Takes up a request; 100 goes out at once for an INVITE when `trying`.
    pub fn accept(
        &mut self,
        request: &Message,
        leg: u16,
        flow: Flow,
        role: Role,
        trying: bool,
        desk: &mut Desk<'_>,
    ) -> TxId {
        let mut events = Events::new();
        let reliable = flow.transport.is_reliable();
        let view = request.view();
        let key = transaction::server_key(&view).unwrap_or(TransactionKey(0));
        let machine = if view.method() == Method::Invite {
            let trying_ms = if trying { 0 } else { TRYING_LATER_MS };
            let timings = Timings { trying_ms, ..self.timings };
            Machine::ServerInvite(Box::new(ServerInvite::new(
                request.clone(),
                reliable,
                desk.now,
                &timings,
                &mut events,
            )))
        } else {
            Machine::Server(Box::new(ServerNonInvite::new(reliable, &self.timings)))
        };
        let id = self.number();
        self.open.push(Tx { id, leg, flow: Box::new(flow), key, role, machine });
        self.carry_out(self.open.len() - 1, events, desk);
        id
    }

    /// Sends a response of a server transaction; nothing happens when the transaction is gone.
    pub fn respond(&mut self, id: TxId, response: Message, desk: &mut Desk<'_>) {
        let Some(place) = self.place(id) else { return };
        let mut events = Events::new();
        match &mut self.open[place].machine {
            Machine::ServerInvite(machine) => machine.respond(response, desk.now, &mut events),
            Machine::Server(machine) => machine.respond(response, desk.now, &mut events),
            _ => {}
        }
        self.carry_out(place, events, desk);
    }

    /// Whether this server transaction still owes its final response.
    pub fn is_pending(&self, id: TxId) -> bool {
        self.place(id).is_some_and(|place| match &self.open[place].machine {
            Machine::ServerInvite(machine) => machine.is_pending(),
            Machine::Server(machine) => machine.is_pending(),
            Machine::ClientInvite(machine) => machine.is_pending(),
            Machine::Client(machine) => machine.is_pending(),
        })
    }

    /// The way that a transaction's messages take.
    pub fn flow_of(&self, id: TxId) -> Option<Flow> {
        self.place(id).map(|place| *self.open[place].flow)
    }

    /// Cancels an INVITE of ours, now or after its first provisional response (RFC 3261 9.1).
    pub fn cancel(&mut self, id: TxId, reason: Option<&str>, desk: &mut Desk<'_>) {
        let Some(place) = self.place(id) else { return };
        let mut events = Events::new();
        if let Machine::ClientInvite(machine) = &mut self.open[place].machine {
            machine.cancel(reason, desk.now, &mut events);
        }
        self.carry_out(place, events, desk);
    }

    /// Sends the ACK of a 2xx, and again whenever that 2xx is repeated.
    pub fn acknowledge(&mut self, id: Option<TxId>, ack: Message, flow: Flow, desk: &mut Desk<'_>) {
        if let Some(place) = id.and_then(|id| self.place(id)) {
            if let Machine::ClientInvite(machine) = &mut self.open[place].machine {
                machine.acknowledge(ack.clone());
            }
        }
        desk.send(ack, flow, Thread::NONE);
    }

    /// Drops a transaction without a word: its peer has moved to another branch.
    pub fn forget(&mut self, id: TxId) {
        self.open.retain(|tx| tx.id != id);
    }

    /// Hands a response to its transaction; `false` when it has none.
    pub fn on_response(&mut self, response: Message, desk: &mut Desk<'_>) -> bool {
        let key = key_of(&response.view());
        let found = self.open.iter().position(|tx| tx.key == key && tx.machine.is_client());
        let Some(place) = found else { return false };
        let mut events = Events::new();
        match &mut self.open[place].machine {
            Machine::ClientInvite(machine) => machine.on_response(response, desk.now, &mut events),
            Machine::Client(machine) => machine.on_response(response, desk.now, &mut events),
            _ => {}
        }
        self.carry_out(place, events, desk);
        true
    }

    /// The server transaction of a request that has come again on another stream: its client has lost the first one, and
    /// responses go where the request came from now (RFC 3261 18.2.2). The stream that it has left, if it has.
    pub fn follow(&mut self, request: &View<'_>, source: &Flow) -> Option<Flow> {
        let key = transaction::server_key(request).ok()?;
        let tx = self.open.iter_mut().find(|tx| tx.key == key && !tx.machine.is_client())?;
        let moved = source.transport.is_reliable()
            && tx.flow.transport.is_reliable()
            && tx.flow.remote.ip() == source.remote.ip()
            && *tx.flow != *source;
        moved.then(|| std::mem::replace(&mut *tx.flow, *source))
    }

    /// Hands a repeated request or an ACK to its transaction; gives the request back when it is new.
    pub fn on_request(&mut self, request: Message, desk: &mut Desk<'_>) -> Option<Message> {
        let Ok(key) = transaction::server_key(&request.view()) else { return Some(request) };
        let Some(place) = self.open.iter().position(|tx| tx.key == key && !tx.machine.is_client()) else {
            return Some(request);
        };
        let mut events = Events::new();
        match &mut self.open[place].machine {
            Machine::ServerInvite(machine) => machine.on_request(request, desk.now, &mut events),
            Machine::Server(machine) => machine.on_request(&mut events),
            _ => {}
        }
        self.carry_out(place, events, desk);
        None
    }

    /// The INVITE transaction that a CANCEL means (RFC 3261 9.2), and what it is for.
    pub fn cancelled(&self, cancel: &View<'_>) -> Option<(TxId, Role)> {
        let key = transaction::invite_key(cancel).ok()?;
        self.open.iter().find(|tx| tx.key == key && !tx.machine.is_client()).map(|tx| (tx.id, tx.role))
    }

    /// The transport refused what was sent on this thread; `false` when the thread is not ours.
    pub fn on_returned(&mut self, thread: Thread, desk: &mut Desk<'_>) -> bool {
        let Some(number) = thread.0.checked_sub(THREADS) else { return false };
        let found = u32::try_from(number).ok().and_then(|number| self.place(TxId(number)));
        let Some(place) = found else { return true };
        let mut events = Events::new();
        match &mut self.open[place].machine {
            Machine::ClientInvite(machine) => machine.on_transport_error(desk.now, &mut events),
            Machine::Client(machine) => machine.on_transport_error(desk.now, &mut events),
            _ => {}
        }
        self.carry_out(place, events, desk);
        true
    }

    /// Carries out every timer that is due.
    pub fn wake(&mut self, desk: &mut Desk<'_>) {
        let mut place = 0;
        while place < self.open.len() {
            let id = self.open[place].id;
            let machine = &mut self.open[place].machine;
            if machine.deadline().is_some_and(|due| due <= desk.now.instant) {
                let mut events = Events::new();
                match machine {
                    Machine::ClientInvite(machine) => machine.wake(desk.now, &mut events),
                    Machine::Client(machine) => machine.wake(desk.now, &mut events),
                    Machine::ServerInvite(machine) => machine.wake(desk.now, &mut events),
                    Machine::Server(machine) => machine.wake(desk.now, &mut events),
                }
                self.carry_out(place, events, desk);
            }
            if self.open.get(place).is_some_and(|tx| tx.id == id) {
                place += 1;
            }
        }
    }

    /// The earliest timer.
    pub fn deadline(&self) -> Option<Instant> {
        self.open.iter().filter_map(|tx| tx.machine.deadline()).min()
    }

    /// The next thing that a transaction has to say to the call.
    pub fn next_up(&mut self) -> Option<Up> {
        self.ups.pop_front()
    }

    fn number(&mut self) -> TxId {
        let id = TxId(self.next);
        self.next += 1;
        id
    }

    fn place(&self, id: TxId) -> Option<usize> {
        self.open.iter().position(|tx| tx.id == id)
    }

    fn carry_out(&mut self, place: usize, events: Events, desk: &mut Desk<'_>) {
        let Tx { id, role, leg, machine, .. } = &self.open[place];
        let (tx, role, leg, client) = (*id, *role, *leg, machine.is_client());
        let flow = *self.open[place].flow;
        for event in events {
            match event {
                Event::Send(message) if client => desk.send(message, flow, Thread(THREADS + u64::from(tx.0))),
                Event::Send(message) | Event::Ack(message) => desk.send(message, flow, Thread::NONE),
                Event::ToUser(message) if client => self.ups.push_back(Up::Response { tx, role, message }),
                Event::ToUser(message) => self.ups.push_back(Up::Ack { message }),
                Event::Cancel(cancel) => {
                    let id = self.number();
                    self.launch(id, leg, flow, Role::Own, cancel, desk);
                }
                Event::Overdue => self.ups.push_back(Up::Overdue { role }),
                Event::Timeout if client => self.ups.push_back(Up::Failed { role, status: Status::REQUEST_TIMEOUT }),
                Event::TransportFailed if client => {
                    self.ups.push_back(Up::Failed { role, status: Status::SERVICE_UNAVAILABLE });
                }
                Event::Timeout | Event::TransportFailed => {}
                Event::Terminated => self.forget(tx),
            }
        }
    }
}

impl Machine {
    fn is_client(&self) -> bool {
        matches!(self, Machine::ClientInvite(_) | Machine::Client(_))
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Machine::ClientInvite(machine) => machine.deadline(),
            Machine::Client(machine) => machine.deadline(),
            Machine::ServerInvite(machine) => machine.deadline(),
            Machine::Server(machine) => machine.deadline(),
        }
    }
}

fn key_of(message: &View<'_>) -> TransactionKey {
    transaction::client_key(message).unwrap_or(TransactionKey(0))
}

/// When a request may be refused at once, 100 waits this long for the refusal, milliseconds (RFC 3261 17.2.1).
const TRYING_LATER_MS: u32 = 200;
