//! The parity host: the same machines under the ractor shell on tokio's paused clock, in the same simulated world.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fabric::{Address, Clock, Envelope, Home, Post};
use shell::{Exchange, Settings, TokioClock};
use tokio::sync::Notify;

use crate::judges::{Remains, finish};
use crate::plan::{Menu, Plan, START_UNIX_MS};
use crate::report::Report;
use crate::switch;
use crate::world::{NODE, World};

/// Every port of the node: letters go into the world, which wakes the driver when something is due sooner.
struct Edge {
    world: Mutex<Option<World>>,
    clock: TokioClock,
    sooner: Notify,
}

impl Edge {
    fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> Option<T> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(look)
    }

    fn now_ms(&self) -> u64 {
        self.clock.now().instant.0 / 1_000
    }
}

impl Post for Edge {
    fn post(&self, envelope: Envelope) {
        let now_ms = self.now_ms();
        self.with(|world| world.take(envelope, now_ms));
        self.sooner.notify_one();
    }
}

/// Runs one seed under the shell.
pub fn run_seed(seed: u64, menu: &Menu) -> Report {
    let plan = Arc::new(Plan::new(seed, menu));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without sockets needs nothing of the system").block_on(run(plan))
}

async fn run(plan: Arc<Plan>) -> Report {
    let home: Home = switch::home(&plan);
    let edge = Arc::new(Edge {
        world: Mutex::new(Some(World::new(plan.clone(), home))),
        clock: TokioClock::new(START_UNIX_MS),
        sooner: Notify::new(),
    });
    let clock = Arc::new(TokioClock::new(START_UNIX_MS));
    let settings = Settings { alarm_tick_ms: 1, ..Settings::default() };
    let exchange = Exchange::new(NODE, switch::founder(&plan), clock, settings);
    for port in [
        Address::Flow(NODE),
        Address::Store(NODE),
        Address::Records(NODE),
        Address::Names(NODE),
        Address::Relay(NODE),
        Address::Tracer(NODE),
        Address::Control(NODE),
    ] {
        exchange.register_port(port, edge.clone());
    }
    for resident in switch::residents() {
        exchange.start_resident(resident).await.expect("the roles found their residents");
    }
    while let Some(Some(at)) = edge.with(|world| world.next_ms()) {
        let now = edge.now_ms();
        if at > now {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(at - now)) => {}
                () = edge.sooner.notified() => {}
            }
            continue;
        }
        if let Some(Some(letter)) = edge.with(World::step) {
            exchange.post(letter);
            settle().await;
        }
    }
    report(&edge, &exchange).await
}

/// Lets the letters run until nothing moves: every turn, each actor that has something to do does it once.
async fn settle() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// Longest chain of letters that one event causes at once, with room.
const TURNS: usize = 40;

async fn report(edge: &Edge, exchange: &Exchange) -> Report {
    let counters = exchange.counters();
    let count =
        |kind: &str| counters.machines.iter().find(|(name, _)| *name == kind).map_or(0, |(_, count)| *count as usize);
    let letters = counters.letters.iter().map(|(_, count)| count).sum();
    let mut world =
        edge.world.lock().unwrap_or_else(PoisonError::into_inner).take().expect("the world is there until the report");
    let remains = Remains {
        calls: count("call"),
        media: count("media"),
        registrations: count("registration"),
        relay_sessions: world.relay.names(),
        panics: (0..counters.panics).map(|_| "see the log".to_owned()).collect(),
        letters_max: counters.mailbox_letters_max as usize,
        loops: counters.loops,
    };
    exchange.stop().await;
    finish(&mut world.book, &remains);
    Report::of(world, letters, 0)
}
