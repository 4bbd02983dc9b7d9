//! Deliberate faults of the switch, for tests of the tests: a judge that no mutant troubles is blind.
//!
//! `if mutant!(LeaseIgnored) { .. }` is nothing at all unless this crate is built with the feature `mutants`, which nothing
//! that is shipped does. With it, each thread has the mutants that were chosen for it: by the lab for a run, by
//! `TANDEM_MUTANT` for a process.

/// A way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// The replica of a call does not know that it was answered.
    FieldNotReplicated,
    /// Letters of former owners are taken.
    EpochUnchecked,
    /// Timers of a restored machine run on this node's clock.
    TimerRestarted,
    /// What belongs to nobody known is answered instead of held.
    OrphansAnswered,
    /// A removed binding leaves no tombstone, and the standby keeps it.
    TombstoneForgotten,
    /// A record gets a new identity whenever its call has moved.
    RecordDoubled,
    /// Branches depend on the moment.
    BranchFromTime,
    /// A node acts after its lease has run out.
    LeaseIgnored,
    /// What was held for a dead owner is not sent to the next one.
    HeldForgotten,
    /// A relay's count of sessions never falls.
    CounterLeaked,
    /// The relay is not told that a call is over.
    MediaLeft,
    /// A nonce count is accepted again.
    NonceReused,
    /// Effects leave before the standby has acknowledged their record.
    EffectsEarly,
    /// The standby is not told which effects have left.
    ReleaseUntold,
    /// Questions that were open at a take-over are not asked again.
    QuestionsForgotten,
    /// A standby acknowledges what it is sent and keeps nothing.
    ReplicaDropped,
    // Of the directors: their own lab judges these.
    /// A new owner keeps the epoch of the old one.
    EpochKept,
    /// One voter who does not hear a node is enough.
    OneVoiceEnough,
    /// A node that is called silent is granted leases all the same.
    SilentGranted,
    /// A leader proposes before it knows all that was decided, and what was proposed on another state counts.
    ProposalStale,
    /// A node that is to yield is replaced before it has.
    YieldUnawaited,
    /// A voter without its journal votes at once.
    JournalTrusted,
    /// A voter speaks before its journal has what it says.
    SaidBeforeKept,
    /// A node that does not know yet what it has lost counts again, and is granted a lease.
    LossUntold,
}

impl Mutant {
    /// Those that a carrier has to suffer from.
    pub const ALL: [Mutant; 16] = [
        Mutant::FieldNotReplicated,
        Mutant::EpochUnchecked,
        Mutant::TimerRestarted,
        Mutant::OrphansAnswered,
        Mutant::TombstoneForgotten,
        Mutant::RecordDoubled,
        Mutant::BranchFromTime,
        Mutant::LeaseIgnored,
        Mutant::HeldForgotten,
        Mutant::CounterLeaked,
        Mutant::MediaLeft,
        Mutant::NonceReused,
        Mutant::EffectsEarly,
        Mutant::ReleaseUntold,
        Mutant::QuestionsForgotten,
        Mutant::ReplicaDropped,
    ];

    /// Those of the directors.
    pub const DIRECTORS: [Mutant; 8] = [
        Mutant::EpochKept,
        Mutant::OneVoiceEnough,
        Mutant::SilentGranted,
        Mutant::ProposalStale,
        Mutant::YieldUnawaited,
        Mutant::JournalTrusted,
        Mutant::SaidBeforeKept,
        Mutant::LossUntold,
    ];

    /// How people call it: `lease-ignored`.
    pub fn name(self) -> &'static str {
        match self {
            Mutant::FieldNotReplicated => "field-not-replicated",
            Mutant::EpochUnchecked => "epoch-unchecked",
            Mutant::TimerRestarted => "timer-restarted",
            Mutant::OrphansAnswered => "orphans-answered",
            Mutant::TombstoneForgotten => "tombstone-forgotten",
            Mutant::RecordDoubled => "record-doubled",
            Mutant::BranchFromTime => "branch-from-time",
            Mutant::LeaseIgnored => "lease-ignored",
            Mutant::HeldForgotten => "held-forgotten",
            Mutant::CounterLeaked => "counter-leaked",
            Mutant::MediaLeft => "media-left",
            Mutant::NonceReused => "nonce-reused",
            Mutant::EffectsEarly => "effects-early",
            Mutant::ReleaseUntold => "release-untold",
            Mutant::QuestionsForgotten => "questions-forgotten",
            Mutant::ReplicaDropped => "replica-dropped",
            Mutant::EpochKept => "epoch-kept",
            Mutant::OneVoiceEnough => "one-voice-enough",
            Mutant::SilentGranted => "silent-granted",
            Mutant::ProposalStale => "proposal-stale",
            Mutant::YieldUnawaited => "yield-unawaited",
            Mutant::JournalTrusted => "journal-trusted",
            Mutant::SaidBeforeKept => "said-before-kept",
            Mutant::LossUntold => "loss-untold",
        }
    }

    pub fn named(name: &str) -> Option<Mutant> {
        Mutant::ALL.into_iter().chain(Mutant::DIRECTORS).find(|mutant| mutant.name() == name)
    }
}

/// Whether this build can be wrong on purpose.
pub const IS_POSSIBLE: bool = cfg!(feature = "mutants");

/// Whether a mutant is at work in this thread; `false`, and known to the compiler, without the feature.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn is_at_work(_: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
mod chosen {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static CHOSEN: Cell<u32> = const { Cell::new(0) };
    }

    /// Whether a mutant is at work in this thread.
    pub fn is_at_work(mutant: Mutant) -> bool {
        CHOSEN.get() & 1 << mutant as u32 != 0
    }

    /// The mutant of this thread from now on.
    pub fn choose(mutant: Option<Mutant>) {
        choose_all(mutant.as_slice());
    }

    /// The mutants of this thread from now on: some faults are harmless one by one.
    pub fn choose_all(mutants: &[Mutant]) {
        CHOSEN.set(mutants.iter().fold(0, |chosen, mutant| chosen | 1 << *mutant as u32));
    }
}

#[cfg(feature = "mutants")]
pub use chosen::{choose, choose_all, is_at_work};

/// Whether the named mutant is at work: `if mutant!(LeaseIgnored) { .. }`.
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutant::is_at_work($crate::mutant::Mutant::$name)
    };
}
