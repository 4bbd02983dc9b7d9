//! Groups that move while everybody lives.

use super::*;

#[test]
fn a_group_is_handed_over_without_losing_a_letter() {
    let (mut net, table) = protected();
    net.say(call(1), "one");
    let mut asking = full(&table);
    asking.groups[0].next = Some(B);
    net.table(&asking);
    net.say(call(1), "two");
    assert_eq!(net.answers(), 1, "new letters wait");
    net.pass(Duration::from_millis(100), &[]);
    let table = moved(&asking, true);
    net.table(&table);
    net.pass(Duration::from_millis(100), &[]);
    assert_eq!(net.answers(), 2);
    assert_eq!(net.seen_by(B, call(1)), "one,two");
    assert!(net.nodes[&A].rooms.is_empty());
    assert_eq!(net.nodes[&A].office.sums(), net.nodes[&B].office.sums());
}

#[test]
fn letters_of_the_own_node_survive_a_hand_over() {
    let (mut net, table) = protected();
    let mut asking = full(&table);
    asking.groups[0].next = Some(B);
    net.table(&asking);
    net.say_at(A, call(1), "mine");
    net.table(&moved(&asking, true));
    net.pass(Duration::from_millis(50), &[]);
    assert_eq!(net.seen_by(B, call(1)), "mine");
}

#[test]
fn a_group_is_divided_where_it_stands() {
    let (mut net, table) = protected();
    let high = call(0xfff << 116 | 5);
    net.say(call(1), "low");
    net.say(high, "high");
    let mut table = full(&table);
    let mut row = table.groups[0].clone();
    row.group = GroupId(1);
    table.groups.push(row);
    table.slots = vec![(SLOTS / 2, GroupId(0)), (SLOTS / 2, GroupId(1))];
    net.table(&table);
    net.say(high, "more");
    net.pass(Duration::from_millis(100), &[]);
    assert_eq!(net.nodes[&A].office.sums(), net.nodes[&B].office.sums());
    // Only the new group moves.
    table.version += 1;
    let row = &mut table.groups[1];
    (row.active, row.standby, row.epoch) = (Some(B), Some(A), Epoch(2));
    net.table(&table);
    net.say(high, "there");
    net.say(call(1), "here");
    assert_eq!(net.seen_by(B, high), "high,more,there");
    assert_eq!(net.seen_by(A, call(1)), "low,here");
}

#[test]
fn machines_end_when_the_next_owner_is_faster_than_the_table() {
    let (mut net, table) = protected();
    net.say(call(1), "one");
    assert_eq!(net.nodes[&A].rooms.len(), 1);
    let table = moved(&table, true);
    net.tell(B, &table);
    net.run();
    assert!(net.nodes[&A].rooms.is_empty(), "they would stand there for ever");
    net.table(&table);
    net.say(call(1), "two");
    assert_eq!(net.seen_by(B, call(1)), "one,two");
}
