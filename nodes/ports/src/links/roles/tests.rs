use std::sync::Arc;

use fabric::letters::cluster::{Beat, Divides, Grant, Hearing, Order, Silences};
use fabric::letters::control::{Control, ControlAnswer};
use fabric::letters::subscriber::Account;
use fabric::{Epoch, Fault, GroupId, Instant, Key, Table};

use super::*;

const ME: NodeId = NodeId(3);

fn roles(names: &[Role]) -> Roles {
    names.iter().copied().collect()
}

fn mail(from: Address, letter: Letter) -> Parcel {
    Parcel::Mail { receipt: 0, mail: Box::new(Envelope::new(from, Address::Nobody, letter)) }
}

/// Which roles, alone, may send this.
fn who(parcel: &Parcel) -> String {
    let who = Role::ALL.into_iter().filter(|role| may(ME, roles(&[*role]), parcel));
    who.collect::<Roles>().to_string()
}

#[test]
fn roles_are_read_and_written() {
    assert_eq!("witness".parse(), Ok(Role::Witness));
    let error = "king".parse::<Role>().expect_err("no role");
    assert_eq!(error, "`king` is no role; there are balancer, proxy, director, witness, web, dns");
    let some = roles(&[Role::Proxy, Role::Dns]);
    assert_eq!((some.to_string().as_str(), format!("{some:?}").as_str()), ("proxy, dns", "[proxy, dns]"));
    assert!(Roles::all().covers(some) && !some.covers(Roles::all()) && some.covers(Roles::default()));
}

#[test]
fn replicas_are_of_proxies_only() {
    let (group, epoch) = (GroupId(1), Epoch(1));
    for parcel in [
        Parcel::FillStart { group, epoch },
        Parcel::FillEnd { group, epoch, number: 1, sum: 1 },
        Parcel::Digest { group, epoch, number: 1, sum: 1 },
        Parcel::Ack { group, epoch, number: 1 },
        Parcel::Again { group, epoch },
        Parcel::Split { from: group, number: 1, group, epoch, slots: Vec::new() },
    ] {
        assert_eq!(who(&parcel), "proxy", "{parcel:?}");
    }
    assert_eq!(who(&Parcel::Receipt(vec![1])), Roles::all().to_string());
}

