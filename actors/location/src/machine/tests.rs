use std::collections::BTreeMap;

use super::*;
use fabric::NodeId;
use fabric::letters::location::BindChange;

#[test]
fn a_registration_is_answered_when_it_is_durable() {
    let mut shard = Bench::open(Settings::default());
    let keep = shard.post(1, bind("alice@d", "x", 1, "sip:a@h1", 3_600)).one();
    assert!(matches!(&keep.letter, Letter::KeepBindings(kept) if &*kept.aor == "alice@d" && kept.bindings.len() == 1));
    assert_eq!(shard.located("alice@d"), Vec::<String>::new(), "not durable, not there");
    let bound = shard.answer(&keep, Letter::Kept).one();
    assert_eq!((bound.to, bound.thread), (ASKER, Thread(1)));
    assert_eq!(contacts(&bound.letter), ["sip:a@h1"]);
    assert_eq!(shard.located("alice@d"), ["sip:a@h1"]);
}

#[test]
fn or_at_once_when_it_need_not_be_durable() {
    let mut shard = Bench::open(Settings { durable_before_answer: false, ..Settings::default() });
    let [keep, bound] = shard.post(1, bind("alice@d", "x", 1, "sip:a@h1", 3_600)).all();
    assert!(matches!(keep.letter, Letter::KeepBindings(_)));
    assert_eq!(keep.thread, Thread::NONE);
    assert_eq!(contacts(&bound.letter), ["sip:a@h1"]);
    assert_eq!(shard.located("alice@d"), ["sip:a@h1"]);
}

#[test]
fn what_the_store_cannot_keep_never_happened() {
    let mut shard = Bench::open(Settings::default());
    let keep = shard.post(1, bind("alice@d", "x", 1, "sip:a@h1", 3_600)).one();
    let returned = shard.answer(&keep, Letter::Returned(Fault::unavailable("disk"))).one();
    assert_eq!((returned.to, returned.thread), (ASKER, Thread(1)));
    assert!(matches!(returned.letter, Letter::Returned(_)));
    assert_eq!(shard.located("alice@d"), Vec::<String>::new());
    let keep = shard.post(2, bind("alice@d", "x", 1, "sip:a@h1", 3_600)).one();
    shard.wait(5_000);
    let returned = shard.wake().one();
    assert!(matches!(returned.letter, Letter::Returned(ref fault) if fault.kind == FaultKind::Timeout));
    shard.answer(&keep, Letter::Kept).none();
    assert_eq!(shard.located("alice@d"), Vec::<String>::new(), "a late Kept changes nothing");
}

#[test]
fn changes_of_one_address_of_record_wait_for_each_other() {
    let mut shard = Bench::open(Settings::default());
    let first = shard.post(1, bind("alice@d", "x", 1, "sip:a@h1", 3_600)).one();
    shard.post(2, bind("alice@d", "y", 1, "sip:b@h2", 3_600)).none();
    shard.post(3, bind("alice@d", "x", 1, "sip:a@h1", 1_800)).none();
    let other = shard.post(4, bind("bob@d", "z", 1, "sip:c@h3", 3_600)).one();
    let [bound, second] = shard.answer(&first, Letter::Kept).all();
    assert_eq!((bound.thread, contacts(&bound.letter)), (Thread(1), vec!["sip:a@h1".to_owned()]));
    let [bound, refused] = shard.answer(&second, Letter::Kept).all();
    assert_eq!((bound.thread, contacts(&bound.letter).len()), (Thread(2), 2));
    assert_eq!((refused.thread, status(&refused.letter)), (Thread(3), Some(500)), "its CSeq is not newer by now");
    assert_eq!(shard.answer(&other, Letter::Kept).one().thread, Thread(4));
    // A failure of the first lets the next one try.
    let first = shard.post(5, bind("carol@d", "x", 1, "sip:a@h1", 3_600)).one();
    shard.post(6, bind("carol@d", "x", 1, "sip:a@h1", 3_600)).none();
    let [returned, keep] = shard.answer(&first, Letter::Returned(Fault::unavailable("disk"))).all();
    assert_eq!(returned.thread, Thread(5));
    assert_eq!(shard.answer(&keep, Letter::Kept).one().thread, Thread(6));
}

