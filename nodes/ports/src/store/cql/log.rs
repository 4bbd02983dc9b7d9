//! The numbered changes of provisioning. Whoever proposes change n has applied all before it and checked against the state
//! that they make; the store takes one n only. So every copy passes through the same states, and names and numbers are
//! unique without a lock. In the background changes are laid down in tables with their number as write time, in any order
//! and as often as one likes; `head` says up to which number the tables are complete.

use std::sync::Arc;

use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlValue;

use super::super::Customer;
use super::super::change::{Change, DomainState, Entity, Kind, SubscriberState};
use super::session::{self, Session, Shared};

/// How up to date a look must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Cheap,
    Sure,
    Final,
}

/// What became of a proposal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proposed {
    Accepted,
    /// Another node's change has this number.
    Taken,
}

/// How far the tables are.
pub(super) struct Head {
    pub seq: i64,
    pub ids: [u64; 3],
}

impl Session {
    /// Proposes a change as number `seq`. Errors: the store did not say whether it took it, also when asked again.
    pub async fn propose(&self, seq: i64, change: &Change, node: u16, at_ms: u64) -> Result<Proposed, String> {
        let id = session::random().map_err(|error| error.to_string())?;
        let body = serde_json::to_string(change).map_err(|error| error.to_string())?;
        let (parts, body) = match body.len() > INLINE_BYTES_MAX {
            true => (self.write_parts(&id, &body).await?, None),
            false => (0, Some(body)),
        };
        let row = (bucket(seq), seq, &id, i32::from(node), at_ms as i64, parts, &body);
        let answer = match self.execute(&self.statements.propose, row).await {
            Ok(result) => session::applied(result),
            Err(error) => Err(error),
        };
        match answer {
            Ok(true) => return Ok(Proposed::Accepted),
            Ok(false) => {}
            // Unknown: a look that finishes what is under way tells.
            Err(error) => {
                if self.next(seq - 1, Look::Final).await?.first().is_none_or(|found| found.seq != seq) {
                    return Err(error);
                }
            }
        }
        // Also a first attempt of the driver may have been carried out and the second refused.
        let found = self.next(seq - 1, Look::Final).await?;
        match found.first().is_some_and(|found| found.seq == seq && found.id == id) {
            true => Ok(Proposed::Accepted),
            false => Ok(Proposed::Taken),
        }
    }

    /// Changes behind `seq` without a gap, some at a time.
    pub async fn changes(&self, seq: i64, look: Look) -> Result<Vec<(i64, Change)>, String> {
        let mut changes = Vec::new();
        for (place, row) in self.next(seq, look).await?.into_iter().enumerate() {
            if row.seq != seq + 1 + place as i64 {
                break;
            }
            let body = match row.body {
                Some(body) => body,
                None => match self.read_parts(&row.id, row.parts).await? {
                    Some(body) => body,
                    None => return Err(format!("change {} is not complete yet", row.seq)),
                },
            };
            let change = serde_json::from_str(&body).map_err(|error| format!("change {}: {error}", row.seq))?;
            changes.push((row.seq, change));
        }
        Ok(changes)
    }

    async fn next(&self, seq: i64, look: Look) -> Result<Vec<ChangeRow>, String> {
        let statement = match look {
            Look::Cheap => &self.statements.changes,
            Look::Sure => &self.statements.changes_quorum,
            Look::Final => &self.statements.changes_serial,
        };
        let result = self.execute(statement, (bucket(seq + 1), seq)).await?;
        let rows = result.into_rows_result().map_err(|error| error.to_string())?;
        let rows = rows.rows::<(i64, Vec<u8>, Option<i32>, Option<String>)>().map_err(|error| error.to_string())?;
        let row = |(seq, id, parts, body): (i64, Vec<u8>, Option<i32>, Option<String>)| ChangeRow {
            seq,
            id,
            parts: parts.unwrap_or(0),
            body,
        };
        rows.map(|found| found.map(row).map_err(|error| error.to_string())).collect()
    }

    async fn write_parts(&self, id: &[u8], body: &str) -> Result<i32, String> {
        let mut rest = body;
        let mut part = 0;
        while !rest.is_empty() {
            let (text, more) = rest.split_at(rest.floor_char_boundary(PART_BYTES_MAX.min(rest.len())));
            self.execute(&self.statements.write_part, (id, part, text)).await?;
            (part, rest) = (part + 1, more);
        }
        Ok(part)
    }

    async fn read_parts(&self, id: &[u8], parts: i32) -> Result<Option<String>, String> {
        let (mut body, mut count) = (String::new(), 0);
        self.pages(&self.statements.read_parts, (id,), |(part, text): (i32, String)| {
            if part == count {
                body += &text;
                count += 1;
            }
        })
        .await?;
        Ok((count == parts).then_some(body))
    }

