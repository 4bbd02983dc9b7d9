use fabric::hash::hash64;
use fabric::letters::location::{BindChange, Bound};
use fabric::{Fault, Letter, Machine};

use super::super::tests::{Bench, bind, contacts, locate, status};
use super::*;

/// The parts of a shard with one address-of-record in force and another on its way to the store, as version 1 wrote them.
const PARTS: &[u8] = include_bytes!("parts.v1");

fn busy() -> Bench {
    let mut shard = Bench::open(Settings::default());
    shard.register("alice@d", "x", 1, "sip:a@h1", 3_600);
    shard.register("alice@d", "y", 1, "sip:a@h2", 3_600);
    println!("parts of a shard: {} bytes for two bindings", shard.replica["alice@d"].len());
    shard.post(1, bind("bob@d", "z", 1, "sip:b@h1", 600)).one();
    shard.post(2, bind("bob@d", "z", 2, "sip:b@h1", 600)).none();
    shard
}

#[test]
fn bytes_of_version_1_restore() {
    let shard = busy();
    let parts: Vec<Part> =
        shard.replica.iter().map(|(name, value)| Part { name: name.clone(), value: Some(value.clone()) }).collect();
    let bytes = encode_part(&parts);
    if bytes != PARTS {
        let at = std::env::temp_dir().join("parts.v1");
        std::fs::write(&at, &*bytes).expect("a writable directory");
        panic!("the state has changed: raise VERSION and keep both, the new one is {}", at.display());
    }
    let Bench { machine, now, .. } = shard;
    let restored = Location::restore(&machine.home, 3, machine.settings.clone(), &parts, now).expect("readable");
    assert_eq!(restored.deadline(), machine.deadline());
}

#[test]
fn other_versions_and_damaged_bytes_are_refused() {
    let shard = busy();
    let restore = |name: &str, bytes: &[u8]| {
        let mut parts: Vec<Part> =
            shard.replica.iter().map(|(name, value)| Part { name: name.clone(), value: Some(value.clone()) }).collect();
        let part = parts.iter_mut().find(|part| &*part.name == name).expect("its name");
        part.value = Some(Bytes::copy_from_slice(bytes));
        Location::restore(&shard.machine.home, 3, shard.machine.settings.clone(), &parts, shard.now)
    };
    for (name, value) in &shard.replica {
        let mut other = value.to_vec();
        other[0] = 2;
        assert!(restore(name, &other).is_none());
        for length in 0..value.len() {
            assert!(restore(name, &value[..length]).is_none(), "{name} cut at {length}");
        }
        for round in 0..5_000u64 {
            let chance = hash64(b"damaged bytes   ", &[&round.to_be_bytes()]) as usize;
            let mut damaged = value.to_vec();
            damaged[1 + chance % (value.len() - 1)] ^= (chance >> 32) as u8 | 1;
            let _ = restore(name, &damaged);
        }
    }
}

/// What the store was given up for is not asked again by the next owner: it would undo what came after.
#[test]
fn nobody_waits_for_what_was_given_up() {
    let mut shard = Bench::open(Settings::default());
    let keep = shard.post(1, bind("alice@d", "x", 1, "sip:a@h1", 3_600)).one();
    assert!(shard.restore().waits_for(keep.thread));
    shard.wait(5_000);
    shard.wake().one();
    assert!(!shard.restore().waits_for(keep.thread));
}

#[test]
fn a_restored_shard_is_open_and_asks_for_nothing() {
    let shard = busy();
    let mut restored = shard.restore();
    let mut out = fabric::Outbox::new(Address::Location(3));
    restored.wake(shard.now, &mut out);
    assert!(out.is_empty());
    let mail = Envelope::ask(Address::Nobody, Address::Location(3), Thread(5), locate("alice@d"));
    restored.handle(mail, shard.now, &mut out);
    assert_eq!(contacts(&out.take().remove(0).letter), ["sip:a@h1", "sip:a@h2"]);
}

#[test]
fn a_demand_posted_twice_has_one_effect_and_one_answer() {
    let mut shard = Bench::open(Settings::default());
    let once = || bind("alice@d", "x", 5, "sip:a@h1", 3_600);
    let keep = shard.post(1, once()).one();
    shard.post(1, once()).none();
    let [first, second] = shard.answer(&keep, Letter::Kept).all();
    assert_eq!(first, second);
    shard.wait(20_000);
    let third = shard.post(1, once()).one();
    assert_eq!(contacts(&third.letter), contacts(&first.letter));
    // Out of order all the same: an older one, another contact, another lifetime.
    for other in [bind("alice@d", "x", 4, "sip:a@h1", 3_600), bind("alice@d", "x", 5, "sip:a@h1", 600)] {
        assert_eq!(status(&shard.post(2, other).one().letter), Some(500));
    }
    // Removals.
    let remove = |all: bool, cseq: u32| {
        let Letter::Bind(mut demand) = bind("alice@d", "x", cseq, "sip:a@h1", 0) else { unreachable!() };
        if all {
            demand.change = BindChange::RemoveAll;
        }
        Letter::Bind(demand)
    };
    for (all, cseq) in [(false, 6), (true, 8)] {
        let keep = shard.post(3, remove(all, cseq)).one();
        let gone = shard.answer(&keep, Letter::Kept).one();
        assert!(contacts(&gone.letter).is_empty());
        assert_eq!(shard.post(3, remove(all, cseq)).one().letter, gone.letter);
        assert_eq!(status(&shard.post(3, remove(all, cseq - 1)).one().letter), Some(500));
        shard.register("alice@d", "x", cseq + 1, "sip:a@h1", 3_600);
        assert_eq!(status(&shard.post(3, remove(all, cseq)).one().letter), Some(500), "taken back since");
    }
}

/// What waits for the load survives the node that asked for it.
#[test]
fn a_shard_that_loads_goes_on_loading() {
    let mut shard = Bench::new(Settings::default());
    let load = shard.wake().one();
    for thread in 1..=12 {
        shard.post(thread, locate("alice@d")).none();
    }
    assert_eq!(shard.replica.len(), 13);
    shard.answer(&load, Letter::Returned(Fault::unavailable("disk"))).none();
    shard.wait(1_000);
    let load = shard.wake().one();
    let answers = shard.answer(&load, Letter::LoadedBindings(Arc::default())).0;
    let threads: Vec<u64> = answers.iter().map(|answer| answer.thread.0).collect();
    assert_eq!(threads, (1..=12).collect::<Vec<_>>(), "in their order");
    assert_eq!(shard.replica.len(), 1, "nothing waits any more");
}

#[test]
fn what_nobody_asks_for_does_not_pile_up() {
    let mut shard = Bench::open(Settings { records_max: 3, tombstone_s: 0, ..Settings::default() });
    for round in 0..20 {
        let aor = format!("user{round}@d");
        let Letter::Bind(demand) = bind(&aor, "x", 1, "sip:a@h1", 600) else { unreachable!() };
        shard.machine.touch(&demand.aor);
        assert!(shard.machine.unsaved.as_ref().is_some_and(|unsaved| unsaved.aors.len() <= 3));
    }
    assert!(
        !matches!(shard.post(9, bind("z@d", "x", 1, "sip:a@h1", 0)).one().letter, Letter::Bound(bound) if matches!(*bound, Bound::Refused(_)))
    );
}
