//! What a letter costs: `cargo test --release -p shell -- --ignored --nocapture speed`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant as Moment;

use super::*;
use crate::SystemClock;

/// Answers of calls come here, and every answer causes the next letter.
struct Sink {
    exchange: Exchange,
    left: AtomicU64,
    calls: u64,
    done: tokio::sync::Notify,
}

impl Post for Sink {
    fn post(&self, _: Envelope) {
        let left = self.left.fetch_sub(1, Relaxed);
        if left > self.calls {
            self.send(left);
        } else if left == 1 {
            self.done.notify_one();
        }
    }
}

impl Sink {
    fn send(&self, number: u64) {
        let to = call(u128::from(number % self.calls));
        self.exchange.post(Envelope::ask(Address::Store(NODE), to, Thread(number), Letter::Describe));
    }
}

fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number")
}

#[test]
#[ignore = "a measurement"]
fn speed_of_letters() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for calls in [1, 100, 10_000] {
        runtime.block_on(async {
            let exchange = Exchange::new(NODE, Arc::new(Quiet), Arc::new(SystemClock::new()), Settings::default());
            let letters = 2_000_000;
            let sink = Arc::new(Sink {
                exchange: exchange.clone(),
                left: AtomicU64::new(letters),
                calls,
                done: tokio::sync::Notify::new(),
            });
            exchange.register_port(Address::Store(NODE), sink.clone());
            let (wall, cpu) = (Moment::now(), cpu_ns());
            (1..=calls).for_each(|number| sink.send(number));
            sink.done.notified().await;
            let each = |ns: u64| ns / letters;
            println!(
                "{calls:6} calls: {} ns wall, {} ns cpu a question and its answer",
                each(wall.elapsed().as_nanos() as u64),
                each(cpu_ns() - cpu)
            );
            exchange.stop().await;
        });
    }
}

#[test]
#[ignore = "a measurement"]
fn speed_of_founding_and_memory_of_parked_calls() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let exchange = Exchange::new(NODE, Arc::new(Quiet), Arc::new(SystemClock::new()), Settings::default());
        let before = memory_kb();
        let (calls, cpu) = (100_000_u64, cpu_ns());
        for key in 0..calls {
            exchange.post(Envelope::new(Address::Nobody, call(u128::from(key)), Letter::Describe));
            if key % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        println!("founded: {} ns each, {} bytes each", (cpu_ns() - cpu) / calls, (memory_kb() - before) * 1024 / calls);
        let cpu = cpu_ns();
        tokio::time::sleep(Duration::from_secs(2)).await;
        println!("parked {}: {} ns each", exchange.counters().parked, (cpu_ns() - cpu) / calls);
        exchange.stop().await;
    });
}

fn memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("Linux");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
}

/// Answers and does nothing else.
struct Quiet;

impl Machine for Quiet {
    fn handle(&mut self, mail: Envelope, _: Now, out: &mut Outbox) {
        out.answer(&mail, Letter::Kept);
    }
    fn wake(&mut self, _: Now, _: &mut Outbox) {}
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn is_idle(&self) -> bool {
        false
    }
}

impl Founder for Quiet {
    fn found(&self, _: Address, _: &Letter, _: Now) -> Option<Box<dyn Machine>> {
        Some(Box::new(Quiet))
    }
    fn housing(&self, address: Address) -> Housing {
        Puppets.housing(address)
    }
}
