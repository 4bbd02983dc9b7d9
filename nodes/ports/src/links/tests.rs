//! Two nodes on the loopback and a wire between them that can be cut and frozen.

mod attacks;
mod commands;
mod peers;
mod rig;

use std::time::Duration;

use fabric::letters::cluster::Beat;
use fabric::{Address, Envelope, Epoch, GroupId, Instant, Letter, NodeId, Parcel};

use super::roles::{Role, Roles};
use super::*;
use crate::testing::Directory;
use rig::{Authority, Heard, Rig, number, receipt};

#[tokio::test]
async fn parcels_arrive_in_order_both_ways() {
    let mut rig = Rig::new("order", |_| ()).await;
    for place in 0..20_000 {
        assert!(rig.one.send(NodeId(2), &receipt(place)));
        assert!(rig.two.send(NodeId(1), &receipt(place)));
        if place % 1_000 == 999 {
            tokio::task::yield_now().await;
        }
    }
    for place in 0..20_000 {
        assert_eq!(number(&rig.heard_by_two.parcel().await), place);
        assert_eq!(number(&rig.heard_by_one.parcel().await), place);
    }
    let status = &rig.one.peers()[0];
    assert!(status.connected && status.up.is_some() && status.trouble.is_empty(), "{status:?}");
    assert_eq!((status.parcels_in, status.parcels_out), (20_000, 20_000));
    let writes = rig::count(&rig.one, "links_writes");
    assert!(writes < 10_000, "{writes} writes of 20000 parcels: they go in batches");
    rig.until(|rig| rig.one.peers()[0].round_trip.is_some(), "a ping came back").await;
    rig.until(|rig| rig::count(&rig.one, "links_buffered_parcels") == 0, "everything is acknowledged").await;
    assert_eq!(rig::count(&rig.one, "links_buffered_bytes"), 0);
    rig.stop().await;
}

