use fabric::Machine;
use fabric::hash::hash64;
use fabric::{Address, Home, NodeId};

use super::super::tests::bench::{Bench, Req, alice, settings};
use super::*;

/// A registered phone behind a NAT, with the next REGISTER waiting for its location, as version 1 wrote it.
const REGISTERED: &[u8] = include_bytes!("registered.v1");

fn registered() -> Bench {
    let mut bench = Bench::new(settings());
    let request = bench.answered(&Req { nat: true, ..Req::default() }, 0);
    bench.accepted(&request);
    println!("state of a registration: {} bytes", bench.replica.len());
    let next = Req { cseq: 3, branch: "b3", ..bench.counted(&Req::default(), 0, &request, 2) };
    let ask = bench.register(&next).one();
    bench.answer(&ask, alice()).one();
    bench
}

#[test]
fn bytes_of_version_1_restore() {
    let bench = registered();
    if bench.replica != REGISTERED {
        let at = std::env::temp_dir().join("registered.v1");
        std::fs::write(&at, &*bench.replica).expect("a writable directory");
        panic!("the state has changed: raise VERSION and keep both, the new one is {}", at.display());
    }
    let restored = Registration::restore(bench.desk.clone(), REGISTERED).expect("readable");
    assert_eq!(restored.deadline(), bench.machine.deadline());
}

#[test]
fn other_versions_and_damaged_bytes_are_refused() {
    let bench = registered();
    let restore = |bytes: &[u8]| Registration::restore(bench.desk.clone(), bytes);
    let mut other = bench.replica.to_vec();
    other[0] = 2;
    assert!(restore(&other).is_none());
    for length in 0..bench.replica.len() {
        assert!(restore(&bench.replica[..length]).is_none(), "cut at {length}");
    }
    for round in 0..20_000u64 {
        let chance = hash64(b"damaged bytes   ", &[&round.to_be_bytes()]) as usize;
        let mut damaged = bench.replica.to_vec();
        damaged[1 + chance % (bench.replica.len() - 1)] ^= (chance >> 32) as u8 | 1;
        let _ = restore(&damaged);
    }
}

/// The counts of a nonce move with the machine, and with them the clock that says how far back they reach (I26): the
/// new owner may have been started a moment ago.
#[test]
fn nonces_of_the_old_owner_count_on_at_the_new_one() {
    let mut bench = Bench::new(settings());
    let first = bench.answered(&Req::default(), 0);
    bench.accepted(&first);
    let home = Home::new(NodeId(2), *bench.desk.home.secret(), 16);
    bench.desk = Desk::new(&home, Arc::new(settings()));
    bench.machine = bench.restore();
    let next = Req { cseq: 3, branch: "b3", ..bench.counted(&Req::default(), 0, &first, 2) };
    bench.accepted(&next);
    let replay = Req { cseq: 4, branch: "b4", ..bench.counted(&Req::default(), 0, &first, 2) };
    let ask = bench.register(&replay).one();
    assert_eq!(ask.to, Address::Store(NodeId(2)));
    assert_eq!(bench.answer(&ask, alice()).one_reply().status(), 401);
}

/// A REGISTER that comes again to a state that has not seen it binds the very same.
#[test]
fn a_repetition_on_an_older_state_asks_the_same() {
    let mut bench = Bench::new(settings());
    let request = bench.answered(&Req::default(), 0);
    let older = bench.replica.clone();
    let ask = bench.register(&request).one();
    let bind = bench.answer(&ask, alice()).one();
    bench.machine = Registration::restore(bench.desk.clone(), &older).expect("readable");
    bench.replica = older;
    let ask = bench.register(&request).one();
    assert_eq!(bench.answer(&ask, alice()).one().letter, bind.letter);
}
