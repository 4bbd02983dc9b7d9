//! Keeps the local copy current, and makes changes: checked against the local copy when it has everything, proposed to the
//! central store, written locally when it has taken them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::super::ProvisionError;
use super::super::change::{self, Change, Entity, Kind};
use super::super::writer::{Command, Outcome, Reading, Work};
use super::Central;
use super::log::{Look, Proposed};
use super::session::Shared;

impl Central {
    /// Reads how far the local copy is.
    pub(super) async fn recall(&self) -> Result<(), ProvisionError> {
        let applied = self.read(|db| Ok(recalled(db, "change")?)).await?;
        self.applied.store(applied.and_then(|text| text.parse().ok()).unwrap_or(NEVER), Ordering::Relaxed);
        Ok(())
    }

    /// Follows the central store for ever.
    pub(super) async fn follow(&self) {
        let Some(session) = self.session() else { return };
        let every = std::time::Duration::from_millis(self.settings.poll_ms.max(10).into());
        loop {
            let looked = {
                let _turn = self.turn.lock().await;
                match self.look(&session).await {
                    Ok(()) => self.lay_down(&session).await.map_err(|why| self.failed(why)),
                    Err(error) => Err(error),
                }
            };
            match looked {
                Ok(()) => {
                    self.set_up(true);
                    if self.trouble().is_some() {
                        info!(change = self.applied.load(Ordering::Relaxed), "the local copy is current");
                    }
                    self.set_trouble(None);
                    self.is_ready.store(true, Ordering::Release);
                    self.ready.notify_one();
                }
                Err(error) => {
                    let why = match error {
                        ProvisionError::Unavailable(why) => why,
                        other => other.to_string(),
                    };
                    if self.trouble().as_ref() != Some(&why) {
                        warn!(%why, "the local copy does not follow the central store");
                    }
                    self.set_trouble(Some(why));
                }
            }
            let _ = tokio::time::timeout(every, self.changed.notified()).await;
        }
    }

    /// One look for changes; reads everything anew where that is needed.
    async fn look(&self, session: &Shared) -> Result<(), ProvisionError> {
        if self.applied() == NEVER {
            return self.join(session).await;
        }
        self.check_identity(session).await?;
        if self.catch_up(session, Look::Cheap).await? > 0 {
            return Ok(());
        }
        // Nothing new: or what is new has expired already.
        let head = session.head().await.map_err(|why| self.failed(why))?;
        match head {
            Some(head) if head.seq > self.applied() && self.catch_up(session, Look::Sure).await? == 0 => {
                self.refill(session).await
            }
            _ => Ok(()),
        }
    }

    /// Takes over the changes that the local copy lacks; returns how many.
    async fn catch_up(&self, session: &Shared, look: Look) -> Result<usize, ProvisionError> {
        let mut count = 0;
        loop {
            let changes = session.changes(self.applied(), look).await.map_err(|why| self.failed(why))?;
            if changes.is_empty() {
                return Ok(count);
            }
            count += changes.len();
            for (seq, change) in changes {
                self.apply(seq, change).await?;
            }
        }
    }

    /// Writes a change into the local copy.
    async fn apply(&self, seq: i64, change: Change) -> Result<(), ProvisionError> {
        self.write(move |work| {
            change.write(work)?;
            remember(work.db, "change", &seq.to_string())?;
            Ok(())
        })
        .await?;
        self.applied.store(seq, Ordering::Relaxed);
        self.counters.changes.one();
        Ok(())
    }

