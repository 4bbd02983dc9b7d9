//! Call records: JSON lines, CSV and REST say the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::stage::Stage;

#[test]
fn a_record_says_who_called_whom_when_and_how_it_ended() {
    let stage = Stage::with_relay(131);
    let phone = stage.phone(2);
    stage.register(&phone);
    let callee = stage.sipp(&phone, crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    let caller = stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).calls("4311002").run().passed();
    let callee = callee.end().passed();
    let busy = stage.sipp(&phone, "< INVITE\n> 180\n> 486\n< ACK").start();
    stage
        .sipp(&stage.phone(1), "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 180?\n< 486\n> ACK")
        .run()
        .passed();
    busy.end().passed();
    let cdrs = stage.wait_for_cdrs(2);
    let cdr = &cdrs[0];
    let call_id =
        |played: &crate::sipp::Played, gist: &str| played.first(gist).header("Call-ID").unwrap_or("").to_owned();
    for (name, wanted) in [
        ("call_id", call_id(&caller, "200 INVITE")),
        ("callee_call_id", call_id(&callee, "INVITE")),
        ("source_user", "user1".to_owned()),
        ("source_domain", "example.test".to_owned()),
        ("source_cli", "4311001".to_owned()),
        ("source_ip", stage.ip(21).to_string()),
        ("destination_user", "user2".to_owned()),
        ("destination_domain", "example.test".to_owned()),
        ("destination_user_dialed", "4311002".to_owned()),
        ("destination_uri_dialed", "sip:4311002@example.test".to_owned()),
        ("destination_uri_routed", format!("sip:user2@{};transport=UDP", phone.address)),
        ("call_type", "call".to_owned()),
        ("call_status", "ok".to_owned()),
        ("stop_cause", "caller".to_owned()),
        ("media_relay", "media1".to_owned()),
    ] {
        assert_eq!(cdr[name], wanted.as_str(), "{name} of {cdr:#}");
    }
    assert!(
        ["source_user_id", "destination_user_id", "source_customer_id", "destination_customer_id"]
            .iter()
            .all(|name| cdr[*name].as_u64() > Some(0)),
        "{cdr:#}"
    );
    let (init, ring, start, end) =
        (moment(cdr, "init_time"), moment(cdr, "ring_time"), moment(cdr, "start_time"), moment(cdr, "end_time"));
    assert!(init <= ring && ring < start && start < end, "{cdr:#}");
    assert!(cdr["duration_ms"].as_u64().is_some_and(|ms| (280..2_000).contains(&ms)), "{cdr:#}");
    assert!(cdr["setup_ms"].as_u64().is_some_and(|ms| (90..2_000).contains(&ms)), "{cdr:#}");
    let failed = &cdrs[1];
    assert_eq!(
        (failed["call_status"].as_str(), failed["call_code"].as_u64(), failed["duration_ms"].as_u64()),
        (Some("busy"), Some(486), Some(0))
    );
    assert_eq!(failed["start_time"], "");
    assert_ne!(cdr["id"], failed["id"]);

    same_in_csv(&stage, &cdrs);
    same_over_rest(&stage, &cdrs);
}

/// A moment's text; RFC 3339 in UTC sorts as time does.
fn moment<'a>(cdr: &'a serde_json::Value, name: &str) -> &'a str {
    let text = cdr[name].as_str().expect("a moment");
    assert!(text.len() == 24 && text.ends_with('Z'), "{name}: {text}");
    text
}

fn same_in_csv(stage: &Stage, cdrs: &[serde_json::Value]) {
    let files: Vec<PathBuf> =
        std::fs::read_dir(stage.file("data/cdr")).expect("records").flatten().map(|entry| entry.path()).collect();
    let csv = files.iter().find(|path| path.extension().is_some_and(|ending| ending == "csv")).expect("a CSV file");
    let text = std::fs::read_to_string(csv).expect("text");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a line of names").split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').map(|cell| cell.trim_matches('"')).collect()).collect();
    assert_eq!(rows.len(), cdrs.len());
    for (row, cdr) in rows.iter().zip(cdrs) {
        let row: BTreeMap<_, _> = names.iter().zip(row).collect();
        for (name, value) in cdr.as_object().expect("an object") {
            let wanted = value
                .as_str()
                .map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned);
            assert_eq!(row.get(&name.as_str()).map(|cell| **cell), Some(wanted.as_str()), "{name}");
        }
    }
}

fn same_over_rest(stage: &Stage, cdrs: &[serde_json::Value]) {
    let all = stage.switch.get("cdrs/");
    assert_eq!((all.status, all.body["total_count"].as_u64()), (200, Some(2)), "{all:?}");
    let one = stage.switch.get(&format!("cdrs/?call_id={}", cdrs[0]["call_id"].as_str().unwrap_or("")));
    let one = &one.embedded("cdrs")[0];
    assert_eq!(one["record_id"], cdrs[0]["id"]);
    for name in ["duration_ms", "call_status", "source_cli", "start_time", "destination_uri_routed"] {
        assert_eq!(one[name], cdrs[0][name], "{name}");
    }
    assert_eq!(stage.switch.get("cdrs/?call_status=busy").body["total_count"], 1);
    let id = one["id"].as_u64().expect("a number");
    assert_eq!(stage.switch.get(&format!("cdrs/{id}")).body["record_id"], cdrs[0]["id"]);
}
