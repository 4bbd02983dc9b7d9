//! Supervises residents and hive shards: whoever dies is founded again, at once the first time, then with growing pauses.
//! Calls are not linked: every link passes one process-wide lock in ractor, and a lost call is lost alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fabric::{Hive, Instant, Letter};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;
use tracing::{error, warn};

use crate::actor::RoomActor;
use crate::room::{House, Room, Tenant};
use crate::switchboard::Inner;

pub(crate) enum Order {
    /// Starts the actor of a room that holds its machine.
    Start(Arc<Room>, Option<oneshot::Sender<()>>),
    /// Founds the machine anew and starts the room again.
    Restart(Arc<Room>),
}

pub(crate) struct Supervisor {
    pub exchange: Arc<Inner>,
}

#[derive(Default)]
pub(crate) struct Wards {
    rooms: BTreeMap<ActorId, Arc<Room>>,
    /// Deaths in a row, and when the last one was.
    deaths: BTreeMap<fabric::Address, (u32, Instant)>,
}

impl Actor for Supervisor {
    type Msg = Order;
    type State = Wards;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Order>, (): ()) -> Result<Wards, ActorProcessingErr> {
        Ok(Wards::default())
    }

    async fn handle(&self, me: ActorRef<Order>, order: Order, wards: &mut Wards) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Start(room, done) => {
                self.start(&me, room, wards).await;
                if let Some(done) = done {
                    // Whoever waited may have given up.
                    let _ = done.send(());
                }
            }
            Order::Restart(room) => {
                self.refound(&room);
                self.start(&me, room, wards).await;
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Order>,
        event: SupervisionEvent,
        wards: &mut Wards,
    ) -> Result<(), ActorProcessingErr> {
        let who = match event {
            SupervisionEvent::ActorFailed(who, _) | SupervisionEvent::ActorTerminated(who, _, _) => who,
            _ => return Ok(()),
        };
        if let Some(room) = wards.rooms.remove(&who.get_id())
            && !self.exchange.is_stopping()
        {
            self.bury(&me, room, wards);
        }
        Ok(())
    }
}

impl Supervisor {
    async fn start(&self, me: &ActorRef<Order>, room: Arc<Room>, wards: &mut Wards) {
        let actor = RoomActor { exchange: self.exchange.clone() };
        match RoomActor::spawn_linked(None, actor, room.clone(), me.get_cell()).await {
            Ok((actor, _)) => {
                wards.rooms.insert(actor.get_id(), room.clone());
                let mut mailbox = room.lock();
                mailbox.actor = Some(actor);
                mailbox.rung = false;
                self.exchange.ring(&room, &mut mailbox);
            }
            Err(why) => error!(kind = room.address.kind(), %why, "actor does not start"),
        }
    }

    fn bury(&self, me: &ActorRef<Order>, room: Arc<Room>, wards: &mut Wards) {
        let settings = &self.exchange.settings;
        let now = self.exchange.clock.now().instant;
        room.lock().actor = None;
        let (count, last) = wards.deaths.entry(room.address).or_insert((0, now));
        let longest = Duration::from_millis(settings.restart_pause_max_ms);
        *count = if now.since(*last) > longest { 1 } else { *count + 1 };
        *last = now;
        let pause = match *count {
            1 => Duration::ZERO,
            many => (Duration::from_millis(settings.restart_pause_ms) * (1 << (many - 2).min(16))).min(longest),
        };
        warn!(kind = room.address.kind(), address = ?room.address, deaths = *count, ?pause, "founded again");
        self.exchange.totals.restarts.add(1);
        let me = me.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            // The supervisor is gone only when the node stops.
            let _ = me.cast(Order::Restart(room));
        });
    }

    fn refound(&self, room: &Room) {
        let exchange = &self.exchange;
        let tenant = match &room.house {
            House::Hive(_) => {
                Some(Tenant::Hive(Box::new(Hive::new(exchange.founder.clone(), exchange.hive_settings()))))
            }
            _ => exchange.found(room.address, &Letter::Describe).map(Tenant::Machine),
        };
        if tenant.is_none() {
            error!(kind = room.address.kind(), address = ?room.address, "nobody founds this resident");
        }
        room.lock().tenant = tenant;
    }
}
