//! A request outside dialogs that the call works on: an INVITE with its branches, or a MESSAGE or OPTIONS to be passed.

use std::sync::Arc;

use fabric::letters::flow::Flow;
use fabric::letters::subscriber::{Account, Subscriber};
use serde::{Deserialize, Serialize};
use sip::{Message, Method};

use crate::context::ResponseContext;
use crate::transactions::TxId;

/// An INVITE (or a request to be passed) on its way from the caller to one of the contacts.
#[derive(Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// CSeq number of the request: names the attempt, and is part of every derived identifier.
    pub id: u32,
    pub server: TxId,
    pub request: Message,
    pub source: Flow,
    pub nat: bool,
    /// Leg of the party that calls, 0 unless it is being transferred.
    pub leg: u16,
    /// The switch calls on behalf of a party that is being transferred: nobody waits for responses.
    pub transfer: bool,
    /// The caller is a trunk that needs no credentials.
    pub trusted: bool,
    pub caller: Option<Arc<Subscriber>>,
    pub callee: Option<Account>,
    pub admitted: bool,
    pub stage: Stage,
    pub branches: Vec<Branch>,
    pub context: ResponseContext,
    /// The session description of the INVITE; empty for a delayed offer.
    pub offer: bytes::Bytes,
    /// First ringing, milliseconds since 1970; 0 before it.
    pub ring_ms: u64,
    pub init_ms: u64,
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Waiting for the subscribers' data.
    Admitting,
    /// Waiting for the contacts.
    Locating,
    /// Branches of the present group are being tried.
    Trying,
    /// This leg has answered; its answer is on the way to the caller.
    Answering(u16),
    /// The caller has its final response; branches may still have to be cleared.
    Clearing,
}

/// One contact that is tried.
#[derive(Serialize, Deserialize)]
pub(crate) struct Branch {
    pub leg: u16,
    /// Preference, thousandths; equal ones are tried together.
    pub q: u16,
    pub contact: Box<str>,
    /// Path beyond our own balancer, comma-joined (RFC 3327 5.3).
    pub routes: Box<str>,
    pub flow: Option<Flow>,
    pub nat: bool,
    pub state: BranchState,
    /// CSeq number of the request as it was sent last; 0 before that.
    pub cseq: u32,
    /// The request as it was sent.
    pub sent: Option<Message>,
    /// Session interval to ask for, raised by a 422.
    pub session: dialog::SessionTimer,
    /// The session description for this contact, for an INVITE that has to be repeated.
    pub offer: bytes::Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BranchState {
    /// Its group's turn has not come.
    Waiting,
    /// Waiting for RFC 3263.
    Resolving,
    /// Waiting for the media session.
    Offering,
    /// The request is out.
    Calling { tx: TxId },
    /// It has answered finally, failed, or was never tried.
    Done,
}

impl Attempt {
    pub fn is_invite(&self) -> bool {
        self.request.view().method() == Method::Invite
    }

    pub fn branch(&mut self, leg: u16) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|branch| branch.leg == leg)
    }

    /// Branches whose outcome is still open.
    pub fn open_branches(&self) -> usize {
        self.branches.iter().filter(|branch| !matches!(branch.state, BranchState::Waiting | BranchState::Done)).count()
    }

    /// Preference of the next group, if there is one.
    pub fn next_group(&self) -> Option<u16> {
        self.branches.iter().filter(|branch| branch.state == BranchState::Waiting).map(|branch| branch.q).max()
    }

    /// Whether the caller may still get a final response from us.
    pub fn is_open(&self) -> bool {
        self.stage != Stage::Clearing
    }
}
