//! The order of RFC 3263 4: which transport, which port, which address.

use std::net::{IpAddr, SocketAddr};

use fabric::letters::flow::Transport;
use fabric::letters::names::{NamesAsk, Target};

use super::dice::Dice;
use super::resolver::{Failure, Lookups, Srv};

pub(super) struct Plan<'a, L> {
    pub resolver: &'a L,
    /// Transports that may be chosen, best first.
    pub transports: &'a [Transport],
    pub dice: &'a Dice,
    pub targets_max: usize,
}

/// The target of an address literal: nothing needs to be asked (RFC 3263 4.1, 4.2).
pub(super) fn literal(ask: &NamesAsk) -> Option<Target> {
    let host = ask.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&ask.host);
    let address: IpAddr = host.parse().ok()?;
    let transport = plain_transport(ask);
    let port = ask.port.unwrap_or(default_port(transport));
    Some(Target { transport, address: SocketAddr::new(address, port) })
}

impl<L: Lookups> Plan<'_, L> {
    /// Targets in the order to be tried; empty when the name leads nowhere.
    pub async fn targets(&self, ask: &NamesAsk) -> Result<Vec<Target>, Failure> {
        let mut targets = Vec::new();
        match (ask.transport, ask.port) {
            // A port rules SRV out.
            (_, Some(port)) => self.addresses(plain_transport(ask), &ask.host, port, &mut targets).await?,
            (Some(_), None) => {
                let transport = plain_transport(ask);
                let found = self.service(transport, &service_name(transport, &ask.host), &mut targets).await?;
                if !found {
                    self.addresses(transport, &ask.host, default_port(transport), &mut targets).await?;
                }
            }
            (None, None) => self.without_hints(ask, &mut targets).await?,
        }
        Ok(targets)
    }

    /// Neither transport nor port is given: NAPTR, else SRV of every transport of ours, else plain addresses.
    async fn without_hints(&self, ask: &NamesAsk, targets: &mut Vec<Target>) -> Result<(), Failure> {
        let mut records = self.resolver.naptr(&ask.host).await?;
        records.sort_by_key(|naptr| (naptr.order, naptr.preference));
        let mut found = false;
        for naptr in &records {
            let transport = transport_of(&naptr.service).filter(|transport| self.may_use(*transport, ask.sips));
            if let Some(transport) = transport {
                found |= self.service(transport, &naptr.replacement, targets).await?;
            }
        }
        if found {
            return Ok(());
        }
        for transport in self.transports.iter().copied().filter(|transport| self.may_use(*transport, ask.sips)) {
            found |= self.service(transport, &service_name(transport, &ask.host), targets).await?;
        }
        if !found {
            let transport = plain_transport(ask);
            self.addresses(transport, &ask.host, default_port(transport), targets).await?;
        }
        Ok(())
    }

    fn may_use(&self, transport: Transport, sips: bool) -> bool {
        self.transports.contains(&transport) && (!sips || transport == Transport::Tls)
    }

    /// Targets of one SRV name; `false` when there is no such name.
    async fn service(&self, transport: Transport, name: &str, targets: &mut Vec<Target>) -> Result<bool, Failure> {
        let records = self.resolver.srv(name).await?;
        let found = !records.is_empty();
        for srv in in_order(records, self.dice) {
            if !srv.target.is_empty() && targets.len() < self.targets_max {
                self.addresses(transport, &srv.target, srv.port, targets).await?;
            }
        }
        Ok(found)
    }

    async fn addresses(
        &self,
        transport: Transport,
        host: &str,
        port: u16,
        targets: &mut Vec<Target>,
    ) -> Result<(), Failure> {
        let addresses = self.resolver.addresses(host).await?;
        let fresh = addresses.into_iter().map(|address| Target { transport, address: SocketAddr::new(address, port) });
        for target in fresh {
            if targets.len() < self.targets_max && !targets.contains(&target) {
                targets.push(target);
            }
        }
        Ok(())
    }
}

/// SRV records by priority, and within one by weighted chance (RFC 2782).
fn in_order(mut records: Vec<Srv>, dice: &Dice) -> Vec<Srv> {
    // Records of weight zero stand first within their priority, so that they keep a small chance.
    records.sort_by(|a, b| (a.priority, a.weight, &a.target, a.port).cmp(&(b.priority, b.weight, &b.target, b.port)));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|srv| srv.priority) {
        let same = records.iter().take_while(|srv| srv.priority == priority);
        let total: u64 = same.map(|srv| u64::from(srv.weight)).sum();
        let mark = dice.upto(total);
        let mut sum = 0;
        let place = records.iter().position(|srv| {
            sum += u64::from(srv.weight);
            sum >= mark
        });
        ordered.push(records.remove(place.unwrap_or(0)));
    }
    ordered
}

/// Transport when nothing but the URI tells (RFC 3263 4.1).
fn plain_transport(ask: &NamesAsk) -> Transport {
    match (ask.transport, ask.sips) {
        (Some(Transport::Tcp) | None, true) => Transport::Tls,
        (Some(Transport::Ws), true) => Transport::Wss,
        (Some(transport), _) => transport,
        (None, false) => Transport::Udp,
    }
}

fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
        Transport::Ws => 80,
        Transport::Wss => 443,
    }
}

fn service_name(transport: Transport, host: &str) -> String {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws => "_sip._ws",
        Transport::Wss => "_sips._ws",
    };
    format!("{service}.{host}")
}

fn transport_of(service: &str) -> Option<Transport> {
    match service {
        "SIP+D2U" => Some(Transport::Udp),
        "SIP+D2T" => Some(Transport::Tcp),
        "SIPS+D2T" => Some(Transport::Tls),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
