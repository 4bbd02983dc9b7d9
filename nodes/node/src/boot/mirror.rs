//! The second chassis of a call record: a copy goes to the standby of the call's group as ordinary mail.

use std::sync::Arc;

use fabric::letters::record::Record;
use fabric::{Address, Envelope, Key, Letter, NodeId, Post};
use office::Office;
use ports::records;
use shell::Exchange;

pub(super) struct Mirror {
    pub me: NodeId,
    pub office: Arc<Office>,
    pub exchange: Exchange,
}

impl records::Mirror for Mirror {
    fn mirror(&self, mail: &Envelope) -> bool {
        let Letter::Record(record) = &mail.letter else { return false };
        let call = match &**record {
            Record::Start(parties) | Record::Attempt { parties, .. } => parties.id.call,
            Record::Stop { id, .. } => id.call,
        };
        let Some(standby) = self.standby(call) else { return false };
        self.exchange.post(Envelope { to: Address::Records(standby), ..mail.clone() });
        true
    }

    fn standby(&self, call: Key) -> Option<NodeId> {
        let table = self.office.table();
        let owner = table.owner_of(Address::Call(call))?;
        // What this node recorded before it lost a call is for the call's owner to know.
        let standby =
            owner.active.filter(|active| *active != self.me).or(owner.standby).filter(|node| *node != self.me)?;
        table.members.iter().any(|member| member.node == standby && member.up).then_some(standby)
    }
}
