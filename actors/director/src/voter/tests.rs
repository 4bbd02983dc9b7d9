use raft::eraftpb::Snapshot;

use super::*;

const VOTERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

fn follower() -> Voter {
    Voter::new(NodeId(1), &VOTERS, [7; 16], Thread(100), Vec::new(), Duration::from_millis(50), 64).0
}

/// What the leader of term 3, node 2, says.
fn said(kind: MessageType, fill: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message { from: id(NodeId(2)), to: id(NodeId(1)), term: 3, ..Message::default() };
    message.set_msg_type(kind);
    fill(&mut message);
    message.encode_to_vec()
}

/// A follower that had missed more than the log kept gets the whole state; the leader goes on talking while it is on its
/// way to the disk.
#[test]
fn a_state_that_is_not_on_disk_yet_does_not_count_as_applied() {
    let mut voter = follower();
    let snapshot = said(MessageType::MsgSnapshot, |message| {
        let mut snapshot = Snapshot { data: b"state".to_vec(), ..Snapshot::default() };
        (snapshot.mut_metadata().index, snapshot.mut_metadata().term) = (65, 3);
        snapshot.mut_metadata().mut_conf_state().voters = VOTERS.iter().map(|voter| id(*voter)).collect();
        message.set_snapshot(snapshot);
    });
    let mut out = Out::default();
    voter.step(NodeId(2), &snapshot);
    voter.drive(Instant(1), &mut out);
    assert!(matches!(&out.decided[..], [Decision::State(state)] if state == b"state"));
    let (thread, _) = out.write.take().expect("the journal is to keep it");
    for commit in [65, 65] {
        voter.step(NodeId(2), &said(MessageType::MsgHeartbeat, |message| message.commit = commit));
        voter.step(
            NodeId(2),
            &said(MessageType::MsgAppend, |message| {
                (message.index, message.log_term, message.commit) = (65, 3, 65);
                let entry = Entry { index: 66, term: 3, data: b"next".to_vec(), ..Entry::default() };
                message.set_entries(vec![entry].into());
            }),
        );
        voter.drive(Instant(2), &mut out);
    }
    assert_eq!(voter.raw.raft.raft_log.applied, 0, "nothing is applied before it is kept");
    assert_eq!(out.decided.len(), 1);
    voter.on_kept(thread, &mut out);
    voter.drive(Instant(3), &mut out);
    assert_eq!(voter.raw.raft.raft_log.applied, 65);
    let (thread, _) = out.write.take().expect("the entry behind it is kept next");
    voter.step(NodeId(2), &said(MessageType::MsgHeartbeat, |message| message.commit = 66));
    voter.on_kept(thread, &mut out);
    voter.drive(Instant(4), &mut out);
    assert!(matches!(&out.decided[1..], [Decision::Entry { term: 3, data }] if data == b"next"));
    assert_eq!(voter.raw.raft.raft_log.applied, 66);
}
