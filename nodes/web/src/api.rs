//! The northbound API: who asks, what for, and whether it may.
//!
//! One handler serves every resource out of the table in `resources`; `backend` fetches and changes entities.

mod backend;
mod bans;
mod cdrs;
mod hal;
mod openapi;
mod patch;
mod preferences;
mod problem;
mod provision;
mod registrations;
mod resources;
mod schema;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use ports::store::Provisioning;
use serde_json::{Value, json};

use crate::settings::ApiSettings;
use crate::switch::Switch;
use crate::users::{Guard, Users};
use hal::{Entity, Query};
use problem::Problem;
use resources::{RESOURCES, Resource};

/// The API's state.
pub struct Api {
    switch: Arc<Switch>,
    store: Provisioning,
    settings: ApiSettings,
    users: Arc<Users>,
    guard: Guard,
    /// Changes of an entity are one at a time, so that If-Match and PATCH see what they change: a lock for each of some groups of entities.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

/// Groups of entities that are changed independently, count.
const TURNS: usize = 64;

/// The router of the API. Errors: the user whose password hash cannot be read, and why.
pub fn router(switch: Arc<Switch>, store: Provisioning, settings: ApiSettings) -> Result<Router, (String, String)> {
    let users = Arc::new(Users::new(&settings.users)?);
    let guard = Guard::new(settings.failures_max, settings.ban_s, settings.ban_max_s);
    let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
    let api = Arc::new(Api { switch, store, settings, users, guard, turns });
    Ok(Router::new().fallback(handle).with_state(api))
}

async fn handle(
    State(api): State<Arc<Api>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match api.admit(peer, request.headers()).await {
        Ok(user) => {
            let answer = api.answer(request).await.unwrap_or_else(|problem| problem.response());
            if !method.is_safe() {
                // Names are escaped by `?`: a line of the log stays a line.
                tracing::info!(target: "audit", ?user, peer = %peer, %method, ?path, status = answer.status().as_u16(), "write");
            }
            answer
        }
        Err(problem) => problem.response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Api {
    /// The user who asks; 401 when nobody is proven, 403 while the address is banned for guessing.
    async fn admit(&self, peer: SocketAddr, headers: &HeaderMap) -> Result<String, Problem> {
        if let Some(rest) = self.guard.banned(peer.ip(), Instant::now()) {
            let seconds = u32::try_from(rest.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            let refused = Problem::new(StatusCode::FORBIDDEN, "Too many wrong passwords from this address.");
            return Err(Problem { retry_after_s: Some(seconds), ..refused });
        }
        let unauthorized = || Problem::new(StatusCode::UNAUTHORIZED, "Authorization required.");
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.ok_or_else(unauthorized)?.to_owned();
        let users = self.users.clone();
        let proven = tokio::task::spawn_blocking(move || users.verify(&given)).await.unwrap_or(None);
        match proven {
            Some(user) => {
                self.guard.on_success(peer.ip());
                Ok(user)
            }
            None => {
                let banned = self.guard.on_failure(peer.ip(), Instant::now());
                // One line of a fixed shape, for fail2ban.
                tracing::warn!(target: "audit", peer = %peer.ip(), banned, "authentication failed");
                Err(unauthorized())
            }
        }
    }

    async fn answer(&self, request: Request) -> Result<Response<Body>, Problem> {
        let path = hal::decode(request.uri().path())?;
        let rest = path.strip_prefix("/api").filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let rest = rest.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "The API is at /api/."))?;
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        match parts[..] {
            [] => root(request.method()),
            ["openapi.json"] => described(request.method()),
            ["cluster"] => self.cluster(request.method()).await,
            [name] => self.collection(known(name)?, request).await,
            [name, id] => self.item(known(name)?, id, request).await,
            _ => Err(Problem::new(StatusCode::NOT_FOUND, "No such resource.")),
        }
    }

    /// What the cluster looks like from here; 404 in a node that is alone.
    async fn cluster(&self, method: &Method) -> Result<Response<Body>, Problem> {
        allowed(&["GET"], method)?;
        let seen = self.switch.cluster().await;
        let seen = seen.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "This node is alone."))?;
        Ok(hal::response(StatusCode::OK, &seen))
    }

