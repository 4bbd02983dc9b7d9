use super::*;

#[test]
fn a_majority_of_young_reports_of_this_term_decides() {
    let mut council = Council::default();
    let node = NodeId(9);
    council.on_report(report(1, 1, 1, vec![node], vec![]), at(1_000));
    council.on_report(report(2, 1, 1, vec![node], vec![]), at(1_100));
    council.on_report(report(3, 1, 1, vec![], vec![(node, 7)]), at(1_100));
    let says = |council: &Council, term, now| verdict(&council.fresh(term, at(now), AGE), node, 2);
    assert_eq!(says(&council, 1, 1_120), Verdict { silent: true, boot: 0, leaving: false });
    assert!(!says(&council, 1, 1_150).silent, "one of them is too old");
    assert!(!says(&council, 2, 1_120).silent, "another term");
    assert!(!council.on_report(report(1, 1, 1, vec![node], vec![]), at(1_160)), "the same round again");
    assert!(!says(&council, 1, 1_160).silent);
    council.on_report(report(1, 1, 2, vec![node], vec![]), at(1_160));
    assert!(says(&council, 1, 1_160).silent);
    council.forget();
    assert!(!says(&council, 1, 1_160).silent, "after a pause everybody has to say it again");
}

#[test]
fn a_process_is_believed_when_a_majority_hears_the_same() {
    let mut council = Council::default();
    let node = NodeId(9);
    council.on_report(report(1, 1, 1, vec![], vec![(node, 7)]), at(1_000));
    council.on_report(report(2, 1, 1, vec![], vec![(node, 8)]), at(1_000));
    assert_eq!(verdict(&council.fresh(1, at(1_000), AGE), node, 2).boot, 0);
    council.on_report(report(3, 1, 1, vec![], vec![(node, 8)]), at(1_000));
    assert_eq!(verdict(&council.fresh(1, at(1_000), AGE), node, 2).boot, 8);
}

#[test]
fn each_round_is_answered_once_and_only_processes_that_are_known() {
    let mut council = Council::default();
    let mut decided = Decided::default();
    decided.table.version = 4;
    decided.table.members.push(fabric::ownership::Member { node: NodeId(9), chassis: 1, up: true, boot: 7 });
    council.on_report(report(2, 1, 5, vec![], vec![(NodeId(9), 7), (NodeId(8), 1)]), at(1_000));
    assert!(council.answers(2, NodeId(1), &decided).is_empty(), "another term");
    let answers = council.answers(1, NodeId(1), &decided);
    let (to, answer) = &answers[0];
    assert_eq!((*to, answer.round, answer.answer, &answer.heard[..]), (NodeId(2), 5, Some(4), &[(NodeId(9), 7)][..]));
    assert!(council.answers(1, NodeId(1), &decided).is_empty());
}

#[test]
fn a_director_that_started_again_is_not_confused_with_what_it_was() {
    let mut council = Council::default();
    let node = NodeId(9);
    council.on_report(report(2, 1, 900, vec![node], vec![]), at(1_000));
    let reborn = Silences { boot: 78, ..report(2, 1, 1, vec![], vec![]) };
    council.on_report(reborn, at(1_010));
    assert!(!council.on_report(report(2, 1, 901, vec![node], vec![]), at(1_020)), "a letter that was long on its way");
    assert!(!verdict(&council.fresh(1, at(1_020), AGE), node, 1).silent);
}

#[test]
fn silent_and_resting_are_a_majority_together_and_only_under_the_table_that_shut_it_out() {
    let node = NodeId(9);
    let divides = |director, version, resting: &[NodeId]| Divides {
        director: NodeId(director),
        boot: 77,
        round: 1,
        version,
        resting: resting.to_vec(),
        ..Divides::default()
    };
    let safe = |second: Divides, since| {
        let mut council = Council::default();
        council.on_report(report(1, 1, 1, vec![node], vec![]), at(1_000));
        council.on_divides(second);
        council.on_report(report(2, 1, 1, vec![], vec![(node, 7)]), at(1_000));
        council.on_divides(divides(3, 6, &[]));
        council.on_report(report(3, 1, 1, vec![], vec![(node, 7)]), at(1_000));
        let (reports, divides) = (council.fresh(1, at(1_010), AGE), council.fresh_divides(1, at(1_010), AGE));
        is_safe(&reports, &divides, node, since, 2)
    };
    assert!(safe(divides(2, 6, &[node]), Some(6)));
    assert!(!safe(divides(2, 6, &[node]), None), "it is up");
    assert!(!safe(divides(2, 5, &[node]), Some(6)), "said before it was shut out");
    assert!(!safe(divides(2, 6, &[]), Some(6)), "one alone is no majority");
    assert!(!safe(Divides { round: 2, ..divides(2, 6, &[node]) }, Some(6)), "it belongs to another report");
}

fn report(director: u16, term: u64, round: u64, silent: Vec<NodeId>, heard: Vec<(NodeId, u64)>) -> Silences {
    Silences { director: NodeId(director), boot: 77, term, round, silent, heard, ..Silences::default() }
}

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000)
}

const AGE: Duration = Duration::from_millis(150);
