//! Provisioning over REST, by curl, and by `tandem ctl apply`.

use std::process::Command;

use crate::api::curl;
use crate::stage::{Phone, Props, Stage};

const JSON: &str = "Content-Type: application/json";
const PATCH: &str = "Content-Type: application/json-patch+json";
const WHOLE: &str = "Prefer: return=representation";

#[test]
fn a_subscriber_is_made_over_rest_and_registers_calls_and_is_locked() {
    let stage = Stage::plain(121);
    let switch = &stage.switch;
    let domain = switch.post("domains/", r#"{"domain": "rest.test"}"#);
    assert_eq!((domain.status, domain.body["domain"].as_str()), (201, Some("rest.test")), "{domain:?}");
    let id = domain.body["id"].as_u64().expect("a number");
    assert_eq!(domain.header("Location"), Some(format!("/api/domains/{id}").as_str()));
    assert_eq!(switch.get(&format!("domains/{id}")).body["domain"], "rest.test");

    let customer = switch.post("customers/", r#"{"external_id": "c-17", "contact_id": 4, "type": "sipaccount"}"#);
    assert_eq!(customer.status, 201, "{customer:?}");
    let subscriber = switch.post(
        "subscribers/",
        &format!(
            r#"{{"domain": "rest.test", "username": "lena", "password": "s3cret", "customer_id": {},
                "primary_number": {{"cc": "43", "ac": "699", "sn": "4711"}},
                "alias_numbers": [{{"cc": "43", "ac": "1", "sn": "815"}}]}}"#,
            customer.body["id"]
        ),
    );
    assert_eq!(subscriber.status, 201, "{subscriber:?}");
    assert!(!subscriber.text.contains("s3cret"), "a password is never shown: {}", subscriber.text);
    let place = subscriber.header("Location").expect("a Location").trim_start_matches("/api/").to_owned();

    // The new subscriber registers and is called by its number and its alias.
    let mut phone = Phone { user: "lena".to_owned(), password: "s3cret".to_owned(), ..stage.phone(3) };
    let register = crate::registrations::REGISTER;
    stage.sipp(&phone, register).of("rest.test").run().passed();
    for number in ["436994711@rest.test", "431815@rest.test"] {
        let callee = stage.sipp(&phone, crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
        stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).calls(number).run().passed();
        callee.end().passed();
    }

    // Locked for outgoing calls by JSON Patch; a new password by PATCH as well.
    let locked = switch.api_request(
        "PATCH",
        &place,
        r#"[{"op": "replace", "path": "/lock", "value": 2}, {"op": "add", "path": "/password", "value": "n3w"}]"#,
        &[PATCH, WHOLE],
    );
    assert_eq!((locked.status, locked.body["lock"].as_u64()), (200, Some(2)), "{locked:?}");
    let refused = "> REGISTER | Expires: 600\n< 401 auth\n> REGISTER auth | Expires: 600\n< 401";
    stage.sipp(&phone, refused).of("rest.test").run().passed();
    phone.password = "n3w".to_owned();
    let call = "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100?\n< 403\n> ACK";
    stage.sipp(&phone, call).of("rest.test").calls("user1@example.test").run().passed();

    let gone = switch.api_request("DELETE", &place, "", &[]);
    assert_eq!((gone.status, switch.get(&place).status), (204, 404));
    let nobody = "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100?\n< 404\n> ACK";
    stage.sipp(&stage.phone(1), nobody).calls("lena@rest.test").run().passed();
}

