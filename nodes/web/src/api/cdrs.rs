//! cdrs: call records, to be read.

use ports::records::Cdr;
use ports::store::ProvisionError;
use serde_json::{Value, json};

use super::Api;
use super::backend::number;
use super::hal::{Entity, Page, Query};
use super::problem::Problem;
use super::provision::store_query;
use crate::moment;

impl Api {
    pub(super) async fn list_cdrs(&self, query: &Query) -> Result<Page, Problem> {
        let mut asked = store_query(query);
        for (name, value) in &mut asked.filters {
            let (known, later_ms) = match name.as_str() {
                "start_ge" => ("init_ge", 0),
                "start_le" => ("init_lt", 1),
                _ => continue,
            };
            let at_ms = moment::parse(value);
            let at_ms =
                at_ms.ok_or_else(|| Problem::malformed(format!("query parameter '{name}' must be a date and time")))?;
            (*name, *value) = (known.to_owned(), (at_ms + later_ms).to_string());
        }
        let found = self.store.cdrs(asked).await?;
        Ok(Page {
            total_count: found.total_count,
            entities: found.items.iter().map(|(id, cdr)| entity(*id, cdr)).collect(),
        })
    }

    pub(super) async fn get_cdr(&self, id: &str) -> Result<Option<Entity>, Problem> {
        let Some(id) = number(id) else { return Ok(None) };
        match self.store.cdr(id).await {
            Ok((id, cdr)) => Ok(Some(entity(id, &cdr))),
            Err(ProvisionError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The record as its files have it; `id` is the row's number here, and the files' `id` is `record_id`.
fn entity(id: u64, cdr: &Cdr) -> Entity {
    let mut fields = serde_json::to_value(cdr).unwrap_or_else(|_| json!({}));
    fields["record_id"] = fields.get("id").cloned().unwrap_or(Value::Null);
    fields["id"] = json!(id);
    Entity::new(id, fields)
}