#[tokio::test]
async fn large_and_small_parcels_mix_and_one_that_no_frame_holds_is_refused() {
    let mut rig = Rig::new("large", |_| ()).await;
    let large = |count: usize| Parcel::Receipt(vec![u64::MAX; count]);
    assert!(rig.one.send(NodeId(2), &receipt(1)));
    assert!(rig.one.send(NodeId(2), &large(100_000)), "a parcel of almost 1 MiB");
    assert!(!rig.one.send(NodeId(2), &large(120_000)), "more than a frame");
    assert!(!rig.one.send(NodeId(7), &receipt(1)), "no such peer");
    assert!(rig.one.send(NodeId(2), &receipt(2)));
    assert_eq!(number(&rig.heard_by_two.parcel().await), 1);
    assert_eq!(rig.heard_by_two.parcel().await, large(100_000));
    assert_eq!(number(&rig.heard_by_two.parcel().await), 2);
    assert_eq!(rig::count(&rig.one, "links_oversized"), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_session_outlives_its_connections_without_loss_or_doubles() {
    let mut rig = Rig::new("resume", |settings| settings.resume_ms = 20_000).await;
    let mut next = 0;
    for _ in 0..8 {
        for _ in 0..500 {
            assert!(rig.one.send(NodeId(2), &receipt(next)));
            assert!(rig.two.send(NodeId(1), &receipt(next)));
            next += 1;
        }
        tokio::task::yield_now().await;
        let before = (rig::count(&rig.one, "links_resumes"), rig::count(&rig.two, "links_resumes"));
        rig.wire.cut();
        rig.until(
            |rig| {
                let now = (rig::count(&rig.one, "links_resumes"), rig::count(&rig.two, "links_resumes"));
                now.0 > before.0 && now.1 > before.1
            },
            "resumed",
        )
        .await;
    }
    for place in 0..next {
        assert_eq!(number(&rig.heard_by_two.parcel().await), place);
        assert_eq!(number(&rig.heard_by_one.parcel().await), place);
    }
    assert_eq!(rig::count(&rig.one, "links_sessions"), 1);
    assert_eq!(rig::count(&rig.two, "links_sessions"), 1);
    assert!(rig.heard_by_one.is_silent() && rig.heard_by_two.is_silent(), "no double, no change of the link");
    rig.stop().await;
}

#[tokio::test]
async fn a_session_that_is_not_resumed_in_time_ends_and_a_fresh_one_begins() {
    let mut rig = Rig::new("late", |settings| settings.resume_ms = 100).await;
    assert!(rig.one.send(NodeId(2), &receipt(1)));
    assert_eq!(number(&rig.heard_by_two.parcel().await), 1);
    rig.wire.close();
    assert_eq!(rig.heard_by_one.next().await, Heard::Link(NodeId(2), false));
    assert_eq!(rig.heard_by_two.next().await, Heard::Link(NodeId(1), false));
    assert!(!rig.one.send(NodeId(2), &receipt(2)), "no session");
    assert_eq!(rig.one.peers()[0].up, None);
    assert!(!rig.one.peers()[0].trouble.is_empty());
    rig.wire.open();
    rig.until_up().await;
    assert!(rig.one.send(NodeId(2), &receipt(3)));
    assert_eq!(number(&rig.heard_by_two.parcel().await), 3);
    rig.stop().await;
}

#[tokio::test]
async fn a_frozen_peer_costs_a_window_and_then_its_session() {
    let edit = |settings: &mut Settings| {
        (settings.silence_ms, settings.resume_ms, settings.window_bytes) = (60_000, 60_000, 4 << 20);
    };
    let mut rig = Rig::new("window", edit).await;
    rig.wire.freeze();
    let large = Parcel::Receipt(vec![u64::MAX; 10_000]);
    let mut sent = 0;
    while rig.one.send(NodeId(2), &large) {
        sent += 1;
        let (bytes, _) = (rig::count(&rig.one, "links_buffered_bytes"), ());
        assert!(bytes <= 4 << 20, "{bytes} bytes wait after {sent} parcels");
        assert!(sent < 10_000, "the window has no end");
        tokio::task::yield_now().await;
    }
    assert!(sent >= 30, "{sent} parcels of 100 kB");
    assert_eq!(rig::count(&rig.one, "links_window_resets"), 1);
    assert_eq!(rig::count(&rig.one, "links_buffered_bytes"), 0, "what waited is dropped");
    assert!(!rig.one.send(NodeId(2), &receipt(1)), "the session has ended");
    assert_eq!(rig.heard_by_one.next().await, Heard::Link(NodeId(2), false));
    rig.wire.thaw();
    assert_eq!(rig.heard_by_one.next().await, Heard::Link(NodeId(2), true));
    loop {
        // What was on its way when the session ended may still arrive within that session.
        match rig.heard_by_two.next().await {
            Heard::Parcel(..) => {}
            heard => break assert_eq!(heard, Heard::Link(NodeId(1), false)),
        }
    }
    assert_eq!(rig.heard_by_two.next().await, Heard::Link(NodeId(1), true));
    assert!(rig.one.send(NodeId(2), &receipt(7)));
    assert_eq!(number(&rig.heard_by_two.parcel().await), 7);
    rig.stop().await;
}

#[tokio::test]
async fn a_silent_peer_is_noticed_and_its_session_ends() {
    let edit = |settings: &mut Settings| {
        (settings.ping_ms, settings.silence_ms, settings.resume_ms) = (50, 250, 250);
    };
    let mut rig = Rig::new("silence", edit).await;
    rig.wire.close_and_freeze();
    assert_eq!(rig.heard_by_one.next().await, Heard::Link(NodeId(2), false));
    assert_eq!(rig.heard_by_two.next().await, Heard::Link(NodeId(1), false));
    assert!(rig::count(&rig.one, "links_silences") >= 1);
    rig.wire.thaw();
    rig.wire.open();
    rig.until_up().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_restarted_peer_gets_a_fresh_session() {
    let mut rig = Rig::new("restart", |settings| settings.resume_ms = 60_000).await;
    let identity = Identity { boot: 77, ..rig.two_identity.clone() };
    let settings = Settings { listen: rig.two.address(), ..rig.two_settings.clone() };
    // As after kill -9: nobody says goodbye.
    rig.wire.close_and_freeze();
    rig.two.stop().await;
    assert_eq!(rig.heard_by_two.next().await, Heard::Link(NodeId(1), false));
    let (sink, mut heard) = rig::sink();
    rig.two = start(settings, identity, sink).await.expect("the node starts again");
    rig.wire.cut();
    rig.wire.thaw();
    rig.wire.open();
    assert_eq!(rig.heard_by_one.next().await, Heard::Link(NodeId(2), false));
    assert_eq!(rig.heard_by_one.next().await, Heard::Link(NodeId(2), true));
    assert_eq!(heard.next().await, Heard::Link(NodeId(1), true));
    rig.stop().await;
}

#[tokio::test]
async fn who_stops_says_goodbye_and_has_sent_everything() {
    let mut rig = Rig::new("goodbye", |settings| settings.resume_ms = 60_000).await;
    for place in 0..1_000 {
        assert!(rig.one.send(NodeId(2), &receipt(place)));
    }
    rig.one.stop().await;
    for place in 0..1_000 {
        assert_eq!(number(&rig.heard_by_two.parcel().await), place);
    }
    assert_eq!(rig.heard_by_two.next().await, Heard::Link(NodeId(1), false), "at once, not after the resume time");
    assert!(!rig.one.send(NodeId(2), &receipt(1)));
    rig.two.stop().await;
}

#[tokio::test]
async fn what_a_role_may_not_send_is_dropped_and_the_link_stays() {
    let roles = [Role::Balancer].into_iter().collect();
    let mut rig = Rig::with_roles("roles", roles, |_| ()).await;
    let ack = Parcel::Ack { group: GroupId(1), epoch: Epoch(1), number: 1 };
    let mail = |from, letter| Parcel::Mail { receipt: 0, mail: Box::new(Envelope::new(from, Address::Nobody, letter)) };
    assert!(rig.one.send(NodeId(2), &ack));
    assert!(rig.one.send(NodeId(2), &mail(Address::Director(NodeId(1)), Letter::Raft(Default::default()))));
    assert!(rig.one.send(NodeId(2), &mail(Address::Store(NodeId(1)), Letter::Kept)));
    assert!(rig.one.send(NodeId(2), &receipt(1)));
    assert_eq!(number(&rig.heard_by_two.parcel().await), 1);
    assert_eq!(rig::count(&rig.two, "links_unauthorised"), 3);
    // The other way the same parcel is good: node 2 is a proxy.
    assert!(rig.two.send(NodeId(1), &ack));
    assert_eq!(rig.heard_by_one.parcel().await, ack);
    rig.stop().await;
}

#[tokio::test]
async fn beats_overtake_what_waits() {
    let mut rig = Rig::new("urgent", |_| ()).await;
    let beat = Beat { node: NodeId(1), boot: 1, sent: Instant(1), version: 1, leaving: false, reports: Vec::new() };
    let office = Address::Office(NodeId(1));
    let mail = Envelope::new(office, Address::Director(NodeId(2)), Letter::Beat(Box::new(beat)));
    let beat = Parcel::Mail { receipt: 0, mail: Box::new(mail) };
    // One thread, and no await between: the writer sees all of it at once.
    for place in 0..50_000 {
        assert!(rig.one.send(NodeId(2), &receipt(place)));
    }
    assert!(rig.one.send(NodeId(2), &beat));
    assert_eq!(rig.heard_by_two.parcel().await, beat);
    for place in 0..50_000 {
        assert_eq!(number(&rig.heard_by_two.parcel().await), place);
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let mut rig = Rig::new("renew", |settings| settings.resume_ms = 60_000).await;
    let before = rig.one.certificate_end_s().expect("a certificate");
    rig.authority.issue(&rig.one_identity, 900).replace(&rig.one_settings);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    rig.wire.cut();
    rig.until(|rig| rig::count(&rig.one, "links_resumes") == 1, "resumed").await;
    assert!(rig.one.certificate_end_s().expect("a certificate") > before + 86_400 * 500);
    assert!(rig.one.send(NodeId(2), &receipt(1)));
    assert_eq!(number(&rig.heard_by_two.parcel().await), 1);
    rig.stop().await;
}

#[tokio::test]
async fn wrong_settings_and_files_end_the_start_with_a_reason() {
    let directory = Directory::new("settings");
    let authority = Authority::new();
    let roles: Roles = [Role::Proxy].into_iter().collect();
    let one = rig::identity(1, 1, roles);
    let good = authority.issue(&one, 30).settings(&directory, "one");
    let peer = |node: u16| PeerSettings { node, chassis: 2, address: "127.0.0.1:9".parse().expect("an address") };
    let cases: Vec<(&str, Settings, Identity)> = vec![
        ("is this node", Settings { peers: vec![peer(1)], ..good.clone() }, one.clone()),
        ("twice", Settings { peers: vec![peer(2), peer(2)], ..good.clone() }, one.clone()),
        ("need `listen`", Settings { peers: vec![peer(2)], listen: None, ..good.clone() }, one.clone()),
        ("every network", Settings { listen: "0.0.0.0:0".parse().ok(), ..good.clone() }, one.clone()),
        ("silence_ms", Settings { silence_ms: 200, ..good.clone() }, one.clone()),
        ("window", Settings { window_bytes: 1, ..good.clone() }, one.clone()),
        ("node 1 on chassis 1, but this is node 2", good.clone(), rig::identity(2, 1, roles)),
        ("on chassis 1, but this is node 1 on chassis 9", good.clone(), rig::identity(1, 9, roles)),
        ("made for the roles proxy", good.clone(), rig::identity(1, 1, Roles::all())),
        ("cannot read", Settings { key: "/nowhere".into(), ..good.clone() }, one.clone()),
        ("no private key", Settings { key: good.certificate.clone(), ..good.clone() }, one.clone()),
        ("not a node", Settings { certificate: good.authority.clone(), ..good.clone() }, one.clone()),
    ];
    for (text, settings, identity) in cases {
        let error = start(settings, identity, rig::sink().0).await.err().expect(text).to_string();
        assert!(error.contains(text), "{text}: {error}");
    }
    let alone = start(Settings::default(), one, rig::sink().0).await.expect("a node may be alone");
    assert!(!alone.send(NodeId(2), &receipt(1)));
    alone.stop().await;
}
