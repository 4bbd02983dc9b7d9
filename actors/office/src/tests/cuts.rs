//! Nodes that do not hear each other, and nodes that are shut out.

use super::*;

const DIRECTORS: [NodeId; 3] = [NodeId(21), NodeId(22), NodeId(23)];

#[test]
fn directors_are_told_whom_a_node_does_not_hear() {
    let mut net = Net::new(&DIRECTORS);
    net.table(&first_table());
    net.pass(Duration::from_millis(3_300), &DIRECTORS);
    net.hearings.clear();
    net.pass(Duration::from_millis(200), &DIRECTORS);
    assert_eq!(net.hearings, [], "who hears everybody and has a lease has nothing to tell");
    net.nodes[&A].deaf.lock().unwrap().push(B);
    net.pass(Duration::from_millis(150), &DIRECTORS);
    assert_eq!(net.hearings, [], "a hiccup");
    net.pass(Duration::from_millis(50), &DIRECTORS);
    let told: Vec<_> = net.hearings.iter().map(|(to, it)| (*to, it.node, it.deaf.clone(), it.rests)).collect();
    assert_eq!(told, DIRECTORS.map(|director| (director, A, vec![B], None)));
    net.nodes[&A].deaf.lock().unwrap().clear();
    net.pass(Duration::from_millis(50), &DIRECTORS);
    net.hearings.clear();
    net.pass(Duration::from_millis(100), &DIRECTORS);
    assert_eq!(net.hearings, []);
}

#[test]
fn who_is_shut_out_stops_at_once_says_so_and_takes_no_grant_of_before() {
    let mut net = Net::new(&DIRECTORS);
    let table = first_table();
    net.table(&table);
    net.pass(Duration::from_millis(60), &DIRECTORS);
    let lease = |net: &Net| net.nodes[&A].office.status(net.at(A)).lease_ms;
    assert!(lease(&net) > 200);
    net.hearings.clear();
    let mut out = table.clone();
    out.version += 1;
    out.members[0].up = false;
    net.tell(A, &out);
    assert_eq!(lease(&net), 0);
    let now = net.at(A).instant;
    let beats = net.wire.lock().unwrap().iter().filter(|(from, ..)| *from == A).count();
    assert_eq!(beats, 6, "at once, before the next beat is due");
    net.grants(A, &[]);
    let rests: Vec<_> = net.hearings.iter().map(|(_, hearing)| (hearing.sent, hearing.rests)).collect();
    assert_eq!(rests, vec![(now, Some(now)); 3]);
    // What was granted to the beat before counts no more.
    for director in DIRECTORS {
        let grant = Grant { director, boot: 1, sent: Instant(now.0 - 10_000), granted: true };
        let mail = Envelope::new(Address::Director(director), Address::Office(A), Letter::Grant(Box::new(grant)));
        net.nodes[&A].office.receive(director, Parcel::Mail { receipt: 0, mail: Box::new(mail) }, net.at(A));
    }
    assert_eq!(lease(&net), 0);
    net.say(call(1), "anybody there?");
    assert_eq!(net.answers(), 0);
    // Let in again, it gets a lease by its next beats.
    out.version += 1;
    out.members[0].up = true;
    net.tell(A, &out);
    net.grants(A, &DIRECTORS);
    assert!(lease(&net) > 200);
}

#[test]
fn a_lease_that_ran_out_is_given_up_and_earned_again() {
    let mut net = Net::new(&DIRECTORS);
    net.table(&first_table());
    net.pass(Duration::from_millis(60), &DIRECTORS);
    net.hearings.clear();
    net.pass(Duration::from_millis(500), &[]);
    let rests: Vec<Instant> =
        net.hearings.iter().filter(|(_, it)| it.node == A).filter_map(|(_, it)| it.rests).collect();
    assert!(rests.len() > 6 && rests.is_sorted() && rests.first() < rests.last(), "renewed: {rests:?}");
    net.pass(Duration::from_millis(60), &DIRECTORS);
    net.hearings.clear();
    net.pass(Duration::from_millis(60), &DIRECTORS);
    assert_eq!(net.hearings, []);
}
