//! What rooms say of themselves, and whether it is so (I24).

use fabric::letters::control::Description;
use fabric::{Address, Envelope, Letter, Now, Outbox, Thread};

use super::Host;
use crate::cluster::lab::ClusterLab;

impl Host {
    /// The answer of a room to `Describe`; nothing else comes of it.
    fn describe(&mut self, address: Address, now: Now) -> Option<Description> {
        let room = self.rooms.get_mut(&address)?;
        let mail = Envelope::ask(Address::Nobody, address, Thread(1), Letter::Describe);
        let mut out = Outbox::new(address);
        out.open(address, Some(&mail));
        room.machine.handle(mail, now, &mut out);
        out.take().into_iter().find_map(|mail| match mail.letter {
            Letter::Described(description) => Some(*description),
            _ => None,
        })
    }
}

impl ClusterLab {
    /// Balancers that count more sessions on their relay than it has, though nobody ever disturbed it.
    pub(in crate::cluster) fn miscounted(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        for site in 0..self.relays.len() {
            let place = self.scene.sites[site];
            if self.relays[site].whole_since_ms > 0 || self.relays[site].dead {
                continue;
            }
            let (id, now) = (self.id(place), self.nodes[place].clock.now(self.now));
            let Some(host) = self.nodes[place].host.as_mut() else { continue };
            let Some(Description::Machine { facts, .. }) = host.describe(Address::Anchor(id, 0), now) else { continue };
            let sessions = facts.iter().filter(|(name, _)| name.ends_with(".sessions"));
            let counted: usize = sessions.filter_map(|(_, count)| count.parse::<usize>().ok()).sum();
            let there = self.relays[site].relay.sessions();
            if counted > there {
                found.push(format!("node {} counts {counted} sessions on its relay, which has {there}", id.0));
            }
        }
        found
    }
}
