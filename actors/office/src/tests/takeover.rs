//! What the next owner does with what it holds.

use super::*;

#[test]
fn the_standby_goes_on_where_the_active_node_was() {
    let (mut net, table) = protected();
    net.say(call(1), "one");
    net.say(call(1), "two");
    net.pass(Duration::from_millis(10), &[]);
    net.kill(A);
    net.table(&moved(&table, false));
    net.say(call(1), "three");
    assert_eq!(net.seen_by(B, call(1)), "one,two,three");
    assert_eq!(net.answers(), 3);
    assert_eq!(net.nodes[&B].office.status(net.at(B)).counts.take_overs, 1);
}

#[test]
fn mail_to_a_dead_owner_goes_to_the_next_one() {
    let (mut net, table) = protected();
    net.say(call(1), "one");
    net.pass(Duration::from_millis(10), &[]);
    net.kill(A);
    net.say(call(1), "two");
    assert_eq!(net.answers(), 1);
    net.table(&moved(&table, false));
    assert_eq!(net.answers(), 2);
    assert_eq!(net.seen_by(B, call(1)), "one,two");
    net.pass(Duration::from_secs(3), &[]);
    assert_eq!(net.nodes[&LB].office.status(net.at(LB)).counts.given_up, 0, "every letter was received");
}

#[test]
fn an_effect_that_did_not_leave_is_posted_by_the_next_owner() {
    let (mut net, table) = protected();
    net.cut = vec![(B, A), (A, LB)];
    net.say(call(1), "one");
    assert_eq!(net.answers(), 0);
    net.kill(A);
    net.cut.clear();
    net.table(&moved(&table, false));
    // Once by the record, and perhaps once more because the letter itself was sent again.
    assert!(net.answers() >= 1);
}

#[test]
fn open_questions_are_asked_again_by_the_next_owner() {
    let (mut net, table) = protected();
    net.say(call(1), "ask");
    net.pass(Duration::from_millis(40), &[]);
    assert_eq!(net.nodes[&A].ports.len(), 1);
    net.kill(A);
    net.table(&moved(&table, false));
    net.pass(Duration::from_millis(20), &[]);
    let asked: Vec<_> = net.nodes[&B].ports.iter().map(|mail| (mail.to, mail.thread, mail.letter.kind())).collect();
    assert_eq!(asked, [(Address::Store(B), Thread(7), "load_bindings")]);
}

#[test]
fn a_deadline_stays_where_it_was_whatever_the_clocks_say() {
    let (mut net, table) = protected();
    net.say(call(1), "alarm");
    net.pass(Duration::from_secs(4), &[]);
    net.kill(A);
    net.table(&moved(&table, false));
    net.pass(Duration::from_millis(5_900), &[]);
    let rings = |net: &Net| {
        let alarm = Letter::Locate("alarm".into());
        net.nodes[&LB].ports.iter().filter(|mail| mail.letter == alarm).count()
    };
    assert_eq!(rings(&net), 0, "ten seconds are not over");
    net.pass(Duration::from_millis(200), &[]);
    assert_eq!(rings(&net), 1);
}

#[test]
fn an_old_owner_is_heard_by_nobody() {
    let (mut net, table) = protected();
    net.say(call(1), "one");
    net.pass(Duration::from_millis(10), &[]);
    // A sleeps through its replacement and does not know the new table.
    let table = moved(&table, false);
    net.tell(B, &table);
    net.tell(LB, &table);
    net.run();
    net.say_at(A, call(1), "stale");
    assert_eq!(net.answers(), 1);
    let stale = |node: NodeId| {
        let counts = net.nodes[&node].office.status(net.at(node)).counts;
        counts.stale_letters + counts.stale_records
    };
    assert!(stale(B) > 0, "the standby refuses the record");
    assert_eq!(net.seen_by(B, call(1)), "one");
    net.pass(Duration::from_millis(600), &[]);
    assert_eq!(net.answers(), 1, "what left unprotected was refused by its epoch");
    let counts = net.nodes[&LB].office.status(net.at(LB)).counts;
    assert_eq!((counts.stale_letters, counts.stale_taken), (1, 0));
    net.tell(A, &table);
    net.run();
    assert!(net.nodes[&A].rooms.is_empty(), "its machines have ended");
}

#[test]
fn a_node_that_restarted_takes_nothing_up_by_an_old_table() {
    let mut net = Net::new(&[]);
    let mut table = first_table();
    table.members[0].boot = 77;
    net.table(&table);
    net.say(call(1), "one");
    assert_eq!(net.answers(), 0);
    assert_eq!(net.nodes[&A].office.status(net.at(A)).groups[0].role, "none");
}

#[test]
fn the_failed_node_returns_as_standby_and_takes_over_again() {
    let (mut net, table) = protected();
    net.say(call(1), "one");
    let table = moved(&table, true);
    net.table(&table);
    net.say(call(1), "two");
    net.pass(Duration::from_millis(100), &[]);
    assert_eq!(net.nodes[&A].office.sums(), net.nodes[&B].office.sums());
    let mut table = full(&table);
    let row = &mut table.groups[0];
    (row.active, row.standby, row.epoch) = (Some(A), None, Epoch(3));
    net.kill(B);
    net.table(&table);
    net.say(call(1), "three");
    assert_eq!(net.seen_by(A, call(1)), "one,two,three");
}