#[test]
fn the_queue_of_one_address_of_record_has_a_limit() {
    let mut shard = Bench::open(Settings::default());
    shard.post(1, bind("alice@d", "x", 1, "sip:a@h1", 3_600)).one();
    for thread in 0..WAITING_MAX as u64 {
        shard.post(10 + thread, bind("alice@d", "x", 2, "sip:a@h1", 3_600)).none();
    }
    let returned = shard.post(99, bind("alice@d", "x", 2, "sip:a@h1", 3_600)).one();
    assert!(matches!(returned.letter, Letter::Returned(fault) if fault.kind == FaultKind::Overload));
}

#[test]
fn writes_and_records_have_limits() {
    let mut shard = Bench::open(Settings { writes_max: 1, ..Settings::default() });
    shard.post(1, bind("alice@d", "x", 1, "sip:a@h1", 3_600)).one();
    let returned = shard.post(2, bind("bob@d", "x", 1, "sip:a@h1", 3_600)).one();
    assert!(matches!(returned.letter, Letter::Returned(fault) if fault.kind == FaultKind::Overload));
    let mut shard = Bench::open(Settings { records_max: 1, ..Settings::default() });
    shard.register("alice@d", "x", 1, "sip:a@h1", 3_600);
    let refused = shard.post(2, bind("bob@d", "x", 1, "sip:a@h1", 3_600)).one();
    assert_eq!(status(&refused.letter), Some(503));
    shard.register("alice@d", "x", 2, "sip:a@h1", 3_600);
}

#[test]
fn letters_wait_for_the_load() {
    let mut shard = Bench::new(Settings { queue_max: 2, ..Settings::default() });
    assert_eq!(shard.machine.deadline(), Some(Instant(0)), "wants to be woken at once");
    let load = shard.wake().one();
    assert_eq!(load.letter, Letter::LoadBindings(3, 16));
    shard.post(1, locate("alice@d")).none();
    shard.post(2, bind("alice@d", "y", 1, "sip:b@h2", 60)).none();
    let returned = shard.post(3, locate("alice@d")).one();
    assert!(matches!(returned.letter, Letter::Returned(fault) if fault.kind == FaultKind::Overload && fault.retry));
    let stored = vec![
        stored("alice@d", &[("sip:a@h1", 60_000)]),
        stored("bob@d", &[("sip:b@h1", 0), ("sip:b@h2", 60_000)]),
        stored("gone@d", &[("sip:g@h1", 0)]),
    ];
    let [located, keep] = shard.answer(&load, Letter::LoadedBindings(Arc::new(stored))).all();
    assert_eq!(contacts(&located.letter), ["sip:a@h1"]);
    assert!(matches!(keep.letter, Letter::KeepBindings(kept) if kept.bindings.len() == 2));
    assert_eq!(shard.located("bob@d"), ["sip:b@h2"], "what ended while the node was down is gone");
    assert_eq!(shard.located("gone@d"), Vec::<String>::new());
}

#[test]
fn a_load_that_fails_is_tried_again() {
    let mut shard = Bench::new(Settings::default());
    let load = shard.post(1, locate("alice@d")).one();
    shard.answer(&load, Letter::Returned(Fault::unavailable("disk"))).none();
    shard.wake().none();
    shard.wait(1_000);
    let again = shard.wake().one();
    assert_eq!(again.letter, Letter::LoadBindings(3, 16));
    shard.answer(&load, Letter::LoadedBindings(Arc::default())).none();
    shard.wait(30_000);
    shard.wake().none();
    shard.wait(1_000);
    let third = shard.wake().one();
    let located = shard.answer(&third, Letter::LoadedBindings(Arc::default())).one();
    assert_eq!((located.thread, contacts(&located.letter).len()), (Thread(1), 0));
    shard.answer(&again, Letter::LoadedBindings(Arc::new(vec![stored("x@d", &[("sip:x@h", 9_000)])]))).none();
    assert_eq!(shard.located("x@d"), Vec::<String>::new(), "a late load is not taken");
}