    async fn collection(&self, resource: &'static Resource, request: Request) -> Result<Response<Body>, Problem> {
        match allowed(resource.collection, request.method())? {
            Verb::Options => Ok(options(resource.collection)),
            Verb::Get => {
                let text = request.uri().query().unwrap_or("").to_owned();
                let query = Query::parse(resource, &text, u64::from(self.settings.rows_max.max(1)))?;
                if let Some(definitions) = preferences::definitions(resource.which) {
                    return Ok(hal::response(StatusCode::OK, &definitions));
                }
                let page = self.list(resource.which, &query).await?;
                Ok(hal::response(StatusCode::OK, &hal::collection(resource, &query, &page)))
            }
            _ => {
                let prefer = Prefer::of(request.headers());
                let body = self.body(request, &["application/json", "application/hal+json"]).await?;
                let fields = schema::validate(resource, body)?;
                let made = self.create(resource.which, fields).await?;
                let mut response = prefer.response(StatusCode::CREATED, resource, &made);
                let location =
                    HeaderValue::from_str(&hal::href(resource, &made.id)).map_err(|_| Problem::malformed("id"))?;
                response.headers_mut().insert(header::LOCATION, location);
                Ok(response)
            }
        }
    }

    async fn item(&self, resource: &'static Resource, id: &str, request: Request) -> Result<Response<Body>, Problem> {
        let verb = allowed(resource.item, request.method())?;
        if verb == Verb::Options {
            return Ok(options(resource.item));
        }
        if verb == Verb::Get {
            let found = self.entity(resource, id).await?;
            return Ok(tagged(hal::response(StatusCode::OK, &hal::entity(resource, &found)), resource, &found));
        }
        let (prefer, headers) = (Prefer::of(request.headers()), request.headers().clone());
        let body = match verb {
            Verb::Put => self.body(request, &["application/json", "application/hal+json"]).await?,
            Verb::Patch => self.body(request, &["application/json-patch+json"]).await?,
            _ => Value::Null,
        };
        let _turn = self.turn(resource, id).lock().await;
        let present = self.entity(resource, id).await?;
        precondition(&headers, resource, &present)?;
        if verb == Verb::Delete {
            self.delete(resource.which, id).await?;
            return Ok(empty(StatusCode::NO_CONTENT));
        }
        let body = if verb == Verb::Patch { patch::apply(resource, &present, body)? } else { body };
        let fields = schema::validate(resource, body)?;
        let changed = self.replace(resource.which, id, fields).await?;
        Ok(prefer.response(StatusCode::OK, resource, &changed))
    }

    fn turn(&self, resource: &Resource, id: &str) -> &tokio::sync::Mutex<()> {
        let hash = fabric::hash::hash64(&[0; 16], &[resource.name.as_bytes(), id.as_bytes()]);
        &self.turns[hash as usize % TURNS]
    }

    async fn entity(&self, resource: &Resource, id: &str) -> Result<Entity, Problem> {
        self.get(resource.which, id).await?.ok_or_else(|| Problem::not_found(resource.name))
    }

