//! domains, customers and subscribers: rows of the store.

use fabric::letters::location::BindChange;
use ports::store::{
    Customer, CustomerFields, Domain, DomainFields, ProvisionError, Query as StoreQuery, SubscriberFields,
    SubscriberRow,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Api;
use super::backend::number;
use super::hal::{Entity, Page, Query};
use super::problem::Problem;
use super::resources::Which;
use crate::moment;
use crate::switch::Failed;

impl Api {
    pub(super) async fn list_provisioned(&self, which: Which, query: &Query) -> Result<Page, Problem> {
        let asked = store_query(query);
        let store = &self.store;
        Ok(match which {
            Which::Domains => {
                let found = store.domains(asked).await?;
                Page { total_count: found.total_count, entities: found.items.iter().map(domain).collect() }
            }
            Which::Customers => {
                let found = store.customers(asked).await?;
                Page { total_count: found.total_count, entities: found.items.iter().map(customer).collect() }
            }
            _ => {
                let found = store.subscribers(asked).await?;
                Page { total_count: found.total_count, entities: found.items.iter().map(subscriber).collect() }
            }
        })
    }

    pub(super) async fn get_provisioned(&self, which: Which, id: &str) -> Result<Option<Entity>, Problem> {
        let Some(id) = number(id) else { return Ok(None) };
        let store = &self.store;
        let found = match which {
            Which::Domains => store.domain(id).await.map(|found| domain(&found)),
            Which::Customers => store.customer(id).await.map(|found| customer(&found)),
            _ => store.subscriber(id).await.map(|found| subscriber(&found)),
        };
        match found {
            Ok(entity) => Ok(Some(entity)),
            Err(ProvisionError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn create_provisioned(&self, which: Which, fields: Map<String, Value>) -> Result<Entity, Problem> {
        let store = &self.store;
        Ok(match which {
            Which::Domains => domain(&store.create_domain(typed::<DomainFields>(fields)?).await?),
            Which::Customers => customer(&store.create_customer(typed::<CustomerFields>(fields)?).await?),
            _ => subscriber(&store.create_subscriber(typed::<SubscriberFields>(fields)?).await?),
        })
    }

    pub(super) async fn replace_provisioned(
        &self,
        which: Which,
        id: &str,
        fields: Map<String, Value>,
    ) -> Result<Entity, Problem> {
        let id = number(id).ok_or_else(|| Problem::not_found(id))?;
        let store = &self.store;
        Ok(match which {
            Which::Domains => domain(&store.update_domain(id, typed::<DomainFields>(fields)?).await?),
            Which::Customers => customer(&store.update_customer(id, typed::<CustomerFields>(fields)?).await?),
            _ => {
                let before = store.subscriber(id).await?;
                let after = store.update_subscriber(id, typed::<SubscriberFields>(fields)?).await?;
                // A renamed or ended subscriber is not reachable where the old one was.
                if aor(&before) != aor(&after) || (after.status == "terminated" && before.status != "terminated") {
                    self.end_bindings(&aor(&before)).await;
                }
                subscriber(&after)
            }
        })
    }

    pub(super) async fn delete_provisioned(&self, which: Which, id: &str) -> Result<(), Problem> {
        let id = number(id).ok_or_else(|| Problem::not_found(id))?;
        let store = &self.store;
        match which {
            Which::Domains => store.delete_domain(id).await?,
            Which::Customers => store.delete_customer(id).await?,
            _ => {
                let gone = store.subscriber(id).await?;
                store.delete_subscriber(id).await?;
                self.end_bindings(&aor(&gone)).await;
            }
        }
        Ok(())
    }

    /// Ends all bindings of an address-of-record that is no more; permanent ones must be named one by one.
    async fn end_bindings(&self, aor: &str) {
        let ended = async {
            for binding in self.switch.locate(aor).await? {
                self.switch.bind(aor, "api-end", BindChange::Remove(binding.contact)).await?;
            }
            Ok::<_, Failed>(())
        };
        if let Err(error) = ended.await {
            tracing::warn!(?error, "bindings of a deleted subscriber could not be ended");
        }
    }
}

/// Key of a subscriber's bindings.
pub(super) fn aor(subscriber: &SubscriberRow) -> String {
    format!("{}@{}", subscriber.username, subscriber.domain).to_lowercase()
}

/// A query as the store understands it.
pub(super) fn store_query(query: &Query) -> StoreQuery {
    StoreQuery {
        page: u32::try_from(query.page).unwrap_or(u32::MAX),
        rows: u32::try_from(query.rows).unwrap_or(u32::MAX),
        order_by: None,
        filters: query.filters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}

fn typed<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Problem> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| Problem::malformed(error.to_string()))
}

fn domain(row: &Domain) -> Entity {
    Entity::new(row.id, json!({"id": row.id, "domain": row.domain, "reseller_id": row.reseller_id}))
}

fn customer(row: &Customer) -> Entity {
    let fields = json!({
        "id": row.id,
        "contact_id": row.contact_id,
        "status": row.status,
        "type": row.kind,
        "external_id": row.external_id,
        "create_timestamp": moment::text(row.create_ms),
        "modify_timestamp": moment::text(row.modify_ms),
    });
    Entity::new(row.id, fields)
}

pub(super) fn subscriber(row: &SubscriberRow) -> Entity {
    let fields = json!({
        "id": row.id,
        "uuid": row.uuid,
        "username": row.username,
        "domain": row.domain,
        "domain_id": row.domain_id,
        "customer_id": row.customer_id,
        "primary_number": row.primary_number,
        "alias_numbers": row.alias_numbers,
        "status": row.status,
        "lock": row.lock,
        "webusername": row.webusername,
        "external_id": row.external_id,
        "display_name": row.display_name,
        "email": row.email,
        "administrative": row.administrative,
        "create_timestamp": moment::text(row.create_ms),
        "modify_timestamp": moment::text(row.modify_ms),
    });
    Entity::new(row.id, fields)
}