#[test]
fn bindings_end() {
    let mut shard = Bench::open(Settings { tombstone_s: 0, ..Settings::default() });
    shard.register("alice@d", "x", 1, "sip:a@h1", 60);
    shard.register("alice@d", "y", 1, "sip:b@h2", 120);
    shard.wait(59_999);
    assert_eq!(shard.located("alice@d").len(), 2);
    shard.wait(1);
    assert_eq!(shard.located("alice@d"), ["sip:b@h2"], "ended, though nobody has cleaned up");
    let keep = shard.wake_when_due().one();
    assert!(matches!(&keep.letter, Letter::KeepBindings(kept) if kept.bindings.len() == 1));
    shard.register("alice@d", "y", 2, "sip:b@h2", 120);
    let due = shard.wake_when_due();
    assert!(due.0.is_empty(), "the refresh has moved the end");
    let keep = shard.wake_when_due().one();
    assert!(matches!(&keep.letter, Letter::KeepBindings(kept) if kept.bindings.is_empty()));
    assert_eq!(shard.machine.deadline(), None);
    assert!(shard.machine.shelf.is_empty());
}

#[test]
fn an_end_during_a_change_is_stored_by_the_change() {
    let mut shard = Bench::open(Settings { keep_timeout_ms: 600_000, ..Settings::default() });
    shard.register("alice@d", "x", 1, "sip:a@h1", 60);
    let keep = shard.post(1, bind("alice@d", "x", 2, "sip:a@h1", 3_600)).one();
    shard.wake_when_due().none();
    assert_eq!(shard.located("alice@d"), Vec::<String>::new());
    assert_eq!(contacts(&shard.answer(&keep, Letter::Kept).one().letter), ["sip:a@h1"]);
    assert_eq!(shard.located("alice@d"), ["sip:a@h1"]);
}

#[test]
fn a_removed_binding_leaves_only_its_tombstone() {
    let mut shard = Bench::open(Settings::default());
    shard.register("alice@d", "x", 1, "sip:a@h1", 3_600);
    let keep = shard.post(1, bind("alice@d", "x", 2, "sip:a@h1", 0)).one();
    assert!(matches!(&keep.letter, Letter::KeepBindings(kept) if kept.bindings.is_empty()));
    assert_eq!(contacts(&shard.answer(&keep, Letter::Kept).one().letter), Vec::<String>::new());
    assert_eq!(status(&shard.post(2, bind("alice@d", "x", 1, "sip:a@h1", 3_600)).one().letter), Some(500));
    assert!(shard.control_bindings().is_empty());
    shard.wake_when_due().none();
    assert!(shard.machine.shelf.is_empty());
}

#[test]
fn found_by_preference() {
    let mut shard = Bench::open(Settings::default());
    for (contact, q) in [("sip:low@h", 100), ("sip:high@h", 900), ("sip:also@h", 900), ("sip:none@h", 1_000)] {
        let Letter::Bind(mut bind) = bind("alice@d", contact, 1, contact, 3_600) else { unreachable!() };
        let BindChange::Contacts(contacts) = &mut bind.change else { unreachable!() };
        contacts[0].q = q;
        let keep = shard.post(1, Letter::Bind(bind)).one();
        shard.answer(&keep, Letter::Kept).one();
    }
    assert_eq!(shard.located("alice@d"), ["sip:none@h", "sip:high@h", "sip:also@h", "sip:low@h"]);
}

