//! The switch as the web sees it: questions to its actors and to its store.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fabric::letters::cluster::Order;
use fabric::letters::control::{BanEntry, CallSummary, Control, ControlAnswer, Description};
use fabric::letters::flow::Traced;
use fabric::letters::location::{Bind, BindChange, Binding, Bound};
use fabric::letters::subscriber::{Account, AccountAsk, Subscriber};
use fabric::{Address, Clock, Home, Key, Letter, NodeId};
use ports::store::Provisioning;
use serde_json::Value;
use shell::Exchange;
use tokio::task::JoinSet;

/// What came of reading the configuration again: what was added and removed, or why nothing has changed.
pub type Reloading<'a> = Pin<Box<dyn Future<Output = Result<Value, String>> + Send + 'a>>;

/// What the node tells of itself, and does at the operator's word.
pub trait Node: Send + Sync {
    /// Facts for `/status`: an object.
    fn status(&self) -> Value;
    /// Text of `/metrics` that only the node knows.
    fn metrics(&self) -> String;
    /// Sets or clears the mark that new work is refused.
    fn set_draining(&self, draining: bool);
    fn is_draining(&self) -> bool;
    /// Changes what is logged; errors say what is wrong with the filter.
    fn set_log_level(&self, filter: &str) -> Result<(), String>;
    /// The cluster as this node sees it: an object with `groups`, `sites`, `nodes`; `None` for a node that is alone.
    fn cluster(&self) -> Option<Value> {
        None
    }
    /// Reads the operator's file again and follows what it says of nodes and pairs. Errors: why nothing has changed.
    fn reload(&self) -> Reloading<'_> {
        Box::pin(std::future::ready(Err("this node is alone".to_owned())))
    }
    /// Nodes that decide about ownership.
    fn directors(&self) -> Vec<NodeId> {
        Vec::new()
    }
}

/// Handles of a running node.
pub struct Switch {
    pub exchange: Exchange,
    pub home: Home,
    /// `None` where no store is: a node without proxy.
    pub store: Option<Provisioning>,
    pub node: Arc<dyn Node>,
    /// Longest wait for an actor.
    pub ask_timeout: Duration,
}

/// Why the switch did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// An actor said no: SIP status or reason.
    Refused(String),
    /// Nobody there.
    Absent,
    /// No answer in time, or an overload.
    Unavailable(String),
}

/// Longest wait for one director: longer than it gives an order to be carried out.
const ORDER_TIMEOUT: Duration = Duration::from_secs(6);

/// Questions that are open at a time while a list is gathered, count.
const OPEN_MAX: usize = 64;

impl Switch {
    async fn ask(&self, to: Address, letter: Letter) -> Result<Letter, Failed> {
        match self.exchange.ask(to, letter, self.ask_timeout).await {
            Letter::Returned(fault) => Err(match fault.kind {
                fabric::FaultKind::NoSuchActor => Failed::Absent,
                fabric::FaultKind::Refused => Failed::Refused(fault.what.into_owned()),
                _ => Failed::Unavailable(fault.what.into_owned()),
            }),
            answer => Ok(answer),
        }
    }

    async fn control(&self, to: Address, control: Control) -> Result<ControlAnswer, Failed> {
        match self.ask(to, Letter::Control(Box::new(control))).await? {
            Letter::ControlAnswer(answer) => match *answer {
                ControlAnswer::Refused(why) => Err(Failed::Refused(why)),
                answer => Ok(answer),
            },
            other => Err(Failed::Unavailable(format!("{} answered {}", to.kind(), other.kind()))),
        }
    }

    /// Says the same to every balancer of the node.
    async fn to_balancers(&self, control: Control) -> Result<Vec<ControlAnswer>, Failed> {
        let mut answers = Vec::new();
        for balancer in self.exchange.addresses("balancer").await {
            answers.push(self.control(balancer, control.clone()).await?);
        }
        Ok(answers)
    }

    /// The cluster as this node sees it, with the leader where a director lives here; `None` for a node that is alone.
    pub async fn cluster(&self) -> Option<Value> {
        let mut seen = self.node.cluster()?;
        let director = self.exchange.describe(Address::Director(self.home.node), self.ask_timeout);
        if self.node.directors().contains(&self.home.node)
            && let Some(Description::Machine { facts, .. }) = director.await
        {
            let leader = facts.iter().find(|(name, _)| name == "leader").map(|(_, value)| value.parse::<u16>().ok());
            seen["leader"] = serde_json::json!(leader.flatten());
            let facts = facts.into_iter().map(|(name, value)| (name, Value::String(value)));
            seen["director"] = Value::Object(facts.collect());
        }
        Some(seen)
    }

    /// Has the directors change an ownership: asks one after the other until one answers. Errors: their reason.
    pub async fn order(&self, order: Order) -> Result<(), Failed> {
        let mut directors = self.node.directors();
        if directors.is_empty() {
            return Err(Failed::Refused("this node is alone: there is no other to hand anything to".to_owned()));
        }
        // Its own director costs no way, and every director knows the one that decides.
        directors.sort_by_key(|node| *node != self.home.node);
        let mut last = Failed::Unavailable("no director".to_owned());
        for node in directors {
            let letter = Letter::Order(Box::new(order));
            let why = match self.exchange.ask(Address::Director(node), letter, ORDER_TIMEOUT).await {
                Letter::ControlAnswer(answer) => match *answer {
                    ControlAnswer::Refused(why) => return Err(Failed::Refused(why)),
                    _ => return Ok(()),
                },
                Letter::Returned(fault) => fault.what.into_owned(),
                other => format!("answered {}", other.kind()),
            };
            last = Failed::Unavailable(format!("director {}: {why}", node.0));
        }
        Err(last)
    }

