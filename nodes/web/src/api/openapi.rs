//! OpenAPI 3 description, made from the table of resources.

use serde_json::{Map, Value, json};

use super::resources::{RESOURCES, Resource};
use super::schema::{Field, Kind, Rule};

/// The whole description.
pub fn document() -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.insert("Error".to_owned(), error_schema());
    for resource in RESOURCES {
        let mut schema = object(resource.fields);
        schema["additionalProperties"] = json!(resource.open);
        schemas.insert(resource.name.to_owned(), schema);
        paths.insert(format!("/{}/", resource.name), collection(resource));
        if !resource.item.is_empty() {
            paths.insert(format!("/{}/{{id}}", resource.name), item(resource));
        }
    }
    paths.insert("/cluster".to_owned(), cluster());
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Tandem northbound API",
            "description": "HAL+JSON. Collections take page and rows and tell total_count; writes take Prefer: return=representation.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0"},
        },
        "servers": [{"url": "/api"}],
        "security": [{"basic": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
    })
}

/// Ownership as this node sees it; read only, and no entity.
fn cluster() -> Value {
    let about = "Groups of slots with their active node, standby and epoch; balancer sites and who holds them; nodes and links.";
    json!({
        "get": {
            "operationId": "getCluster",
            "summary": "The cluster as this node sees it",
            "description": about,
            "responses": {
                "200": {"description": "the cluster", "content": {"application/hal+json": {"schema": {"type": "object"}}}},
                "404": {"description": "this node is alone"},
            },
        },
    })
}

fn collection(resource: &Resource) -> Value {
    let mut verbs = Map::new();
    for method in resource.collection {
        let operation = match *method {
            "GET" => json!({
                "summary": format!("List {}", resource.name),
                "description": resource.about,
                "parameters": parameters(resource),
                "responses": answers(&[("200", "a page of entities")], resource, true),
            }),
            _ => json!({
                "summary": format!("Create one of {}", resource.name),
                "parameters": [prefer()],
                "requestBody": body(resource, "application/json"),
                "responses": answers(&[("201", "created; Location names it")], resource, false),
            }),
        };
        verbs.insert(method.to_lowercase(), with_id(operation, method, resource, "collection"));
    }
    Value::Object(verbs)
}

fn item(resource: &Resource) -> Value {
    let mut verbs = Map::new();
    verbs.insert(
        "parameters".to_owned(),
        json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]),
    );
    for method in resource.item {
        let operation = match *method {
            "GET" => json!({
                "summary": format!("Get one of {}", resource.name),
                "responses": answers(&[("200", "the entity")], resource, false),
            }),
            "DELETE" => json!({
                "summary": format!("Delete one of {}", resource.name),
                "responses": answers(&[("204", "deleted")], resource, false),
            }),
            "PATCH" => json!({
                "summary": format!("Change one of {} by JSON Patch (RFC 6902)", resource.name),
                "parameters": [prefer(), if_match()],
                "requestBody": {"required": true, "content": {"application/json-patch+json": {"schema": patch_schema()}}},
                "responses": answers(&[("200", "changed, with Prefer: return=representation"), ("204", "changed")], resource, false),
            }),
            _ => json!({
                "summary": format!("Replace one of {}", resource.name),
                "parameters": [prefer(), if_match()],
                "requestBody": body(resource, "application/json"),
                "responses": answers(&[("200", "replaced, with Prefer: return=representation"), ("204", "replaced")], resource, false),
            }),
        };
        verbs.insert(method.to_lowercase(), with_id(operation, method, resource, "item"));
    }
    Value::Object(verbs)
}

fn with_id(mut operation: Value, method: &str, resource: &Resource, level: &str) -> Value {
    operation["operationId"] = json!(format!("{}_{}_{level}", method.to_lowercase(), resource.name));
    operation["tags"] = json!([resource.name]);
    operation
}

