//! The operator's port: plain HTTP and JSON on loopback, what `tandem ctl` and Prometheus talk to.

mod cluster;
mod trace;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use fabric::Key;
use fabric::letters::control::{CallSummary, Description};
use fabric::letters::location::Binding;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::metrics;
use crate::moment;
use crate::settings::ControlSettings;
use crate::switch::{Failed, Switch};

struct Control {
    switch: Arc<Switch>,
    settings: ControlSettings,
}

type Shared = State<Arc<Control>>;
type Answer = Result<Json<Value>, Refusal>;

/// The router of the operator's port.
pub fn router(switch: Arc<Switch>, settings: ControlSettings) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/ready", get(ready))
        .route("/registrations", get(registrations))
        .route("/calls", get(calls))
        .route("/calls/{key}/hangup", post(hang_up))
        .route("/calls/{key}/trace", get(trace_key))
        .route("/trace", get(trace_call_id))
        .route("/actors/{kind}", get(actors))
        .route("/bans", get(bans).post(ban))
        .route("/bans/{address}", delete(unban))
        .route("/drain", post(drain))
        .route("/undrain", post(undrain))
        .route("/log", post(log))
        .route("/cluster", get(cluster::seen))
        .route("/cluster/active", get(cluster::active))
        .route("/cluster/make-active", post(cluster::make_active))
        .route("/cluster/make-standby", post(cluster::make_standby))
        .route("/cluster/reload", post(cluster::reload))
        .route("/cluster/hold-site", post(cluster::hold_site))
        .route("/metrics", get(prometheus))
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "no such command".to_owned()))
        .with_state(Arc::new(Control { switch, settings }))
}

/// A refusal: status, and a sentence in `message`.
struct Refusal(StatusCode, String);

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        (self.0, Json(json!({"code": self.0.as_u16(), "message": self.1}))).into_response()
    }
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Refusal {
        match failed {
            Failed::Absent => Refusal(StatusCode::NOT_FOUND, "nobody there: it has ended, or never was".to_owned()),
            Failed::Refused(why) => Refusal(StatusCode::CONFLICT, why),
            Failed::Unavailable(why) => Refusal(StatusCode::SERVICE_UNAVAILABLE, format!("no answer: {why}")),
        }
    }
}

async fn status(State(control): Shared) -> Answer {
    let switch = &control.switch;
    let mut status = switch.node.status();
    if let Some(cluster) = switch.cluster().await {
        status["cluster"] = cluster;
    }
    status["calls"] = json!(switch.calls(CALLS_MAX).await.len());
    let locations = switch.describe("location", usize::from(u16::MAX)).await;
    status["registrations"] = json!(sum(&locations, "bindings"));
    status["relays"] = relays(&control).await;
    Ok(Json(status))
}

/// Calls that `/status` looks at, count.
const CALLS_MAX: usize = 100_000;

/// 200 when the node takes new calls: all bindings are loaded and it is not drained; 503 and why otherwise.
async fn ready(State(control): Shared) -> Answer {
    if control.switch.node.is_draining() {
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, "drained".to_owned()));
    }
    if let Some(cluster) = control.switch.node.cluster() {
        return match cluster::why_not_ready(&cluster) {
            None => Ok(Json(json!({"ready": true}))),
            Some(why) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, why)),
        };
    }
    let locations = control.switch.describe("location", usize::from(u16::MAX)).await;
    let open = locations.iter().filter(|(_, facts)| fact(facts, "phase") == Some("open")).count();
    match open == usize::from(control.switch.home.shards) {
        true => Ok(Json(json!({"ready": true}))),
        false => {
            let message = format!("{open} of {} location shards have loaded", control.switch.home.shards);
            Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, message))
        }
    }
}

