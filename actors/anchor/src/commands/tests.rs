use super::*;

fn ms(milliseconds: u64) -> Instant {
    Instant(milliseconds * 1_000)
}

fn open(commands: &mut Commands, relay: u16, resend_ms: u64, deadline_ms: u64) -> u64 {
    let number = commands.number();
    let command =
        Command::new(Purpose::Ping, relay, Bytes::from_static(b"x"), Duration::from_millis(resend_ms), ms(deadline_ms));
    commands.open(number, command, ms(0));
    number
}

#[test]
fn it_is_sent_again_with_doubled_pauses_until_its_deadline() {
    let mut commands = Commands::default();
    open(&mut commands, 0, 250, 1_200);
    let mut seen = Vec::new();
    while let Some(at) = commands.earliest() {
        match commands.due(at) {
            Some(Due::Resend(0, _)) => seen.push(("resend", at.0 / 1_000)),
            Some(Due::Overdue(_)) => seen.push(("overdue", at.0 / 1_000)),
            _ => panic!("nothing due at the earliest deadline"),
        }
    }
    assert_eq!(seen, [("resend", 250), ("resend", 750), ("overdue", 1_200)]);
    assert_eq!(commands.len(), 0);
}

#[test]
fn a_ping_is_not_sent_again() {
    let mut commands = Commands::default();
    open(&mut commands, 0, 0, 400);
    assert!(commands.due(ms(399)).is_none());
    assert!(matches!(commands.due(ms(400)), Some(Due::Overdue(_))));
}

#[test]
fn a_reply_counts_only_from_the_relay_that_was_asked() {
    let mut commands = Commands::default();
    let (one, two) = (open(&mut commands, 0, 250, 1_000), open(&mut commands, 1, 250, 1_000));
    assert_ne!(one, two);
    assert!(commands.close(one, 1).is_none());
    assert!(commands.close(99, 0).is_none());
    assert!(commands.close(one, 0).is_some());
    assert!(commands.close(one, 0).is_none(), "once");
    assert_eq!(commands.close_all(0).len(), 0);
    assert_eq!(commands.close_all(1).len(), 1);
    assert_eq!((commands.len(), commands.earliest()), (0, None));
}
