//! The northbound API against a running node.

use serde_json::{Value, json};

use super::{ADMIN, Stage, phone};

#[test]
fn domains_live_and_die() {
    let stage = Stage::new();
    let answer = stage.api("POST", "/api/domains/", json!({"domain": "Example.Test"}));
    assert_eq!((answer.status, answer.header("location"), answer.text.as_str()), (201, "/api/domains/1", ""));
    let again = stage.api("POST", "/api/domains/", json!({"domain": "example.test"}));
    assert_eq!((again.status, &again.body["field"], &again.body["code"]), (409, &json!("domain"), &json!(409)));
    let one = stage.api("GET", "/api/domains/1", Value::Null);
    assert_eq!((one.status, one.header("content-type").starts_with("application/hal+json")), (200, true));
    assert_eq!((&one.body["domain"], &one.body["reseller_id"]), (&json!("example.test"), &json!(1)));
    assert_eq!(one.body["_links"]["self"]["href"], "/api/domains/1");
    let all = stage.api("GET", "/api/domains/?domain=exa*", Value::Null);
    assert_eq!((&all.body["total_count"], &all.body["_embedded"]["ngcp:domains"][0]["id"]), (&json!(1), &json!(1)));
    assert_eq!(stage.api("DELETE", "/api/domains/1", Value::Null).status, 204);
    assert_eq!(stage.api("GET", "/api/domains/1", Value::Null).status, 404);
    assert_eq!(stage.api("DELETE", "/api/domains/1", Value::Null).status, 404);
}

#[test]
fn a_subscriber_is_made_read_changed_and_deleted() {
    let stage = Stage::new();
    let id = stage.alice();
    let path = format!("/api/subscribers/{id}");
    let alice = stage.api("GET", &path, Value::Null);
    assert_eq!(
        (&alice.body["domain"], &alice.body["status"], &alice.body["lock"]),
        (&json!("example.test"), &json!("active"), &json!(0))
    );
    assert_eq!(alice.body["primary_number"], json!({"cc": "43", "ac": "1", "sn": "1001"}));
    assert!(!alice.text.contains("alice-pw") && alice.body.get("password").is_none(), "{}", alice.text);
    assert_eq!(alice.body["_links"]["ngcp:customers"]["href"], "/api/customers/1");

    let found = stage.api("GET", "/api/subscribers/?number=4311001", Value::Null);
    assert_eq!(found.body["_embedded"]["ngcp:subscribers"][0]["id"], json!(id));

    // What was got can be put back, and nothing changes.
    let headers = [("Authorization", ADMIN), ("Content-Type", "application/json"), ("Prefer", "return=representation")];
    let put = stage.api_with("PUT", &path, &headers, &alice.body.to_string());
    assert_eq!((put.status, put.header("preference-applied")), (200, "return=representation"));
    assert_eq!(put.body["primary_number"], alice.body["primary_number"]);

    let patch = json!([{"op": "replace", "path": "/lock", "value": 2}, {"op": "add", "path": "/alias_numbers/-", "value": {"cc": "43", "ac": "1", "sn": "2"}}]);
    let patched = stage.api("PATCH", &path, patch);
    assert_eq!(
        (patched.status, patched.text.as_str(), patched.header("preference-applied")),
        (204, "", "return=minimal")
    );
    let after = stage.api("GET", &path, Value::Null);
    assert_eq!(
        (&after.body["lock"], &after.body["alias_numbers"]),
        (&json!(2), &json!([{"cc": "43", "ac": "1", "sn": "2"}]))
    );

    assert_eq!(stage.api("DELETE", &path, Value::Null).status, 204);
    assert_eq!(stage.api("GET", &path, Value::Null).status, 404);
}

