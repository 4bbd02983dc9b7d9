//! The one actor: runs the machine of a room. A bell tells it that letters wait or that a deadline may have passed.

use std::any::Any;
use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use fabric::{Envelope, Fault, Instant, Letter, Machine, Now, Outbox, Thread};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::{debug_span, error};

use crate::room::{House, NEVER, Room, Tenant};
use crate::switchboard::Inner;

/// Look into your mailbox.
pub(crate) struct Bell;

pub(crate) struct RoomActor {
    pub exchange: Arc<Inner>,
}

/// The room with what the actor took out of it.
pub(crate) struct Desk {
    pub room: Arc<Room>,
    tenant: Option<Tenant>,
    work: VecDeque<Envelope>,
    out: Outbox,
    last_letter: Instant,
}

/// What the letter was owed that a machine died of.
struct Cause {
    answer: Option<Envelope>,
    receipt: u64,
}

enum Round {
    More,
    Rest,
    Over,
    Died(String),
}

impl Actor for RoomActor {
    type Msg = Bell;
    type State = Desk;
    type Arguments = Arc<Room>;

    async fn pre_start(&self, _: ActorRef<Bell>, room: Arc<Room>) -> Result<Desk, ActorProcessingErr> {
        let tenant = room.lock().tenant.take();
        let out = Outbox::new(room.address);
        let last_letter = self.exchange.clock.now().instant;
        Ok(Desk { room, tenant, work: VecDeque::new(), out, last_letter })
    }

    async fn handle(&self, me: ActorRef<Bell>, _: Bell, desk: &mut Desk) -> Result<(), ActorProcessingErr> {
        loop {
            match self.round(desk) {
                Round::More => tokio::task::yield_now().await,
                Round::Rest => return Ok(()),
                Round::Over => {
                    me.stop(None);
                    return Ok(());
                }
                Round::Died(why) => return Err(why.into()),
            }
        }
    }
}

impl RoomActor {
    /// Handles a batch of letters and due deadlines, then settles what happens to the room.
    fn round(&self, desk: &mut Desk) -> Round {
        let Some(tenant) = &mut desk.tenant else {
            return Round::Over;
        };
        let exchange = &self.exchange;
        let address = desk.room.address;
        let _span = debug_span!("room", kind = address.kind(), key = ?address.key()).entered();
        if desk.work.is_empty() {
            mem::swap(&mut desk.work, &mut desk.room.lock().letters);
        }
        let now = exchange.clock.now();
        if !desk.work.is_empty() {
            desk.last_letter = now.instant;
        }
        let mut rest = exchange.settings.batch_letters_max.max(1);
        loop {
            if tenant.machine().deadline().is_some_and(|due| due <= now.instant) {
                exchange.totals.wakes.add(1);
                desk.out.open(address, None);
                let step = guarded(|| tenant.machine().wake(now, &mut desk.out));
                if let Err(why) = step {
                    return self.died(desk, None, why);
                }
                exchange.post_all(&mut desk.out);
            }
            if rest == 0 {
                break;
            }
            let Some(mail) = desk.work.pop_front() else {
                break;
            };
            rest -= 1;
            let wants_answer = mail.thread != Thread::NONE && !matches!(mail.letter, Letter::Returned(_));
            let cause = (wants_answer || mail.receipt != 0)
                .then(|| Cause { answer: wants_answer.then(|| mail.answer(Letter::Kept)), receipt: mail.receipt });
            desk.out.open(address, Some(&mail));
            let step = guarded(|| tenant.machine().handle(mail, now, &mut desk.out));
            if let Err(why) = step {
                return self.died(desk, cause, why);
            }
            exchange.post_all(&mut desk.out);
        }
        if let (Tenant::Hive(hive), House::Hive(shard)) = (tenant, &desk.room.house) {
            shard.machines.store(hive.len(), Relaxed);
            exchange.totals.panics.add(mem::take(&mut hive.lost));
            for caller in shard.roll_calls.lock().unwrap_or_else(|e| e.into_inner()).drain(..) {
                // Whoever asked may have given up.
                let _ = caller.send(hive.addresses());
            }
        }
        if !desk.work.is_empty() { Round::More } else { self.settle(desk, now) }
    }

    /// All letters are handled: end, park, or rest until the next bell.
    fn settle(&self, desk: &mut Desk, now: Now) -> Round {
        let Some(tenant) = &mut desk.tenant else {
            return Round::Over;
        };
        let exchange = &self.exchange;
        let room = &desk.room;
        let machine = tenant.machine();
        if room.is_own() && machine.is_idle() {
            return if exchange.close(room) { Round::Over } else { Round::More };
        }
        let deadline = machine.deadline();
        let park_at = self.park_at(room, machine, deadline, desk.last_letter, now);
        let mut mailbox = room.lock();
        if !mailbox.letters.is_empty() {
            return Round::More;
        }
        mailbox.rung = false;
        let park = park_at.is_some_and(|at| at <= now.instant);
        mailbox.due = if park { deadline } else { deadline.into_iter().chain(park_at).min() }.unwrap_or(NEVER);
        let arm = (mailbox.due < mailbox.armed).then_some(mailbox.due);
        if let Some(due) = arm {
            mailbox.armed = due;
        }
        if park {
            mailbox.tenant = desk.tenant.take();
            mailbox.actor = None;
            mailbox.parked = true;
            mailbox.shrink();
            exchange.totals.parked.add(1);
        }
        drop(mailbox);
        if let Some(due) = arm {
            exchange.alarms.set(room, due);
        }
        if park { Round::Over } else { Round::Rest }
    }

    /// When this machine may be parked, if nothing happens until then.
    fn park_at(
        &self,
        room: &Room,
        machine: &dyn Machine,
        deadline: Option<Instant>,
        last_letter: Instant,
        now: Now,
    ) -> Option<Instant> {
        let after = Duration::from_millis(self.exchange.settings.park_after_ms);
        if !room.is_own() || after.is_zero() {
            return None;
        }
        let at = last_letter + after;
        let calm = machine.is_quiet() || deadline.is_none_or(|due| due >= now.instant.max(at) + after);
        calm.then_some(at)
    }

    /// The machine has panicked: our own mistake, and it costs this machine only.
    fn died(&self, desk: &mut Desk, cause: Option<Cause>, why: String) -> Round {
        let address = desk.room.address;
        error!(kind = address.kind(), key = ?address.key(), why, "machine lost");
        self.exchange.totals.panics.add(1);
        desk.out.drain();
        desk.tenant = None;
        let by_letter = cause.is_some();
        if let Some(Cause { answer, receipt }) = cause {
            if let Some(desk) = &self.exchange.office {
                desk.office.refused(&Envelope { receipt, ..Envelope::new(address, address, Letter::Kept) });
            }
            if let Some(mut answer) = answer {
                answer.letter = Letter::Returned(Fault::unavailable("machine lost"));
                self.exchange.post_one(answer);
            }
        }
        if !desk.room.is_own() {
            let mut mailbox = desk.room.lock();
            let later = mem::take(&mut mailbox.letters);
            mailbox.letters = desk.work.drain(..).chain(later).collect();
            return Round::Died(why);
        }
        for letter in desk.work.drain(..).chain(self.exchange.evict(&desk.room)) {
            self.exchange.post_one(letter);
        }
        // Its replica goes on, timers included; not if time alone kills it, which would have no end.
        if by_letter && self.exchange.office.is_some() && address.slot().is_some() {
            self.exchange.deliver(Envelope::new(address, address, Letter::Revive));
        }
        Round::Over
    }
}

fn guarded(step: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|panic| panic_text(panic.as_ref()))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic").to_owned()
}
