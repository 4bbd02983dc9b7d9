//! Floods and bans (I29): strangers that flood a balancer, forgers that do it in a phone's name, and what the balancers
//! make of it. A ban is everywhere within a second and over when its time is; a phone that has proven itself is never banned
//! for what anybody can forge.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use fabric::letters::control::{BanEntry, Control, ControlAnswer};
use fabric::letters::flow::{Flow, Received, Transport};
use fabric::{Address, Envelope, Letter, NodeId, Thread};

use crate::cluster::event::Event;
use crate::cluster::lab::ClusterLab;
use crate::cluster::scene::{LEAD_MS, Scene, site_address};
use crate::dice::Dice;
use crate::plan::Plan as Script;

/// A flood: who, in whose name, where.
struct Flood {
    from: SocketAddr,
    site: usize,
    /// The process that takes it, and how much of it that one has got.
    at: (usize, u64),
    got: usize,
    forged: bool,
    /// When the last of it was sent, microseconds.
    ended: Option<u64>,
}

/// A ban as it was first seen.
struct Seen {
    since: u64,
    until: u64,
}

#[derive(Default)]
pub struct Floods {
    floods: Vec<Flood>,
    /// What each site's balancer has said last: addresses and their ends, true time.
    lists: BTreeMap<usize, Vec<BanEntry>>,
    /// Since when each site's balancer is there and reaches all others, and which process it is.
    well: BTreeMap<usize, ((usize, u64), u64)>,
    seen: BTreeMap<IpAddr, Seen>,
    wrongs: usize,
    /// The process that has seen a phone register, by device.
    pub proven: BTreeMap<usize, (usize, u64)>,
    pub banned: u64,
}

impl Floods {
    pub fn new(scene: &Scene) -> Floods {
        let work = &scene.plan.workload;
        let mut dice = Dice::named(scene.seed, &[b"floods"]);
        let mut floods = Vec::new();
        for number in 0..work.scanners + work.forgers {
            let forged = number >= work.scanners;
            let (site, from) = match forged {
                false => (dice.below(scene.sites.len()), SocketAddr::from(([203, 0, 115, number as u8 + 1], 5060))),
                true => forge(&scene.script, scene.sites.len(), &mut dice),
            };
            floods.push(Flood { from, site, at: (0, 0), got: 0, forged, ended: None });
        }
        Floods { floods, ..Floods::default() }
    }

    /// Whether the lab looks at bans at all.
    pub fn is_watched(&self) -> bool {
        !self.floods.is_empty()
    }

    pub fn is_from(&self, remote: SocketAddr) -> bool {
        self.floods.iter().any(|flood| flood.from == remote)
    }
}

/// A phone's address with a port that it does not use, and a site that is not the phone's.
fn forge(script: &Script, sites: usize, dice: &mut Dice) -> (usize, SocketAddr) {
    let device = dice.pick(&script.devices);
    let others: Vec<usize> = (0..sites).filter(|site| *site != device.site || sites == 1).collect();
    (*dice.pick(&others), SocketAddr::new(device.public.ip(), 9_999))
}

impl ClusterLab {
    pub(super) fn begin_floods(&mut self) {
        if !self.floods.is_watched() {
            return;
        }
        let mut dice = Dice::named(self.scene.seed, &[b"when floods come"]);
        let last = (self.scene.healed_ms - 4_000).max(LEAD_MS + 1) * 1_000;
        for number in 0..self.floods.floods.len() {
            self.heap.push(dice.between((LEAD_MS + 1) * 1_000, last), Event::Flood(number, 0));
        }
        self.heap.push(LEAD_MS * 1_000, Event::Bans);
    }

    /// The next few messages of a flood.
    pub(super) fn flood(&mut self, number: usize, step: usize) {
        let flood = &mut self.floods.floods[number];
        let node = self.street.owners[flood.site];
        let process = (node, self.nodes[node].boot);
        if flood.at != process {
            (flood.at, flood.got) = (process, 0);
        }
        let site = self.street.site_ids[flood.site];
        let flow = Flow {
            balancer: Address::Balancer(site, 0),
            transport: Transport::Udp,
            listener: 0,
            local: site_address(flood.site),
            remote: flood.from,
            connection: 0,
        };
        if self.nodes[node].host.is_some() && !self.nodes[node].paused {
            flood.got += PER_STEP;
            for count in 0..PER_STEP {
                let letter = Letter::Received(Received { flow, bytes: options(flow.remote, step * PER_STEP + count) });
                let mail = Envelope::new(Address::Flow(site), flow.balancer, letter);
                self.visit(node, |host, now, doings| host.post(mail, now, doings));
            }
        }
        match step + 1 < STEPS {
            true => self.heap.push(self.now + 25_000, Event::Flood(number, step + 1)),
            false => self.floods.floods[number].ended = Some(self.now),
        }
    }

