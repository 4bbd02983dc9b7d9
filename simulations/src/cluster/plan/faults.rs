//! What goes wrong, as a plan says it.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Plan, Range};

/// One entry of the fault menu.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    pub kind: Spanned<FaultKind>,
    /// Whom: `any proxy`, `any balancer`, `any director`, `any node`, `any chassis`, `node 5`, `chassis 2`, `country 1`,
    /// `active` (the owner of most calls at that moment), `standby` (its standby), `leader` (the leading director).
    pub target: Option<String>,
    /// The other side of a cut; the rest of the world when absent.
    pub from: Option<String>,
    /// Seconds into the busy time; anywhere in it when absent.
    pub at_s: Option<Range>,
    /// Seconds until it is repaired; absent: when the busy time is over.
    pub for_s: Option<Range>,
    /// How often, each drawn anew.
    #[serde(default = "one")]
    pub times: usize,
    /// How bad: milliseconds for delays and steps, thousandths for loss and drift, a factor for gray nodes.
    pub much: Option<Range>,
    /// The disks are lost too.
    #[serde(default)]
    pub disk_lost: bool,
    /// It may strike while another fault is under way.
    #[serde(default)]
    pub together: bool,
}

fn one() -> usize {
    1
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// kill -9 of one node; it starts again after `for_s`.
    KillProcess,
    /// Power off: all nodes, rtpengines and phones' connections of a chassis.
    KillChassis,
    /// SIGSTOP, SIGCONT.
    Pause,
    /// No parcel passes between `target` and `from`, either way.
    Cut,
    /// None passes from `target` to `from`.
    CutOneWay,
    /// `target` and `from` do not see each other, everybody else sees both.
    CutPartial,
    /// The link between two nodes goes up and down, `much` times a second.
    Flap,
    /// Parcels of the target wait and then come in a crowd.
    Clog,
    /// Datagrams between phones and balancers are lost (`much` thousandths).
    Loss,
    /// Monotonic clock runs wrong by `much` thousandths.
    ClockDrift,
    /// Wall clock jumps by `much` milliseconds, either way.
    ClockStep,
    /// fsync takes `much` milliseconds.
    DiskStall,
    /// rtpengine of the target's site dies and comes back empty.
    RelayDeath,
    /// rtpengine takes commands and does not answer.
    RelayHang,
    /// The central store cannot be reached.
    StoreOutage,
    /// One of the store's three replicas takes writes `much` milliseconds late.
    StoreLag,
    /// One of them is gone; with `disk_lost` it comes back empty.
    StoreReplicaLoss,
    /// Power goes in the middle of the target's next write to disk: half of it stands there.
    TornWrite,
    /// NAT boxes (`much` thousandths of them) restart and forget where they led.
    NatReset,
    /// A node's own copy of the subscribers answers after `much` milliseconds: questions are open for long.
    SlowAnswers,
    /// Every node leaves, ends and comes back, one by one.
    RollingRestart,
    /// The same, and each comes back with the release after the one that the run began with.
    RollingUpgrade,
    /// Every node that has the next release goes back to the one before it, one by one.
    RollingRollback,
    /// One node works slowly (`much` milliseconds a letter) while its beats are on time.
    Gray,
    /// An operator makes the standby of a group active.
    MakeActive,
    /// An operator hands all of a node's groups to their standbys.
    MakeStandby,
    /// An operator moves a balancer's address.
    HoldSite,
}

