//! What a held call weighs, and what a whole call costs in allocations.

use std::time::Duration;

use fabric::Machine;
use sip::Method;

use super::Talk;
use crate::Call;
use crate::testing::heap::live;

#[test]
fn a_held_call_is_small() {
    let Talk { mut stage, .. } = Talk::begin();
    stage.pass(Duration::from_secs(60));
    stage.inboxes.clear();
    assert!(stage.call.is_quiet());
    let before = live();
    drop(stage.call);
    let heap = before - live();
    let total = heap as usize + size_of::<Call>();
    println!("held call: {heap} bytes of heap, {} of its own", size_of::<Call>());
    assert!(total <= 2_500, "{total} bytes");
}

#[test]
fn a_call_is_cheap() {
    let Talk { mut stage, mut alice, bob, mut alices, .. } = Talk::begin();
    stage.send("alice", &alice.inside(&mut alices, Method::Bye, ""));
    let bye = stage.last("bob");
    stage.send("bob", &bob.reply(&bye, 200, "", ""));
    println!("{} allocations for a whole call with digest", stage.allocations);
    assert!(stage.allocations <= 400, "{}", stage.allocations);
}
