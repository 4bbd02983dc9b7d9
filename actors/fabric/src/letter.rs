//! Letters: everything rooms say to each other and to the ports. Large ones are boxed, so that a letter stays small.
//!
//! A *question* is posted with `Outbox::ask`; its answer, or `Returned`, comes back on the same thread.
//! New variants go to the end (see `codec`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::letters::cluster::{Beat, Divides, Grant, Hearing, JournalEntry, Order, Silences};
use crate::letters::control::{Control, ControlAnswer, Description};
use crate::letters::flow::{Flow, Received, SipIn, SipOut, Traced, Transmit};
use crate::letters::location::{Bind, Binding, Bound, StoredBindings};
use crate::letters::media::{MediaAsk, MediaDone, RelayAsk, RelayDone};
use crate::letters::names::{NamesAsk, Target};
use crate::letters::record::Record;
use crate::letters::subscriber::{Account, AccountAsk};
use crate::ownership::Table;
use crate::{Envelope, Fault, Outbox, Thread};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Letter {
    /// A letter or question of ours failed.
    Returned(Fault),

    // Sockets and balancer.
    /// Flow port → balancer: bytes from a socket, one SIP message.
    Received(Received),
    /// Balancer → flow port: bytes for a socket. A failure comes back as `Returned` when asked.
    Transmit(Transmit),
    /// Flow port → balancer: a connection ended.
    FlowClosed(Flow),

    // SIP between balancer and the minds.
    /// Balancer → call or registration.
    SipIn(Box<SipIn>),
    /// Call or registration → balancer. A transport failure comes back as `Returned(FlowGone)` when asked.
    SipOut(Box<SipOut>),
    /// Balancer → tracer port.
    Traced(Box<Traced>),

    // Subscribers: call, registration → store port.
    AccountAsk(Box<AccountAsk>),
    Account(Account),

    // Bindings.
    /// Registration → location: RFC 3261 10.3, all or nothing.
    Bind(Box<Bind>),
    /// Answer to `Bind`.
    Bound(Box<Bound>),
    /// Call → location: who is reachable under this address-of-record (`user@domain`, lower case)?
    Locate(Box<str>),
    /// Answer to `Locate`: unexpired bindings, highest q first.
    Located(Vec<Binding>),
    /// Location → store port: the whole state of an address-of-record; empty bindings delete it. Answered by `Kept`.
    KeepBindings(Box<StoredBindings>),
    /// Store or records port: durable now.
    Kept,
    /// Location → store port at its start: everything of this shard (shard, number of shards).
    LoadBindings(u16, u16),
    /// Answer to `LoadBindings`.
    LoadedBindings(Arc<Vec<StoredBindings>>),

    // Media.
    /// Call → media session. Answered by `MediaDone`.
    MediaAsk(Box<MediaAsk>),
    MediaDone(Box<MediaDone>),
    /// Media session → anchor. Answered by `RelayDone`.
    RelayAsk(Box<RelayAsk>),
    RelayDone(Box<RelayDone>),
    /// Anchor → relay port: an NG datagram for rtpengine number `.0` of the configuration.
    RelaySend(u16, bytes::Bytes),
    /// Relay port → anchor: an NG datagram from rtpengine number `.0`.
    RelayReceived(u16, bytes::Bytes),

    // Records and names.
    /// Call → records port. Answered by `Kept` when asked.
    Record(Box<Record>),
    /// Call → names port (RFC 3263). Answered by `Names`.
    NamesAsk(Box<NamesAsk>),
    /// Targets in the order to be tried; empty when the name leads nowhere.
    Names(Vec<Target>),

    // Operator.
    /// What are you doing? Any machine answers with `Described`.
    Describe,
    Described(Box<Description>),
    Control(Box<Control>),
    ControlAnswer(Box<ControlAnswer>),

    // Ownership.
    /// Office → every director, every 50 ms.
    Beat(Box<Beat>),
    /// Director → office: its answer to a beat.
    Grant(Box<Grant>),
    /// Director → office: who owns what; also between directors and whoever asks.
    Table(Arc<Table>),
    /// Director → director: a message of the Raft library.
    Raft(bytes::Bytes),
    /// Director → the leading director: whom it has not heard.
    Silences(Box<Silences>),
    /// Director → journal port: written in this order, all durable when `Kept` comes.
    JournalWrite(Vec<JournalEntry>),
    /// Director → journal port at its start.
    JournalRead,
    /// Answer to `JournalRead`, oldest first.
    JournalEntries(Vec<JournalEntry>),
    /// Operator or office → director: change an ownership. Answered by `ControlAnswer`.
    Order(Box<Order>),
    /// Office → a machine that waits in a replica: come to life.
    Revive,
    /// Office → a machine whose slot has another owner: end without a word.
    Retire,
    /// Office → every director, just before the beat of the same moment: whom it does not hear.
    Hearing(Box<Hearing>),
    /// Director → the leading director, just before the report of the same round: who does not hear whom.
    Divides(Box<Divides>),
}

