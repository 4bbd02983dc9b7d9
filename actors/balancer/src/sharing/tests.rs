use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use fabric::letters::control::{BanEntry, ControlAnswer, Verdict};
use fabric::{Envelope, Home, Machine, Now, Thread};

use super::*;
use crate::Balancer;

/// Balancers of several nodes, two shards each, and the links between the nodes.
struct Net {
    machines: BTreeMap<Address, Balancer>,
    settings: Arc<Settings>,
    now: Now,
    /// Nodes whose links are cut.
    cut: BTreeSet<NodeId>,
    /// Letters between balancers so far, and answers to operators.
    letters: usize,
    answers: Vec<ControlAnswer>,
}

const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

impl Net {
    fn new() -> Net {
        let settings = Settings { siblings: 2, peers: NODES.to_vec(), ..Settings::default() };
        let now = Now { instant: Instant(1_000_000_000), unix_ms: 1_700_000_000_000 };
        let (machines, cut) = (BTreeMap::new(), BTreeSet::new());
        let mut net = Net { machines, settings: Arc::new(settings), now, cut, letters: 0, answers: Vec::new() };
        NODES.into_iter().for_each(|node| net.start(node));
        net.run_ms(10);
        net
    }

    fn start(&mut self, node: NodeId) {
        let home = Home::new(node, [7; 16], 16);
        for shard in 0..2 {
            let machine = Balancer::new(&home, shard, self.settings.clone());
            self.machines.insert(Address::Balancer(node, shard), machine);
        }
    }

    fn run_ms(&mut self, ms: u64) {
        for _ in 0..ms {
            let due: Vec<Address> = self.machines.keys().copied().collect();
            for address in due {
                let machine = self.machines.get_mut(&address).expect("a machine");
                if machine.deadline().is_some_and(|due| due <= self.now.instant) {
                    let mut out = Outbox::new(address);
                    machine.wake(self.now, &mut out);
                    self.deliver(out.take());
                }
            }
            self.now = self.now.after(Duration::from_millis(1));
        }
    }

    fn deliver(&mut self, mut mail: Vec<Envelope>) {
        while !mail.is_empty() {
            let mut next = Vec::new();
            for mail in mail {
                if let Letter::ControlAnswer(answer) = mail.letter {
                    self.answers.push(*answer);
                    continue;
                }
                let nodes = (mail.from.node(), mail.to.node());
                let cut = |node: Option<NodeId>| node.is_some_and(|node| self.cut.contains(&node));
                if nodes.0 != nodes.1 && (cut(nodes.0) || cut(nodes.1)) {
                    continue;
                }
                self.letters += 1;
                let to = mail.to;
                let Some(machine) = self.machines.get_mut(&to) else { continue };
                let mut out = Outbox::new(to);
                out.open(to, Some(&mail));
                machine.handle(mail, self.now, &mut out);
                next.extend(out.take());
            }
            assert!(self.letters < 5_000, "they talk without end");
            mail = next;
        }
    }

    /// An operator tells all shards of a node.
    fn order(&mut self, node: NodeId, control: &Control) {
        for shard in 0..2 {
            let letter = Letter::Control(Box::new(control.clone()));
            let to = Address::Balancer(node, shard);
            self.deliver(vec![Envelope::ask(Address::Control(node), to, Thread(1), letter)]);
        }
    }

    fn ban(&mut self, node: NodeId, host: &str, seconds: u32) {
        self.order(node, &Control::Ban { address: ip(host), seconds, reason: "test".to_owned() });
    }

    fn bans(&mut self, address: Address) -> Vec<BanEntry> {
        self.answers.clear();
        let letter = Letter::Control(Box::new(Control::Bans));
        let node = address.node().expect("a balancer's");
        self.deliver(vec![Envelope::ask(Address::Control(node), address, Thread(1), letter)]);
        match self.answers.pop() {
            Some(ControlAnswer::Bans(bans)) => bans,
            other => panic!("{other:?}"),
        }
    }