    /// The first time: takes everything over; or gives what this switch had when it stood alone.
    async fn join(&self, session: &Shared) -> Result<(), ProvisionError> {
        let (own, is_empty) = self
            .read(|db| {
                let touched: BTreeSet<(Kind, u64)> = all(db)?;
                Ok((Change::read(db, &touched)?, touched.is_empty()))
            })
            .await?;
        let cluster = hex(&session.cluster);
        let known = self.read(|db| Ok(recalled(db, "cluster")?)).await?;
        // A copy that was being filled when the process ended is filled anew.
        if !is_empty && known.as_ref() != Some(&cluster) {
            let found = session.changes(0, Look::Final).await.map_err(|why| self.failed(why))?;
            let head = session.head().await.map_err(|why| self.failed(why))?;
            if !found.is_empty() || head.is_some() {
                let why = "the local database has data of its own, and so has the central store: move the file away";
                return Err(ProvisionError::Unavailable(why.to_owned()));
            }
            let now_ms = self.clock.now().unix_ms;
            let done = session.propose(1, &own, self.home.node.0, now_ms).await.map_err(|why| self.failed(why))?;
            if done == Proposed::Taken {
                return Err(ProvisionError::Unavailable("another node was first to fill the central store".to_owned()));
            }
            info!(entities = own.entities.len(), "the central store has taken over the local data");
            let seq = 1;
            self.write(move |work| {
                remember(work.db, "cluster", &cluster)?;
                Ok(remember(work.db, "change", &seq.to_string())?)
            })
            .await?;
            self.applied.store(seq, Ordering::Relaxed);
            return Ok(());
        }
        self.write(move |work| Ok(remember(work.db, "cluster", &cluster)?)).await?;
        self.refill(session).await
    }

    /// Reads everything anew, page by page, and then what has changed meanwhile.
    async fn refill(&self, session: &Shared) -> Result<(), ProvisionError> {
        self.counters.refills.one();
        self.set_trouble(Some("the local copy is being filled".to_owned()));
        let head = session.head().await.map_err(|why| self.failed(why))?;
        let (seq, ids) = head.map_or((0, [0; 3]), |head| (head.seq, head.ids));
        for kind in Kind::ALL {
            let mut seen = BTreeSet::new();
            let page = |entities: Vec<Entity>| {
                seen.extend(entities.iter().map(|entity| entity.key().1));
                async { self.write_all(entities).await.map_err(|error| error.to_string()) }
            };
            session.table(kind, page).await.map_err(|why| self.failed(why))?;
            self.write(move |work| {
                for id in change::all_ids(work.db, kind)?.difference(&seen) {
                    Entity::Gone(kind, *id).write(work)?;
                }
                Ok(())
            })
            .await?;
        }
        self.write(move |work| {
            change::raise_ids(work.db, ids)?;
            Ok(remember(work.db, "change", &seq.to_string())?)
        })
        .await?;
        self.applied.store(seq, Ordering::Relaxed);
        let more = self.catch_up(session, Look::Sure).await?;
        info!(change = seq, more, "the local copy was filled from the central store");
        Ok(())
    }

    async fn write_all(&self, entities: Vec<Entity>) -> Result<(), ProvisionError> {
        self.write(move |work| Ok(entities.iter().try_for_each(|entity| entity.write(work))?)).await
    }

    /// Refuses a store that is another one than the local copy was made from, or older than it.
    async fn check_identity(&self, session: &Shared) -> Result<(), ProvisionError> {
        let known = self.read(|db| Ok(recalled(db, "cluster")?)).await?;
        if known.as_deref() == Some(hex(&session.cluster).as_str()) {
            return Ok(());
        }
        let why = "this is another central store than the local copy was made from: move the local file away";
        Err(ProvisionError::Unavailable(why.to_owned()))
    }

    /// Lays down in the tables what nobody else has: each node what it knows, which comes to the same.
    async fn lay_down(&self, session: &Shared) -> Result<(), String> {
        loop {
            let head = session.head().await?.map_or(0, |head| head.seq);
            if head >= self.applied() {
                return Ok(());
            }
            let changes = session.changes(head, Look::Sure).await?;
            if changes.is_empty() {
                return Ok(());
            }
            session.lay_down(&changes, self.settings.parallel_max).await?;
        }
    }

