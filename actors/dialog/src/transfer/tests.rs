use super::*;
use crate::testing::*;

fn dialog() -> Dialog {
    Dialog::uas(&message(INVITE).view(), b"ours").unwrap()
}

#[test]
fn which_dialog_a_replaces_means() {
    let confirmed = || {
        let mut dialog = dialog();
        dialog.confirm();
        dialog
    };
    let ended = || {
        let mut dialog = dialog();
        dialog.terminate();
        dialog
    };
    for (value, dialog, matches) in [
        ("call-1@alice.example;to-tag=ours;from-tag=alice", confirmed(), true),
        ("call-1@alice.example ; From-Tag=alice;x=y;TO-TAG=ours", confirmed(), true),
        ("call-1@alice.example;to-tag=ours;from-tag=alice;early-only", dialog(), true),
        ("call-1@alice.example;to-tag=ours;from-tag=alice;early-only", confirmed(), false),
        ("call-1@alice.example;to-tag=ours;from-tag=alice", ended(), false),
        ("call-1@alice.example;to-tag=alice;from-tag=ours", confirmed(), false),
        ("call-9@alice.example;to-tag=ours;from-tag=alice", confirmed(), false),
        ("call-1@alice.example;to-tag=ours;from-tag=0", confirmed(), false),
    ] {
        assert_eq!(Replaces::parse(value.as_bytes()).unwrap().matches(&dialog), matches, "{value}");
    }
}

#[test]
fn a_null_tag_may_be_written_as_zero() {
    let old = Dialog::uas(&altered(INVITE, &[(";tag=alice", "")]).view(), b"ours").unwrap();
    assert!(Replaces::parse(b"call-1@alice.example;to-tag=ours;from-tag=0").unwrap().matches(&old));
}

#[test]
fn broken_values_mean_nothing() {
    for value in [
        "",
        "call",
        "call;to-tag=a",
        "call;from-tag=a",
        ";to-tag=a;from-tag=b",
        "call;to-tag;from-tag=b",
        "call;to-tag=a;to-tag=c;from-tag=b",
    ] {
        assert_eq!(Replaces::parse(value.as_bytes()), None, "{value}");
    }
    let one = "Max-Forwards: 70\nReplaces: c;to-tag=a;from-tag=b\n";
    assert!(Replaces::of(&altered(INVITE, &[("Max-Forwards: 70\n", one)]).view()).is_some());
    let two = format!("{one}Replaces: d;to-tag=a;from-tag=b\n");
    assert_eq!(Replaces::of(&altered(INVITE, &[("Max-Forwards: 70\n", &two)]).view()), None);
    assert_eq!(Replaces::of(&message(INVITE).view()), None);
}

#[test]
fn the_report_is_one_status_line() {
    assert_eq!(sipfrag(Status::RINGING), b"SIP/2.0 180 Ringing\r\n");
}
