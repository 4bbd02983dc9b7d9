use super::*;
use crate::testing::*;

fn ringing(status: u16, body: &[u8]) -> Builder {
    Builder::reply_to(&message(INVITE).view(), Status(status), Some(b"ours")).body(b"application/sdp", body)
}

fn prack(rack: &str) -> Message {
    within("PRACK", 11, &format!("RAck: {rack}\n"))
}

fn settings() -> Settings {
    Settings::default()
}

fn sender() -> Provisionals {
    Provisionals::new(10, 6)
}

fn rseq(message: &Message) -> u32 {
    message.view().number(Name::RSeq).unwrap().unwrap()
}

fn code(got: Result<Option<Message>, Reject>) -> u16 {
    got.map_or_else(|reject| reject.status.code(), |_| 200)
}

#[test]
fn one_at_a_time() {
    let mut sender = sender();
    let first = sender.push(ringing(180, b""), start(), &settings()).unwrap().expect("sent at once");
    assert!(first.view().has_option(Name::Require, "100rel"));
    assert_eq!(rseq(&first), 7);
    assert_eq!(sender.push(ringing(183, b"sdp"), start(), &settings()), Ok(None), "waits");
    assert_eq!(sender.push(ringing(182, b""), start(), &settings()), Ok(None), "waits");
    let mut sender = codec(&sender);
    let second = sender.on_prack(&prack("7 10 INVITE").view(), start(), &settings()).unwrap().expect("next");
    assert_eq!((rseq(&second), second.status()), (8, Some(Status::SESSION_PROGRESS)));
    let third = sender.on_prack(&prack("8 10 INVITE").view(), start(), &settings()).unwrap().expect("next");
    assert_eq!((rseq(&third), third.status()), (9, Some(Status::QUEUED)));
    assert!(sender.is_waiting());
    assert_eq!(sender.on_prack(&prack("9 10 INVITE").view(), start(), &settings()), Ok(None));
    assert!(!sender.is_waiting());
    assert_eq!(sender.deadline(), None);
}

#[test]
fn a_prack_has_to_fit() {
    for (more, status) in [
        ("RAck: 7 10 INVITE\n", 200),
        ("RAck:  7   10\n INVITE\n", 200),
        ("RAck: 6 10 INVITE\n", 481),
        ("RAck: 8 10 INVITE\n", 481),
        ("RAck: 7 11 INVITE\n", 481),
        ("RAck: 7 10 UPDATE\n", 481),
        ("RAck: 7 10\n", 400),
        ("RAck: 7\n", 400),
        ("RAck: -7 10 INVITE\n", 400),
        ("RAck: 99999999999 10 INVITE\n", 400),
        ("RAck: seven ten INVITE\n", 400),
        ("RAck: \n", 400),
        ("", 400),
    ] {
        let mut sender = sender();
        sender.push(ringing(180, b""), start(), &settings()).unwrap();
        let prack = within("PRACK", 11, more);
        assert_eq!(
            sender.expects(&prack.view()).map_or_else(|reject| reject.status.code(), |()| 200),
            status,
            "{more}"
        );
        assert_eq!(code(sender.on_prack(&prack.view(), start(), &settings())), status, "{more}");
        assert_eq!(sender.is_waiting(), status != 200, "{more}");
        if status == 200 {
            assert_eq!(code(sender.on_prack(&prack.view(), start(), &settings())), 481, "the second time");
        }
    }
    assert_eq!(code(sender().on_prack(&prack("1 10 INVITE").view(), start(), &settings())), 481, "nothing was sent");
}

#[test]
fn it_is_resent_from_t1_doubling_without_ceiling() {
    let mut sender = sender();
    sender.push(ringing(180, b""), start(), &settings()).unwrap();
    let (mut at, mut now) = (Vec::new(), start());
    while let Some(due) = sender.deadline() {
        now = now.after(due.since(now.instant));
        sender = codec(&sender);
        while let Some(due) = sender.wake(now) {
            at.push((now.instant.since(start().instant).as_millis(), due == Due::GiveUp));
        }
    }
    let sends = [500, 1_500, 3_500, 7_500, 15_500, 31_500];
    assert_eq!(at, sends.iter().map(|at_ms| (*at_ms, false)).chain([(32_000, true)]).collect::<Vec<_>>());
    assert_eq!(sender.push(ringing(183, b""), now, &settings()), Ok(None), "the INVITE is about to be refused");
}

