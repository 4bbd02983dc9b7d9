//! Letters that arrive where nobody is any more.

use fabric::letters::names::NamesAsk;

use super::*;

fn down(table: &Table, node: NodeId) -> Table {
    let mut table = table.clone();
    table.version += 1;
    table.members.iter_mut().filter(|member| member.node == node).for_each(|member| member.up = false);
    table
}

fn question() -> Envelope {
    let ask = NamesAsk { host: "host.test".to_owned(), port: None, transport: None, sips: false };
    Envelope::ask(call(1), Address::Names(LB), Thread(7), Letter::NamesAsk(Box::new(ask)))
}

/// What was given back to the asker.
fn returned(net: &Net, node: NodeId) -> usize {
    let inbox = net.nodes[&node].inbox.0.lock().unwrap();
    inbox.iter().filter(|mail| matches!(mail.letter, Letter::Returned(_)) && mail.thread == Thread(7)).count()
}

#[test]
fn a_question_to_a_dead_node_comes_back() {
    let (mut net, table) = protected();
    let office = net.nodes[&A].office.clone();
    let now = net.at(A);
    assert!(office.route(question(), now).is_none(), "it is on its way");
    assert_eq!(returned(&net, A), 0);
    net.tell(A, &down(&table, LB));
    assert_eq!(returned(&net, A), 1, "the one under way");
    let back = office.route(question(), now).expect("it is here at once");
    assert!(matches!(back.letter, Letter::Returned(_)) && back.to == call(1));
}

#[test]
fn nobody_is_founded_for_what_is_another_ones() {
    let (mut net, table) = protected();
    net.tell(A, &moved(&full(&table), true));
    let node = &net.nodes[&A];
    let mut out = Outbox::new(call(1));
    for (letter, taken) in [(Letter::Retire, false), (Letter::Revive, false), (Letter::Locate("late".into()), true)] {
        let machine = node.founder.found(call(1), &letter, net.at(A));
        assert_eq!(machine.is_some(), taken, "{letter:?}");
        if let Some(mut machine) = machine {
            machine.handle(Envelope::ask(PHONE, call(1), Thread(1), letter), net.at(A), &mut out);
            assert!(machine.is_idle() && out.is_empty(), "it waits for its owner");
        }
    }
}

/// A table that is older than a fill takes the seat of it away: the owner is asked for everything again, once.
#[test]
fn a_fill_that_lost_its_seat_is_asked_for_again() {
    let mut net = Net::new(&[]);
    let mut without = first_table();
    without.groups[0].standby = None;
    let with = Table { version: 2, ..first_table() };
    net.tell(A, &with);
    net.tell(LB, &with);
    net.pass(Duration::from_millis(50), &[]);
    net.tell(B, &without);
    net.tell(B, &with);
    net.seen.clear();
    for what in ["one", "two", "three"] {
        net.say(call(1), what);
    }
    net.pass(Duration::from_millis(50), &[]);
    let again = |(from, _, parcel): &&(NodeId, NodeId, Parcel)| *from == B && matches!(parcel, Parcel::Again { .. });
    assert_eq!(net.seen.iter().filter(again).count(), 1, "{:?}", net.seen);
    assert_eq!(net.nodes[&A].office.sums(), net.nodes[&B].office.sums(), "the standby has everything");
    assert_eq!(net.answers(), 3, "nothing waits for it any more");
}
