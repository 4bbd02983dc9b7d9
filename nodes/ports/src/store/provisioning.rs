//! The functions of provisioning: each runs on a thread of the store and is awaited. With a central store what they would
//! change goes there first; while it is away they return `Unavailable`.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::cql::Central;
use super::writer::{Command, Outcome, Reading, Work};
use super::{
    Customer, CustomerFields, Domain, DomainFields, Listing, PreferenceOwner, Preferences, ProvisionError, Query,
    SubscriberFields, SubscriberRow, cdrs, customers, domains, preferences, subscribers,
};
use crate::records::Cdr;
use crate::worker::Worker;

/// Provisioning; cheap to clone. A function that changes something returns after the commit, when calls see it too.
#[derive(Clone)]
pub struct Provisioning {
    writer: Worker<Command>,
    reader: Worker<Reading>,
    central: Option<Arc<Central>>,
}

impl Provisioning {
    pub(super) fn new(writer: Worker<Command>, reader: Worker<Reading>, central: Option<Arc<Central>>) -> Provisioning {
        Provisioning { writer, reader, central }
    }

    pub async fn create_domain(&self, fields: DomainFields) -> Result<Domain, ProvisionError> {
        self.write(move |work| domains::create(work, fields.clone())).await
    }

    pub async fn domain(&self, id: u64) -> Result<Domain, ProvisionError> {
        let get = move |db: &Connection| domains::DOMAINS.get(db, id, domains::read);
        self.read(get).await?.ok_or(ProvisionError::NotFound("domain"))
    }

    /// Filters: `domain`, `reseller_id`.
    pub async fn domains(&self, query: Query) -> Result<Listing<Domain>, ProvisionError> {
        self.read(move |db| domains::DOMAINS.list(db, &query, domains::read)).await
    }

    pub async fn update_domain(&self, id: u64, fields: DomainFields) -> Result<Domain, ProvisionError> {
        self.write(move |work| domains::update(work, id, fields.clone())).await
    }

    /// `Conflict` while subscribers are in it.
    pub async fn delete_domain(&self, id: u64) -> Result<(), ProvisionError> {
        self.write(move |work| domains::delete(work, id)).await
    }

    pub async fn create_customer(&self, fields: CustomerFields) -> Result<Customer, ProvisionError> {
        self.write(move |work| customers::create(work, fields.clone())).await
    }

    pub async fn customer(&self, id: u64) -> Result<Customer, ProvisionError> {
        let get = move |db: &Connection| customers::CUSTOMERS.get(db, id, customers::read);
        self.read(get).await?.ok_or(ProvisionError::NotFound("customer"))
    }

    /// Filters: `contact_id`, `status`, `type`, `external_id`.
    pub async fn customers(&self, query: Query) -> Result<Listing<Customer>, ProvisionError> {
        self.read(move |db| customers::CUSTOMERS.list(db, &query, customers::read)).await
    }

    pub async fn update_customer(&self, id: u64, fields: CustomerFields) -> Result<Customer, ProvisionError> {
        self.write(move |work| customers::update(work, id, fields.clone())).await
    }

    /// `Conflict` while subscribers belong to it.
    pub async fn delete_customer(&self, id: u64) -> Result<(), ProvisionError> {
        self.write(move |work| customers::delete(work, id)).await
    }

    pub async fn create_subscriber(&self, fields: SubscriberFields) -> Result<SubscriberRow, ProvisionError> {
        self.write(move |work| subscribers::create(work, fields.clone())).await
    }

    /// Creates many in one go, all or none; the error names the place of the first bad one.
    pub async fn create_subscribers(&self, many: Vec<SubscriberFields>) -> Result<usize, ProvisionError> {
        self.write(move |work| {
            let count = many.len();
            for (place, fields) in many.iter().cloned().enumerate() {
                subscribers::create(work, fields).map_err(|error| match error {
                    ProvisionError::Invalid { field, message } => {
                        ProvisionError::Invalid { field: format!("{place}.{field}"), message }
                    }
                    ProvisionError::Conflict { field, message } => {
                        ProvisionError::Conflict { field: format!("{place}.{field}"), message }
                    }
                    other => other,
                })?;
            }
            Ok(count)
        })
        .await
    }