impl Letter {
    /// Short word for logs and metrics.
    pub fn kind(&self) -> &'static str {
        Letter::KINDS[self.code()]
    }

    /// Short words of all kinds, by code.
    pub const KINDS: [&'static str; 43] = [
        "returned",
        "received",
        "transmit",
        "flow_closed",
        "sip_in",
        "sip_out",
        "traced",
        "account_ask",
        "account",
        "bind",
        "bound",
        "locate",
        "located",
        "keep_bindings",
        "kept",
        "load_bindings",
        "loaded_bindings",
        "media_ask",
        "media_done",
        "relay_ask",
        "relay_done",
        "relay_send",
        "relay_received",
        "record",
        "names_ask",
        "names",
        "describe",
        "described",
        "control",
        "control_answer",
        "beat",
        "grant",
        "table",
        "raft",
        "silences",
        "journal_write",
        "journal_read",
        "journal_entries",
        "order",
        "revive",
        "retire",
        "hearing",
        "divides",
    ];

    /// A question that its asker keeps open until an answer comes; asked again by the next owner when it has not come.
    pub fn is_question(&self) -> bool {
        matches!(
            self,
            Letter::AccountAsk(_)
                | Letter::Bind(_)
                | Letter::Locate(_)
                | Letter::KeepBindings(_)
                | Letter::LoadBindings(..)
                | Letter::MediaAsk(_)
                | Letter::RelayAsk(_)
                | Letter::Record(_)
                | Letter::NamesAsk(_)
        )
    }

    /// Closes a question of whoever gets it.
    pub fn is_answer(&self) -> bool {
        matches!(
            self,
            Letter::Returned(_)
                | Letter::Account(_)
                | Letter::Bound(_)
                | Letter::Located(_)
                | Letter::Kept
                | Letter::LoadedBindings(_)
                | Letter::MediaDone(_)
                | Letter::RelayDone(_)
                | Letter::Names(_)
        )
    }

    /// Is kept by the sending node until the other one has it, and sent again otherwise: everything that nobody repeats.
    pub fn wants_receipt(&self) -> bool {
        !matches!(
            self,
            Letter::Beat(_)
                | Letter::Grant(_)
                | Letter::Table(_)
                | Letter::Raft(_)
                | Letter::Silences(_)
                | Letter::Hearing(_)
                | Letter::Divides(_)
                | Letter::Order(_)
                | Letter::Traced(_)
                | Letter::Describe
                | Letter::Described(_)
                | Letter::Control(_)
                | Letter::ControlAnswer(_)
                | Letter::Revive
                | Letter::Retire
        )
    }

    /// Changes nothing where it arrives and promises nothing: may leave before its sender's state is replicated.
    pub fn is_harmless(&self) -> bool {
        matches!(
            self,
            Letter::AccountAsk(_)
                | Letter::Locate(_)
                | Letter::Located(_)
                | Letter::LoadBindings(..)
                | Letter::NamesAsk(_)
                | Letter::Traced(_)
                | Letter::Describe
                | Letter::Described(_)
        )
    }

    /// Number of the kind: where it stands in `KINDS`.
    pub fn code(&self) -> usize {
        match self {
            Letter::Returned(_) => 0,
            Letter::Received(_) => 1,
            Letter::Transmit(_) => 2,
            Letter::FlowClosed(_) => 3,
            Letter::SipIn(_) => 4,
            Letter::SipOut(_) => 5,
            Letter::Traced(_) => 6,
            Letter::AccountAsk(_) => 7,
            Letter::Account(_) => 8,
            Letter::Bind(_) => 9,
            Letter::Bound(_) => 10,
            Letter::Locate(_) => 11,
            Letter::Located(_) => 12,
            Letter::KeepBindings(_) => 13,
            Letter::Kept => 14,
            Letter::LoadBindings(..) => 15,
            Letter::LoadedBindings(_) => 16,
            Letter::MediaAsk(_) => 17,
            Letter::MediaDone(_) => 18,
            Letter::RelayAsk(_) => 19,
            Letter::RelayDone(_) => 20,
            Letter::RelaySend(..) => 21,
            Letter::RelayReceived(..) => 22,
            Letter::Record(_) => 23,
            Letter::NamesAsk(_) => 24,
            Letter::Names(_) => 25,
            Letter::Describe => 26,
            Letter::Described(_) => 27,
            Letter::Control(_) => 28,
            Letter::ControlAnswer(_) => 29,
            Letter::Beat(_) => 30,
            Letter::Grant(_) => 31,
            Letter::Table(_) => 32,
            Letter::Raft(_) => 33,
            Letter::Silences(_) => 34,
            Letter::JournalWrite(_) => 35,
            Letter::JournalRead => 36,
            Letter::JournalEntries(_) => 37,
            Letter::Order(_) => 38,
            Letter::Revive => 39,
            Letter::Retire => 40,
            Letter::Hearing(_) => 41,
            Letter::Divides(_) => 42,
        }
    }
}

/// Sends back a letter that nobody could take; silent when it wants no answer or is itself a returned one.
pub fn undeliverable(mail: Envelope, fault: Fault, out: &mut Outbox) {
    if mail.thread != Thread::NONE && !matches!(mail.letter, Letter::Returned(_)) {
        out.answer(&mail, Letter::Returned(fault));
    }
}
