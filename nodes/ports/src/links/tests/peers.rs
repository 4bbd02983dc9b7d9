//! Nodes that are added and removed while the others talk.

use fabric::NodeId;

use super::rig::{self, Heard, Rig, number, receipt, until};
use crate::links::roles::Roles;
use crate::links::{PeerSettings, start};
use crate::testing::Directory;

#[tokio::test]
async fn a_node_is_added_and_removed_and_the_others_notice_nothing() {
    let mut rig = Rig::new("peers", |_| ()).await;
    let directory = Directory::new("peers-three");
    let identity = rig::identity(3, 3, Roles::all());
    let mut settings = rig.authority.issue(&identity, 30).settings(&directory, "three");
    let two = PeerSettings { node: 2, chassis: 2, address: rig.two.address().expect("an address") };
    let one = PeerSettings { node: 1, chassis: 1, address: "127.0.0.1:9".parse().expect("an address") };
    // Three does not know one, which dials it in vain until three is told.
    settings.peers = vec![two.clone()];
    let (sink, mut heard_by_three) = rig::sink();
    let three_handle = start(settings, identity, sink).await.expect("node 3 starts");
    let three = PeerSettings { node: 3, chassis: 3, address: three_handle.address().expect("an address") };

    rig.two.follow(vec![one.clone(), three.clone()]).await.expect("two nodes");
    assert_eq!(heard_by_three.next().await, Heard::Link(NodeId(2), true));
    assert_eq!(rig.heard_by_two.next().await, Heard::Link(NodeId(3), true));
    assert!(rig.two.send(NodeId(3), &receipt(1)) && rig.two.send(NodeId(1), &receipt(2)));
    assert_eq!((number(&heard_by_three.parcel().await), number(&rig.heard_by_one.parcel().await)), (1, 2));

    let wire = rig.one_settings.peers[0].clone();
    rig.one.follow(vec![wire.clone(), three.clone()]).await.expect("two nodes");
    until(|| rig::count(&three_handle, "links_refused_identity") > 0, "node 1 is not known yet").await;
    three_handle.follow(vec![one.clone(), two]).await.expect("two nodes");
    assert_eq!(heard_by_three.next().await, Heard::Link(NodeId(1), true));
    assert_eq!(rig.heard_by_one.next().await, Heard::Link(NodeId(3), true));

    // Who says nonsense changes nothing.
    assert!(rig.two.follow(vec![three.clone(), three.clone()]).await.is_err(), "node 3 stands there twice");
    assert!(rig.two.send(NodeId(3), &receipt(3)));
    assert_eq!(number(&heard_by_three.parcel().await), 3);

    rig.two.follow(vec![one]).await.expect("one node");
    assert_eq!(rig.heard_by_two.next().await, Heard::Link(NodeId(3), false));
    assert!(!rig.two.send(NodeId(3), &receipt(4)), "no such peer");
    assert_eq!(heard_by_three.next().await, Heard::Link(NodeId(2), false));
    assert_eq!(rig.two.peers().iter().map(|peer| peer.node).collect::<Vec<_>>(), [NodeId(1)]);
    assert!(rig.one.send(NodeId(2), &receipt(5)) && rig.one.send(NodeId(3), &receipt(6)));
    assert_eq!((number(&rig.heard_by_two.parcel().await), number(&heard_by_three.parcel().await)), (5, 6));
    assert_eq!(rig::count(&rig.one, "links_sessions"), 2, "the session with node 2 is the first one");
    three_handle.stop().await;
    rig.stop().await;
}