    /// Who is banned, by shard of a node, as `host/origin`.
    fn banned(&mut self) -> Vec<String> {
        let all: Vec<Address> = self.machines.keys().copied().collect();
        let mut lines = Vec::new();
        for address in all {
            let bans = self.bans(address);
            lines
                .push(bans.iter().map(|ban| format!("{}/{}", ban.address, ban.origin.0)).collect::<Vec<_>>().join(" "));
        }
        lines
    }

    /// All six shards have these.
    fn all(&mut self, bans: &str) {
        assert_eq!(self.banned(), vec![bans.to_owned(); 6]);
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_ban_is_everybodys_at_once_and_so_is_its_end() {
    let mut net = Net::new();
    net.letters = 0;
    net.ban(NodeId(2), "192.0.2.1", 60);
    // Two others are told, and tell their second shards; with the two orders.
    assert_eq!(net.letters, 2 + 2 + 2);
    net.all("192.0.2.1/2");
    net.order(NodeId(3), &Control::Unban(ip("192.0.2.1")));
    net.all("");
    net.ban(NodeId(1), "192.0.2.2", 3);
    net.run_ms(2_990);
    net.all("192.0.2.2/1");
    net.run_ms(20);
    net.all("");
}

#[test]
fn what_a_shard_has_found_out_reaches_every_other_one() {
    let mut net = Net::new();
    let (from, origin) = (Address::Balancer(NodeId(1), 1), NodeId(1));
    let ban = SharedBan {
        address: ip("192.0.2.1"),
        verdict: Verdict::Banned,
        origin,
        stamp: 5,
        left_ms: 60_000,
        by_hand: false,
        reason: "flood".into(),
    };
    let tell = |ban: &SharedBan| {
        let letter = Letter::Control(Box::new(Control::BanNews(vec![ban.clone()])));
        Envelope::new(from, Address::Balancer(NodeId(1), 0), letter)
    };
    net.deliver(vec![tell(&ban)]);
    assert_eq!(net.banned(), ["192.0.2.1/1", "", "192.0.2.1/1", "192.0.2.1/1", "192.0.2.1/1", "192.0.2.1/1"]);
    net.letters = 0;
    net.deliver(vec![tell(&ban)]);
    assert_eq!(net.letters, 1, "told again it changes nothing");
    let stranger = Envelope { from: Address::Call(fabric::Key(3)), ..tell(&SharedBan { stamp: 9, ..ban }) };
    net.deliver(vec![stranger]);
    assert_eq!(net.letters, 2, "nobody else is listened to");
}

#[test]
fn who_was_away_has_everything_within_a_second() {
    let mut net = Net::new();
    net.ban(NodeId(1), "192.0.2.9", 60);
    net.cut.insert(NodeId(3));
    net.ban(NodeId(1), "192.0.2.1", 60);
    net.ban(NodeId(3), "192.0.2.3", 60);
    net.order(NodeId(2), &Control::Unban(ip("192.0.2.9")));
    net.run_ms(5_000);
    let halves = net.banned();
    assert_eq!((&*halves[0], &*halves[4]), ("192.0.2.1/1", "192.0.2.3/3 192.0.2.9/1"));
    net.cut.clear();
    net.run_ms(1_000);
    net.all("192.0.2.1/1 192.0.2.3/3");
    let left = net.bans(Address::Balancer(NodeId(3), 1))[0].until_ms.abs_diff(net.now.unix_ms);
    assert!((53_000..55_000).contains(&left), "the end is the same: {left}");
    net.letters = 0;
    net.run_ms(4_000);
    assert_eq!(net.letters, 10 * (6 + 3), "only sums are sent from then on");
    net.run_ms(60_000);
    net.letters = 0;
    net.run_ms(10_000);
    assert_eq!(net.letters, 0, "and nothing when nothing is in force");
}

#[test]
fn who_starts_is_told_what_is_in_force() {
    let mut net = Net::new();
    net.ban(NodeId(1), "192.0.2.1", 60);
    net.run_ms(1_000);
    net.start(NodeId(2));
    assert_eq!(net.banned()[2..4], ["", ""]);
    net.run_ms(2);
    net.all("192.0.2.1/1");
}