    pub async fn subscriber(&self, id: u64) -> Result<SubscriberRow, ProvisionError> {
        self.read(move |db| subscribers::get(db, id)).await
    }

    /// Filters: `domain`, `domain_id`, `customer_id`, `username`, `uuid`, `status`, `lock`, `webusername`, `external_id`,
    /// `email`, `administrative`, `number` (digits of any of its numbers).
    pub async fn subscribers(&self, query: Query) -> Result<Listing<SubscriberRow>, ProvisionError> {
        self.read(move |db| {
            let page = subscribers::SUBSCRIBERS.list(db, &query, subscribers::read)?;
            let items = page.items.into_iter().map(|row| subscribers::with_numbers(db, row));
            Ok(Listing { total_count: page.total_count, items: items.collect::<Result<_, _>>()? })
        })
        .await
    }

    /// Replaces all fields; without a password the old one stays.
    pub async fn update_subscriber(&self, id: u64, fields: SubscriberFields) -> Result<SubscriberRow, ProvisionError> {
        self.write(move |work| subscribers::update(work, id, fields.clone())).await
    }

    pub async fn delete_subscriber(&self, id: u64) -> Result<(), ProvisionError> {
        self.write(move |work| subscribers::delete(work, id)).await
    }

    pub async fn preferences(&self, owner: PreferenceOwner) -> Result<Preferences, ProvisionError> {
        self.read(move |db| preferences::get(db, owner)).await
    }

    /// Replaces all preferences of the owner.
    pub async fn set_preferences(
        &self,
        owner: PreferenceOwner,
        preferences: Preferences,
    ) -> Result<Preferences, ProvisionError> {
        self.write(move |work| preferences::set(work, owner, preferences.clone())).await
    }

    /// A call record by its id in the database.
    pub async fn cdr(&self, id: u64) -> Result<(u64, Cdr), ProvisionError> {
        let get = move |db: &Connection| cdrs::CDRS.get(db, id, cdrs::read);
        self.read(get).await?.ok_or(ProvisionError::NotFound("cdr"))
    }

    /// Call records with their ids. Filters: `call_id`, `source_user_id`, `source_customer_id`, `source_user`, `source_cli`,
    /// `destination_...`, `subscriber_id` and `customer_id` (either side), `call_status`, `init_ge` and `init_lt` (milliseconds since 1970).
    /// `copies` is `true` to see also what other nodes of a cluster export.
    pub async fn cdrs(&self, mut query: Query) -> Result<Listing<(u64, Cdr)>, ProvisionError> {
        if !query.filters.iter().any(|(name, _)| name == "copies") {
            query.filters.push(("copies".to_owned(), "false".to_owned()));
        }
        self.read(move |db| cdrs::CDRS.list(db, &query, cdrs::read)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        function: impl Fn(&mut Work<'_>) -> Result<T, ProvisionError> + Send + Sync + 'static,
    ) -> Result<T, ProvisionError> {
        if let Some(central) = &self.central {
            return central.change(function).await;
        }
        let (tell, told) = oneshot::channel();
        let job = move |work: &mut Work<'_>| {
            let done = function(work);
            let stays = done.is_ok();
            let outcome: Outcome = Box::new(move |failure| {
                // Whoever asked may have gone; the change stands.
                let _ = tell.send(failure.map_or(done, Err));
            });
            (stays, outcome)
        };
        self.writer.send(Command::Job(Box::new(job))).map_err(|_| ProvisionError::Busy)?;
        told.await.map_err(|_| ProvisionError::Busy)?
    }

    async fn read<T: Send + 'static>(
        &self,
        function: impl FnOnce(&Connection) -> Result<T, ProvisionError> + Send + 'static,
    ) -> Result<T, ProvisionError> {
        let (tell, told) = oneshot::channel();
        let job = move |db: &Connection| {
            let _ = tell.send(function(db));
        };
        self.reader.send(Reading::Job(Box::new(job))).map_err(|_| ProvisionError::Busy)?;
        told.await.map_err(|_| ProvisionError::Busy)?
    }
}
