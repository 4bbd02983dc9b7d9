//! Beyond what every other test of this crate does: there, a replica goes through each step beside the call (`Stage::step`).

use std::time::Duration;

use fabric::hash::hash64;
use sip::{Method, Name, Status};

use crate::Call;
use crate::testing::{Phone, Stage, sdp};
use crate::tests::Talk;

/// An established call as version 1 wrote it.
const ESTABLISHED: &[u8] = include_bytes!("established.v1");

#[test]
fn bytes_of_version_1_restore() {
    let mut talk = Talk::begin();
    talk.stage.pass(Duration::from_secs(60));
    let Stage { home, key, call, replica, .. } = &mut talk.stage;
    if replica != ESTABLISHED {
        let at = std::env::temp_dir().join("established.v1");
        std::fs::write(&at, &*replica).expect("a writable directory");
        panic!("the state has changed: raise VERSION and keep both, the new one is {}", at.display());
    }
    let restored = Call::restore(home, *key, call.settings.clone(), ESTABLISHED).expect("readable");
    assert_eq!(restored.describe(), call.describe());
}

#[test]
fn a_state_is_small() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.invite(&mut stage, &sdp("alice"));
    let at_bob = stage.last("bob");
    stage.send("bob", &bob.reply(&at_bob, 180, "b1", ""));
    let ringing = stage.replica.len();
    let mut talk = Talk::begin();
    let fresh = talk.stage.replica.len();
    talk.stage.pass(Duration::from_secs(60));
    let quiet = talk.stage.replica.len();
    println!("state of a call: {ringing} bytes ringing, {fresh} just answered, {quiet} established and quiet");
    assert!(quiet < 2_000 && ringing < 5_000, "{quiet} {ringing}");
}

#[test]
fn other_versions_and_damaged_bytes_are_refused() {
    let talk = Talk::begin();
    let Stage { home, key, call, replica, .. } = &talk.stage;
    let restore = |bytes: &[u8]| Call::restore(home, *key, call.settings.clone(), bytes);
    assert!(restore(&[]).is_none());
    let mut other = replica.to_vec();
    other[0] = 2;
    assert!(restore(&other).is_none());
    for length in 0..replica.len() {
        assert!(restore(&replica[..length]).is_none(), "cut at {length}");
    }
    for round in 0..20_000u64 {
        let chance = hash64(b"damaged bytes   ", &[&round.to_be_bytes()]) as usize;
        let mut damaged = replica.to_vec();
        damaged[1 + chance % (replica.len() - 1)] ^= (chance >> 32) as u8 | 1;
        // Whatever it says, it must neither panic nor ask for much memory.
        let _ = restore(&damaged);
    }
}

/// Phones that do what they like, in any order; `Stage::step` compares call and replica at every letter.
#[test]
fn any_letters_in_any_order() {
    for seed in 0..150u64 {
        let mut dice = Dice { seed, count: 0 };
        let mut stage = Stage::with(crate::Settings {
            refer: if seed % 3 == 0 { crate::Refer::Transfer } else { crate::Refer::Refuse },
            ..crate::Settings::default()
        });
        stage.add_phone("desk", 5, fabric::letters::flow::Transport::Tcp);
        stage.bind("bob", "desk", if seed % 2 == 0 { 1000 } else { 500 });
        wander(&mut stage, &mut dice);
    }
}

fn wander(stage: &mut Stage, dice: &mut Dice) {
    let (mut alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    if dice.roll(2) == 0 {
        alice.extra.push((Name::Supported, "100rel, timer".to_owned()));
    }
    let offer = if dice.roll(4) == 0 { String::new() } else { sdp("alice") };
    let invite = alice.invite(stage, &offer);
    let (mut requests, mut dialog) = (Vec::new(), None);
    for _ in 0..40 {
        for phone in ["bob", "desk"] {
            let inbox = stage.inboxes.get_mut(phone).expect("a phone");
            requests.extend(inbox.drain(..).filter(|message| message.is_request()).map(|message| (phone, message)));
        }
        let answer = |message: &sip::Message| message.status().is_some_and(|status| status == Status::OK);
        let inbox = stage.inboxes.get_mut("alice").expect("a phone");
        for message in inbox.drain(..) {
            match () {
                _ if message.is_request() => requests.push(("alice", message)),
                _ if answer(&message) && dialog.is_none() && message.method() == invite.method() => {
                    dialog = Some(alice.dialog(&invite, &message));
                }
                _ => {}
            }
        }
        match dice.roll(14) {
            0..=5 if !requests.is_empty() => {
                let (phone, request) = requests[dice.roll(requests.len())].clone();
                if request.view().method() != Method::Ack {
                    reply(stage, dice, &bob, phone, &request);
                }
            }
            6 => stage.send("alice", &invite),
            7 if dice.roll(6) == 0 => stage.send("alice", &alice.cancel(&invite)),
            8..=10 => {
                let Some(dialog) = &mut dialog else { continue };
                let message = match dice.roll(8) {
                    0..=2 => alice.ack(dialog, alice.cseq, if offer.is_empty() { "v=0\r\n" } else { "" }),
                    3 => alice.inside(dialog, Method::Invite, &sdp("again")),
                    4 => alice.inside(dialog, Method::Update, &sdp("update")),
                    5 => alice.inside(dialog, Method::Info, ""),
                    6 => {
                        let refer = [(Name::ReferTo, "<sip:bob@example.test>")];
                        alice.inside_with(dialog, Method::Refer, "", &refer)
                    }
                    _ => alice.inside(dialog, Method::Bye, ""),
                };
                stage.send("alice", &message);
            }
            11 => stage.held_rooms = vec![["media", "store", "location", "records"][dice.roll(4)]],
            12 => stage.release(),
            _ => stage.pass(Duration::from_millis([20, 400, 3_000, 40_000][dice.roll(4)])),
        }
    }
    stage.release();
    stage.pass(Duration::from_secs(600));
}

fn reply(stage: &mut Stage, dice: &mut Dice, bob: &Phone, phone: &'static str, request: &sip::Message) {
    let status = [100, 180, 183, 200, 200, 200, 422, 481, 486, 487, 491, 600][dice.roll(12)];
    let body = if matches!(status, 183 | 200) { sdp(phone) } else { String::new() };
    let tag = ["t1", "t2"][dice.roll(8) / 7];
    let reliable = [(Name::Require, "100rel"), (Name::RSeq, "7")];
    let extra: &[(Name, &str)] = match status {
        183 if dice.roll(2) == 0 => &reliable,
        422 => &[(Name::MinSe, "2000")],
        _ => &[],
    };
    stage.send(phone, &bob.reply_with(request, status, tag, &body, extra));
}

/// The same throws for the same seed.
struct Dice {
    seed: u64,
    count: u64,
}

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.count += 1;
        let number = hash64(b"dice of the test", &[&self.seed.to_be_bytes(), &self.count.to_be_bytes()]);
        (number % sides as u64) as usize
    }
}
