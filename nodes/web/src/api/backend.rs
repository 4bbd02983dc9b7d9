//! Entities of every resource: fetched, made, changed, deleted by the code that its row in the table names.

use ports::store::ProvisionError;
use serde_json::{Map, Value};

use super::Api;
use super::hal::{Entity, Page, Query};
use super::problem::Problem;
use super::resources::Which;
use crate::switch::Failed;

impl Api {
    pub(super) async fn list(&self, which: Which, query: &Query) -> Result<Page, Problem> {
        match which {
            Which::Domains | Which::Customers | Which::Subscribers => self.list_provisioned(which, query).await,
            Which::SubscriberPreferences | Which::DomainPreferences => self.list_preferences(which, query).await,
            Which::Registrations => self.list_registrations(query).await,
            Which::Cdrs => self.list_cdrs(query).await,
            Which::BannedIps => self.list_bans(query).await,
            Which::SubscriberPreferenceDefs | Which::DomainPreferenceDefs => Ok(Page::default()),
        }
    }

    pub(super) async fn get(&self, which: Which, id: &str) -> Result<Option<Entity>, Problem> {
        match which {
            Which::Domains | Which::Customers | Which::Subscribers => self.get_provisioned(which, id).await,
            Which::SubscriberPreferences | Which::DomainPreferences => self.get_preferences(which, id).await,
            Which::Registrations => self.get_registration(id).await,
            Which::Cdrs => self.get_cdr(id).await,
            Which::BannedIps => self.get_ban(id).await,
            Which::SubscriberPreferenceDefs | Which::DomainPreferenceDefs => Ok(None),
        }
    }

    pub(super) async fn create(&self, which: Which, fields: Map<String, Value>) -> Result<Entity, Problem> {
        match which {
            Which::Domains | Which::Customers | Which::Subscribers => self.create_provisioned(which, fields).await,
            Which::Registrations => self.create_registration(fields).await,
            Which::BannedIps => self.create_ban(fields).await,
            _ => unreachable!("the table of resources gives no POST to this one"),
        }
    }

    pub(super) async fn replace(&self, which: Which, id: &str, fields: Map<String, Value>) -> Result<Entity, Problem> {
        match which {
            Which::Domains | Which::Customers | Which::Subscribers => self.replace_provisioned(which, id, fields).await,
            Which::SubscriberPreferences | Which::DomainPreferences => self.set_preferences(which, id, fields).await,
            Which::Registrations => self.replace_registration(id, fields).await,
            _ => unreachable!("the table of resources gives no PUT to this one"),
        }
    }

    pub(super) async fn delete(&self, which: Which, id: &str) -> Result<(), Problem> {
        match which {
            Which::Domains | Which::Customers | Which::Subscribers => self.delete_provisioned(which, id).await,
            Which::Registrations => self.delete_registration(id).await,
            Which::BannedIps => self.delete_ban(id).await,
            _ => unreachable!("the table of resources gives no DELETE to this one"),
        }
    }
}

/// A text field, where it was given.
pub(super) fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Number of an entity out of its URL; `None` is no entity.
pub(super) fn number(id: &str) -> Option<u64> {
    id.parse().ok().filter(|number| *number > 0)
}

impl From<ProvisionError> for Problem {
    fn from(error: ProvisionError) -> Problem {
        match error {
            ProvisionError::NotFound(what) => Problem::not_found(what),
            ProvisionError::Invalid { field, message } => Problem::field(field, message),
            ProvisionError::Conflict { field, message } => {
                let whole = format!("Conflict. field='{field}': {message}");
                Problem::conflict(field, whole)
            }
            ProvisionError::Busy => Problem::unavailable("The store is busy."),
            ProvisionError::Unavailable(why) => Problem::unavailable(format!("Nothing can be changed now: {why}.")),
            ProvisionError::Storage(what) => {
                tracing::error!(%what, "store failed");
                Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "The store failed; see the log.")
            }
        }
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Problem {
        match failed {
            Failed::Refused(why) => Problem::field("", format!("the switch refused: {why}")),
            Failed::Absent => Problem::unavailable("The actor that should do this does not run."),
            Failed::Unavailable(why) => Problem::unavailable(format!("The switch did not answer: {why}")),
        }
    }
}