/// rtpengines as the anchor sees them: facts named `relay.NUMBER.MEMBER`.
async fn relays(control: &Control) -> Value {
    let anchors = control.switch.describe("anchor", 1).await;
    let Some((_, Description::Machine { facts, .. })) = anchors.first() else { return json!([]) };
    let mut relays: Vec<Value> = Vec::new();
    for (name, text) in facts {
        let Some((number, member)) = name.strip_prefix("relay.").and_then(|rest| rest.split_once('.')) else {
            continue;
        };
        let Ok(number) = number.parse::<usize>() else { continue };
        if number == relays.len() {
            relays.push(json!({}));
        }
        let Some(relay) = relays.get_mut(number) else { continue };
        relay[member] = match text.as_str() {
            "true" | "false" => json!(text == "true"),
            _ if matches!(member, "name" | "address") => json!(text),
            _ => text.parse::<u64>().map_or_else(|_| json!(text), |count| json!(count)),
        };
    }
    json!(relays)
}

fn fact<'a>(description: &'a Description, name: &str) -> Option<&'a str> {
    match description {
        Description::Machine { facts, .. } => {
            facts.iter().find(|(fact, _)| fact == name).map(|(_, value)| value.as_str())
        }
        Description::Call(_) => None,
    }
}

fn sum<T>(all: &[(T, Description)], name: &str) -> u64 {
    all.iter().filter_map(|(_, facts)| fact(facts, name)?.parse::<u64>().ok()).sum()
}

#[derive(Deserialize)]
struct Which {
    aor: Option<String>,
}

async fn registrations(State(control): Shared, Query(which): Query<Which>) -> Answer {
    let (switch, most) = (&control.switch, control.settings.rows_max as usize);
    let all = match which.aor {
        Some(aor) => {
            let aor = aor.trim_start_matches("sip:").to_lowercase();
            vec![(aor.clone(), switch.locate(&aor).await?)]
        }
        None => switch.bindings().await?,
    };
    let total: usize = all.iter().map(|(_, bindings)| bindings.len()).sum();
    let now_ms = switch.now_ms();
    let flat = all.iter().flat_map(|(aor, bindings)| bindings.iter().map(move |binding| (aor, binding)));
    let shown: Vec<Value> = flat.take(most).map(|(aor, binding)| registration(aor, binding, now_ms)).collect();
    Ok(Json(json!({"total_count": total, "registrations": shown})))
}

fn registration(aor: &str, binding: &Binding, now_ms: u64) -> Value {
    let permanent = binding.expires_ms == u64::MAX;
    json!({
        "aor": aor,
        "contact": binding.contact,
        "path": binding.path,
        "expires_s": (!permanent).then(|| binding.expires_ms.saturating_sub(now_ms).div_ceil(1000)),
        "q": f64::from(binding.q) / 1000.0,
        "received": binding.received,
        "nat": binding.nat,
        "user_agent": binding.user_agent,
        "call_id": binding.call_id,
    })
}

async fn calls(State(control): Shared) -> Answer {
    let all = control.switch.calls(CALLS_MAX).await;
    let now_ms = control.switch.now_ms();
    let shown: Vec<Value> = all.iter().take(control.settings.rows_max as usize).map(|one| call(one, now_ms)).collect();
    Ok(Json(json!({"total_count": all.len(), "calls": shown})))
}

fn call(call: &CallSummary, now_ms: u64) -> Value {
    let moment_or_null = |at_ms: u64| (at_ms > 0).then(|| moment::text(at_ms));
    json!({
        "key": call.key.to_string(),
        "call_id": call.call_id,
        "from": call.from,
        "to": call.to,
        "state": call.state,
        "init_time": moment_or_null(call.init_ms),
        "start_time": moment_or_null(call.answer_ms),
        "age_s": now_ms.saturating_sub(call.init_ms) / 1000,
        "duration_s": if call.answer_ms > 0 { now_ms.saturating_sub(call.answer_ms) / 1000 } else { 0 },
        "legs": call.legs,
    })
}

async fn hang_up(State(control): Shared, Path(key): Path<String>) -> Answer {
    let key: Key = key.parse().map_err(|_| Refusal(StatusCode::BAD_REQUEST, "a key is 32 hex digits".to_owned()))?;
    control.switch.hang_up(key).await?;
    tracing::info!(target: "audit", call = %key, "hang up");
    Ok(Json(json!({"key": key.to_string()})))
}

