//! The shell with machines that do as they are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fabric::letters::control::Description;
use fabric::{
    Address, Envelope, FaultKind, Founder, Housing, Instant, Key, Letter, Machine, NodeId, Now, Outbox, Post, Thread,
};

use crate::{Exchange, Settings, StartError, TokioClock};

mod cluster;
mod speed;

const NODE: NodeId = NodeId(1);
const SECOND: Duration = Duration::from_secs(1);

/// Does what the text of `Locate` says: `note` counts, `alarm MS` sets a timer, `panic`, `end`, `flood N`.
struct Puppet {
    notes: u64,
    wakes: Vec<u64>,
    due: Option<Instant>,
    over: bool,
}

impl Machine for Puppet {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        match &mail.letter {
            Letter::Locate(order) => self.obey(order, now, &mail, out),
            Letter::Describe => {
                let facts = vec![
                    ("notes".to_owned(), self.notes.to_string()),
                    ("wakes".to_owned(), format!("{:?}", self.wakes)),
                ];
                let name = "puppet".to_owned();
                out.answer(&mail, Letter::Described(Box::new(Description::Machine { name, facts })));
            }
            _ => {}
        }
    }

    fn wake(&mut self, now: Now, _: &mut Outbox) {
        if self.due.is_some_and(|due| due <= now.instant) {
            self.due = None;
            self.wakes.push(now.instant.0 / 1_000);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.due
    }

    fn is_idle(&self) -> bool {
        self.over
    }
}

impl Puppet {
    fn obey(&mut self, order: &str, now: Now, mail: &Envelope, out: &mut Outbox) {
        let (verb, rest) = order.split_once(' ').unwrap_or((order, "0"));
        let number: u64 = rest.parse().expect("tests give numbers");
        match verb {
            "note" => self.notes += 1,
            "alarm" => self.due = Some(now.instant + Duration::from_millis(number)),
            "end" => self.over = true,
            "panic" => panic!("the puppet was told to"),
            "loop" => out.post(mail.to, Letter::Locate("loop".into())),
            _ => unreachable!("no such order: {verb}"),
        }
        if verb != "loop" {
            out.answer(mail, Letter::Kept);
        }
    }
}

struct Puppets;

impl Founder for Puppets {
    fn found(&self, _: Address, letter: &Letter, _: Now) -> Option<Box<dyn Machine>> {
        let puppet = Puppet { notes: 0, wakes: Vec::new(), due: None, over: false };
        (!matches!(letter, Letter::Kept)).then(|| Box::new(puppet) as Box<dyn Machine>)
    }

    fn housing(&self, address: Address) -> Housing {
        match address {
            Address::Call(_) => Housing::Own,
            Address::Registration(_) | Address::Media(_) => Housing::Hive(2),
            Address::Location(_) => Housing::Resident,
            _ => Housing::Port,
        }
    }
}

fn exchange(settings: Settings) -> Exchange {
    Exchange::new(NODE, Arc::new(Puppets), Arc::new(TokioClock::new(1_000_000)), settings)
}

fn quick() -> Settings {
    Settings { alarm_tick_ms: 1, ..Settings::default() }
}

async fn order(exchange: &Exchange, to: Address, text: &str) -> Letter {
    exchange.ask(to, Letter::Locate(text.into()), SECOND).await
}

async fn fact(exchange: &Exchange, to: Address, name: &str) -> String {
    match exchange.describe(to, SECOND).await {
        Some(Description::Machine { facts, .. }) => {
            facts.into_iter().find(|(fact, _)| fact == name).expect("a puppet has it").1
        }
        other => panic!("{to:?} says {other:?}"),
    }
}

fn fault(letter: &Letter) -> Option<FaultKind> {
    match letter {
        Letter::Returned(fault) => Some(fault.kind),
        _ => None,
    }
}

fn call(key: u128) -> Address {
    Address::Call(Key(key))
}

#[tokio::test(start_paused = true)]
async fn carries_letters_to_every_kind_of_housing() {
    let exchange = exchange(quick());
    exchange.start_resident(Address::Location(3)).await.expect("it is a resident");
    for to in [call(1), Address::Registration(Key(7)), Address::Media(Key(8)), Address::Location(3)] {
        assert_eq!(order(&exchange, to, "note").await, Letter::Kept, "{to:?}");
        assert_eq!(fact(&exchange, to, "notes").await, "1", "{to:?}");
    }
    assert_eq!(exchange.addresses("call").await, [call(1)]);
    assert_eq!(exchange.addresses("media").await, [Address::Media(Key(8))]);
    assert_eq!(exchange.addresses("location").await, [Address::Location(3)]);
    let machines = exchange.counters().machines;
    assert_eq!(machines, [("call", 1), ("location", 1), ("media", 1), ("registration", 1)]);
}

