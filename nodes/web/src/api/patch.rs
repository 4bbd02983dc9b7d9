//! PATCH by JSON Patch (RFC 6902): applied to what a client could have put.

use axum::http::StatusCode;
use json_patch::{Patch, PatchErrorKind};
use serde_json::Value;

use super::hal::Entity;
use super::problem::Problem;
use super::resources::Resource;
use super::schema::Rule;

/// Most operations in one patch, count.
const OPERATIONS_MAX: usize = 1000;

/// The entity's writable fields with the patch applied: the body of the PUT that it amounts to.
///
/// Errors: 400 for what is no patch, 409 for a `test` that fails, 422 for a path that is not there.
pub fn apply(resource: &Resource, present: &Entity, body: Value) -> Result<Value, Problem> {
    let patch: Patch = serde_json::from_value(body)
        .map_err(|error| Problem::malformed(format!("The body is not a JSON Patch (RFC 6902): {error}")))?;
    if patch.0.len() > OPERATIONS_MAX {
        return Err(Problem::malformed(format!("at most {OPERATIONS_MAX} operations")));
    }
    let read_only = |name: &str| resource.fields.iter().any(|field| field.name == name && field.rule == Rule::ReadOnly);
    let mut fields = present.fields.clone();
    fields.retain(|name, _| !read_only(name));
    let mut document = Value::Object(fields);
    json_patch::patch(&mut document, &patch).map_err(|error| {
        let field = error.path.to_string().trim_start_matches('/').replace('/', ".");
        match error.kind {
            PatchErrorKind::TestFailed => Problem {
                field: Some(field.clone()),
                ..Problem::new(StatusCode::CONFLICT, format!("The test of '{field}' failed."))
            },
            kind => Problem::field(field, kind),
        }
    })?;
    Ok(document)
}