    /// Refuses new calls and registrations, or takes them again.
    pub async fn drain(&self, draining: bool) -> Result<(), Failed> {
        if self.node.cluster().is_some() && self.exchange.addresses("balancer").await.is_empty() {
            let why = "this node has no balancers; `tandem ctl make-standby` hands over what it is active for";
            return Err(Failed::Refused(why.to_owned()));
        }
        self.node.set_draining(draining);
        self.to_balancers(Control::Drain(draining)).await.map(drop)
    }

    /// Bans of all balancers, an entry per address.
    pub async fn bans(&self) -> Result<Vec<BanEntry>, Failed> {
        let mut all: BTreeMap<IpAddr, BanEntry> = BTreeMap::new();
        for answer in self.to_balancers(Control::Bans).await? {
            let ControlAnswer::Bans(entries) = answer else { continue };
            for entry in entries {
                match all.get_mut(&entry.address) {
                    Some(known) => {
                        known.since_ms = known.since_ms.min(entry.since_ms);
                        known.until_ms = known.until_ms.max(entry.until_ms);
                        known.dropped += entry.dropped;
                    }
                    None => drop(all.insert(entry.address, entry)),
                }
            }
        }
        Ok(all.into_values().collect())
    }

    pub async fn ban(&self, address: IpAddr, seconds: u32, reason: String) -> Result<(), Failed> {
        self.to_balancers(Control::Ban { address, seconds, reason }).await.map(drop)
    }

    pub async fn unban(&self, address: IpAddr) -> Result<(), Failed> {
        self.to_balancers(Control::Unban(address)).await.map(drop)
    }

    /// All bindings of all addresses-of-record, in their order.
    pub async fn bindings(&self) -> Result<Vec<(String, Vec<Binding>)>, Failed> {
        let mut all = Vec::new();
        for shard in 0..self.home.shards {
            if let ControlAnswer::Bindings(found) = self.control(Address::Location(shard), Control::Bindings).await? {
                all.extend(found);
            }
        }
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        Ok(all)
    }

    /// Bindings of one address-of-record.
    pub async fn locate(&self, aor: &str) -> Result<Vec<Binding>, Failed> {
        match self.ask(self.home.location(aor), Letter::Locate(aor.into())).await? {
            Letter::Located(bindings) => Ok(bindings),
            other => Err(Failed::Unavailable(format!("location answered {}", other.kind()))),
        }
    }

    /// Changes bindings at the operator's word.
    pub async fn bind(&self, aor: &str, call_id: &str, change: BindChange) -> Result<Vec<Binding>, Failed> {
        // The second is a number that rises from change to change, as RFC 3261 10.3 step 7 asks of a CSeq.
        let cseq = ((self.now_ms() / 1000) & 0x7fff_ffff) as u32;
        let bind = Bind { aor: aor.into(), call_id: call_id.into(), cseq, change, contacts_max: 0 };
        match self.ask(self.home.location(aor), Letter::Bind(Box::new(bind))).await? {
            Letter::Bound(bound) => match *bound {
                Bound::Bindings(bindings) => Ok(bindings),
                Bound::Refused(reject) => Err(Failed::Refused(format!("{:?}", reject.status))),
            },
            other => Err(Failed::Unavailable(format!("location answered {}", other.kind()))),
        }
    }

    /// The subscriber of a user name or number; `None` when there is none.
    pub async fn account(&self, user: &str, domain: &str) -> Result<Option<Arc<Subscriber>>, Failed> {
        let ask = AccountAsk { user: user.to_owned(), domain: domain.to_owned() };
        match self.ask(self.home.store(), Letter::AccountAsk(Box::new(ask))).await? {
            Letter::Account(Account::Subscriber(subscriber)) => Ok(Some(subscriber)),
            _ => Ok(None),
        }
    }

    /// What all machines of a kind say of themselves, at most `most`; those that end meanwhile are left out.
    pub async fn describe(self: &Arc<Self>, kind: &str, most: usize) -> Vec<(Address, Description)> {
        let mut waiting = self.exchange.addresses(kind).await.into_iter().take(most);
        let mut open = JoinSet::new();
        let mut found = Vec::new();
        loop {
            while open.len() < OPEN_MAX
                && let Some(address) = waiting.next()
            {
                let this = self.clone();
                open.spawn(async move { (address, this.exchange.describe(address, this.ask_timeout).await) });
            }
            match open.join_next().await {
                Some(Ok((address, Some(description)))) => found.push((address, description)),
                Some(_) => {}
                None => break,
            }
        }
        found.sort_unstable_by_key(|(address, _)| *address);
        found
    }

    /// Calls that have not ended, oldest first.
    pub async fn calls(self: &Arc<Self>, most: usize) -> Vec<CallSummary> {
        let all = self.describe("call", most).await;
        let mut calls: Vec<CallSummary> = all
            .into_iter()
            .filter_map(|(_, description)| match description {
                Description::Call(summary) if summary.state != "ended" => Some(summary),
                _ => None,
            })
            .collect();
        calls.sort_by_key(|call| (call.init_ms, call.key));
        calls
    }

    /// Ends a call.
    pub async fn hang_up(&self, key: Key) -> Result<(), Failed> {
        self.control(Address::Call(key), Control::HangUp).await.map(drop)
    }

    /// Recent messages of a key, or of all, oldest first.
    pub async fn trace(&self, key: Option<Key>, messages_max: u32) -> Result<Vec<Traced>, Failed> {
        match self.control(self.home.tracer(), Control::Trace { key, messages_max }).await? {
            ControlAnswer::Trace(messages) => Ok(messages),
            _ => Ok(Vec::new()),
        }
    }

    pub fn now_ms(&self) -> u64 {
        self.exchange.clock().now().unix_ms
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        self.exchange.clock()
    }
}