#[test]
fn operators_see_everything() {
    let mut shard = Bench::open(Settings::default());
    shard.register("bob@d", "x", 1, "sip:b@h1", 3_600);
    shard.register("alice@d", "x", 1, "sip:a@h1", 3_600);
    let all = shard.control_bindings();
    assert_eq!(all.iter().map(|(aor, _)| aor.as_str()).collect::<Vec<_>>(), ["alice@d", "bob@d"]);
    let told = shard.post(1, Letter::Describe).one();
    let Letter::Described(description) = told.letter else { panic!("{told:?}") };
    let Description::Machine { name, facts } = *description else { panic!() };
    assert_eq!(name, "location 3");
    assert!(facts.contains(&("bindings".to_owned(), "2".to_owned())));
}

#[test]
fn stray_letters_are_ignored() {
    let mut shard = Bench::open(Settings::default());
    shard.post(7, Letter::Kept).none();
    shard.post(7, Letter::Returned(Fault::timeout("late"))).none();
    shard.post(7, Letter::LoadedBindings(Arc::default())).none();
    shard.post(7, Letter::Control(Box::new(Control::HangUp))).none();
    shard.post(7, Letter::Located(Vec::new())).none();
    assert!(!shard.machine.is_idle());
}

/// I16 to I18 on random histories: what was acknowledged is there, what was removed stays away, five is the limit.
#[test]
fn random_histories() {
    for seed in 1..=60u64 {
        let mut random = seed;
        let mut chance = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut shard = Bench::open(Settings::default());
        // By phone: its last CSeq, the last one that was acknowledged, and the end of its acknowledged binding.
        let mut phones = [(1u32, 0u32, None::<u64>); 7];
        let mut sent = Vec::new();
        for step in 0..300 {
            shard.wait(chance(2_000));
            let phone = chance(7) as usize;
            let late = !sent.is_empty() && chance(4) == 0;
            let (phone, cseq, lifetime_s) = if late {
                sent[chance(sent.len() as u64) as usize]
            } else {
                phones[phone].0 += 1;
                (phone, phones[phone].0, [0, 60, 600][chance(3) as usize])
            };
            sent.push((phone, cseq, lifetime_s));
            if sent.len() > 8 {
                sent.remove(0);
            }
            let contact = format!("sip:p{phone}@h");
            let Letter::Bind(mut bind) = bind("a@d", &contact, cseq, &contact, 0) else { unreachable!() };
            let BindChange::Contacts(contacts) = &mut bind.change else { unreachable!() };
            contacts[0].expires_ms = shard.now.unix_ms + lifetime_s * 1_000;
            let [mut answer] = shard.post(step + 1, Letter::Bind(bind)).all();
            if matches!(answer.letter, Letter::KeepBindings(_)) {
                let fault = Letter::Returned(Fault::unavailable("disk"));
                let word = if chance(8) == 0 { fault } else { Letter::Kept };
                answer = shard.answer(&answer, word).one();
            }
            let taken = matches!(&answer.letter, Letter::Bound(bound) if matches!(**bound, Bound::Bindings(_)));
            if taken && cseq != phones[phone].1 {
                assert!(cseq > phones[phone].1, "seed {seed}, step {step}: an older request was taken");
                phones[phone].1 = cseq;
                phones[phone].2 = (lifetime_s > 0).then(|| shard.now.unix_ms + lifetime_s * 1_000);
            }
            shard.wake();
            let now = shard.now.unix_ms;
            let there = |(phone, (.., end)): (usize, &(u32, u32, Option<u64>))| {
                end.filter(|end| *end > now).map(|_| format!("sip:p{phone}@h"))
            };
            let mut expected: Vec<String> = phones.iter().enumerate().filter_map(there).collect();
            let mut found = shard.located("a@d");
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "seed {seed}, step {step}");
            assert!(found.len() <= 5, "seed {seed}, step {step}");
        }
    }
}

const ASKER: Address = Address::Registration(fabric::Key(42));