#[test]
fn refusals_name_status_and_field() {
    let stage = Stage::new();
    let id = stage.alice();
    let subscriber = format!("/api/subscribers/{id}");
    let rows = [
        ("POST", "/api/subscribers/".to_owned(), json!({"username": "bob"}), 422, "domain_id"),
        ("POST", "/api/subscribers/".to_owned(), json!({"username": "b b", "domain": "example.test"}), 422, "username"),
        (
            "POST",
            "/api/subscribers/".to_owned(),
            json!({"username": "bob", "domain": "other.test", "password": "x", "customer_id": 1}),
            422,
            "domain",
        ),
        (
            "POST",
            "/api/subscribers/".to_owned(),
            json!({"username": "bob", "domain": "example.test", "customer_id": 1}),
            422,
            "password",
        ),
        (
            "POST",
            "/api/subscribers/".to_owned(),
            json!({"username": "bob", "domain": "example.test", "password": "x", "customer_id": 99}),
            422,
            "customer_id",
        ),
        (
            "POST",
            "/api/subscribers/".to_owned(),
            json!({"username": "alice", "domain": "example.test", "password": "x", "customer_id": 1}),
            409,
            "username",
        ),
        (
            "POST",
            "/api/subscribers/".to_owned(),
            json!({"username": "bob", "domain": "example.test", "password": "x", "customer_id": 1, "primary_number": {"cc": "43", "ac": "1", "sn": "1001"}}),
            409,
            "primary_number",
        ),
        (
            "POST",
            "/api/subscribers/".to_owned(),
            json!({"username": "bob", "domain": "example.test", "is_admin": true}),
            422,
            "is_admin",
        ),
        ("DELETE", "/api/domains/1".to_owned(), Value::Null, 409, "id"),
        ("DELETE", "/api/customers/1".to_owned(), Value::Null, 409, "id"),
        ("PATCH", subscriber.clone(), json!([{"op": "test", "path": "/lock", "value": 4}]), 409, "lock"),
        (
            "PATCH",
            subscriber.clone(),
            json!([{"op": "replace", "path": "/nothing/here", "value": 4}]),
            422,
            "nothing.here",
        ),
        ("PATCH", subscriber.clone(), json!([{"op": "replace", "path": "/status", "value": "asleep"}]), 422, "status"),
        ("PUT", "/api/subscribers/999".to_owned(), json!({"username": "x", "domain": "example.test"}), 404, ""),
        ("GET", "/api/subscribers/..%2F..%2Fetc%2Fpasswd".to_owned(), Value::Null, 404, ""),
        ("GET", "/api/nothing/".to_owned(), Value::Null, 404, ""),
        ("GET", "/api/subscribers/?colour=red".to_owned(), Value::Null, 400, ""),
        ("PUT", "/api/subscribers/".to_owned(), json!({}), 405, ""),
        ("POST", "/api/cdrs/".to_owned(), json!({}), 405, ""),
    ];
    for (method, path, body, status, field) in rows {
        let answer = stage.api(method, &path, body.clone());
        let said = (answer.status, answer.body["field"].as_str().unwrap_or(""));
        assert_eq!(said, (status, field), "{method} {path} {body}: {}", answer.text);
        assert_eq!(answer.body["code"], json!(status));
        assert!(answer.body["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    let refused = stage.api("PUT", "/api/subscribers/", json!({}));
    assert_eq!(refused.header("allow"), "GET, POST, HEAD, OPTIONS");
}

#[test]
fn bodies_and_preconditions() {
    let stage = Stage::new();
    stage.create("domains", json!({"domain": "example.test"}));
    let with = |method: &str, path: &str, kind: &str, body: &str| {
        stage.api_with(method, path, &[("Authorization", ADMIN), ("Content-Type", kind)], body).status
    };
    assert_eq!(with("POST", "/api/domains/", "text/plain", "{}"), 415);
    assert_eq!(with("PATCH", "/api/domains/1", "application/json", "[]"), 415);
    assert_eq!(with("POST", "/api/domains/", "application/json", "{"), 400);
    assert_eq!(with("PATCH", "/api/domains/1", "application/json-patch+json", "{}"), 400);
    assert_eq!(
        with(
            "POST",
            "/api/domains/",
            "application/json; charset=utf-8",
            &format!("{{\"domain\": \"{}\"}}", "a".repeat(5_000))
        ),
        413
    );

    let tag = stage.api("GET", "/api/domains/1", Value::Null).header("etag").to_owned();
    let guarded = |tag: &str| {
        let headers = [("Authorization", ADMIN), ("Content-Type", "application/json"), ("If-Match", tag)];
        stage.api_with("PUT", "/api/domains/1", &headers, "{\"domain\": \"example.test\", \"reseller_id\": 2}").status
    };
    assert_eq!(guarded("\"other\""), 412);
    assert_eq!(guarded(&tag), 204);
    assert_eq!(guarded(&tag), 412, "the entity has changed");
    assert_eq!(guarded("*"), 204);
}

#[test]
fn pages() {
    let stage = Stage::new();
    for n in 0..25 {
        stage.create("domains", json!({"domain": format!("d{n:02}.test")}));
    }
    let page = |query: &str| stage.api("GET", &format!("/api/domains/{query}"), Value::Null).body;
    let count = |page: &Value| page["_embedded"]["ngcp:domains"].as_array().map_or(0, Vec::len);
    let (first, last, beyond) = (page(""), page("?page=3&rows=10"), page("?page=4"));
    assert_eq!((count(&first), count(&last), count(&beyond)), (10, 5, 0));
    assert!([&first, &last, &beyond].iter().all(|page| page["total_count"] == 25));
    assert_eq!(first["_links"]["next"]["href"], "/api/domains/?page=2&rows=10");
    assert!(last["_links"].get("next").is_none() && last["_links"]["prev"]["href"] == "/api/domains/?page=2&rows=10");
    assert_eq!(last["_embedded"]["ngcp:domains"][4]["domain"], "d24.test");
}

#[test]
fn preferences_are_kept_whole() {
    let stage = Stage::new();
    let id = stage.alice();
    let path = format!("/api/subscriberpreferences/{id}");
    let wanted = json!({"contacts_max": 3, "cli": "4311001", "block_in_list": ["43*", "44*"], "clir": true});
    assert_eq!(stage.api("PUT", &path, wanted).status, 204);
    let kept = stage.api("GET", &path, Value::Null).body;
    assert_eq!(
        (&kept["cli"], &kept["block_in_list"], &kept["clir"]),
        (&json!("4311001"), &json!(["43*", "44*"]), &json!(true))
    );
    assert_eq!((&kept["contacts_max"], &kept["subscriber_id"]), (&json!(3), &json!(id)));
    let patch = json!([{"op": "remove", "path": "/clir"}, {"op": "replace", "path": "/contacts_max", "value": 4}]);
    assert_eq!(stage.api("PATCH", &path, patch).status, 204);
    let kept = stage.api("GET", &path, Value::Null).body;
    assert_eq!((kept.get("clir"), &kept["contacts_max"]), (None, &json!(4)));
    let refused = stage.api("PUT", &path, json!({"contacts_max": "many"}));
    assert_eq!((refused.status, &refused.body["field"]), (422, &json!("contacts_max")), "one that works is checked");
    assert_eq!(stage.api("PUT", "/api/domainpreferences/1", json!({"contacts_max": 2})).status, 204);
    let all = stage.api("GET", "/api/domainpreferences/", Value::Null).body;
    assert_eq!(all["_embedded"]["ngcp:domainpreferences"][0]["contacts_max"], json!(2));
    let definitions = stage.api("GET", "/api/subscriberpreferencedefs/", Value::Null).body;
    assert_eq!(definitions["contacts_max"]["data_type"], "int");
}

#[test]
fn registrations_are_shown_made_and_ended() {
    let stage = Stage::new();
    let id = stage.alice();
    let phone = phone();
    assert!(stage.register(&phone).starts_with("SIP/2.0 200 "));
    let fixed = json!({"subscriber_id": id, "contact": "sip:door@192.0.2.7:5062", "q": 0.5});
    let made = stage.create("subscriberregistrations", fixed.clone());
    assert_eq!(stage.api("POST", "/api/subscriberregistrations/", fixed).status, 409);
    let list = || stage.api("GET", &format!("/api/subscriberregistrations/?subscriber_id={id}"), Value::Null).body;
    let all = list();
    assert_eq!(all["total_count"], 2, "{all}");
    let path = format!("/api/subscriberregistrations/{made}");
    let door = stage.api("GET", &path, Value::Null).body;
    assert_eq!((&door["expires"], &door["q"], &door["subscriber_id"]), (&Value::Null, &json!(0.5), &json!(id)));
    let put = json!({"subscriber_id": id, "contact": "sip:door@192.0.2.7:5062", "q": 0.25});
    assert_eq!(stage.api("PUT", &path, put).status, 204);
    assert_eq!(stage.api("GET", &path, Value::Null).body["q"], json!(0.25));
    assert_eq!(stage.api("DELETE", &path, Value::Null).status, 204);
    assert_eq!(list()["total_count"], 1);
    let again =
        stage.create("subscriberregistrations", json!({"subscriber_id": id, "contact": "sip:door@192.0.2.7:5062"}));
    assert_eq!((again, &list()["total_count"]), (made, &json!(2)), "made again at once, with the same number");

    // A deleted subscriber is not reachable any more.
    assert_eq!(stage.api("DELETE", &format!("/api/subscribers/{id}"), Value::Null).status, 204);
    let left = stage.control("GET", "/registrations", Value::Null).body;
    assert_eq!(left["total_count"], 0, "{left}");
}

#[test]
fn banned_addresses() {
    let stage = Stage::new();
    let made = stage.api("POST", "/api/bannedips/", json!({"ip": "192.0.2.9", "seconds": 60, "reason": "test"}));
    assert_eq!((made.status, made.header("location")), (201, "/api/bannedips/192.0.2.9"));
    let one = stage.api("GET", "/api/bannedips/192.0.2.9", Value::Null).body;
    assert_eq!((&one["ip"], &one["reason"]), (&json!("192.0.2.9"), &json!("test")));
    assert_eq!(stage.api("GET", "/api/bannedips/", Value::Null).body["total_count"], 1);
    let six = stage.api("POST", "/api/bannedips/", json!({"ip": "2001:db8::9"}));
    assert_eq!(
        (six.status, six.header("location")),
        (201, "/api/bannedips/2001:db8::"),
        "IPv6 hosts are banned by their /64"
    );
    assert_eq!(stage.api("DELETE", six.header("location"), Value::Null).status, 204);
    assert_eq!(stage.api("DELETE", "/api/bannedips/192.0.2.9", Value::Null).status, 204);
    assert_eq!(stage.api("GET", "/api/bannedips/192.0.2.9", Value::Null).status, 404);
}

#[test]
fn who_may_ask() {
    let stage = Stage::new();
    let ask = |authorization: &str| stage.api_with("GET", "/api/domains/", &[("Authorization", authorization)], "");
    let anonymous = stage.api_with("GET", "/api/domains/", &[], "");
    assert_eq!((anonymous.status, anonymous.header("www-authenticate").starts_with("Basic")), (401, true));
    assert_eq!(ask("Bearer token").status, 401);
    assert_eq!(ask("Basic YWRtaW46d3Jvbmc=").status, 401);
    assert_eq!(ask(ADMIN).status, 200, "a right password forgives");
    for _ in 0..4 {
        assert_eq!(ask("Basic YWRtaW46d3Jvbmc=").status, 401);
    }
    let banned = ask(ADMIN);
    assert_eq!((banned.status, banned.header("retry-after").parse::<u32>().is_ok()), (403, true));
}

#[test]
fn the_description_and_the_entry() {
    let stage = Stage::new();
    let described = stage.api("GET", "/api/openapi.json", Value::Null).body;
    assert_eq!(described["openapi"], "3.0.3");
    let root = stage.api("GET", "/api/", Value::Null).body;
    for (rel, link) in root["_links"].as_object().expect("links") {
        let Some(name) = rel.strip_prefix("ngcp:") else { continue };
        assert!(described["paths"].get(format!("/{name}/")).is_some(), "{name} is described");
        assert_eq!(stage.api("GET", link["href"].as_str().expect("a link"), Value::Null).status, 200, "{name}");
        let options = stage.api("OPTIONS", link["href"].as_str().expect("a link"), Value::Null);
        assert!(options.status == 200 && options.header("allow").contains("GET"), "{name}");
    }
    assert_eq!(described["components"]["schemas"]["subscribers"]["properties"]["password"]["writeOnly"], true);
}