    pub async fn head(&self) -> Result<Option<Head>, String> {
        let result = self.execute(&self.statements.head, ()).await?;
        let rows = result.into_rows_result().map_err(|error| error.to_string())?;
        let found = rows.maybe_first_row::<(i64, String)>().map_err(|error| error.to_string())?;
        Ok(found.map(|(seq, ids)| Head { seq, ids: serde_json::from_str(&ids).unwrap_or_default() }))
    }

    /// Lays changes down in the tables. They must follow `head`.
    pub async fn lay_down(self: &Shared, changes: &[(i64, Change)], parallel_max: usize) -> Result<(), String> {
        let Some((last, change)) = changes.last() else { return Ok(()) };
        let mut entities = Vec::new();
        for (seq, change) in changes {
            entities.extend(change.entities.iter().map(|entity| (*seq, entity.clone())));
        }
        session::all(entities, parallel_max, |(seq, entity)| {
            let session = Arc::clone(self);
            async move { session.lay_entity(seq, &entity).await }
        })
        .await?;
        let ids = serde_json::to_string(&change.ids).map_err(|error| error.to_string())?;
        self.execute(&self.statements.write_head, (last, ids, last)).await.map(drop)
    }

    async fn lay_entity(&self, seq: i64, entity: &Entity) -> Result<(), String> {
        let statements = &self.statements;
        let done = match entity {
            Entity::Domain(domain) => {
                let row = (domain.id as i64, &domain.domain, domain.reseller_id as i64, &domain.preferences, seq);
                self.execute(&statements.write_domain, row).await
            }
            Entity::Customer(customer) => {
                let (id, contact_id) = (customer.id as i64, customer.contact_id.map(|id| id as i64));
                let times = (customer.create_ms as i64, customer.modify_ms as i64);
                let row =
                    (id, contact_id, &customer.status, &customer.kind, &customer.external_id, times.0, times.1, seq);
                self.execute(&statements.write_customer, row).await
            }
            Entity::Subscriber(state) => {
                let row = subscriber_row(state, seq)?;
                self.execute(&statements.write_subscriber, row).await
            }
            Entity::Gone(kind, id) => {
                let statement = match kind {
                    Kind::Domain => &statements.delete_domain,
                    Kind::Customer => &statements.delete_customer,
                    Kind::Subscriber => &statements.delete_subscriber,
                };
                self.execute(statement, (seq, *id as i64)).await
            }
        };
        done.map(drop)
    }

    /// Reads a table from one end to the other; `each` gets the things page by page.
    pub async fn table<F>(&self, kind: Kind, mut each: impl FnMut(Vec<Entity>) -> F) -> Result<(), String>
    where
        F: Future<Output = Result<(), String>>,
    {
        let statement = match kind {
            Kind::Domain => &self.statements.domains,
            Kind::Customer => &self.statements.customers,
            Kind::Subscriber => &self.statements.subscribers,
        };
        let mut paging = PagingState::start();
        loop {
            let page = self.driver().execute_single_page(statement, (), paging).await;
            let (result, next) = page.map_err(|error| error.to_string())?;
            let rows = result.into_rows_result().map_err(|error| error.to_string())?;
            let text = |error: &dyn std::fmt::Display| error.to_string();
            let mut entities = Vec::new();
            match kind {
                Kind::Domain => {
                    for row in rows.rows::<DomainRow>().map_err(|e| text(&e))? {
                        entities.push(Entity::Domain(row.map_err(|e| text(&e))?.state()));
                    }
                }
                Kind::Customer => {
                    for row in rows.rows::<CustomerRow>().map_err(|e| text(&e))? {
                        entities.push(Entity::Customer(row.map_err(|e| text(&e))?.state()));
                    }
                }
                Kind::Subscriber => {
                    for row in rows.rows::<SubscriberRow>().map_err(|e| text(&e))? {
                        entities.push(Entity::Subscriber(Box::new(row.map_err(|e| text(&e))?.state())));
                    }
                }
            }
            each(entities).await?;
            match next {
                PagingStateResponse::HasMorePages { state } => paging = state,
                PagingStateResponse::NoMorePages => return Ok(()),
            }
        }
    }

    /// All rows of a statement.
    pub async fn pages<R>(
        &self,
        statement: &PreparedStatement,
        values: impl scylla::serialize::row::SerializeRow + Clone,
        mut each: impl FnMut(R),
    ) -> Result<(), String>
    where
        R: for<'f, 'm> scylla::deserialize::row::DeserializeRow<'f, 'm>,
    {
        let mut paging = PagingState::start();
        loop {
            let page = self.driver().execute_single_page(statement, values.clone(), paging).await;
            let (result, next) = page.map_err(|error| error.to_string())?;
            let rows = result.into_rows_result().map_err(|error| error.to_string())?;
            for row in rows.rows::<R>().map_err(|error| error.to_string())? {
                each(row.map_err(|error| error.to_string())?);
            }
            match next {
                PagingStateResponse::HasMorePages { state } => paging = state,
                PagingStateResponse::NoMorePages => return Ok(()),
            }
        }
    }
}

