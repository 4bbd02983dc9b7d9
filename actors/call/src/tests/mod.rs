//! Whole calls, letter by letter.

mod admission;
mod basic;
mod cancel;
mod early;
mod fork;
mod inside;
mod media;
mod memory;
mod moved;
mod page;
mod refusal;
mod session;
mod transfer;

use dialog::Dialog;

use crate::testing::{Phone, Stage, sdp};

/// An established call between Alice and Bob, its log and inboxes empty.
pub(crate) struct Talk {
    pub stage: Stage,
    pub alice: Phone,
    pub bob: Phone,
    pub alices: Dialog,
    pub bobs: Dialog,
}

impl Talk {
    pub fn begin() -> Talk {
        Talk::on(Stage::new())
    }

    pub fn on(mut stage: Stage) -> Talk {
        let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
        let invite = alice.invite(&mut stage, &sdp("alice"));
        let at_bob = stage.last("bob");
        stage.send("bob", &bob.reply(&at_bob, 200, "b1", &sdp("bob")));
        let answer = stage.last("alice");
        let alices = alice.dialog(&invite, &answer);
        let bobs = bob.called(&at_bob, "b1");
        stage.send("alice", &alice.ack(&alices, 2, ""));
        stage.last("bob");
        stage.log();
        Talk { stage, alice, bob, alices, bobs }
    }
}
