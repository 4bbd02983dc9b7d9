//! The invariants of docs/RELIABILITY.md by number, in a sentence each, and when the simulator looks.

/// A promise that every run is held to.
pub struct Invariant {
    /// As failures name it.
    pub number: &'static str,
    pub text: &'static str,
    /// `each step`, `when healed`, `at the end`; empty when the simulator does not judge it.
    pub judged: &'static str,
}

const fn of(number: &'static str, judged: &'static str, text: &'static str) -> Invariant {
    Invariant { number, text, judged }
}

const STEP: &str = "each step";
const CALM: &str = "when healed";
const END: &str = "at the end";

/// All of them, and three that have no number.
pub const INVARIANTS: &[Invariant] = &[
    of("I1", STEP, "Accepted epochs of a slot never fall, and no two nodes have effects accepted in the same epoch."),
    of("I2", STEP, "A node has outward effects only inside its own lease."),
    of("I3", CALM, "Every group has one owner that lives, and a full standby on another chassis."),
    of("I4", END, "Owner and standby hold the same state, byte for byte."),
    of("I5", STEP, "Two replicas never stand on one chassis."),
    of("I6", STEP, "A 2xx goes to the caller only when the dialog is on two chassis."),
    of("I7", STEP, "The switch never says 481, 408 or 5xx inside a dialog that is alive."),
    of("I8", STEP, "No provisional response leaves before the INVITE is on two chassis."),
    of("I9", STEP, "The same request makes the same branch, tags and Call-ID, in every epoch."),
    of("I10", STEP, "Nobody's phone rings twice for one call."),
    of("I11", STEP, "One final response a transaction; after a 2xx no other."),
    of("I12", STEP, "CSeq and RSeq rise; no re-INVITE passes while another is under way."),
    of("I13", END, "A cancelled call ends everywhere: 487 and silence, or it is up and then ended."),
    of("I14", END, "Every transaction ends in its time; every 2xx is acknowledged or ended."),
    of("I15", STEP, "Timers run out when they should, also after a take-over."),
    of("I16", STEP, "A binding that was acknowledged is found until it expires."),
    of("I17", STEP, "A binding that was removed never comes back."),
    of("I18", STEP, "Nobody has more contacts than allowed."),
    of("I19", STEP, "Media flows through the relay whose ports stand in both session descriptions."),
    of("I20", END, "No relay keeps a session of a call that is over."),
    of("I21", "", "Media stays in the countries that its policy names."),
    of("I22", STEP, "Nobody hears another call, and media gaps are short."),
    of("I23", END, "One record for each answered leg, with the right duration; none twice, none lost."),
    of("I24", END, "Counts of running calls fall back to what is running."),
    of("I25", "", "No prepaid balance goes below its reservation."),
    of("I26", STEP, "A nonce count is accepted once in the whole cluster."),
    of("I27", STEP, "Nothing inside shows outside."),
    of("I28", STEP, "One message never becomes a flood."),
    of("I29", STEP, "Bans reach every balancer and expire."),
    of("I30", END, "Queues stay below their limits; actors are gone when their calls are."),
    of("I31", END, "No actor panics."),
    of("I32", END, "The same seed goes the same way twice."),
    of("conservation", END, "Every call offered is answered, rejected, cancelled, or failed by somebody."),
    of("plan", END, "What the plan demands: faults with effect, calls, the longest take-over."),
    of("panic", END, "The simulator itself does not panic."),
];