struct ChangeRow {
    seq: i64,
    id: Vec<u8>,
    parts: i32,
    body: Option<String>,
}

fn subscriber_row(state: &SubscriberState, seq: i64) -> Result<Vec<Option<CqlValue>>, String> {
    let numbers = serde_json::to_string(&state.numbers).map_err(|error| error.to_string())?;
    let text = |text: &str| Some(CqlValue::Text(text.to_owned()));
    let big = |number: u64| Some(CqlValue::BigInt(number as i64));
    let option = |text: &Option<String>| text.clone().map(CqlValue::Text);
    Ok(vec![
        big(state.id),
        text(&state.uuid),
        big(state.domain_id),
        big(state.customer_id),
        text(&state.username),
        text(&state.ha1_md5),
        text(&state.ha1_sha256),
        text(&state.status),
        Some(CqlValue::Int(state.lock.into())),
        Some(CqlValue::Text(numbers)),
        text(&state.preferences),
        option(&state.webusername),
        option(&state.external_id),
        option(&state.display_name),
        option(&state.email),
        Some(CqlValue::Boolean(state.administrative)),
        big(state.create_ms),
        big(state.modify_ms),
        Some(CqlValue::BigInt(seq)),
    ])
}

#[derive(scylla::DeserializeRow)]
struct DomainRow {
    id: i64,
    domain: Option<String>,
    reseller_id: Option<i64>,
    preferences: Option<String>,
}

impl DomainRow {
    fn state(self) -> DomainState {
        DomainState {
            id: self.id as u64,
            domain: self.domain.unwrap_or_default(),
            reseller_id: self.reseller_id.unwrap_or(1) as u64,
            preferences: self.preferences.unwrap_or_else(|| "{}".to_owned()),
        }
    }
}

#[derive(scylla::DeserializeRow)]
struct CustomerRow {
    id: i64,
    contact_id: Option<i64>,
    status: Option<String>,
    #[scylla(rename = "type")]
    kind: Option<String>,
    external_id: Option<String>,
    create_ms: Option<i64>,
    modify_ms: Option<i64>,
}

impl CustomerRow {
    fn state(self) -> Customer {
        Customer {
            id: self.id as u64,
            contact_id: self.contact_id.map(|id| id as u64),
            status: self.status.unwrap_or_default(),
            kind: self.kind.unwrap_or_default(),
            external_id: self.external_id,
            create_ms: self.create_ms.unwrap_or(0) as u64,
            modify_ms: self.modify_ms.unwrap_or(0) as u64,
        }
    }
}

#[derive(scylla::DeserializeRow)]
struct SubscriberRow {
    id: i64,
    uuid: Option<String>,
    domain_id: Option<i64>,
    customer_id: Option<i64>,
    username: Option<String>,
    ha1_md5: Option<String>,
    ha1_sha256: Option<String>,
    status: Option<String>,
    lock: Option<i32>,
    numbers: Option<String>,
    preferences: Option<String>,
    webusername: Option<String>,
    external_id: Option<String>,
    display_name: Option<String>,
    email: Option<String>,
    administrative: Option<bool>,
    create_ms: Option<i64>,
    modify_ms: Option<i64>,
}

impl SubscriberRow {
    fn state(self) -> SubscriberState {
        let number = |number: Option<i64>| number.unwrap_or(0) as u64;
        SubscriberState {
            id: self.id as u64,
            uuid: self.uuid.unwrap_or_default(),
            domain_id: number(self.domain_id),
            customer_id: number(self.customer_id),
            username: self.username.unwrap_or_default(),
            ha1_md5: self.ha1_md5.unwrap_or_default(),
            ha1_sha256: self.ha1_sha256.unwrap_or_default(),
            status: self.status.unwrap_or_default(),
            lock: self.lock.unwrap_or(0) as u8,
            numbers: self.numbers.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
            preferences: self.preferences.unwrap_or_else(|| "{}".to_owned()),
            webusername: self.webusername,
            external_id: self.external_id,
            display_name: self.display_name,
            email: self.email,
            administrative: self.administrative.unwrap_or(false),
            create_ms: number(self.create_ms),
            modify_ms: number(self.modify_ms),
        }
    }
}

/// Changes stand a thousand in a partition.
fn bucket(seq: i64) -> i64 {
    seq / 1000
}

/// Body that still stands in the change's own row, bytes: all replicas exchange it several times.
const INLINE_BYTES_MAX: usize = 32 << 10;

/// Part of a larger body, bytes.
const PART_BYTES_MAX: usize = 256 << 10;
