//! One call: the heart of the switch, a back-to-back user agent as a machine.
//!
//! The caller's leg is number 0, each contact that is tried gets the next number. Leg 0 and every callee's leg have their
//! own Call-ID, tags, Contact and Via, all derived from the call's key and the cluster's secret, so that a new owner
//! writes the same ones. Nothing of one network is seen in the other: header fields pass by a white list
//! (`headers`), session descriptions go through the media session (`offer`).
//!
//! | module | what |
//! |---|---|
//! | `call` | the state, and which part handles which letter |
//! | `caller`, `admission`, `check` | requests outside dialogs: checks, digest, who is called |
//! | `plan`, `fork`, `context` | contacts in groups of equal q, branches, the best of their responses |
//! | `callee`, `answer` | provisional responses and early dialogs; the winner, the 2xx and its ACK |
//! | `pair`, `bridge`, `relay` | two dialogs back to back, and the requests that pass between them |
//! | `session` | what time asks of dialogs: repeated responses, PRACK, session timers |
//! | `moved` | a phone whose connection broke is found where it has registered since |
//! | `ending`, `records` | BYE from anywhere, call records |
//! | `transfer` | REFER: the switch calls the target and connects it |
//! | `page` | MESSAGE and OPTIONS outside dialogs |
//! | `transactions`, `desk` | the transactions of the call; the names it writes with |
//! | `save` | the state as a standby keeps it |
//!
//! A call asks the store who its parties are, the location shard where the callee is, `Media` with its own key for every
//! offer and answer, and posts its records until they are kept. It ends when nothing is left: no transaction, no dialog,
//! no question, no nonce that could be used a second time.

mod admission;
mod answer;
mod attempt;
mod bridge;
mod call;
mod callee;
mod caller;
mod check;
mod context;
mod describe;
mod desk;
mod ending;
mod fork;
mod headers;
mod moved;
mod offer;
mod page;
mod pair;
mod plan;
mod records;
mod reject;
mod relay;
mod save;
mod session;
mod settings;
mod transactions;
mod transfer;

pub use call::Call;
pub use settings::{Outbound, Refer, Settings, WithoutRelay};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
