use serde_json::{Value, json};

use super::{Wanted, differs, merged};

#[test]
fn what_differs() {
    let present = json!({"id": 3, "username": "alice", "status": "active", "primary_number": {"cc": "43", "ac": "", "sn": "1001"}});
    for (wanted, expected) in [
        (json!({"username": "alice"}), false),
        (json!({"primary_number": {"cc": 43, "sn": "1001"}}), false),
        (json!({"primary_number": {"cc": 43, "ac": "1", "sn": "1001"}}), true),
        (json!({"status": "locked"}), true),
        (json!({"password": "secret"}), true),
    ] {
        let fields = wanted.as_object().cloned().unwrap_or_default();
        assert_eq!(differs(&present, &fields), expected, "{wanted}");
    }
}

#[test]
fn wanted_fields_lie_over_present_ones() {
    let present = json!({"id": 3, "domain": "a.test", "reseller_id": 1, "_links": {}});
    let wanted = json!({"reseller_id": 2}).as_object().cloned().unwrap_or_default();
    assert_eq!(merged(&present, wanted), json!({"id": 3, "domain": "a.test", "reseller_id": 2}));
}

#[test]
fn the_file() {
    let wanted: Wanted = serde_yaml_ng::from_str("domains: [{domain: a.test}]\nsubscribers:\n  - {username: alice, domain: a.test, primary_number: {cc: 43, ac: 1, sn: \"1001\"}}\n").expect("YAML");
    assert_eq!(wanted.domains.len(), 1);
    assert_eq!(wanted.subscribers[0]["primary_number"]["cc"], Value::from(43));
    assert!(serde_yaml_ng::from_str::<Wanted>("trunks: []").is_err(), "an unknown section is refused");
}