#[test]
fn letters_by_role() {
    let call = Address::Call(Key(7));
    let office = Address::Office(ME);
    let director = Address::Director(ME);
    let control = Address::Control(ME);
    let balancer = Address::Balancer(ME, 0);
    let store = Address::Store(ME);
    let beat = |node| {
        Letter::Beat(Box::new(Beat { node, boot: 1, sent: Instant(0), version: 0, leaving: false, reports: vec![] }))
    };
    let grant = |director| Letter::Grant(Box::new(Grant { director, boot: 1, sent: Instant(0), granted: true }));
    let silences = |director| Letter::Silences(Box::new(Silences { director, ..Silences::default() }));
    let hearing =
        |node| Letter::Hearing(Box::new(Hearing { node, boot: 1, sent: Instant(0), deaf: vec![], rests: None }));
    let divides = |director| Letter::Divides(Box::new(Divides { director, ..Divides::default() }));
    let order = || Letter::Order(Box::new(Order::MakeStandby { node: ME, group: None }));
    let table = || Letter::Table(Arc::new(Table::default()));
    let all = Roles::all().to_string();
    let voters = "director, witness";
    let other = NodeId(4);
    for (from, letter, expected) in [
        // Everybody.
        (office, beat(ME), all.as_str()),
        (office, hearing(ME), &all),
        (office, hearing(other), ""),
        (director, divides(ME), voters),
        (director, divides(other), ""),
        (control, Letter::Describe, &all),
        (control, Letter::Control(Box::new(Control::Bans)), &all),
        (control, order(), &all),
        (office, order(), &all),
        (control, Letter::ControlAnswer(Box::new(ControlAnswer::Done)), &all),
        (Address::Nobody, Letter::Returned(Fault::timeout("x")), &all),
        // In somebody else's name.
        (office, beat(other), ""),
        (Address::Office(other), beat(ME), ""),
        (Address::Control(other), Letter::Describe, ""),
        (Address::Names(other), Letter::Names(Vec::new()), ""),
        (balancer, Letter::Control(Box::new(Control::Drain(true))), ""),
        (balancer, order(), ""),
        // Directors.
        (director, grant(ME), voters),
        (director, silences(ME), voters),
        (director, table(), voters),
        (director, Letter::Raft(Default::default()), voters),
        (director, grant(other), ""),
        (director, silences(other), ""),
        (Address::Director(other), Letter::Raft(Default::default()), ""),
        (office, table(), ""),
        (balancer, Letter::Raft(Default::default()), ""),
        // Minds.
        (call, Letter::Kept, "proxy"),
        (store, Letter::Kept, "proxy"),
        (call, Letter::Locate("a@b".into()), "proxy"),
        (call, Letter::LoadBindings(1, 2), "proxy"),
        (call, Letter::Names(Vec::new()), "proxy"),
        (store, Letter::Account(Account::UnknownUser), "proxy"),
        (balancer, Letter::Kept, ""),
        (balancer, Letter::Account(Account::UnknownUser), ""),
        (balancer, Letter::Locate("a@b".into()), ""),
        (Address::Store(other), Letter::Kept, ""),
        (Address::Records(other), Letter::Kept, ""),
        // Never on a link.
        (balancer, Letter::RelaySend(0, Default::default()), ""),
        (balancer, Letter::RelayReceived(0, Default::default()), ""),
        (director, Letter::JournalWrite(Vec::new()), ""),
        (director, Letter::JournalRead, ""),
        (director, Letter::JournalEntries(Vec::new()), ""),
        (office, Letter::Revive, ""),
        (office, Letter::Retire, ""),
    ] {
        let parcel = mail(from, letter);
        assert_eq!(who(&parcel), expected, "{parcel:?}");
    }
}

#[test]
fn a_balancer_may_stand_in_for_another_site_but_not_for_its_rtpengine() {
    let other = NodeId(4);
    let fault = || Letter::Returned(Fault::timeout("x"));
    assert_eq!(who(&mail(Address::Balancer(other, 1), fault())), "balancer");
    assert_eq!(who(&mail(Address::Flow(other), fault())), "balancer");
    assert_eq!(who(&mail(Address::Anchor(ME, 0), fault())), "balancer");
    assert_eq!(who(&mail(Address::Anchor(other, 0), fault())), "");
    assert_eq!(who(&mail(Address::Relay(other), fault())), "");
    assert_eq!(who(&mail(Address::Location(3), fault())), "proxy");
}

#[test]
fn balancers_tell_each_other_of_bans_and_nobody_else_does() {
    let news = |from, to| {
        let letter = Letter::Control(Box::new(Control::BanNews(Vec::new())));
        Parcel::Mail { receipt: 0, mail: Box::new(Envelope { to, ..Envelope::new(from, Address::Nobody, letter) }) }
    };
    let (mine, other) = (Address::Balancer(ME, 0), Address::Balancer(NodeId(4), 0));
    assert_eq!(who(&news(mine, other)), "balancer");
    assert_eq!(who(&news(Address::Control(ME), other)), "");
    assert_eq!(who(&news(Address::Call(Key(7)), other)), "");
    assert_eq!(who(&news(mine, Address::Call(Key(7)))), "");
}

#[test]
fn directors_pass_orders_on() {
    let order = |to| {
        let letter = Letter::Order(Box::new(Order::MakeStandby { node: ME, group: None }));
        let mail = Envelope { to, ..Envelope::new(Address::Control(NodeId(9)), Address::Nobody, letter) };
        Parcel::Mail { receipt: 0, mail: Box::new(mail) }
    };
    assert_eq!(who(&order(Address::Director(NodeId(4)))), "director, witness");
    assert_eq!(who(&order(Address::Office(NodeId(4)))), "");
}