#[tokio::test(start_paused = true)]
async fn ports_get_their_letters_in_order() {
    struct Port(Mutex<Vec<Envelope>>);
    impl Post for Port {
        fn post(&self, envelope: Envelope) {
            self.0.lock().expect("no test panics here").push(envelope);
        }
    }
    let exchange = exchange(quick());
    let port = Arc::new(Port(Mutex::default()));
    exchange.register_port(Address::Store(NODE), port.clone());
    for thread in 1..=3 {
        exchange.post(Envelope::ask(call(1), Address::Store(NODE), Thread(thread), Letter::Describe));
    }
    let seen: Vec<u64> = port.0.lock().expect("no test panics here").iter().map(|e| e.thread.0).collect();
    assert_eq!(seen, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_takes_comes_back_or_is_counted() {
    let exchange = exchange(quick());
    let back = exchange.ask(call(1), Letter::Kept, SECOND).await;
    assert_eq!(fault(&back), Some(FaultKind::NoSuchActor));
    let back = exchange.ask(Address::Flow(NODE), Letter::Describe, SECOND).await;
    assert_eq!(fault(&back), Some(FaultKind::NoSuchActor));
    exchange.post(Envelope::new(Address::Nobody, call(1), Letter::Kept));
    assert_eq!((exchange.counters().returned, exchange.counters().dropped), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn alarms_ring_on_time_and_one_moved_later_does_not_ring_early() {
    let exchange = exchange(quick());
    let hive = Address::Media(Key(5));
    order(&exchange, call(1), "alarm 700").await;
    order(&exchange, hive, "alarm 500").await;
    order(&exchange, call(2), "alarm 300").await;
    order(&exchange, call(2), "alarm 900").await;
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(fact(&exchange, call(1), "wakes").await, "[700]");
    assert_eq!(fact(&exchange, hive, "wakes").await, "[500]");
    assert_eq!(fact(&exchange, call(2), "wakes").await, "[900]");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_call_gives_its_actor_back_and_loses_nothing() {
    let exchange = exchange(quick());
    order(&exchange, call(1), "note").await;
    assert_eq!((exchange.counters().parked, exchange.counters().parkings), (0, 0));
    tokio::time::sleep(SECOND).await;
    assert_eq!((exchange.counters().parked, exchange.counters().parkings), (1, 1));
    order(&exchange, call(1), "note").await;
    assert_eq!(exchange.counters().parked, 0);
    assert_eq!(fact(&exchange, call(1), "notes").await, "2");
    // A far deadline is met from the parking place.
    order(&exchange, call(1), "alarm 5000").await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(exchange.counters().parked, 1);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(fact(&exchange, call(1), "wakes").await, "[6000]");
}

#[tokio::test(start_paused = true)]
async fn a_busy_call_is_not_parked() {
    let exchange = exchange(quick());
    for _ in 0..20 {
        order(&exchange, call(1), "note").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(exchange.counters().parkings, 0);
}

#[tokio::test(start_paused = true)]
async fn an_ended_call_leaves_nothing_behind() {
    let exchange = exchange(quick());
    for key in 0..100 {
        order(&exchange, call(key), "end").await;
    }
    tokio::time::sleep(SECOND).await;
    let counters = exchange.counters();
    assert!(exchange.addresses("call").await.is_empty());
    assert_eq!((counters.alarms, counters.founded), (0, 100));
    // The same key may be founded again.
    assert_eq!(order(&exchange, call(1), "note").await, Letter::Kept);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_call() {
    let exchange = exchange(quick());
    order(&exchange, call(1), "note").await;
    order(&exchange, call(2), "note").await;
    assert_eq!(fault(&order(&exchange, call(2), "panic").await), Some(FaultKind::Unavailable));
    assert_eq!(fact(&exchange, call(1), "notes").await, "1");
    assert_eq!(fact(&exchange, call(2), "notes").await, "0", "a new one");
    assert_eq!(exchange.counters().panics, 1);
}

#[tokio::test(start_paused = true)]
async fn a_resident_is_founded_again_and_keeps_its_mail() {
    let exchange = exchange(quick());
    let resident = Address::Location(1);
    exchange.start_resident(resident).await.expect("it is a resident");
    for _ in 0..3 {
        let died = order(&exchange, resident, "panic");
        let (died, kept) = tokio::join!(died, order(&exchange, resident, "note"));
        assert_eq!(fault(&died), Some(FaultKind::Unavailable));
        assert_eq!(kept, Letter::Kept);
    }
    assert_eq!(fact(&exchange, resident, "notes").await, "1");
    assert_eq!((exchange.counters().panics, exchange.counters().restarts), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_hive_costs_one_machine() {
    let exchange = exchange(quick());
    let (one, two) = (Address::Media(Key(2)), Address::Media(Key(4)));
    order(&exchange, one, "note").await;
    order(&exchange, two, "note").await;
    order(&exchange, two, "panic").await;
    assert_eq!(fact(&exchange, one, "notes").await, "1");
    assert_eq!((exchange.counters().panics, exchange.counters().restarts), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_says_overload() {
    let exchange = exchange(Settings { own_letters_max: 5, own_actors_max: 1, ..quick() });
    for _ in 0..8 {
        exchange.post(Envelope::new(Address::Nobody, call(1), Letter::Locate("note".into())));
    }
    assert_eq!((exchange.counters().overloads, exchange.counters().mailbox_letters), (3, 5));
    assert_eq!(fault(&order(&exchange, call(2), "note").await), Some(FaultKind::Overload));
    tokio::task::yield_now().await;
    assert_eq!(fact(&exchange, call(1), "notes").await, "5");
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_letters_without_end_is_cut() {
    let exchange = exchange(quick());
    exchange.post(Envelope::new(Address::Nobody, call(1), Letter::Locate("loop".into())));
    tokio::time::sleep(SECOND).await;
    assert_eq!(exchange.counters().loops, 1);
}

#[tokio::test(start_paused = true)]
async fn refuses_to_start_what_is_no_resident() {
    let exchange = exchange(quick());
    exchange.start_resident(Address::Location(1)).await.expect("it is a resident");
    assert_eq!(exchange.start_resident(Address::Location(1)).await, Err(StartError::Twice(Address::Location(1))));
    assert_eq!(exchange.start_resident(call(1)).await, Err(StartError::Unknown(call(1))));
    exchange.stop().await;
    assert_eq!(exchange.start_resident(Address::Location(2)).await, Err(StartError::Unknown(Address::Location(2))));
}

#[tokio::test(start_paused = true)]
async fn stops_after_what_was_posted() {
    let exchange = exchange(quick());
    exchange.start_resident(Address::Location(1)).await.expect("it is a resident");
    for key in 0..10 {
        exchange.post(Envelope::new(Address::Nobody, call(key), Letter::Locate("note".into())));
    }
    exchange.stop().await;
    let counters = exchange.counters();
    assert_eq!((counters.mailbox_letters, counters.founded), (0, 10));
    assert_eq!(fault(&order(&exchange, call(1), "note").await), Some(FaultKind::NoSuchActor));
}

#[test]
fn letters_from_many_threads_arrive_once() {
    notes_of_many_threads(quick(), Duration::ZERO);
}

#[test]
fn letters_to_calls_that_come_and_go_arrive_once() {
    let settings = Settings { park_after_ms: 1, ..quick() };
    let exchange = notes_of_many_threads(settings, Duration::from_millis(5));
    assert!(exchange.counters().unparkings > 10, "{:?}", exchange.counters());
}

/// Four threads note 8000 times in seven calls, with pauses; none may be lost or doubled.
fn notes_of_many_threads(settings: Settings, pause: Duration) -> Exchange {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let clock = Arc::new(crate::SystemClock::new());
        let exchange = Exchange::new(NODE, Arc::new(Puppets), clock, settings);
        let posters: Vec<_> = (0..4)
            .map(|_| {
                let exchange = exchange.clone();
                std::thread::spawn(move || {
                    for number in 0..2_000_u128 {
                        let to = call(number % 7);
                        exchange.post(Envelope::new(Address::Nobody, to, Letter::Locate("note".into())));
                        if number % 50 == 0 {
                            std::thread::sleep(pause);
                        }
                    }
                })
            })
            .collect();
        for poster in posters {
            tokio::task::spawn_blocking(move || poster.join()).await.expect("joins").expect("posts");
        }
        let mut notes = 0;
        for key in 0..7 {
            notes += fact(&exchange, call(key), "notes").await.parse::<u64>().expect("a number");
        }
        notes += exchange.counters().overloads;
        assert_eq!(notes, 8_000);
        exchange.stop().await;
        exchange
    })
}
