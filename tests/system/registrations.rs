//! REGISTER: RFC 3261 10 and its enemies.

use crate::stage::{Props, Stage};

pub const REGISTER: &str = "
    > REGISTER | Expires: 600
    < 401 auth
    > REGISTER auth | Expires: 600
    < 200 | ~ [Cc]ontact:.*expires=";

#[test]
fn a_phone_registers_refreshes_and_unregisters() {
    let stage = Stage::plain(11);
    let phone = stage.phone(1);
    let played = stage
        .sipp(
            &phone,
            "> REGISTER | Expires: 600
             < 401 auth | ~ Digest.*nonce
             > REGISTER auth | Expires: 600
             < 200 | ~ expires=(600|599)
             wait 200
             > REGISTER auth | Expires: 300
             < 200 | ~ expires=(300|299)",
        )
        .run()
        .passed();
    assert_eq!(played.count("200 REGISTER"), 2);
    assert_eq!(stage.switch.contacts("user1").len(), 1);
    stage
        .sipp(
            &phone,
            "> REGISTER | Expires: 0
                        < 401 auth
                        > REGISTER auth | Expires: 0
                        < 200",
        )
        .run()
        .passed();
    assert!(stage.switch.contacts("user1").is_empty(), "an unregistered contact is gone");
}

#[test]
fn star_removes_every_contact() {
    let stage = Stage::plain(12);
    stage.register(&stage.phone(1));
    stage.register(&stage.phone_at(1, 41));
    assert_eq!(stage.switch.contacts("user1").len(), 2);
    stage
        .sipp(
            &stage.phone(1),
            "> REGISTER star | Expires: 0
                                 < 401 auth
                                 > REGISTER auth star | Expires: 0
                                 < 200",
        )
        .run()
        .passed();
    assert!(stage.switch.contacts("user1").is_empty());
}

const REFUSED: &str = "
    > REGISTER | Expires: 600
    < 401 auth
    > REGISTER auth | Expires: 600
    < 401";

#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let stage = Stage::plain(13);
    let mut wrong = stage.phone(1);
    wrong.password = "guess".to_owned();
    let mut unknown = stage.phone(2);
    unknown.user = "nobody".to_owned();
    let wrong = stage.sipp(&wrong, REFUSED).run().passed();
    let unknown = stage.sipp(&unknown, REFUSED).run().passed();
    assert_eq!(wrong.received(), unknown.received());
    let names = |played: &crate::sipp::Played| {
        let text = &played.messages.last().expect("an answer").text;
        text.lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&wrong), names(&unknown), "same header fields in the same order");
    assert!(stage.switch.contacts("user1").is_empty());
}

#[test]
fn five_contacts_and_the_sixth() {
    let stage = Stage::plain(14);
    for host in 31..=35 {
        stage.register(&stage.phone_at(1, host));
    }
    assert_eq!(stage.switch.contacts("user1").len(), 5);
    stage
        .sipp(
            &stage.phone_at(1, 36),
            "> REGISTER | Expires: 600
                                        < 401 auth
                                        > REGISTER auth | Expires: 600
                                        < 403",
        )
        .run()
        .passed();
    assert_eq!(stage.switch.contacts("user1").len(), 5, "nobody was pushed out");
}

#[test]
fn a_phone_behind_a_nat_registers_and_is_called() {
    let stage = Stage::plain(15);
    let phone = stage.phone(2);
    let played = stage
        .sipp(
            &phone,
            "> REGISTER via=192.168.7.7:5060 contact=192.168.7.7:5060 | Expires: 600
             < 401 auth
             > REGISTER auth via=192.168.7.7:5060 contact=192.168.7.7:5060 | Expires: 600
             < 200 | ~ 192.168.7.7",
        )
        .run()
        .passed();
    let via = played.first("200 REGISTER").header("Via").expect("a Via").to_owned();
    assert!(via.contains(&format!("received={}", phone.address.ip())), "RFC 3581: {via}");
    assert!(via.contains("rport=5060"), "RFC 3581: {via}");
    let callee = stage.sipp(&phone, crate::calls::ANSWERS_AND_IS_HUNG_UP).start();
    stage.sipp(&stage.phone(1), crate::calls::CALLS_AND_HANGS_UP).run().passed();
    let callee = callee.end().passed();
    let invite = callee.first("INVITE");
    assert!(invite.text.starts_with("INVITE sip:user2@192.168.7.7:5060"), "the Contact as registered: {}", invite.text);
}

#[test]
fn a_foreign_domain_gets_no_registration() {
    let stage = Stage::plain(16);
    let ladder = "> REGISTER | Expires: 600\n< 401 auth\n> REGISTER auth | Expires: 600\n< 403";
    let refused = stage.sipp(&stage.phone(1), ladder).of("elsewhere.invalid").run().passed();
    // S13: no product and no version in an answer to strangers.
    let told = |gist: &str| refused.first(gist).text.to_lowercase();
    assert!(!told("401 REGISTER").contains("tandem") && !told("403 REGISTER").contains("tandem"));
    assert_eq!(stage.switch.ctl(&["status"])["registrations"], 0);
}

#[test]
fn the_hole_in_a_nat_is_kept_open() {
    let stage = Stage::new(17, Props { toml: "[registration]\nnat_keepalive_s = 1\n", ..Props::default() });
    let phone = stage.phone(2);
    let behind = "via=192.168.7.7:5060 contact=192.168.7.7:5060 | Expires: 600";
    stage.sipp(&phone, &format!("> REGISTER {behind}\n< 401 auth\n> REGISTER auth {behind}\n< 200")).run().passed();
    let asked = "< OPTIONS | ~ ^OPTIONS sip:user2@192.168.7.7\n> 200 OPTIONS\n";
    let kept = stage.sipp(&phone, &asked.repeat(2)).run().passed();
    assert_eq!(kept.count("OPTIONS"), 2, "one a second, to where the packets came from");
    // A phone that is not behind a NAT is left alone.
    stage.register(&stage.phone(3));
    let left = stage.sipp(&stage.phone(3), "< OPTIONS").within(3).run();
    assert_eq!(left.received(), Vec::<String>::new());
}
