//! Several contacts of one subscriber.

use crate::stage::{Props, Stage};

#[test]
fn two_contacts_ring_one_wins_and_the_other_is_cancelled() {
    let stage = Stage::plain(41);
    let (desk, mobile) = (stage.phone(2), stage.phone_at(2, 52));
    stage.register(&desk);
    stage.register(&mobile);
    let desk = stage.sipp(&desk, "< INVITE\n> 180\n< CANCEL\n> 200 CANCEL\n> 487 INVITE\n< ACK").start();
    let mobile = stage.sipp(&mobile, "< INVITE\n> 180\nwait 400\n> 200 sdp\n< ACK\n< BYE\n> 200").start();
    let caller = stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp
             < 407 auth
             > ACK
             > INVITE sdp auth
             < 100
             < 180
             < 180?
             < 200
             > ACK
             wait 200
             > BYE
             < 200",
        )
        .run()
        .passed();
    let (desk, mobile) = (desk.end().passed(), mobile.end().passed());
    assert_eq!((desk.count("INVITE"), mobile.count("INVITE")), (1, 1), "nobody rings twice");
    assert_eq!(caller.count("200 INVITE"), 1);
    assert_eq!(stage.wait_for_cdrs(1).len(), 1, "one record an answered call");
}

#[test]
fn the_better_of_two_refusals_is_told() {
    let stage = Stage::plain(42);
    let (desk, mobile) = (stage.phone(2), stage.phone_at(2, 52));
    stage.register(&desk);
    stage.register(&mobile);
    let desk = stage.sipp(&desk, "< INVITE\n> 486\n< ACK").start();
    let mobile = stage.sipp(&mobile, "< INVITE\n> 180\nwait 200\n> 486\n< ACK").start();
    stage
        .sipp(&stage.phone(1), "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 180?\n< 486\n> ACK")
        .run()
        .passed();
    desk.end().passed();
    mobile.end().passed();
}

#[test]
fn a_decline_everywhere_stops_the_other_phone() {
    let stage = Stage::plain(43);
    let (desk, mobile) = (stage.phone(2), stage.phone_at(2, 52));
    stage.register(&desk);
    stage.register(&mobile);
    let desk = stage.sipp(&desk, "< INVITE\n> 180\n< CANCEL\n> 200 CANCEL\n> 487 INVITE\n< ACK").start();
    let mobile = stage.sipp(&mobile, "< INVITE\n> 180\nwait 300\n> 603\n< ACK").start();
    stage
        .sipp(&stage.phone(1), "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 180\n< 180?\n< 603\n> ACK")
        .run()
        .passed();
    desk.end().passed();
    mobile.end().passed();
}

#[test]
fn contacts_are_tried_in_the_order_of_their_preference() {
    let toml = "[call]\nwithout_relay = \"unanchored\"\nring_max_s = 2\n";
    let stage = Stage::new(44, Props { toml, ..Props::default() });
    let (desk, mobile, cellar) = (stage.phone(2), stage.phone_at(2, 52), stage.phone_at(2, 53));
    for (phone, q) in [(&cellar, "0.1"), (&desk, "1.0"), (&mobile, "0.5")] {
        let ladder =
            format!("> REGISTER q={q} | Expires: 600\n< 401 auth\n> REGISTER auth q={q} | Expires: 600\n< 200");
        stage.sipp(phone, &ladder).run().passed();
    }
    // The first is busy, the second does not answer in time, the third does.
    let desk = stage.sipp(&desk, "< INVITE\n> 486\n< ACK").start();
    let mobile = stage.sipp(&mobile, "< INVITE\n> 180\n< CANCEL\n> 200 CANCEL\n> 487 INVITE\n< ACK").start();
    let cellar = stage.sipp(&cellar, "< INVITE\n> 180\n> 200 sdp\n< ACK\n< BYE\n> 200").start();
    let caller = stage
        .sipp(
            &stage.phone(1),
            "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 180\n< 180?\n< 200\n> ACK\nwait 200\n> BYE\n< 200",
        )
        .run()
        .passed();
    let (desk, mobile, cellar) = (desk.end().passed(), mobile.end().passed(), cellar.end().passed());
    assert_eq!((desk.count("INVITE"), mobile.count("INVITE"), cellar.count("INVITE")), (1, 1, 1));
    assert_eq!(caller.count("200 INVITE"), 1);
    assert_eq!(stage.wait_for_cdrs(1).len(), 1);
}
