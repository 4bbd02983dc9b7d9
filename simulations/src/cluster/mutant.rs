//! Deliberate faults of the switch, made where its parcels, letters and records pass: each takes away one thing that the
//! promises rest on, and the judges must notice. Only the lab has them.

use std::collections::BTreeSet;

use bytes::Bytes;
use fabric::letters::control::{Control, Verdict};
use fabric::letters::media::RelayVerb;
use fabric::letters::record::{Record, RecordId};
use fabric::{Address, Epoch, Instant, Letter, Parcel};

use crate::cluster::scene::Scene;

/// A deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// Records carry no effects: what was not released is lost.
    EffectsForgotten,
    /// Records carry no open questions.
    QuestionsForgotten,
    /// The end of a machine is not told to the standby.
    TombstoneForgotten,
    /// Epochs are not looked at.
    EpochIgnored,
    /// A machine's clock begins anew at the standby: timers run too long.
    TimersRestarted,
    /// A letter to another node is forgotten once it has left.
    MailForgotten,
    /// A record is written twice under two identities.
    RecordDoubled,
    /// A record of every eighth call never arrives.
    RecordLost,
    /// Media sessions of every fourth call are never deleted.
    MediaLeft,
    /// The standby says that it has what it has not.
    AckTooEarly,
    /// Nothing keeps NAT mappings open.
    KeepAliveForgotten,
    /// The next release writes what the one before it cannot read.
    VersionRaised,
    /// A call gets the session description that was made for another one.
    MediaCrossed,
    /// Balancers keep their bans to themselves.
    BansUntold,
    /// A ban that is told begins anew.
    BansRestarted,
    /// Nobody hears that an address has proven itself.
    VouchForgotten,
}

impl Mutant {
    pub const ALL: [Mutant; 16] = [
        Mutant::EffectsForgotten,
        Mutant::QuestionsForgotten,
        Mutant::TombstoneForgotten,
        Mutant::EpochIgnored,
        Mutant::TimersRestarted,
        Mutant::MailForgotten,
        Mutant::RecordDoubled,
        Mutant::RecordLost,
        Mutant::MediaLeft,
        Mutant::AckTooEarly,
        Mutant::KeepAliveForgotten,
        Mutant::VersionRaised,
        Mutant::MediaCrossed,
        Mutant::BansUntold,
        Mutant::BansRestarted,
        Mutant::VouchForgotten,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Mutant::EffectsForgotten => "effects-forgotten",
            Mutant::QuestionsForgotten => "questions-forgotten",
            Mutant::TombstoneForgotten => "tombstone-forgotten",
            Mutant::EpochIgnored => "epoch-ignored",
            Mutant::TimersRestarted => "timers-restarted",
            Mutant::MailForgotten => "mail-forgotten",
            Mutant::RecordDoubled => "record-doubled",
            Mutant::RecordLost => "record-lost",
            Mutant::MediaLeft => "media-left",
            Mutant::AckTooEarly => "ack-too-early",
            Mutant::KeepAliveForgotten => "keep-alive-forgotten",
            Mutant::VersionRaised => "version-raised",
            Mutant::MediaCrossed => "media-crossed",
            Mutant::BansUntold => "bans-untold",
            Mutant::BansRestarted => "bans-restarted",
            Mutant::VouchForgotten => "vouch-forgotten",
        }
    }

    pub fn named(name: &str) -> Option<Mutant> {
        Mutant::ALL.into_iter().find(|mutant| mutant.name() == name)
    }
}

/// Applies a mutant.
pub struct Saboteur {
    mutant: Mutant,
    doubled: BTreeSet<RecordId>,
    /// What an anchor has said last, and to whom.
    said: Option<(Address, Bytes)>,
}

impl Saboteur {
    pub fn new(mutant: Mutant, _scene: &Scene) -> Saboteur {
        Saboteur { mutant, doubled: BTreeSet::new(), said: None }
    }