pub(super) struct Bench {
    pub(super) machine: Location,
    /// The parts that a standby has by now: the shard is restored from them before every step.
    pub(super) replica: BTreeMap<Box<str>, bytes::Bytes>,
    pub(super) now: Now,
}

/// What came out.
pub(super) struct Out(pub(super) Vec<Envelope>);

impl Out {
    pub(super) fn all<const N: usize>(self) -> [Envelope; N] {
        self.0.try_into().unwrap_or_else(|mail| panic!("not {N} letters: {mail:?}"))
    }
    pub(super) fn one(self) -> Envelope {
        let [one] = self.all();
        one
    }
    pub(super) fn none(self) {
        let [] = self.all();
    }
}

impl Bench {
    pub(super) fn new(settings: Settings) -> Bench {
        let home = Home::new(NodeId(1), [7; 16], 16);
        let now = Now { instant: Instant(1_000_000), unix_ms: 1_700_000_000_000 };
        let machine = Location::new(&home, 3, Arc::new(settings)).replicated();
        let mut bench = Bench { machine, replica: BTreeMap::new(), now };
        let mut parts = Vec::new();
        bench.machine.save(false, &mut parts);
        bench.keep(parts);
        bench
    }

    pub(super) fn open(settings: Settings) -> Bench {
        let mut bench = Bench::new(settings);
        let load = bench.wake().one();
        bench.answer(&load, Letter::LoadedBindings(Arc::default())).none();
        bench
    }

    fn run(&mut self, mail: Envelope) -> Out {
        self.step(Some(mail))
    }

    pub(super) fn post(&mut self, thread: u64, letter: Letter) -> Out {
        self.run(Envelope::ask(ASKER, Address::Location(3), Thread(thread), letter))
    }

    pub(super) fn answer(&mut self, question: &Envelope, letter: Letter) -> Out {
        assert_eq!(question.to, Address::Store(NodeId(1)));
        self.run(question.answer(letter))
    }

    pub(super) fn wake(&mut self) -> Out {
        self.step(None)
    }

    /// A letter, or a wake-up, for the shard; its replica has to do the very same.
    fn step(&mut self, mail: Option<Envelope>) -> Out {
        let run = |machine: &mut Location| {
            let mut out = Outbox::new(Address::Location(3));
            match mail.clone() {
                Some(mail) => machine.handle(mail, self.now, &mut out),
                None => machine.wake(self.now, &mut out),
            }
            out.take()
        };
        let mut replica = self.restore();
        let (posted, again) = (run(&mut self.machine), run(&mut replica));
        // What a shard tells of itself it counts since it was founded or restored.
        if !mail.is_some_and(|mail| mail.letter == Letter::Describe) {
            assert_eq!(again, posted, "what the replica posts");
        }
        let asked = posted.iter().filter(|mail| mail.thread != Thread::NONE && mail.letter.is_question());
        asked.for_each(|mail| assert!(replica.waits_for(mail.thread), "for {}", mail.letter.kind()));
        // Alarms that no longer matter are not kept for a standby: it may want to be woken later.
        let late = |machine: &Location| machine.deadline().unwrap_or(Instant(u64::MAX));
        assert!(
            late(&replica) >= late(&self.machine),
            "{:?} {:?} {:?} {posted:?}",
            self.now,
            replica.deadline(),
            self.machine.deadline()
        );
        let mut parts = Vec::new();
        self.machine.save(false, &mut parts);
        self.keep(parts);
        for machine in [&mut self.machine, &mut replica] {
            let mut all = Vec::new();
            machine.save(true, &mut all);
            let all: BTreeMap<_, _> =
                all.into_iter().map(|part| (part.name, part.value.expect("all are there"))).collect();
            assert_eq!(all, self.replica, "what has changed makes the whole");
        }
        Out(posted)
    }

    fn keep(&mut self, parts: Vec<Part>) {
        for part in parts {
            match part.value {
                Some(value) => self.replica.insert(part.name, value),
                None => self.replica.remove(&part.name),
            };
        }
    }