async fn trace_key(State(control): Shared, Path(key): Path<String>) -> Answer {
    let key: Key = key.parse().map_err(|_| Refusal(StatusCode::BAD_REQUEST, "a key is 32 hex digits".to_owned()))?;
    let messages = control.switch.trace(Some(key), TRACED_MAX).await?;
    Ok(Json(trace::document(Some(key), &messages)))
}

#[derive(Deserialize)]
struct Traced {
    call_id: Option<String>,
}

/// Messages of the call with this Call-ID on any of its legs; without one, of the most recent call.
async fn trace_call_id(State(control): Shared, Query(wanted): Query<Traced>) -> Answer {
    let all = control.switch.trace(None, u32::MAX).await?;
    let key = match &wanted.call_id {
        Some(call_id) => trace::key_of(&all, call_id),
        None => trace::last_call(&all),
    };
    let Some(key) = key else {
        return Err(Refusal(StatusCode::NOT_FOUND, "no messages of such a call are remembered".to_owned()));
    };
    let messages: Vec<_> = all.into_iter().filter(|message| message.key == key).collect();
    Ok(Json(trace::document(Some(key), &messages)))
}

/// Messages in one ladder, count.
const TRACED_MAX: u32 = 10_000;

/// What machines of a kind say of themselves.
async fn actors(State(control): Shared, Path(kind): Path<String>) -> Answer {
    let found = control.switch.describe(&kind, control.settings.rows_max as usize).await;
    let shown: Vec<Value> = found
        .iter()
        .map(|(address, description)| match description {
            Description::Call(summary) => json!({"address": format!("{address:?}"), "state": summary.state}),
            Description::Machine { name, facts } => {
                let facts: serde_json::Map<String, Value> =
                    facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                json!({"address": format!("{address:?}"), "name": name, "facts": facts})
            }
        })
        .collect();
    Ok(Json(json!({"total_count": shown.len(), "actors": shown})))
}

async fn bans(State(control): Shared) -> Answer {
    let all = control.switch.bans().await?;
    let shown: Vec<Value> = all
        .iter()
        .map(|ban| {
            json!({
                "address": ban.address.to_string(),
                "since": moment::text(ban.since_ms),
                "until": moment::text(ban.until_ms),
                "seconds_left": ban.until_ms.saturating_sub(control.switch.now_ms()).div_ceil(1000),
                "reason": ban.reason,
                "dropped": ban.dropped,
                "origin": ban.origin.0,
            })
        })
        .collect();
    Ok(Json(json!({"total_count": shown.len(), "bans": shown})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    address: IpAddr,
    seconds: Option<u32>,
    reason: Option<String>,
}

async fn ban(State(control): Shared, Json(ban): Json<Ban>) -> Answer {
    let seconds = ban.seconds.unwrap_or(3_600);
    let reason = ban.reason.unwrap_or_else(|| "operator".to_owned());
    control.switch.ban(ban.address, seconds, reason).await?;
    tracing::info!(target: "audit", address = %ban.address, seconds, "ban");
    Ok(Json(json!({"address": ban.address.to_string(), "seconds": seconds})))
}

async fn unban(State(control): Shared, Path(address): Path<IpAddr>) -> Answer {
    control.switch.unban(address).await?;
    tracing::info!(target: "audit", %address, "unban");
    Ok(Json(json!({"address": address.to_string()})))
}

async fn drain(State(control): Shared) -> Answer {
    control.switch.drain(true).await?;
    tracing::info!(target: "audit", "drain");
    Ok(Json(json!({"draining": true})))
}

async fn undrain(State(control): Shared) -> Answer {
    control.switch.drain(false).await?;
    tracing::info!(target: "audit", "undrain");
    Ok(Json(json!({"draining": false})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    level: String,
}

async fn log(State(control): Shared, Json(log): Json<Log>) -> Answer {
    control.switch.node.set_log_level(&log.level).map_err(|why| Refusal(StatusCode::BAD_REQUEST, why))?;
    tracing::info!(target: "audit", level = ?log.level, "log level");
    Ok(Json(json!({"level": log.level})))
}

async fn prometheus(State(control): Shared) -> Response<Body> {
    let mut response = Response::new(Body::from(metrics::text(&control.switch).await));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}