fn parameters(resource: &Resource) -> Value {
    let number = |name: &str, about: &str| json!({"name": name, "in": "query", "description": about, "schema": {"type": "integer", "minimum": 1}});
    let mut all = vec![number("page", "page, from 1"), number("rows", "entities on a page, 10 by default")];
    for (name, about) in resource.filters {
        all.push(json!({"name": name, "in": "query", "description": about, "schema": {"type": "string"}}));
    }
    Value::Array(all)
}

fn prefer() -> Value {
    json!({"name": "Prefer", "in": "header", "schema": {"type": "string", "enum": ["return=minimal", "return=representation"]}})
}

fn if_match() -> Value {
    json!({"name": "If-Match", "in": "header", "description": "ETag that the entity must still have", "schema": {"type": "string"}})
}

fn body(resource: &Resource, media: &str) -> Value {
    json!({"required": true, "content": {media: {"schema": reference(resource.name)}}})
}

fn answers(good: &[(&str, &str)], resource: &Resource, page: bool) -> Value {
    let mut all = Map::new();
    for (code, about) in good {
        // Definitions are one object, not a page of entities.
        let schema = if page && resource.fields.is_empty() {
            json!({"type": "object", "additionalProperties": {"type": "object"}})
        } else if page {
            json!({"type": "object", "properties": {
                "total_count": {"type": "integer"},
                "_links": {"type": "object"},
                "_embedded": {"type": "object", "properties": {
                    format!("ngcp:{}", resource.name): {"type": "array", "items": reference(resource.name)}}},
            }})
        } else {
            reference(resource.name)
        };
        let answer = match *code {
            "204" => json!({"description": about}),
            _ => json!({"description": about, "content": {"application/hal+json": {"schema": schema}}}),
        };
        all.insert((*code).to_owned(), answer);
    }
    all.insert(
        "default".to_owned(),
        json!({"description": "refused", "content": {"application/json": {"schema": reference("Error")}}}),
    );
    Value::Object(all)
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn error_schema() -> Value {
    json!({"type": "object", "required": ["code", "message"], "properties": {
        "code": {"type": "integer", "description": "HTTP status"},
        "message": {"type": "string"},
        "field": {"type": "string", "description": "field that is to blame"},
    }})
}

fn patch_schema() -> Value {
    json!({"type": "array", "items": {"type": "object", "required": ["op", "path"], "properties": {
        "op": {"type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"]},
        "path": {"type": "string"}, "from": {"type": "string"}, "value": {},
    }}})
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let needed: Vec<&str> =
        fields.iter().filter(|field| field.rule == Rule::Required).map(|field| field.name).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !needed.is_empty() {
        schema["required"] = json!(needed);
    }
    schema
}

fn property(field: &Field) -> Value {
    let mut schema = kind(&field.kind);
    schema["description"] = json!(field.about);
    match field.rule {
        Rule::Required => {}
        Rule::Optional => schema["nullable"] = json!(true),
        Rule::ReadOnly => schema["readOnly"] = json!(true),
        Rule::WriteOnly => schema["writeOnly"] = json!(true),
    }
    schema
}

fn kind(kind_of: &Kind) -> Value {
    match kind_of {
        Kind::Text(most) | Kind::User(most) => json!({"type": "string", "maxLength": most}),
        Kind::Digits(most) => json!({"type": "string", "pattern": "^[0-9]*$", "maxLength": most}),
        Kind::Host => json!({"type": "string", "format": "hostname", "maxLength": 253}),
        Kind::Address => json!({"type": "string", "format": "ip"}),
        Kind::Uri => json!({"type": "string", "format": "uri", "maxLength": 1024}),
        Kind::Integer(low, high) => json!({"type": "integer", "minimum": low, "maximum": high}),
        Kind::Quality => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Choice(words) => json!({"type": "string", "enum": words}),
        Kind::Moment => json!({"type": "string", "format": "date-time"}),
        Kind::Object(fields) => object(fields),
        Kind::List(item, most) => json!({"type": "array", "items": kind(item), "maxItems": most}),
    }
}