    /// Makes a change: the function runs against the newest state and is undone; what it would have done goes to the
    /// central store, and is done when that has taken it.
    pub async fn change<T: Send + 'static>(
        &self,
        function: impl Fn(&mut Work<'_>) -> Result<T, ProvisionError> + Send + Sync + 'static,
    ) -> Result<T, ProvisionError> {
        let function = Arc::new(function);
        let _turn = self.turn.lock().await;
        let Some(session) = self.session() else {
            return Err(ProvisionError::Unavailable(self.trouble().unwrap_or_default()));
        };
        if self.applied() == NEVER {
            let why = self.trouble().unwrap_or_else(|| "the local copy is being filled".to_owned());
            return Err(ProvisionError::Unavailable(why));
        }
        self.check_identity(&session).await?;
        let mut look = Look::Sure;
        for _ in 0..TRIES_MAX {
            self.catch_up(&session, look).await?;
            let (done, change) = self.rehearse(Arc::clone(&function)).await?;
            if change.entities.is_empty() {
                return Ok(done);
            }
            let (seq, now_ms) = (self.applied() + 1, self.clock.now().unix_ms);
            let proposed = session.propose(seq, &change, self.home.node.0, now_ms).await;
            match proposed.map_err(|why| self.failed(why))? {
                Proposed::Accepted => {
                    self.apply(seq, change).await?;
                    self.set_up(true);
                    self.changed.notify_one();
                    return Ok(done);
                }
                Proposed::Taken => self.counters.conflicts.one(),
            }
            look = Look::Final;
        }
        Err(ProvisionError::Busy)
    }

    /// Runs a function, undoes it, and tells what it changed.
    async fn rehearse<T: Send + 'static>(
        &self,
        function: Arc<impl Fn(&mut Work<'_>) -> Result<T, ProvisionError> + Send + Sync + 'static>,
    ) -> Result<(T, Change), ProvisionError> {
        let (tell, told) = oneshot::channel();
        let job = move |work: &mut Work<'_>| {
            let done = function(work).and_then(|done| Ok((done, work.change()?)));
            let outcome: Outcome = Box::new(move |failure| drop(tell.send(failure.map_or(done, Err))));
            (false, outcome)
        };
        self.writer.send(Command::Job(Box::new(job))).map_err(|_| ProvisionError::Busy)?;
        told.await.map_err(|_| ProvisionError::Busy)?
    }

    /// Writes to the local database.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        function: impl FnOnce(&mut Work<'_>) -> Result<T, ProvisionError> + Send + 'static,
    ) -> Result<T, ProvisionError> {
        let (tell, told) = oneshot::channel();
        let job = move |work: &mut Work<'_>| {
            let done = function(work);
            let stays = done.is_ok();
            let outcome: Outcome = Box::new(move |failure| drop(tell.send(failure.map_or(done, Err))));
            (stays, outcome)
        };
        self.writer.send(Command::Job(Box::new(job))).map_err(|_| ProvisionError::Busy)?;
        told.await.map_err(|_| ProvisionError::Busy)?
    }

    /// Reads from the local database.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        function: impl FnOnce(&Connection) -> Result<T, ProvisionError> + Send + 'static,
    ) -> Result<T, ProvisionError> {
        let (tell, told) = oneshot::channel();
        let job = move |db: &Connection| drop(tell.send(function(db)));
        self.reader.send(Reading::Job(Box::new(job))).map_err(|_| ProvisionError::Busy)?;
        told.await.map_err(|_| ProvisionError::Busy)?
    }

    fn applied(&self) -> i64 {
        self.applied.load(Ordering::Relaxed)
    }
}

/// Everything that the local database has.
fn all(db: &Connection) -> rusqlite::Result<BTreeSet<(Kind, u64)>> {
    let mut found = BTreeSet::new();
    for kind in Kind::ALL {
        found.extend(change::all_ids(db, kind)?.into_iter().map(|id| (kind, id)));
    }
    Ok(found)
}

fn recalled(db: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let find = "SELECT value FROM central WHERE name = ?";
    db.prepare_cached(find)?.query_row([name], |row| row.get(0)).optional()
}

fn remember(db: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let replace = "INSERT OR REPLACE INTO central (name, value) VALUES (?, ?)";
    db.prepare_cached(replace)?.execute((name, value)).map(drop)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The local copy has never had anything of the central store.
pub(super) const NEVER: i64 = -1;

/// Attempts at a change while others are faster, count.
const TRIES_MAX: usize = 20;
