use fabric::ownership::Member;

use super::*;

#[test]
fn who_is_not_heard_for_a_while_is_named() {
    let table = table(&[(1, 7), (2, 7), (3, 7)]);
    let mut ears = Ears::default();
    let mut hear = |ms, coming: &[u16]| {
        let coming: Vec<NodeId> = coming.iter().copied().map(NodeId).collect();
        ears.listen(NodeId(1), &table, DEAF, at(ms), |node| coming.contains(&node))
    };
    for ms in (0..3_200).step_by(50) {
        assert_eq!(hear(ms, &[2]), [], "node 3 may not have a link yet");
    }
    assert_eq!(hear(3_200, &[2]), []);
    assert_eq!(hear(3_250, &[2]), [NodeId(3)], "it had time enough");
    assert_eq!(hear(3_300, &[3]), []);
    for ms in (3_350..3_500).step_by(50) {
        assert_eq!(hear(ms, &[3]), []);
    }
    assert_eq!(hear(3_500, &[3]), [NodeId(2)], "250 ms after it was heard last");
    assert_eq!(hear(3_550, &[2, 3]), []);
}

#[test]
fn a_node_that_slept_blames_nobody_and_a_new_process_has_time() {
    let mut ears = Ears::default();
    let mut hear =
        |ms, boot, coming: bool| ears.listen(NodeId(1), &table(&[(1, 7), (2, boot)]), DEAF, at(ms), |_| coming);
    hear(0, 7, true);
    assert_eq!(hear(1_000, 7, false), [], "asleep for a second");
    for ms in (1_050..1_250).step_by(50) {
        assert_eq!(hear(ms, 7, false), []);
    }
    assert_eq!(hear(1_250, 7, false), [NodeId(2)]);
    for ms in (1_300..4_500).step_by(50) {
        assert_eq!(hear(ms, 8, false), [], "a new process, links may take a while");
    }
    assert_eq!(hear(4_550, 8, false), [NodeId(2)]);
}

fn table(members: &[(u16, u64)]) -> Table {
    let member = |(node, boot): &(u16, u64)| Member { node: NodeId(*node), chassis: *node, up: true, boot: *boot };
    Table { members: members.iter().map(member).collect(), ..Table::default() }
}

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000)
}

const DEAF: Duration = Duration::from_millis(250);