#[test]
fn a_2xx_waits_for_session_descriptions_only() {
    let mut sender = sender();
    assert!(!sender.holds_success());
    sender.push(ringing(180, b""), start(), &settings()).unwrap();
    assert!(!sender.holds_success());
    sender.push(ringing(183, b"sdp"), start(), &settings()).unwrap();
    assert!(sender.holds_success(), "also when it still waits itself");
    sender.on_prack(&prack("7 10 INVITE").view(), start(), &settings()).unwrap();
    assert!(sender.holds_success());
    sender.on_prack(&prack("8 10 INVITE").view(), start(), &settings()).unwrap();
    assert!(!sender.holds_success());
}

#[test]
fn after_the_final_response_only_the_prack_counts() {
    let mut sender = sender();
    sender.push(ringing(180, b"sdp"), start(), &settings()).unwrap();
    sender.push(ringing(183, b""), start(), &settings()).unwrap();
    sender.stop();
    assert_eq!((sender.deadline(), sender.holds_success()), (None, false));
    assert_eq!(sender.push(ringing(183, b""), start(), &settings()), Ok(None));
    assert_eq!(sender.on_prack(&prack("7 10 INVITE").view(), start(), &settings()), Ok(None), "nothing follows");
    assert_eq!(code(sender.on_prack(&prack("8 10 INVITE").view(), start(), &settings())), 481, "that was never sent");
}

#[test]
fn the_queue_has_an_end() {
    let few = Settings { provisionals_max: 2, ..settings() };
    let mut sender = sender();
    for _ in 0..3 {
        sender.push(ringing(180, b""), start(), &few).unwrap();
    }
    assert_eq!(sender.push(ringing(180, b""), start(), &few), Err(QueueFull));
    let next = sender.on_prack(&prack("7 10 INVITE").view(), start(), &few).unwrap().unwrap();
    assert_eq!(rseq(&next), 8, "numbers have no gap");
}

#[test]
fn the_first_number_is_between_1_and_2_to_the_31() {
    for seed in [0, 1, 0x7fff_fffe, 0x7fff_ffff, u64::MAX] {
        let sent = Provisionals::new(10, seed).push(ringing(180, b""), start(), &settings()).unwrap().unwrap();
        assert!((1..=0x7fff_ffff).contains(&rseq(&sent)), "{seed}");
    }
}

#[test]
fn received_ones_are_taken_in_order() {
    let mut pracks = Pracks::default();
    let reliable = |rseq: &str| reply("183 Session Progress", "1 INVITE", &format!("Require: 100rel\nRSeq: {rseq}\n"));
    for (response, what) in [
        (reply("100 Trying", "1 INVITE", "Require: 100rel\nRSeq: 1\n"), Provisional::Plain),
        (reply("180 Ringing", "1 INVITE", ""), Provisional::Plain),
        (reply("180 Ringing", "1 INVITE", "RSeq: 1\n"), Provisional::Plain),
        (reply("180 Ringing", "1 INVITE", "Supported: 100rel\nRSeq: 1\n"), Provisional::Plain),
        (reply("200 OK", "1 INVITE", "Require: 100rel\nRSeq: 1\n"), Provisional::Plain),
        (reply("180 Ringing", "1 UPDATE", "Require: 100rel\nRSeq: 1\n"), Provisional::Plain),
        (reply("180 Ringing", "1 INVITE", "Require: 100rel\n"), Provisional::Broken),
        (reliable("0"), Provisional::Broken),
        (reliable("x"), Provisional::Broken),
        (reliable("4294967296"), Provisional::Broken),
        (reliable("1000"), Provisional::Reliable),
        (reliable("1000"), Provisional::Repeated),
        (reliable("1002"), Provisional::Early),
        (reliable("999"), Provisional::Repeated),
        (reliable("1001"), Provisional::Reliable),
        (reliable("1002"), Provisional::Reliable),
        (reliable("4294967295"), Provisional::Early),
    ] {
        assert_eq!(pracks.on_provisional(&response.view()), what, "{}", text(&response));
    }
    let mut last = Pracks { last: Some(u32::MAX) };
    assert_eq!(last.on_provisional(&reliable("1").view()), Provisional::Repeated);
}
