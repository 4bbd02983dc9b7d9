use serde_json::{Value, json};

use super::super::resources::resource;
use super::validate;

fn verdict(name: &str, body: Value) -> Result<Value, String> {
    let resource = resource(name).expect("a resource");
    validate(resource, body).map(Value::Object).map_err(|problem| problem.field.unwrap_or_default())
}

#[test]
fn fields_that_are_wrong_are_named() {
    for (name, body, field) in [
        ("domains", json!([]), ""),
        ("domains", json!({}), "domain"),
        ("domains", json!({"domain": null}), "domain"),
        ("domains", json!({"domain": "a b"}), "domain"),
        ("domains", json!({"domain": "-a.test"}), "domain"),
        ("domains", json!({"domain": "a.test", "reseller_id": 0}), "reseller_id"),
        ("domains", json!({"domain": "a.test", "reseller_id": "x"}), "reseller_id"),
        ("domains", json!({"domain": "a.test", "admin": true}), "admin"),
        ("customers", json!({"status": "gone"}), "status"),
        ("customers", json!({"external_id": "a\nb"}), "external_id"),
        ("subscribers", json!({"domain": "a.test"}), "username"),
        ("subscribers", json!({"username": "a@b"}), "username"),
        ("subscribers", json!({"username": "a", "primary_number": "431"}), "primary_number"),
        ("subscribers", json!({"username": "a", "primary_number": {"cc": "43"}}), "primary_number.sn"),
        ("subscribers", json!({"username": "a", "primary_number": {"cc": "+43", "sn": "1"}}), "primary_number.cc"),
        (
            "subscribers",
            json!({"username": "a", "alias_numbers": [{"cc": "43", "sn": "1"}, {"cc": "43", "sn": "x"}]}),
            "alias_numbers[1].sn",
        ),
        ("subscribers", json!({"username": "a", "lock": 6}), "lock"),
        ("subscriberregistrations", json!({"subscriber_id": 1, "contact": "mailto:a@b"}), "contact"),
        ("subscriberregistrations", json!({"subscriber_id": 1, "contact": "sip:a@b", "q": 1.1}), "q"),
        ("subscriberregistrations", json!({"subscriber_id": 1, "contact": "sip:a@b", "expires": "soon"}), "expires"),
        ("bannedips", json!({"ip": "192.0.2.256"}), "ip"),
        ("subscriberpreferences", json!({"a b": 1}), "a b"),
        ("subscriberpreferences", json!({"list": [[1]]}), "list"),
        ("subscriberpreferences", json!({"object": {}}), "object"),
    ] {
        assert_eq!(verdict(name, body.clone()), Err(field.to_owned()), "{name} {body}");
    }
}

#[test]
fn what_comes_out() {
    let body = json!({"id": 9, "uuid": "x", "username": "a", "domain": "a.test", "lock": "2", "administrative": 1,
                      "primary_number": {"cc": 43, "ac": "1", "sn": "1001"}, "external_id": null, "_links": {"self": {}}});
    let clean = json!({"username": "a", "domain": "a.test", "lock": 2, "administrative": true,
                       "primary_number": {"cc": "43", "ac": "1", "sn": "1001"}});
    assert_eq!(verdict("subscribers", body), Ok(clean));
    let body = json!({"id": 1, "subscriber_id": 1, "cli": "4311001", "block_in_list": ["1", "2"], "empty": null});
    assert_eq!(verdict("subscriberpreferences", body), Ok(json!({"cli": "4311001", "block_in_list": ["1", "2"]})));
    assert_eq!(verdict("domains", json!({"domain": "[2001:db8::1]"})), Ok(json!({"domain": "[2001:db8::1]"})));
}