impl FaultKind {
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::KillProcess => "kill-process",
            FaultKind::KillChassis => "kill-chassis",
            FaultKind::Pause => "pause",
            FaultKind::Cut => "cut",
            FaultKind::CutOneWay => "cut-one-way",
            FaultKind::CutPartial => "cut-partial",
            FaultKind::Flap => "flap",
            FaultKind::Clog => "clog",
            FaultKind::Loss => "loss",
            FaultKind::ClockDrift => "clock-drift",
            FaultKind::ClockStep => "clock-step",
            FaultKind::DiskStall => "disk-stall",
            FaultKind::RelayDeath => "relay-death",
            FaultKind::RelayHang => "relay-hang",
            FaultKind::StoreOutage => "store-outage",
            FaultKind::StoreLag => "store-lag",
            FaultKind::StoreReplicaLoss => "store-replica-loss",
            FaultKind::TornWrite => "torn-write",
            FaultKind::NatReset => "nat-reset",
            FaultKind::SlowAnswers => "slow-answers",
            FaultKind::RollingRestart => "rolling-restart",
            FaultKind::RollingUpgrade => "rolling-upgrade",
            FaultKind::RollingRollback => "rolling-rollback",
            FaultKind::Gray => "gray",
            FaultKind::MakeActive => "make-active",
            FaultKind::MakeStandby => "make-standby",
            FaultKind::HoldSite => "hold-site",
        }
    }

    /// Takes a node or a link away: two of these at once may cost what one may not.
    pub fn is_heavy(self) -> bool {
        !matches!(
            self,
            FaultKind::Loss
                | FaultKind::ClockDrift
                | FaultKind::ClockStep
                | FaultKind::StoreOutage
                | FaultKind::StoreLag
                | FaultKind::StoreReplicaLoss
                | FaultKind::NatReset
                | FaultKind::SlowAnswers
                | FaultKind::RelayHang
                | FaultKind::RelayDeath
                | FaultKind::DiskStall
        )
    }

    fn wants_target(self) -> bool {
        !matches!(
            self,
            FaultKind::Loss
                | FaultKind::StoreOutage
                | FaultKind::StoreLag
                | FaultKind::StoreReplicaLoss
                | FaultKind::NatReset
                | FaultKind::RollingRestart
                | FaultKind::RollingUpgrade
                | FaultKind::RollingRollback
        )
    }

    /// Without `much` it would do nothing.
    fn wants_much(self) -> bool {
        matches!(
            self,
            FaultKind::Loss
                | FaultKind::ClockDrift
                | FaultKind::ClockStep
                | FaultKind::DiskStall
                | FaultKind::StoreLag
                | FaultKind::NatReset
                | FaultKind::Gray
        )
    }
}

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    AnyProxy,
    AnyBalancer,
    AnyDirector,
    AnyNode,
    AnyChassis,
    Node(u16),
    Chassis(usize),
    Country(usize),
    Active,
    Standby,
    Leader,
}

impl Target {
    pub fn parse(text: &str) -> Result<Target, String> {
        let mut words = text.split_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        let number = || {
            let number = second.and_then(|word| word.parse::<usize>().ok()).filter(|number| *number > 0);
            number.ok_or_else(|| format!("{text:?}: a number from 1 follows {first:?}"))
        };
        Ok(match (first, second) {
            ("any", Some("proxy")) => Target::AnyProxy,
            ("any", Some("balancer")) => Target::AnyBalancer,
            ("any", Some("director")) => Target::AnyDirector,
            ("any", Some("node")) => Target::AnyNode,
            ("any", Some("chassis")) => Target::AnyChassis,
            ("active", None) => Target::Active,
            ("standby", None) => Target::Standby,
            ("leader", None) => Target::Leader,
            ("node", _) => Target::Node(number()? as u16),
            ("chassis", _) => Target::Chassis(number()?),
            ("country", _) => Target::Country(number()?),
            _ => {
                return Err(format!(
                    "{text:?} is nobody; `any proxy|balancer|director|node|chassis`, `active`, `standby`, `leader`, \
                     `node N`, `chassis N`, `country N` are"
                ));
            }
        })
    }
}

impl FaultPlan {
    pub(super) fn check(&self, plan: &Plan) -> Result<(), String> {
        let kind = *self.kind.get_ref();
        match (&self.target, kind.wants_target()) {
            (None, true) => return Err(format!("{} needs a target", kind.name())),
            (Some(_), false) => return Err(format!("{} has no target", kind.name())),
            _ => {}
        }
        if kind.wants_much() && self.much.is_none() {
            return Err(format!("{} needs `much`", kind.name()));
        }
        for text in self.target.iter().chain(&self.from) {
            match Target::parse(text)? {
                Target::Chassis(number) if number > plan.topology.chassis => {
                    return Err(format!("there are {} chassis", plan.topology.chassis));
                }
                Target::Country(number) if number > plan.topology.countries => {
                    return Err(format!("there are {} countries", plan.topology.countries));
                }
                _ => {}
            }
        }
        if self.at_s.is_some_and(|at| at.to > plan.busy_s) {
            return Err(format!("at_s lies in the busy time, 0 to {}", plan.busy_s));
        }
        if self.times == 0 || self.times > 1_000 {
            return Err("times: 1 to 1000".to_owned());
        }
        Ok(())
    }
}
