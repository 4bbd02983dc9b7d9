//! subscriberregistrations: bindings as the location shards hold them, and permanent ones made by operators.

use fabric::hash::hash64;
use fabric::letters::location::{BindChange, Binding};
use ports::store::{ProvisionError, SubscriberRow};
use serde_json::{Map, Value, json};

use super::Api;
use super::backend::{number, text};
use super::hal::{Entity, Page, Query};
use super::problem::Problem;
use super::provision::aor;
use crate::moment;

impl Api {
    pub(super) async fn list_registrations(&self, query: &Query) -> Result<Page, Problem> {
        let all = match query.number("subscriber_id")? {
            Some(id) => {
                let aor = aor(&self.owner(id).await?.ok_or_else(|| Problem::not_found("subscribers"))?);
                let found = self.switch.locate(&aor).await?;
                vec![(aor, found)]
            }
            None => self.switch.bindings().await?,
        };
        let total_count = all.iter().map(|(_, bindings)| bindings.len() as u64).sum();
        let skip = usize::try_from(query.offset()).unwrap_or(usize::MAX);
        let take = usize::try_from(query.rows).unwrap_or(usize::MAX);
        let flat = all.iter().flat_map(|(aor, bindings)| bindings.iter().map(move |binding| (aor, binding)));
        let page: Vec<(&String, &Binding)> = flat.skip(skip).take(take).collect();
        let mut entities = Vec::with_capacity(page.len());
        for (aor, binding) in page {
            entities.push(self.registration(aor, binding).await?);
        }
        Ok(Page { total_count, entities })
    }

    pub(super) async fn get_registration(&self, id: &str) -> Result<Option<Entity>, Problem> {
        match self.find(id).await? {
            Some((aor, binding)) => Ok(Some(self.registration(&aor, &binding).await?)),
            None => Ok(None),
        }
    }

    pub(super) async fn create_registration(&self, fields: Map<String, Value>) -> Result<Entity, Problem> {
        let owner = self.owner_of(&fields).await?;
        let aor = aor(&owner);
        let contact = text(&fields, "contact").unwrap_or_default();
        if self.switch.locate(&aor).await?.iter().any(|binding| *binding.contact == *contact) {
            return Err(Problem::conflict("contact", "This contact is registered already."));
        }
        self.put(&aor, &contact, &fields).await
    }

    pub(super) async fn replace_registration(&self, id: &str, fields: Map<String, Value>) -> Result<Entity, Problem> {
        let (old_aor, old) = self.find(id).await?.ok_or_else(|| Problem::not_found("subscriberregistrations"))?;
        let aor = aor(&self.owner_of(&fields).await?);
        let contact = text(&fields, "contact").unwrap_or_default();
        self.switch.bind(&old_aor, &old.call_id, BindChange::Remove(old.contact.clone())).await?;
        self.put(&aor, &contact, &fields).await
    }

    pub(super) async fn delete_registration(&self, id: &str) -> Result<(), Problem> {
        let (aor, binding) = self.find(id).await?.ok_or_else(|| Problem::not_found("subscriberregistrations"))?;
        self.switch.bind(&aor, &binding.call_id, BindChange::Remove(binding.contact.clone())).await?;
        Ok(())
    }

    /// Sets a binding that no device asked for.
    async fn put(&self, aor: &str, contact: &str, fields: &Map<String, Value>) -> Result<Entity, Problem> {
        let expires_ms = match text(fields, "expires") {
            None => u64::MAX,
            Some(moment) => moment::parse(&moment)
                .filter(|at_ms| *at_ms > self.switch.now_ms())
                .ok_or_else(|| Problem::field("expires", "must be in the future"))?,
        };
        let q = fields.get("q").and_then(Value::as_f64).unwrap_or(1.0);
        // A Call-ID of its own for every change: RFC 3261 10.3 step 7 then compares no CSeq.
        let call_id = format!("api-{}-{}", id_of(aor, contact), self.switch.now_ms());
        let binding = Binding {
            contact: contact.into(),
            path: "".into(),
            call_id: call_id.as_str().into(),
            cseq: 1,
            q: (q * 1000.0).round() as u16,
            expires_ms,
            instance: None,
            reg_id: 0,
            user_agent: None,
            received: None,
            nat: false,
        };
        let bindings = self.switch.bind(aor, &call_id, BindChange::Contacts(vec![binding])).await?;
        match bindings.iter().find(|binding| *binding.contact == *contact) {
            Some(made) => self.registration(aor, made).await,
            None => Err(Problem::unavailable("The registration was not kept.")),
        }
    }

    /// The binding with this number.
    async fn find(&self, id: &str) -> Result<Option<(String, Binding)>, Problem> {
        let Some(id) = number(id) else { return Ok(None) };
        for (aor, bindings) in self.switch.bindings().await? {
            if let Some(found) = bindings.into_iter().find(|binding| id_of(&aor, &binding.contact) == id) {
                return Ok(Some((aor, found)));
            }
        }
        Ok(None)
    }

    async fn owner(&self, id: u64) -> Result<Option<SubscriberRow>, Problem> {
        match self.store.subscriber(id).await {
            Ok(row) => Ok(Some(row)),
            Err(ProvisionError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn owner_of(&self, fields: &Map<String, Value>) -> Result<SubscriberRow, Problem> {
        let id = fields.get("subscriber_id").and_then(Value::as_u64).unwrap_or(0);
        self.owner(id).await?.ok_or_else(|| Problem::field("subscriber_id", "no such subscriber"))
    }

    async fn registration(&self, aor: &str, binding: &Binding) -> Result<Entity, Problem> {
        let (user, domain) = aor.split_once('@').unwrap_or((aor, ""));
        let subscriber = self.switch.account(user, domain).await?;
        let id = id_of(aor, &binding.contact);
        let expires = (binding.expires_ms != u64::MAX).then(|| moment::text(binding.expires_ms));
        let fields = json!({
            "id": id,
            "subscriber_id": subscriber.map(|subscriber| subscriber.id),
            "contact": binding.contact,
            "expires": expires,
            "q": f64::from(binding.q) / 1000.0,
            "nat": binding.nat,
            "path": (!binding.path.is_empty()).then_some(&binding.path),
            "received": binding.received,
            "user_agent": binding.user_agent,
            "call_id": binding.call_id,
        });
        Ok(Entity::new(id, fields))
    }
}

/// Number of a binding: made of what names it, and small enough for a JSON number to hold exactly.
fn id_of(aor: &str, contact: &str) -> u64 {
    (hash64(b"registration id\0", &[aor.as_bytes(), contact.as_bytes()]) >> 11).max(1)
}