    /// Whether nodes of two releases understand each other.
    pub fn divides(&self) -> bool {
        self.mutant == Mutant::VersionRaised
    }

    /// What becomes of a parcel.
    pub fn parcel(&mut self, mut parcel: Parcel) -> Option<Parcel> {
        match (&mut parcel, self.mutant) {
            (Parcel::Record(record), Mutant::EffectsForgotten) => record.effects.clear(),
            (Parcel::Record(record), Mutant::QuestionsForgotten) => record.asked.clear(),
            (Parcel::Record(record), Mutant::TombstoneForgotten) => record.gone = false,
            (Parcel::Record(record), Mutant::TimersRestarted) => {
                record.axis = Instant(record.axis.0.saturating_sub(20_000_000));
            }
            (Parcel::Mail { mail, .. }, Mutant::EpochIgnored) if mail.from.slot().is_some() => {
                mail.epoch = Epoch(1 << 40)
            }
            (Parcel::Mail { receipt, .. }, Mutant::MailForgotten) => *receipt = 0,
            (Parcel::Mail { mail, .. }, Mutant::MediaLeft) => {
                if let Letter::RelayAsk(ask) = &mail.letter
                    && ask.verb == RelayVerb::Delete
                    && ask.call_id.bytes().map(u32::from).sum::<u32>().is_multiple_of(4)
                {
                    return None;
                }
            }
            (Parcel::Mail { mail, .. }, Mutant::KeepAliveForgotten) => {
                if let (Letter::SipOut(out), fabric::Address::Registration(_)) = (&mail.letter, mail.from)
                    && out.message.view().method() == sip::Method::Options
                {
                    return None;
                }
            }
            (Parcel::Mail { mail, .. }, Mutant::MediaCrossed) => {
                let to = mail.to;
                if let Letter::RelayDone(done) = &mut mail.letter
                    && !done.sdp.is_empty()
                {
                    let own = (to, done.sdp.clone());
                    match self.said.replace(own) {
                        Some((other, sdp)) if other != to => done.sdp = sdp,
                        _ => {}
                    }
                }
            }
            (Parcel::Mail { mail, .. }, _) if matches!(mail.letter, Letter::Control(_)) => {
                if let Letter::Control(control) = &mut mail.letter
                    && !tell(control, self.mutant)
                {
                    return None;
                }
            }
            (Parcel::Ack { number, .. }, Mutant::AckTooEarly) => *number += 3,
            _ => {}
        }
        Some(parcel)
    }

    /// Whether a record leaves for the central store.
    pub fn ships(&mut self, record: &Record) -> bool {
        match (record, self.mutant) {
            (Record::Stop { id, .. }, Mutant::RecordLost) => !id.call.0.is_multiple_of(8),
            _ => true,
        }
    }

    /// Records that come besides.
    pub fn besides(&mut self, record: &Record) -> Option<Record> {
        if self.mutant != Mutant::RecordDoubled {
            return None;
        }
        let mut copy = record.clone();
        let id = match &mut copy {
            Record::Start(parties) | Record::Attempt { parties, .. } => &mut parties.id,
            Record::Stop { id, .. } => id,
        };
        id.init_ms += 1;
        let id = *id;
        id.call.0.is_multiple_of(8).then(|| {
            self.doubled.insert(id);
            copy
        })
    }
}

/// Whether what a balancer tells of its bans arrives.
fn tell(control: &mut Control, mutant: Mutant) -> bool {
    match (control, mutant) {
        (Control::BanNews(_) | Control::BanSums { .. }, Mutant::BansUntold) => false,
        (Control::BanNews(bans), Mutant::BansRestarted) => {
            bans.iter_mut().for_each(|ban| ban.left_ms = 60_000);
            true
        }
        (Control::BanNews(bans), Mutant::VouchForgotten) => {
            bans.retain(|ban| ban.verdict != Verdict::Vouched);
            !bans.is_empty()
        }
        _ => true,
    }
}