    /// The shard as its standby goes on with it.
    pub(super) fn restore(&self) -> Location {
        let part = |(name, value): (&Box<str>, &bytes::Bytes)| Part { name: name.clone(), value: Some(value.clone()) };
        let parts: Vec<Part> = self.replica.iter().map(part).collect();
        Location::restore(&self.machine.home, 3, self.machine.settings.clone(), &parts, self.now)
            .expect("saved by a shard")
    }

    pub(super) fn wait(&mut self, milliseconds: u64) {
        self.now = self.now.after(Duration::from_millis(milliseconds));
    }

    fn wake_when_due(&mut self) -> Out {
        let due = self.machine.deadline().expect("a deadline");
        self.now = self.now.after(due.since(self.now.instant));
        self.wake()
    }

    pub(super) fn register(&mut self, aor: &str, call_id: &str, cseq: u32, contact: &str, lifetime_s: u64) {
        let mut letter = bind(aor, call_id, cseq, contact, lifetime_s);
        let Letter::Bind(bind) = &mut letter else { unreachable!() };
        let BindChange::Contacts(contacts) = &mut bind.change else { unreachable!() };
        contacts[0].expires_ms = self.now.unix_ms + lifetime_s * 1_000;
        let keep = self.post(77, letter).one();
        let bound = self.answer(&keep, Letter::Kept).one();
        assert_eq!(status(&bound.letter), None);
    }

    pub(super) fn located(&mut self, aor: &str) -> Vec<String> {
        contacts(&self.post(88, locate(aor)).one().letter)
    }

    fn control_bindings(&mut self) -> Vec<(String, Vec<Binding>)> {
        let answer = self.post(99, Letter::Control(Box::new(Control::Bindings))).one();
        match answer.letter {
            Letter::ControlAnswer(answer) => match *answer {
                ControlAnswer::Bindings(all) => all,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn contacts(letter: &Letter) -> Vec<String> {
    let bindings = match letter {
        Letter::Located(bindings) => bindings,
        Letter::Bound(bound) => match &**bound {
            Bound::Bindings(bindings) => bindings,
            refused => panic!("{refused:?}"),
        },
        other => panic!("{other:?}"),
    };
    bindings.iter().map(|binding| binding.contact.to_string()).collect()
}

pub(super) fn status(letter: &Letter) -> Option<u16> {
    match letter {
        Letter::Bound(bound) => match &**bound {
            Bound::Refused(reject) => Some(reject.status.0),
            Bound::Bindings(_) => None,
        },
        other => panic!("{other:?}"),
    }
}

pub(super) fn locate(aor: &str) -> Letter {
    Letter::Locate(aor.into())
}

/// A REGISTER of one contact at the start of the test.
pub(super) fn bind(aor: &str, call_id: &str, cseq: u32, contact: &str, lifetime_s: u64) -> Letter {
    let binding = Binding { cseq, call_id: call_id.into(), ..binding(contact, lifetime_s * 1_000) };
    let change = BindChange::Contacts(vec![binding]);
    Letter::Bind(Box::new(fabric::letters::location::Bind {
        aor: aor.into(),
        call_id: call_id.into(),
        cseq,
        change,
        contacts_max: 0,
    }))
}

fn stored(aor: &str, contacts: &[(&str, u64)]) -> StoredBindings {
    StoredBindings {
        aor: aor.into(),
        bindings: contacts.iter().map(|(contact, left_ms)| binding(contact, *left_ms)).collect(),
    }
}

fn binding(contact: &str, left_ms: u64) -> Binding {
    Binding {
        contact: contact.into(),
        path: "".into(),
        call_id: "stored".into(),
        cseq: 1,
        q: 1_000,
        expires_ms: 1_700_000_000_000 + left_ms,
        instance: None,
        reg_id: 0,
        user_agent: None,
        received: None,
        nat: false,
    }
}