    /// The body as JSON: 415 for another media type, 413 when too large, 400 when it is no JSON.
    async fn body(&self, request: Request, types: &[&str]) -> Result<Value, Problem> {
        let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let given = given.split(';').next().unwrap_or("").trim();
        if !types.iter().any(|kind| kind.eq_ignore_ascii_case(given)) {
            let message = format!("Unsupported media type '{given}', accepting {}.", types.join(" or "));
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let most = self.settings.body_bytes_max;
        let bytes = axum::body::to_bytes(request.into_body(), most).await.map_err(|_| {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("The body is larger than {most} bytes or broke off."))
        })?;
        serde_json::from_slice(&bytes).map_err(|error| Problem::malformed(format!("The body is not JSON: {error}")))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// The verb, when it is one of these methods; 405 with Allow otherwise.
fn allowed(methods: &[&str], method: &Method) -> Result<Verb, Problem> {
    let verb = match method.as_str() {
        "OPTIONS" if !methods.is_empty() => return Ok(Verb::Options),
        // The server leaves the body out of the answer to HEAD.
        "GET" | "HEAD" => ("GET", Verb::Get),
        "POST" => ("POST", Verb::Post),
        "PUT" => ("PUT", Verb::Put),
        "PATCH" => ("PATCH", Verb::Patch),
        "DELETE" => ("DELETE", Verb::Delete),
        _ => ("", Verb::Options),
    };
    match methods.contains(&verb.0) {
        true => Ok(verb.1),
        false if methods.is_empty() => {
            Err(Problem::new(StatusCode::NOT_FOUND, "This resource has no single entities."))
        }
        false => {
            let refused = Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("Method {method} is not allowed here."));
            Err(Problem { allow: Some(allow(methods)), ..refused })
        }
    }
}

fn allow(methods: &[&str]) -> String {
    format!("{}, HEAD, OPTIONS", methods.join(", "))
}

fn options(methods: &[&str]) -> Response<Body> {
    let mut response = hal::response(StatusCode::OK, &json!({"methods": methods}));
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&allow(methods)) {
        headers.insert(header::ALLOW, value);
    }
    if methods.contains(&"PATCH") {
        headers.insert("accept-patch", HeaderValue::from_static("application/json-patch+json"));
    }
    if methods.contains(&"POST") {
        headers.insert("accept-post", HeaderValue::from_static("application/json, application/hal+json"));
    }
    response
}

fn known(name: &str) -> Result<&'static Resource, Problem> {
    resources::resource(name).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("No such resource '{name}'.")))
}

fn root(method: &Method) -> Result<Response<Body>, Problem> {
    if allowed(&["GET"], method)? == Verb::Options {
        return Ok(options(&["GET"]));
    }
    let links = RESOURCES.iter().map(|resource| {
        let link = json!({"href": format!("/api/{}/", resource.name), "title": resource.about});
        (format!("ngcp:{}", resource.name), link)
    });
    let mut links: serde_json::Map<String, Value> = links.collect();
    links.insert("self".to_owned(), json!({"href": "/api/"}));
    links.insert("describedby".to_owned(), json!({"href": "/api/openapi.json"}));
    Ok(hal::response(StatusCode::OK, &json!({"_links": links})))
}

fn described(method: &Method) -> Result<Response<Body>, Problem> {
    if allowed(&["GET"], method)? == Verb::Options {
        return Ok(options(&["GET"]));
    }
    let mut response = hal::response(StatusCode::OK, &openapi::document());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// What a client wants back from a write (RFC 7240 4.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefer {
    Minimal,
    Representation,
}

impl Prefer {
    fn of(headers: &HeaderMap) -> Prefer {
        let mut all = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let asked = all
            .any(|value| value.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case("return=representation")));
        if asked { Prefer::Representation } else { Prefer::Minimal }
    }

    /// `status` with the entity, or without: 201 stays 201, 200 becomes 204.
    fn response(self, status: StatusCode, resource: &Resource, entity: &Entity) -> Response<Body> {
        let mut response = match self {
            Prefer::Representation => hal::response(status, &hal::entity(resource, entity)),
            Prefer::Minimal if status == StatusCode::OK => empty(StatusCode::NO_CONTENT),
            Prefer::Minimal => empty(status),
        };
        let applied = match self {
            Prefer::Representation => "return=representation",
            Prefer::Minimal => "return=minimal",
        };
        response.headers_mut().insert("preference-applied", HeaderValue::from_static(applied));
        tagged(response, resource, entity)
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Entity tag of what a client sees.
fn etag(resource: &Resource, entity: &Entity) -> String {
    let text = hal::entity(resource, entity).to_string();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    format!("\"{}\"", crate::users::hex(&sum.as_ref()[..12]))
}

fn tagged(mut response: Response<Body>, resource: &Resource, entity: &Entity) -> Response<Body> {
    if let Ok(tag) = HeaderValue::from_str(&etag(resource, entity)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// 412 when If-Match names none of the entity's tags (RFC 9110 13.1.1).
fn precondition(headers: &HeaderMap, resource: &Resource, present: &Entity) -> Result<(), Problem> {
    let Some(wanted) = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let tag = etag(resource, present);
    if wanted.split(',').any(|one| one.trim() == "*" || one.trim() == tag) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, "The entity has changed since it was read."))
}
