//! subscriberpreferences and domainpreferences: one object each, kept whole; and the definitions of those that work.

use ports::store::{PreferenceOwner, Preferences, ProvisionError};
use serde_json::{Map, Value, json};

use super::Api;
use super::backend::number;
use super::hal::{Entity, Page, Query};
use super::problem::Problem;
use super::provision::store_query;
use super::resources::Which;
use super::schema::{self, Kind};

/// A preference that the switch acts on.
#[derive(Debug)]
pub struct Definition {
    pub name: &'static str,
    pub kind: Kind,
    pub label: &'static str,
    pub about: &'static str,
    /// Whether a domain may have it too, as the default of its subscribers.
    pub domain: bool,
}

/// Preferences that work; every other name is kept and shown, and does nothing.
pub static DEFINITIONS: &[Definition] = &[Definition {
    name: "contacts_max",
    kind: Kind::Integer(0, 65_535),
    label: "Most contacts",
    about: "Contacts registered at a time, permanent ones not counted; 0 is the default of [location] contacts_max",
    domain: true,
}];

impl Api {
    pub(super) async fn list_preferences(&self, which: Which, query: &Query) -> Result<Page, Problem> {
        let (asked, store) = (store_query(query), &self.store);
        let (total_count, ids): (u64, Vec<u64>) = match which {
            Which::DomainPreferences => {
                let found = store.domains(asked).await?;
                (found.total_count, found.items.iter().map(|row| row.id).collect())
            }
            _ => {
                let found = store.subscribers(asked).await?;
                (found.total_count, found.items.iter().map(|row| row.id).collect())
            }
        };
        let mut entities = Vec::with_capacity(ids.len());
        for id in ids {
            entities.extend(self.get_preferences(which, &id.to_string()).await?);
        }
        Ok(Page { total_count, entities })
    }

    pub(super) async fn get_preferences(&self, which: Which, id: &str) -> Result<Option<Entity>, Problem> {
        let Some(id) = number(id) else { return Ok(None) };
        match self.store.preferences(owner(which, id)).await {
            Ok(preferences) => Ok(Some(entity(which, id, preferences))),
            Err(ProvisionError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn set_preferences(
        &self,
        which: Which,
        id: &str,
        fields: Map<String, Value>,
    ) -> Result<Entity, Problem> {
        let id = number(id).ok_or_else(|| Problem::not_found(id))?;
        let mut preferences = Preferences::new();
        for (name, value) in fields {
            let defined = DEFINITIONS.iter().find(|definition| definition.name == name && fits(definition, which));
            let value = match defined {
                Some(definition) => schema::check(&definition.kind, value, &name)?,
                None => value,
            };
            preferences.insert(name, value);
        }
        let kept = self.store.set_preferences(owner(which, id), preferences).await?;
        Ok(entity(which, id, kept))
    }
}

fn owner(which: Which, id: u64) -> PreferenceOwner {
    match which {
        Which::DomainPreferences => PreferenceOwner::Domain(id),
        _ => PreferenceOwner::Subscriber(id),
    }
}

fn fits(definition: &Definition, which: Which) -> bool {
    definition.domain || !matches!(which, Which::DomainPreferences | Which::DomainPreferenceDefs)
}

fn entity(which: Which, id: u64, preferences: Preferences) -> Entity {
    let mut fields: Map<String, Value> = preferences.into_iter().collect();
    let subject = if which == Which::DomainPreferences { "domain_id" } else { "subscriber_id" };
    fields.insert("id".to_owned(), json!(id));
    fields.insert(subject.to_owned(), json!(id));
    Entity { id: id.to_string(), fields }
}

/// The definitions as Sipwise's API lists them: an object with a member for each; `None` when it is another resource.
pub fn definitions(which: Which) -> Option<Value> {
    let name = match which {
        Which::SubscriberPreferenceDefs => "subscriberpreferencedefs",
        Which::DomainPreferenceDefs => "domainpreferencedefs",
        _ => return None,
    };
    let mut all = Map::new();
    for definition in DEFINITIONS.iter().filter(|definition| fits(definition, which)) {
        let (data_type, words) = match definition.kind {
            Kind::Integer(..) => ("int", None),
            Kind::Flag => ("boolean", None),
            Kind::Choice(words) => ("enum", Some(words)),
            _ => ("string", None),
        };
        let mut described = json!({
            "data_type": data_type,
            "label": definition.label,
            "description": definition.about,
            "max_occur": if matches!(definition.kind, Kind::List(..)) { 0 } else { 1 },
            "read_only": false,
        });
        if let Some(words) = words {
            described["enum_values"] = words.iter().map(|word| json!({"label": word, "value": word})).collect();
        }
        all.insert(definition.name.to_owned(), described);
    }
    all.insert("_links".to_owned(), json!({"self": {"href": format!("/api/{name}/")}}));
    Some(Value::Object(all))
}
