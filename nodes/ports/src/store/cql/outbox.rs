//! Call records on their way to the central store: they stay in the local outbox until it has them. A record's identity is
//! its key there, so that shipping it again changes nothing.

use std::sync::Arc;
use std::time::Duration;

use scylla::value::CqlValue;

use super::super::{ProvisionError, cdrs};
use super::{Central, PAUSE_MAX, PAUSE_MIN, session};
use crate::records::Cdr;

impl Central {
    pub(super) async fn ship_cdrs(self: Arc<Self>) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.ship_some().await {
                Ok(BATCH) => continue,
                Ok(_) => {
                    pause = PAUSE_MIN;
                    let _ = tokio::time::timeout(LOOK_EVERY, self.outbox.notified()).await;
                }
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Ships the oldest records of the outbox; returns how many.
    async fn ship_some(&self) -> Result<usize, ProvisionError> {
        let Some(session) = self.session() else { return Ok(0) };
        let rows = self.read(|db| Ok(cdrs::outbox(db, BATCH)?)).await?;
        let (count, Some(last)) = (rows.len(), rows.last().map(|(id, ..)| *id)) else { return Ok(0) };
        let shipped = session::all(rows, self.settings.parallel_max, |(_, stamp, cdr)| {
            let session = Arc::clone(&session);
            async move { session.execute(&session.statements.write_cdr, row(&cdr, stamp)?).await.map(drop) }
        });
        shipped.await.map_err(|why| self.failed(why))?;
        self.set_up(true);
        self.write(move |work| Ok(cdrs::shipped(work.db, last)?)).await?;
        self.counters.cdrs_shipped.add(count as u64);
        Ok(count)
    }
}

fn row(cdr: &Cdr, stamp: i64) -> Result<Vec<CqlValue>, String> {
    let text = |text: &str| CqlValue::Text(text.to_owned());
    let big = |number: u64| CqlValue::BigInt(number as i64);
    let json = serde_json::to_string(cdr).map_err(|error| error.to_string())?;
    Ok(vec![
        text(&crate::records::day_of(cdr.init_ms())),
        CqlValue::Int(bucket(&cdr.id)),
        text(&cdr.id),
        text(&cdr.call_id),
        big(cdr.source_user_id),
        big(cdr.source_customer_id),
        text(&cdr.source_user),
        text(&cdr.source_cli),
        big(cdr.destination_user_id),
        big(cdr.destination_customer_id),
        text(&cdr.destination_user),
        text(&cdr.call_status),
        big(cdr.init_ms()),
        big(cdr.duration_ms),
        CqlValue::Text(json),
        CqlValue::BigInt(stamp),
    ])
}

/// A day's partition: the first digit of the record's id, which begins with a hash.
fn bucket(id: &str) -> i32 {
    id.chars().next().and_then(|digit| digit.to_digit(16)).unwrap_or(0) as i32
}

/// Records shipped in one go, count.
const BATCH: usize = 500;

const LOOK_EVERY: Duration = Duration::from_secs(1);