    /// Looks at everybody's bans.
    pub(super) fn look_at_bans(&mut self) {
        self.heap.push(self.now + LOOK_US, Event::Bans);
        self.floods.lists.clear();
        for site in 0..self.street.site_ids.len() {
            let node = self.street.owners[site];
            let process = (node, self.nodes[node].boot);
            let well = self.floods.well.entry(site).or_insert((process, self.now));
            let reaches = |other: &usize| *other == node || self.net.is_up(node, *other);
            let own = &self.nodes[node];
            let lives = own.host.is_some() && !own.paused && own.slow_us == 0;
            if well.0 != process || !lives || !self.street.owners.iter().all(reaches) {
                *well = (process, self.now);
            }
            let (from, to) = (Address::Control(self.id(node)), Address::Balancer(self.street.site_ids[site], 0));
            let mail = Envelope::ask(from, to, Thread(1), Letter::Control(Box::new(Control::Bans)));
            self.visit(node, |host, now, doings| host.post(mail, now, doings));
        }
        self.judge_bans();
    }

    /// A balancer has told its bans.
    pub(super) fn told_bans(&mut self, envelope: &Envelope) {
        let (Letter::ControlAnswer(answer), Address::Balancer(site, _)) = (&envelope.letter, envelope.from) else {
            return;
        };
        let place = self.street.site_ids.iter().position(|own: &NodeId| *own == site);
        if let (ControlAnswer::Bans(bans), Some(place)) = (&**answer, place) {
            self.floods.lists.insert(place, bans.clone());
        }
    }

    fn judge_bans(&mut self) {
        let now = self.now;
        let mut wrongs: Vec<String> = Vec::new();
        let lists = std::mem::take(&mut self.floods.lists);
        let is_well = |site: &usize| self.floods.well.get(site).is_some_and(|(_, since)| since + SECOND_US <= now);
        for (site, bans) in &lists {
            let Some(((node, _), _)) = self.floods.well.get(site) else { continue };
            let local = self.nodes[*node].clock.now(now);
            for ban in bans {
                let left = ban.until_ms.saturating_sub(local.unix_ms) * 1_000;
                let seen = self.floods.seen.entry(ban.address).or_insert(Seen { since: now, until: now + left });
                if now > seen.until + SECOND_US {
                    wrongs.push(format!("the ban of {} is over and site {site} still has it", ban.address));
                }
            }
        }
        for (address, seen) in &self.floods.seen {
            if seen.since + SECOND_US > now || seen.until < now + SECOND_US {
                continue;
            }
            let has = |bans: &Vec<BanEntry>| bans.iter().any(|ban| ban.address == *address);
            if !lists.iter().any(|(site, bans)| is_well(site) && has(bans)) {
                continue;
            }
            let lacks = lists.iter().filter(|(site, bans)| is_well(site) && !has(bans));
            wrongs.extend(lacks.map(|(site, _)| format!("site {site} does not know of the ban of {address}")));
        }
        for flood in &mut self.floods.floods {
            let address = flood.from.ip();
            let Some(ended) = flood.ended.filter(|ended| ended + SECOND_US <= now) else { continue };
            flood.ended = None;
            let banned = lists.values().flatten().any(|ban| ban.address == address);
            let whole = flood.got == STEPS * PER_STEP && ended + 2 * SECOND_US > now;
            self.floods.banned += u64::from(banned);
            if !flood.forged && whole && !banned {
                wrongs.push(format!("{address} has flooded site {} and is not banned", flood.site));
            }
            let device = self.street.script().devices.iter().position(|device| device.public.ip() == address);
            let proven = device.and_then(|device| Some((device, *self.floods.proven.get(&device)?)));
            if let Some((device, (node, boot))) = proven
                && banned
                && self.nodes[node].boot == boot
                && self.nodes[node].host.is_some()
                && self.street.owners[self.street.script().devices[device].site] == node
                && is_well(&self.street.script().devices[device].site)
            {
                wrongs
                    .push(format!("device {device}, which is registered, is banned for a flood that somebody forged"));
            }
        }
        for text in wrongs {
            self.floods.wrongs += 1;
            if self.floods.wrongs <= WRONGS_MAX {
                self.watch.fail(29, now, text);
            }
        }
    }
}

fn options(from: SocketAddr, number: usize) -> Bytes {
    let text = format!(
        "OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-f{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:scan@{from}>;tag=f\r\nTo: <sip:example.test>\r\nCall-ID: scan{number}@{from}\r\nCSeq: 1 OPTIONS\r\n\r\n"
    );
    Bytes::from(text)
}

/// A flood is so many steps of so many messages, 25 ms apart.
const STEPS: usize = 20;
const PER_STEP: usize = 20;

/// Pause between two looks, microseconds.
const LOOK_US: u64 = 250_000;

/// As long as news of a ban may take, microseconds.
const SECOND_US: u64 = 1_000_000;

/// Failures told of a run.
const WRONGS_MAX: usize = 20;
