use super::*;
use crate::record::Record;
use fabric::Instant;

/// One row: what is there, what is demanded, what is then there (`contact cseq`) or the status.
struct Row {
    what: &'static str,
    before: Vec<Binding>,
    bind: Bind,
    after: Result<&'static [&'static str], u16>,
}

fn row(what: &'static str, before: Vec<Binding>, bind: Bind, after: Result<&'static [&'static str], u16>) -> Row {
    Row { what, before, bind, after }
}

#[test]
fn rfc_3261_10_3() {
    let (a, b) = (binding("sip:a@h1", "x", 5), binding("sip:b@h2", "y", 7));
    let permanent = Binding { expires_ms: u64::MAX, ..binding("sip:desk@h9", "api", 0) };
    let rows = [
        row("fetch changes nothing", vec![a.clone()], demand("z", 1, BindChange::Fetch), Ok(&["sip:a@h1 5"])),
        row("a first contact", vec![], add("x", 1, &["sip:a@h1"]), Ok(&["sip:a@h1 1"])),
        row("a second contact", vec![a.clone()], add("z", 1, &["sip:c@h3"]), Ok(&["sip:a@h1 5", "sip:c@h3 1"])),
        row("refresh, higher CSeq", vec![a.clone()], add("x", 6, &["sip:a@h1"]), Ok(&["sip:a@h1 6"])),
        row("the same demand again", vec![a.clone()], add("x", 5, &["sip:a@h1"]), Ok(&["sip:a@h1 5"])),
        row("refresh, same CSeq", vec![a.clone()], bind("x", 5, vec![Binding { q: 1, ..a.clone() }]), Err(500)),
        row("refresh, lower CSeq", vec![a.clone()], add("x", 4, &["sip:a@h1"]), Err(500)),
        row("another Call-ID may have any CSeq", vec![a.clone()], add("z", 1, &["sip:a@h1"]), Ok(&["sip:a@h1 1"])),
        row("equal by 19.1.4", vec![a.clone()], add("x", 6, &["sip:a@H1;foo=1"]), Ok(&["sip:a@H1;foo=1 6"])),
        row(
            "not equal by port",
            vec![a.clone()],
            add("x", 6, &["sip:a@h1:5061"]),
            Ok(&["sip:a@h1 5", "sip:a@h1:5061 6"]),
        ),
        row("one late contact fails all", vec![a.clone(), b.clone()], add("y", 7, &["sip:c@h3", "sip:b@h2"]), Err(500)),
        row("the same contact twice counts once", vec![], add("x", 1, &["sip:a@h1", "sip:a@h1"]), Ok(&["sip:a@h1 1"])),
        row("removal", vec![a.clone(), b.clone()], remove("x", 6, &["sip:a@h1"]), Ok(&["sip:b@h2 7"])),
        row("late removal", vec![a.clone()], remove("x", 5, &["sip:a@h1"]), Err(500)),
        row("removal of nothing", vec![a.clone()], remove("z", 1, &["sip:q@h1"]), Ok(&["sip:a@h1 5"])),
        row("add one, remove one", vec![a.clone()], both("x", 6, "sip:c@h3", "sip:a@h1"), Ok(&["sip:c@h3 6"])),
        row("star", vec![a.clone(), b.clone()], demand("z", 1, BindChange::RemoveAll), Ok(&[])),
        row("star, own Call-ID, higher", vec![a.clone()], demand("x", 6, BindChange::RemoveAll), Ok(&[])),
        row(
            "star, own Call-ID, not higher",
            vec![a.clone(), b.clone()],
            demand("x", 5, BindChange::RemoveAll),
            Err(500),
        ),
        row("star on nothing", vec![], demand("x", 5, BindChange::RemoveAll), Ok(&[])),
        row(
            "star leaves permanent",
            vec![a.clone(), permanent.clone()],
            demand("x", 6, BindChange::RemoveAll),
            Ok(&["sip:desk@h9 0"]),
        ),
        row("refresh leaves permanent", vec![permanent.clone()], add("x", 6, &["sip:desk@h9"]), Ok(&["sip:desk@h9 0"])),
        row(
            "removal leaves permanent",
            vec![permanent.clone()],
            remove("x", 6, &["sip:desk@h9"]),
            Ok(&["sip:desk@h9 0"]),
        ),
        row(
            "operator adds permanent",
            vec![a.clone()],
            bind("api", 0, vec![permanent.clone()]),
            Ok(&["sip:a@h1 5", "sip:desk@h9 0"]),
        ),
        row(
            "operator makes permanent",
            vec![a.clone()],
            bind("x", 0, vec![Binding { expires_ms: u64::MAX, ..binding("sip:a@h1", "x", 0) }]),
            Ok(&["sip:a@h1 0"]),
        ),
        row(
            "operator removes permanent",
            vec![a.clone(), permanent],
            demand("", 0, BindChange::Remove("sip:desk@h9".into())),
            Ok(&["sip:a@h1 5"]),
        ),
        row(
            "operator removes whatever the CSeq",
            vec![a.clone()],
            demand("x", 0, BindChange::Remove("sip:a@h1".into())),
            Ok(&[]),
        ),
        row(
            "expired ones are not there",
            vec![Binding { expires_ms: START_MS, ..a.clone() }],
            add("x", 5, &["sip:a@h1"]),
            Ok(&["sip:a@h1 5"]),
        ),
    ];
    for row in rows {
        assert_eq!(run(&row.before, &row.bind, &rules()), row.after.map(texts).map_err(Status), "{}", row.what);
    }
}

#[test]
fn rfc_5626_flows() {
    let flow = |contact, reg_id, cseq| Binding {
        instance: Some("<urn:uuid:1>".into()),
        reg_id,
        ..binding(contact, "x", cseq)
    };
    let one = || flow("sip:a@h1", 1, 5);
    let plain = || binding("sip:a@h1", "x", 5);
    let other = || Binding { instance: Some("<urn:uuid:2>".into()), ..flow("sip:a@h1", 1, 6) };
    let rows = [
        row(
            "the same flow from elsewhere",
            vec![one()],
            bind("x", 6, vec![flow("sip:a@h2:7", 1, 6)]),
            Ok(&["sip:a@h2:7 6"]),
        ),
        row(
            "the same flow after a reboot",
            vec![one()],
            bind("z", 1, vec![Binding { call_id: "z".into(), ..flow("sip:a@h2", 1, 1) }]),
            Ok(&["sip:a@h2 1"]),
        ),
        row("the same flow, late", vec![one()], bind("x", 5, vec![flow("sip:a@h2", 1, 5)]), Err(500)),
        row(
            "a second flow",
            vec![one()],
            bind("x", 6, vec![flow("sip:a@h1", 2, 6)]),
            Ok(&["sip:a@h1 5", "sip:a@h1 6"]),
        ),
        row("another instance", vec![one()], bind("x", 6, vec![other()]), Ok(&["sip:a@h1 5", "sip:a@h1 6"])),
        row(
            "a contact without a flow beside one with",
            vec![one()],
            bind("x", 6, vec![Binding { cseq: 6, ..plain() }]),
            Ok(&["sip:a@h1 5", "sip:a@h1 6"]),
        ),
        row(
            "an instance without reg-id goes by contact",
            vec![plain()],
            bind("x", 6, vec![flow("sip:a@h1", 0, 6)]),
            Ok(&["sip:a@h1 6"]),
        ),
    ];
    for row in rows {
        assert_eq!(run(&row.before, &row.bind, &rules()), row.after.map(texts).map_err(Status), "{}", row.what);
    }
}

#[test]
fn too_many_contacts() {
    let five: Vec<Binding> = (1..=5)
        .map(|n| Binding { expires_ms: START_MS + 10_000 * n, ..binding(&format!("sip:c{n}@h"), &format!("{n}"), 1) })
        .collect();
    let permanent = Binding { expires_ms: u64::MAX, ..binding("sip:desk@h9", "api", 0) };
    let with_permanent: Vec<Binding> = five.iter().cloned().chain([permanent]).collect();
    let evicting = Rules { evict_oldest: true, ..rules() };
    let sixth = || add("z", 1, &["sip:c6@h"]);
    let four = Ok(&["sip:c2@h 1", "sip:c3@h 1", "sip:c4@h 1", "sip:c5@h 1", "sip:c6@h 1"][..]);
    let own = Bind { contacts_max: 6, ..sixth() };
    let smaller = Bind { contacts_max: 2, ..add("z", 1, &["sip:c1@h"]) };
    let kept = Ok(&["sip:c2@h 1", "sip:c3@h 1", "sip:c4@h 1", "sip:c5@h 1", "sip:desk@h9 0", "sip:c6@h 1"][..]);
    let all = Ok(&["sip:c1@h 1", "sip:c2@h 1", "sip:c3@h 1", "sip:c4@h 1", "sip:c5@h 1", "sip:c6@h 1"][..]);
    let names = ["sip:n1@h", "sip:n2@h", "sip:n3@h", "sip:n4@h", "sip:n5@h", "sip:n6@h"];
    for (what, before, bind, rules, after) in [
        ("the sixth is refused", &five, sixth(), rules(), Err(403)),
        ("the sixth evicts the one that ends first", &five, sixth(), evicting, four),
        ("permanent ones neither count nor give way", &with_permanent, sixth(), evicting, kept),
        ("the subscriber's own limit", &five, own, rules(), all),
        ("a refresh above a limit that was lowered", &five, smaller, rules(), Err(403)),
        ("six at once never fit", &five, add("z", 1, &names), evicting, Err(403)),
        (
            "a removal above the limit",
            &five,
            Bind { contacts_max: 2, ..remove("1", 2, &["sip:c1@h"]) },
            rules(),
            Ok(&["sip:c2@h 1", "sip:c3@h 1", "sip:c4@h 1", "sip:c5@h 1"][..]),
        ),
        ("no contact at all may be had", &Vec::new(), sixth(), Rules { contacts_max: 0, ..rules() }, Err(403)),
    ] {
        assert_eq!(run(before, &bind, &rules), after.map(texts).map_err(Status), "{what}");
    }
}

#[test]
fn what_is_removed_stays_removed() {
    let a = binding("sip:a@h1", "x", 5);
    for (what, removal) in [
        ("removal", remove("x", 6, &["sip:a@h1"])),
        ("star", demand("x", 6, BindChange::RemoveAll)),
        ("star of another Call-ID", demand("z", 1, BindChange::RemoveAll)),
        ("replaced by another Call-ID", add("z", 1, &["sip:a@h1"])),
        ("operator", demand("", 0, BindChange::Remove("sip:a@h1".into()))),
    ] {
        let entries = vec![Entry::of(&a, start()).expect("unexpired")];
        let mut contents = Contents { entries, tombstones: Vec::new() };
        assert_eq!(apply(&mut contents, &removal, &rules()), Ok(Effect::Bindings), "{what}");
        let record = Record::pack("a@d", &contents);
        let late = add("x", 5, &["sip:a@h1"]);
        let newer = add("x", 7, &["sip:a@h1"]);
        let unrelated = add("q", 1, &["sip:q@h1"]);
        let refused = apply(&mut record.contents(), &late, &rules()).expect_err(what);
        assert_eq!(refused.status, Status::SERVER_INTERNAL_ERROR, "{what}");
        assert_eq!(apply(&mut record.contents(), &newer, &rules()), Ok(Effect::Bindings), "{what}: a newer one may");
        assert_eq!(apply(&mut record.contents(), &unrelated, &rules()), Ok(Effect::Bindings), "{what}: others may");
        let forgotten = Rules { now: start().after(std::time::Duration::from_secs(65)), ..rules() };
        assert_eq!(
            apply(&mut record.contents(), &late, &forgotten),
            Ok(Effect::Bindings),
            "{what}: after the tombstone's end"
        );
    }
}

#[test]
fn a_removal_that_overtakes_its_registration_wins() {
    for removal in [remove("x", 6, &["sip:a@h1"]), demand("x", 6, BindChange::RemoveAll)] {
        let mut contents = Contents::default();
        assert_eq!(apply(&mut contents, &removal, &rules()), Ok(Effect::Tombstones));
        let overtaken = add("x", 5, &["sip:a@h1"]);
        let refused = apply(&mut contents, &overtaken, &rules()).expect_err("it is over");
        assert_eq!(refused.status, Status::SERVER_INTERNAL_ERROR);
    }
    let fetch = demand("x", 6, BindChange::Fetch);
    assert_eq!(apply(&mut Contents::default(), &fetch, &rules()), Ok(Effect::Nothing));
}

#[test]
fn tombstones_have_a_limit() {
    let mut contents = Contents::default();
    let demands: Vec<_> = (0..40u32)
        .flat_map(|n| [add(&format!("c{n}"), 1, &["sip:a@h1"]), remove(&format!("c{n}"), 2, &["sip:a@h1"])])
        .collect();
    for demand in &demands {
        assert_eq!(apply(&mut contents, demand, &rules()), Ok(Effect::Bindings));
    }
    assert_eq!(contents.tombstones.len(), TOMBSTONES_MAX);
}

const START_MS: u64 = 1_700_000_000_000;

fn start() -> Now {
    Now { instant: Instant(1_000_000), unix_ms: START_MS }
}

fn rules() -> Rules {
    Rules { now: start(), contacts_max: 5, evict_oldest: false, tombstone_ms: 64_000, secret: [7; 16] }
}

fn run(before: &[Binding], bind: &Bind, rules: &Rules) -> Result<Vec<String>, Status> {
    let earlier = Now { instant: Instant(0), unix_ms: START_MS - 1_000 };
    let entries = before.iter().filter_map(|binding| Entry::of(binding, earlier)).collect();
    let mut contents = Contents { entries, tombstones: Vec::new() };
    apply(&mut contents, bind, rules).map_err(|reject| reject.status)?;
    Ok(contents.entries.iter().map(|entry| format!("{} {}", entry.contact, entry.cseq)).collect())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn binding(contact: &str, call_id: &str, cseq: u32) -> Binding {
    Binding {
        contact: contact.into(),
        path: "".into(),
        call_id: call_id.into(),
        cseq,
        q: 1_000,
        expires_ms: START_MS + 3_600_000,
        instance: None,
        reg_id: 0,
        user_agent: None,
        received: None,
        nat: false,
    }
}

fn demand(call_id: &str, cseq: u32, change: BindChange) -> Bind {
    Bind { aor: "a@d".into(), call_id: call_id.into(), cseq, change, contacts_max: 0 }
}

fn bind(call_id: &str, cseq: u32, contacts: Vec<Binding>) -> Bind {
    demand(call_id, cseq, BindChange::Contacts(contacts))
}

fn add(call_id: &str, cseq: u32, contacts: &[&str]) -> Bind {
    bind(call_id, cseq, contacts.iter().map(|contact| binding(contact, call_id, cseq)).collect())
}

fn remove(call_id: &str, cseq: u32, contacts: &[&str]) -> Bind {
    let gone = |contact: &&str| Binding { expires_ms: START_MS, ..binding(contact, call_id, cseq) };
    bind(call_id, cseq, contacts.iter().map(gone).collect())
}

fn both(call_id: &str, cseq: u32, added: &str, removed: &str) -> Bind {
    let gone = Binding { expires_ms: START_MS, ..binding(removed, call_id, cseq) };
    bind(call_id, cseq, vec![binding(added, call_id, cseq), gone])
}
