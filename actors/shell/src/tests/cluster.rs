//! Two nodes in this process: exchanges with offices, joined by a wire.

use std::sync::OnceLock;

use ::office::{Links, Office};
use fabric::ownership::Member;
use fabric::{Epoch, GroupId, Home, Ownership, Parcel, Part, SLOTS, Table};

use super::*;

const OTHER: NodeId = NodeId(2);

/// A puppet whose notes are its state.
struct Noted(Puppet);

impl Machine for Noted {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        self.0.handle(mail, now, out);
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        self.0.wake(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.due
    }

    fn is_idle(&self) -> bool {
        self.0.over
    }

    fn save(&mut self, _: bool, parts: &mut Vec<Part>) {
        let state = [self.0.notes, self.0.due.map_or(0, |due| due.0)].map(u64::to_be_bytes).concat();
        parts.push(Part { name: "".into(), value: Some(state.into()) });
    }
}

struct Troupe;

impl Founder for Troupe {
    fn found(&self, _: Address, _: &Letter, _: Now) -> Option<Box<dyn Machine>> {
        Some(Box::new(Noted(Puppet { notes: 0, wakes: Vec::new(), due: None, over: false })))
    }

    fn restore(&self, _: Address, parts: &[Part], _: Now) -> Option<Box<dyn Machine>> {
        let state = parts.first()?.value.as_ref()?;
        let number = |at: usize| Some(u64::from_be_bytes(state.get(at..at + 8)?.try_into().ok()?));
        let due = Some(Instant(number(8)?)).filter(|due| due.0 > 0);
        Some(Box::new(Noted(Puppet { notes: number(0)?, wakes: Vec::new(), due, over: false })))
    }

    fn housing(&self, address: Address) -> Housing {
        match address {
            Address::Call(_) => Housing::Own,
            Address::Registration(_) | Address::Media(_) | Address::Location(_) => Housing::Hive(2),
            _ => Housing::Port,
        }
    }
}

/// The way to the other exchange; parcels leave in a task of their own, as they do on a link.
#[derive(Default)]
struct Wire(OnceLock<(NodeId, tokio::sync::mpsc::UnboundedSender<Parcel>)>);

impl Links for Wire {
    fn send(&self, to: NodeId, parcel: Parcel) -> bool {
        self.0.get().is_some_and(|(node, sender)| *node == to && sender.send(parcel).is_ok())
    }

    fn has_come(&self, _from: NodeId) -> bool {
        true
    }
}

fn pair() -> [Exchange; 2] {
    let wires = [Arc::new(Wire::default()), Arc::new(Wire::default())];
    let exchanges: Vec<Exchange> = [NODE, OTHER]
        .into_iter()
        .zip(&wires)
        .map(|(node, wire)| {
            let home = Home::new(node, [7; 16], 4);
            let office =
                Office::new(&home, Arc::default(), Vec::new(), u64::from(node.0), Arc::new(Troupe), wire.clone());
            Exchange::with_office(node, office, Arc::new(TokioClock::new(1_000_000)), quick())
        })
        .collect();
    for (from, to) in [(0, 1), (1, 0)] {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let nodes = [NODE, OTHER];
        assert!(wires[from].0.set((nodes[to], sender)).is_ok());
        let exchange = exchanges[to].clone();
        let from = nodes[from];
        tokio::spawn(async move {
            exchange.on_link(from, true);
            while let Some(parcel) = receiver.recv().await {
                exchange.receive(from, parcel);
            }
        });
    }
    exchanges.try_into().unwrap_or_else(|_| unreachable!("two were made"))
}

fn table(version: u64, active: NodeId, full: bool) -> Arc<Table> {
    let standby = if active == NODE { OTHER } else { NODE };
    let member = |node: NodeId| Member { node, chassis: node.0, up: true, boot: u64::from(node.0) };
    let row = Ownership {
        group: GroupId(0),
        pair: 0,
        epoch: Epoch(u64::from(active.0)),
        active: Some(active),
        standby: Some(standby),
        full,
        learner: None,
        next: None,
    };
    Arc::new(Table {
        version,
        groups: vec![row],
        slots: vec![(SLOTS, GroupId(0))],
        sites: Vec::new(),
        members: vec![member(NODE), member(OTHER)],
        warning: String::new(),
    })
}

async fn tell(exchanges: &[Exchange; 2], table: &Arc<Table>) {
    for (exchange, node) in exchanges.iter().zip([NODE, OTHER]) {
        let to = Address::Office(node);
        exchange.post(Envelope::new(Address::Director(NODE), to, Letter::Table(table.clone())));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test(start_paused = true)]
async fn letters_find_the_owner_and_machines_their_next_node() {
    let exchanges = pair();
    let [one, other] = &exchanges;
    tell(&exchanges, &table(1, NODE, false)).await;
    tell(&exchanges, &table(2, NODE, true)).await;
    for to in [call(1), Address::Registration(Key(7)), Address::Media(Key(8)), Address::Location(3)] {
        assert_eq!(order(other, to, "note").await, Letter::Kept, "{to:?}");
        assert_eq!(fact(other, to, "notes").await, "1", "{to:?}");
    }
    assert_eq!(one.addresses("location").await, [Address::Location(3)]);
    assert_eq!(other.addresses("location").await, []);
    order(other, call(1), "alarm 700").await;
    order(other, call(2), "end").await;
    // The other node becomes active: what lived here ends, what lived there goes on, alarms included.
    tell(&exchanges, &table(3, OTHER, false)).await;
    assert_eq!((one.addresses("call").await, other.addresses("call").await), (vec![], vec![call(1)]));
    for to in [call(1), Address::Registration(Key(7)), Address::Media(Key(8)), Address::Location(3)] {
        assert_eq!(fact(one, to, "notes").await, "1", "{to:?}");
    }
    tokio::time::sleep(SECOND).await;
    assert_ne!(fact(one, call(1), "wakes").await, "[]");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_panics_goes_on_from_its_replica() {
    let exchanges = pair();
    let [one, _] = &exchanges;
    tell(&exchanges, &table(1, NODE, false)).await;
    for to in [call(1), Address::Media(Key(8))] {
        order(one, to, "note").await;
        order(one, to, "panic").await;
        assert_eq!(fact(one, to, "notes").await, "1", "{to:?}");
    }
    // Its alarm, too, without a letter.
    order(one, call(1), "alarm 500").await;
    assert_eq!(fault(&order(one, call(1), "panic").await), Some(FaultKind::Unavailable));
    tokio::time::sleep(SECOND).await;
    assert_eq!(one.counters().panics, 3);
    assert_ne!(fact(one, call(1), "wakes").await, "[]");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_asked_founds_nobody() {
    let exchanges = pair();
    let [one, other] = &exchanges;
    tell(&exchanges, &table(1, NODE, false)).await;
    other.post(Envelope::new(Address::Nobody, call(1), Letter::Retire));
    one.post(Envelope::new(Address::Nobody, call(1), Letter::Retire));
    tokio::time::sleep(SECOND).await;
    assert_eq!((one.counters().founded, other.counters().founded), (0, 0));
}
