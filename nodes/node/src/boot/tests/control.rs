//! The operator's port against a running node.

use serde_json::{Value, json};

use super::{Stage, phone};

#[test]
fn status_tells_what_runs() {
    let stage = Stage::new();
    let status = stage.control("GET", "/status", Value::Null).body;
    assert_eq!(
        (&status["calls"], &status["registrations"], &status["draining"]),
        (&json!(0), &json!(0), &json!(false))
    );
    assert_eq!(status["listeners"][0]["address"], json!(stage.sip.to_string()));
    assert_eq!(status["relays"], json!([]));
    assert_eq!(stage.control("GET", "/ready", Value::Null).status, 200);
}

#[test]
fn a_registration_is_seen() {
    let stage = Stage::new();
    stage.alice();
    let phone = phone();
    assert!(stage.register(&phone).starts_with("SIP/2.0 200 "));
    let me = phone.local_addr().expect("an address").to_string();
    let all = stage.control("GET", "/registrations?aor=alice@example.test", Value::Null).body;
    assert_eq!(all["total_count"], 1);
    let one = &all["registrations"][0];
    assert_eq!((&one["aor"], &one["received"]), (&json!("alice@example.test"), &json!(me)));
    assert!(one["expires_s"].as_u64().is_some_and(|seconds| (3_500..=3_600).contains(&seconds)), "{one}");
    assert_eq!(stage.control("GET", "/status", Value::Null).body["registrations"], 1);
    let metrics = stage.control("GET", "/metrics", Value::Null).text;
    assert!(metrics.contains("\ntandem_registrations 1\n"), "{metrics}");
}

#[test]
fn metrics_are_well_formed() {
    let stage = Stage::new();
    let metrics = stage.control("GET", "/metrics", Value::Null).text;
    let mut family = String::new();
    for line in metrics.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(rest) => {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert!(["counter", "gauge"].contains(&kind), "{line}");
                family = name.to_owned();
            }
            None if line.starts_with("# HELP tandem_") => {}
            None => {
                let (name, value) = line.rsplit_once(' ').expect("a sample");
                assert!(name == family || name.starts_with(&format!("{family}{{")), "{line} is not of {family}");
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
    }
    assert!(metrics.contains("tandem_session_establishment_ratio 0\n"));
}

#[test]
fn drained_nodes_refuse_new_work() {
    let stage = Stage::new();
    stage.alice();
    let phone = phone();
    assert_eq!(stage.control("POST", "/drain", json!({})).status, 200);
    assert_eq!(stage.control("GET", "/ready", Value::Null).status, 503);
    let refused = stage.sip(&phone, "REGISTER", "sip:example.test", 1, "");
    assert!(refused.starts_with("SIP/2.0 503 "), "{refused}");
    assert_eq!(stage.control("POST", "/undrain", json!({})).status, 200);
    let challenged = stage.sip(&phone, "REGISTER", "sip:example.test", 2, "");
    assert!(challenged.starts_with("SIP/2.0 401 "), "{challenged}");
}

#[test]
fn bans_and_their_end() {
    let stage = Stage::new();
    assert_eq!(stage.control("POST", "/bans", json!({"address": "2001:db8::1", "seconds": 60})).status, 200);
    let bans = stage.control("GET", "/bans", Value::Null).body;
    assert_eq!((&bans["total_count"], &bans["bans"][0]["address"]), (&json!(1), &json!("2001:db8::")));
    assert_eq!(stage.control("DELETE", "/bans/2001:db8::1", Value::Null).status, 200);
    assert_eq!(stage.control("GET", "/bans", Value::Null).body["total_count"], 0);
}

#[test]
fn what_is_refused() {
    let stage = Stage::new();
    let key = "0123456789abcdef0123456789abcdef";
    for (method, path, body, status) in [
        ("GET", "/nothing".to_owned(), Value::Null, 404),
        ("POST", format!("/calls/{key}/hangup"), json!({}), 404),
        ("POST", "/calls/xyz/hangup".to_owned(), json!({}), 400),
        ("GET", "/trace?call_id=unknown".to_owned(), Value::Null, 404),
        ("POST", "/log".to_owned(), json!({"level": "loud"}), 400),
        ("POST", "/bans".to_owned(), json!({"address": "everybody"}), 422),
        ("GET", "/drain".to_owned(), Value::Null, 405),
    ] {
        assert_eq!(stage.control(method, &path, body).status, status, "{method} {path}");
    }
    assert_eq!(stage.control("POST", "/log", json!({"level": "info,call=debug"})).status, 200);
}
