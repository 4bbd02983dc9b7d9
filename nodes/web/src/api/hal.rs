//! HAL+JSON as Sipwise's API writes it: links, embedded entities, pages.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::resources::Resource;

/// One entity: what names it in its URL, and its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    pub id: String,
    pub fields: Map<String, Value>,
}

impl Entity {
    /// An entity whose fields are an object; nulls are kept, as Sipwise's API shows them.
    pub fn new(id: impl std::fmt::Display, fields: Value) -> Entity {
        let Value::Object(fields) = fields else { unreachable!("fields of an entity are an object") };
        Entity { id: id.to_string(), fields }
    }
}

/// A page of entities out of so many.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub total_count: u64,
    pub entities: Vec<Entity>,
}

/// What a client wants of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// From 1.
    pub page: u64,
    pub rows: u64,
    /// Filters of the resource in the order given.
    pub filters: Vec<(&'static str, String)>,
}

impl Query {
    /// Reads a query string; errors name the parameter.
    pub fn parse(resource: &Resource, text: &str, rows_max: u64) -> Result<Query, Problem> {
        let mut query = Query { page: 1, rows: ROWS.min(rows_max), filters: Vec::new() };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            match name.as_str() {
                "page" => query.page = number(&name, &value, u64::from(u32::MAX))?,
                "rows" => query.rows = number(&name, &value, rows_max)?,
                _ => match resource.filters.iter().find(|(filter, _)| *filter == name) {
                    Some((filter, _)) => query.filters.push((filter, value)),
                    None => return Err(Problem::malformed(format!("unknown query parameter '{name}'"))),
                },
            }
        }
        Ok(query)
    }

    pub fn filter(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(filter, _)| *filter == name).map(|(_, value)| value.as_str())
    }

    /// A filter that is a number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let parsed = self.filter(name).map(str::parse).transpose();
        parsed.map_err(|_| Problem::malformed(format!("query parameter '{name}' must be a whole number")))
    }

    /// Entities to skip.
    pub fn offset(&self) -> u64 {
        (self.page - 1).saturating_mul(self.rows)
    }

    /// The page of entities that are all at hand.
    pub fn cut(&self, all: Vec<Entity>) -> Page {
        let total_count = all.len() as u64;
        let skip = usize::try_from(self.offset()).unwrap_or(usize::MAX);
        let take = usize::try_from(self.rows).unwrap_or(usize::MAX);
        Page { total_count, entities: all.into_iter().skip(skip).take(take).collect() }
    }

    fn text(&self, page: u64) -> String {
        let filters = self.filters.iter().map(|(name, value)| format!("&{name}={}", encode(value)));
        format!("?page={page}&rows={}{}", self.rows, filters.collect::<String>())
    }
}

/// Entities on a page unless asked otherwise.
const ROWS: u64 = 10;

fn number(name: &str, value: &str, most: u64) -> Result<u64, Problem> {
    let parsed = value.parse::<u64>().ok().filter(|number| *number >= 1);
    let number = parsed
        .ok_or_else(|| Problem::malformed(format!("query parameter '{name}' must be a positive whole number")))?;
    Ok(number.min(most))
}

/// The collection as a HAL document.
pub fn collection(resource: &Resource, query: &Query, page: &Page) -> Value {
    let rel = format!("ngcp:{}", resource.name);
    let base = format!("/api/{}/", resource.name);
    let last = page.total_count.div_ceil(query.rows).max(1);
    let mut links = json!({
        "self": {"href": format!("{base}{}", query.text(query.page))},
        "curies": curies(),
        "profile": {"href": PROFILE},
    });
    links[&rel] = page.entities.iter().map(|entity| json!({"href": href(resource, &entity.id)})).collect();
    if query.page > 1 {
        links["prev"] = json!({"href": format!("{base}{}", query.text(query.page - 1))});
    }
    if query.page < last {
        links["next"] = json!({"href": format!("{base}{}", query.text(query.page + 1))});
    }
    let entities: Vec<Value> = page.entities.iter().map(|found| entity(resource, found)).collect();
    json!({"_links": links, "_embedded": {rel: entities}, "total_count": page.total_count})
}

/// One entity as a HAL document.
pub fn entity(resource: &Resource, entity: &Entity) -> Value {
    let mut document = entity.fields.clone();
    let mut links = json!({
        "self": {"href": href(resource, &entity.id)},
        "collection": {"href": format!("/api/{}/", resource.name)},
        "curies": curies(),
        "profile": {"href": PROFILE},
    });
    for (field, target) in RELATED {
        if let Some(id) = entity.fields.get(*field).and_then(Value::as_u64) {
            links[format!("ngcp:{target}")] = json!({"href": format!("/api/{target}/{id}")});
        }
    }
    document.insert("_links".to_owned(), links);
    Value::Object(document)
}

/// Fields that lead to another entity.
const RELATED: &[(&str, &str)] =
    &[("domain_id", "domains"), ("customer_id", "customers"), ("subscriber_id", "subscribers")];

pub fn href(resource: &Resource, id: &str) -> String {
    format!("/api/{}/{}", resource.name, encode(id))
}

fn curies() -> Value {
    json!({"href": format!("{PROFILE}#rel-{{rel}}"), "name": "ngcp", "templated": true})
}

const PROFILE: &str = "http://purl.org/sipwise/ngcp-api/";

/// A HAL answer.
pub fn response(status: StatusCode, document: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/hal+json; profile=\"http://purl.org/sipwise/ngcp-api/\""),
    );
    response
}

/// Undoes percent-encoding; errors when what comes out is no UTF-8.
pub fn decode(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits =
                    [rest.next(), rest.next()].map(|digit| digit.and_then(|digit| (digit as char).to_digit(16)));
                let [Some(high), Some(low)] = digits else {
                    return Err(Problem::malformed("broken percent-encoding in the URL"));
                };
                bytes.push((high * 16 + low) as u8);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::malformed("the URL is not UTF-8"))
}

pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests;