#[test]
fn writes_prefer_minimal_answers_unless_asked() {
    let stage = Stage::plain(122);
    let switch = &stage.switch;
    let minimal = switch.api_request("POST", "customers/", r#"{"external_id": "a"}"#, &[JSON]);
    assert_eq!((minimal.status, minimal.text.as_str()), (201, ""));
    let place = minimal.header("Location").expect("a Location").trim_start_matches("/api/").to_owned();
    let put = r#"{"external_id": "b", "status": "locked"}"#;
    assert_eq!(switch.api_request("PUT", &place, put, &[JSON]).status, 204);
    let whole = switch.api_request("PUT", &place, put, &[JSON, WHOLE]);
    assert_eq!((whole.status, whole.body["status"].as_str()), (200, Some("locked")), "{whole:?}");
    assert_eq!(whole.header("Preference-Applied"), Some("return=representation"));
    let stale = switch.api_request("PUT", &place, put, &[JSON, "If-Match: \"0000\""]);
    assert_eq!(stale.status, 412, "RFC 9110 13.1.1");
}

#[test]
fn collections_have_pages_and_filters() {
    let stage = Stage::plain(123);
    let switch = &stage.switch;
    let page = switch.get("subscribers/?page=2&rows=4");
    assert_eq!((page.status, page.body["total_count"].as_u64(), page.embedded("subscribers").len()), (200, Some(9), 4));
    let links = &page.body["_links"];
    assert!(links["prev"]["href"].as_str().is_some_and(|href| href.contains("page=1")), "{links}");
    assert!(links["next"]["href"].as_str().is_some_and(|href| href.contains("page=3")), "{links}");
    assert_eq!(switch.get("subscribers/?page=3&rows=4").embedded("subscribers").len(), 1);
    let found = switch.get("subscribers/?username=user7");
    assert_eq!(found.embedded("subscribers")[0]["primary_number"]["sn"], "1007");
    assert_eq!(switch.get("subscribers/?nonsense=1").status, 400);
}

#[test]
fn bad_input_is_refused_with_the_field_named() {
    let stage = Stage::plain(124);
    let switch = &stage.switch;
    for (path, body, field) in [
        ("domains/", r#"{"domain": "not a domain"}"#, "domain"),
        ("domains/", r#"{}"#, "domain"),
        ("domains/", r#"{"domain": "a.test", "colour": "red"}"#, "colour"),
        ("subscribers/", r#"{"domain": "example.test", "password": "x"}"#, "username"),
        ("subscribers/", r#"{"domain": "nowhere.test", "username": "a", "password": "x"}"#, "domain"),
        ("subscribers/", r#"{"domain": "example.test", "username": "a", "lock": 9}"#, "lock"),
        (
            "subscribers/",
            r#"{"domain": "example.test", "username": "a", "primary_number": {"cc": "x", "sn": "1"}}"#,
            "primary_number.cc",
        ),
        ("bannedips/", r#"{"ip": "1.2.3"}"#, "ip"),
    ] {
        let answer = switch.post(path, body);
        assert_eq!((answer.status, answer.body["field"].as_str()), (422, Some(field)), "{path} {body}: {answer:?}");
        assert!(answer.body["message"].as_str().is_some_and(|message| message.contains(field)), "{answer:?}");
    }
    for (path, body, headers, status) in [
        ("domains/", "{", [JSON], 400),
        ("domains/", "{}", ["Content-Type: text/plain"], 415),
        ("subscribers/", r#"{"domain": "example.test", "username": "user1"}"#, [JSON], 409),
        ("nothing/", "{}", [JSON], 404),
        ("cdrs/", "{}", [JSON], 405),
    ] {
        assert_eq!(switch.api_request("POST", path, body, &headers).status, status, "{path} {body}");
    }
}

#[test]
fn preferences_are_kept_whole() {
    let stage = Stage::plain(125);
    let switch = &stage.switch;
    let subscriber = &switch.get("subscribers/?username=user1").embedded("subscribers")[0]["id"].clone();
    let place = format!("subscriberpreferences/{subscriber}");
    let put = r#"{"cli": "4319999", "some_future_preference": ["a", "b"], "ringtimeout": 33}"#;
    let kept = switch.api_request("PUT", &place, put, &[JSON, WHOLE]);
    assert_eq!(kept.status, 200, "{kept:?}");
    let patched = switch.api_request("PATCH", &place, r#"[{"op": "remove", "path": "/ringtimeout"}]"#, &[PATCH, WHOLE]);
    assert_eq!(patched.status, 200, "{patched:?}");
    let found = switch.get(&place).body;
    assert_eq!(
        (found["cli"].as_str(), found["some_future_preference"][1].as_str()),
        (Some("4319999"), Some("b")),
        "{found}"
    );
    assert!(found.get("ringtimeout").is_none(), "{found}");
    let known = switch.get("subscriberpreferencedefs/");
    assert_eq!(known.status, 200);
    assert_eq!(known.body["contacts_max"]["data_type"], "int", "those that work are listed: {}", known.text);
    // This one works.
    assert_eq!(switch.api_request("PUT", &place, r#"{"contacts_max": 1}"#, &[JSON]).status, 204);
    stage.register(&stage.phone(1));
    let second = "> REGISTER | Expires: 600\n< 401 auth\n> REGISTER auth | Expires: 600\n< 403";
    stage.sipp(&stage.phone_at(1, 41), second).run().passed();
    let wrong = switch.api_request("PUT", &place, r#"{"contacts_max": "many"}"#, &[JSON]);
    assert_eq!((wrong.status, wrong.body["field"].as_str()), (422, Some("contacts_max")), "{wrong:?}");
}

#[test]
fn a_permanent_registration_is_called() {
    // Who is told an address of his own network by an operator must allow that: a stranger's DNS could name it as well.
    let toml = "[names]\nallow_loopback = true\n";
    let stage = Stage::new(126, Props { toml, ..Props::default() });
    let switch = &stage.switch;
    let subscriber = &switch.get("subscribers/?username=user2").embedded("subscribers")[0]["id"].clone();
    let phone = stage.phone(2);
    let body = format!(r#"{{"subscriber_id": {subscriber}, "contact": "sip:user2@{}", "q": 0.5}}"#, phone.address);
    let made = switch.post("subscriberregistrations/", &body);
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(switch.get(&format!("subscriberregistrations/?subscriber_id={subscriber}")).body["total_count"], 1);
    let callee = stage.sipp(&phone, crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).run().passed();
    callee.end().passed();
    let place = made.header("Location").expect("a Location").trim_start_matches("/api/").to_owned();
    assert_eq!(switch.api_request("DELETE", &place, "", &[]).status, 204);
    assert!(switch.contacts("user2").is_empty());
}

#[test]
fn only_users_of_the_api_are_let_in_and_it_describes_itself() {
    let stage = Stage::plain(127);
    let url = |path: &str| format!("https://{}/api/{path}", stage.switch.api);
    assert_eq!(curl(&url("subscribers/"), &[], "", &[]).status, 401);
    let guess = curl(&url("subscribers/"), &["-u", "admin:guess"], "", &[]);
    assert_eq!(guess.status, 401);
    assert!(guess.header("WWW-Authenticate").is_some_and(|value| value.starts_with("Basic ")));
    let openapi = stage.switch.get("openapi.json");
    assert_eq!((openapi.status, openapi.body["openapi"].as_str()), (200, Some("3.0.3")));
    for resource in [
        "domains",
        "customers",
        "subscribers",
        "subscriberpreferences",
        "domainpreferences",
        "subscriberregistrations",
        "cdrs",
        "bannedips",
    ] {
        assert!(openapi.body["paths"][format!("/{resource}/")]["get"].is_object(), "{resource} is described");
        assert!(
            stage.switch.get("").body["_links"][format!("ngcp:{resource}")]["href"].is_string(),
            "{resource} is listed"
        );
        assert_eq!(stage.switch.get(&format!("{resource}/")).status, 200, "{resource}");
    }
    let plain = Command::new("curl").args(["-s", "-u", "admin:secret", &url("").replace("https", "http")]).output();
    assert!(!plain.expect("curl runs").status.success(), "nothing over plain HTTP");
}

#[test]
fn a_file_applied_twice_changes_nothing_the_second_time() {
    let stage = Stage::plain(128);
    let before = stage.switch.get("subscribers/?rows=50").body["_embedded"].clone();
    stage.switch.provision_in(crate::stage::DOMAIN, &["extra1", "extra2"]);
    stage.switch.provision_in(crate::stage::DOMAIN, &["extra1", "extra2"]);
    let after = stage.switch.get("subscribers/?rows=50");
    assert_eq!(after.body["total_count"], 11);
    let old = before["ngcp:subscribers"].as_array().expect("subscribers");
    assert!(
        old.iter().all(|subscriber| after.embedded("subscribers").contains(subscriber)),
        "the others are as they were"
    );
}
