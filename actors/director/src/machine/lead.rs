//! What the director does while it leads: hears the council, decides, answers reports and orders.

use std::time::Duration;

use fabric::letters::cluster::Order;
use fabric::letters::control::ControlAnswer;
use fabric::{Address, Envelope, Instant, Letter, Outbox};
use tracing::{error, info, warn};

use super::{Director, Leading, is_force, may_forward, ms, refused};
use crate::council::{is_safe, verdict};
use crate::decide::divide::{self, Apart};
use crate::decide::{Note, Standing, View, Wish, decide};
use crate::orders::{Pending, Progress, progress, wishes};
use crate::state::Proposal;
use crate::voter::Voter;

/// What happened since the start, count.
#[derive(Default)]
pub(super) struct Counters {
    pub beats: u64,
    pub granted: u64,
    pub take_overs: u64,
    pub cold_starts: u64,
    pub hand_overs: u64,
    pub shut_outs: u64,
}

impl Director {
    /// Begins and ends what belongs to a term in which this voter leads.
    pub(super) fn follow_leadership(&mut self, now: Instant) {
        let term = self.voter.as_ref().filter(|voter| voter.is_settled()).map(Voter::term);
        if self.leading.map(|leading| leading.term) == term {
            return;
        }
        self.leading = term.map(|term| Leading { term, since: now });
        self.proposed = None;
        self.asked.clear();
        self.cancelled.clear();
        self.paused.clear();
        self.unfit.clear();
        self.divided = None;
        if let Some(term) = term {
            info!(term, version = self.decided.version(), "this director leads");
            self.dirty = true;
            self.follow_hand_overs(now);
        }
    }

    /// Proposes what should be decided next; `true` when it has.
    pub(super) fn lead(&mut self, now: Instant) -> bool {
        let Some(leading) = self.leading.filter(|_| self.dirty && self.proposed.is_none()) else { return false };
        self.dirty = false;
        let view = self.view(leading, now);
        let (next, notes) = decide(&self.decided, &view);
        let Some(decided) = next else { return false };
        let proposal = Proposal { instead_of: self.decided.version(), decided };
        let data = postcard::to_allocvec(&proposal).expect("the state has no unserialisable part");
        if !self.voter.as_mut().is_some_and(|voter| voter.propose(data)) {
            return false;
        }
        self.proposed = Some(leading.term);
        notes.into_iter().for_each(|note| self.tell(note));
        true
    }

    fn tell(&mut self, note: Note) {
        match note {
            Note::TakeOver { group, from, to, epoch } => {
                self.counters.take_overs += 1;
                warn!(group = group.0, from = from.0, to = to.0, epoch = epoch.0, "take-over");
            }
            Note::ColdStart { group, from, to, epoch } => {
                self.counters.cold_starts += 1;
                error!(
                    group = group.0,
                    from = from.0,
                    to = to.0,
                    epoch = epoch.0,
                    "nobody has all of a group: state is lost"
                );
            }
            Note::HandOver { group, from, to, epoch } => {
                self.counters.hand_overs += 1;
                info!(group = group.0, from = from.0, to = to.0, epoch = epoch.0, "hand-over");
            }
            Note::ShutOut { node } => {
                self.counters.shut_outs += 1;
                warn!(node = node.0, "a node is shut out until it and the others hear each other");
            }
            Note::Holder { site, to } => warn!(site = site.0, to = to.0, "another node stands in for a site"),
        }
    }

    fn view(&mut self, leading: Leading, now: Instant) -> View {
        let settings = &self.settings;
        let majority = self.voter.as_ref().map_or(usize::MAX, Voter::majority);
        let reports = self.council.fresh(leading.term, now, ms(settings.report_ms));
        let divides = self.council.fresh_divides(leading.term, now, ms(settings.report_ms));
        let apart = Apart::of(&divides);
        match divide::is_divided(&self.decided, &apart) {
            true => drop(self.divided.get_or_insert(now)),
            false => self.divided = None,
        }
        let mut view = View {
            leading: now.since(leading.since),
            settle: ms(settings.settle_ms),
            patience: ms(settings.patience_ms),
            wishes: self.orders.iter().flat_map(|pending| pending.wishes.iter().copied()).collect(),
            ..View::default()
        };
        if reports.iter().filter(|report| report.settings == self.plan.sum).count() >= majority {
            view.plan = Some(self.plan.clone());
        }
        for member in &self.decided.table.members {
            let verdict = verdict(&reports, member.node, majority);
            let node = member.node;
            let is_out = !member.up && member.boot != 0 && [0, member.boot].contains(&verdict.boot);
            let since = self.decided.known(node).map_or(0, |known| known.since);
            let heard = self.watch.node(node).filter(|heard| heard.boot == member.boot);
            let is_ignorant = heard.is_some_and(|heard| heard.version < since) && !fabric::mutant!(LossUntold);
            if !is_out {
                self.unfit.remove(&node);
            } else if divide::lacks_a_way(&self.decided, &apart, node) {
                self.unfit.insert(node, now);
            }
            // Who leads only just now has seen nothing of what made the last leader shut a node out.
            let unfit = self.unfit.get(&node).copied().unwrap_or(leading.since);
            let mut standing = Standing {
                silent: verdict.silent,
                safe: is_safe(&reports, &divides, node, (!member.up).then_some(since), majority),
                barred: is_out && (is_ignorant || now.since(unfit) < ms(settings.rejoin_ms)),
                idle: divides.iter().filter(|divides| divides.idle.contains(&node)).count() >= majority,
                silence: self.watch.unheard(member.node, now),
                boot: verdict.boot,
                leaving: verdict.leaving,
                quarantined: self.history.is_quarantined(member.node, settings, now),
                ..Standing::default()
            };
            if let Some(heard) = self.watch.node(member.node).filter(|heard| heard.boot == verdict.boot) {
                (standing.version, standing.reports) = (heard.version, heard.reports.clone());
            }
            view.nodes.insert(member.node, standing);
        }
        view.apart = apart;
        view.all_said = self.divided.is_some_and(|since| now.since(since) >= SAID_AFTER);
        let late = |(_, since): &(_, Instant)| now.since(*since) >= ms(settings.order_ms);
        view.overdue = self.asked.iter().filter(|(_, asked)| late(asked)).map(|(group, _)| *group).collect();
        view.overdue.extend(self.cancelled.iter().copied());
        view.paused = self.paused.iter().filter(|(_, until)| **until > now).map(|(group, _)| *group).collect();
        view
    }

    /// Lets the other directors, and this one, grant leases again to whom they hear again.
    pub(super) fn answer_reports(&mut self, out: &mut Outbox) {
        let Some(leading) = self.leading.filter(|_| self.proposed.is_none()) else { return };
        for (director, answer) in self.council.answers(leading.term, self.me, &self.decided) {
            if director == self.me {
                self.watch.on_pardon(&answer, self.decided.version());
            } else {
                out.post(Address::Director(director), Letter::Silences(Box::new(answer)));
            }
        }
    }

    /// Keeps account of who was asked to yield, and since when.
    pub(super) fn follow_hand_overs(&mut self, now: Instant) {
        for row in &self.decided.table.groups {
            match (row.next, self.asked.get(&row.group)) {
                (Some(next), Some((asked, _))) if next == *asked => {}
                (Some(next), _) => {
                    self.asked.insert(row.group, (next, now));
                }
                (None, Some((asked, _))) => {
                    if row.active != Some(*asked) {
                        self.paused.insert(row.group, now + ms(self.settings.retry_ms));
                    }
                    self.asked.remove(&row.group);
                    self.cancelled.remove(&row.group);
                }
                (None, None) => {
                    self.cancelled.remove(&row.group);
                }
            }
        }
    }

    /// An order: carried out here when this voter leads, otherwise passed on.
    pub(super) fn on_order(&mut self, mail: &Envelope, order: Order, now: Instant, out: &mut Outbox) {
        let Some(voter) = self.voter.as_mut() else {
            return out.answer(mail, refused("the director is still reading its journal"));
        };
        if !voter.is_settled() {
            match voter.leader() {
                Some(leader) if leader != self.me && may_forward(mail) => {
                    return out.forward(mail, Address::Director(leader), mail.letter.clone());
                }
                Some(_) => {
                    return out.answer(mail, refused("the leading director has only just been elected: try again"));
                }
                None if is_force(&order) && self.settings.voters.len() == 2 && self.decided.version() > 0 => {
                    error!("an order makes this director go on alone");
                    voter.go_alone();
                }
                None => {
                    let why = format!("no majority of the {} directors can be reached", self.settings.voters.len());
                    return out.answer(mail, refused(why));
                }
            }
        }
        if self.orders.len() >= self.settings.orders_max as usize {
            return out.answer(mail, refused("too many orders are being carried out"));
        }
        match wishes(&order, &self.decided) {
            Err(why) => out.answer(mail, refused(why)),
            Ok(wishes) => {
                info!(?order, "an order");
                let deadline = now + ms(self.settings.order_ms);
                self.orders.push(Pending { mail: mail.clone(), wishes, deadline });
                self.dirty = true;
            }
        }
    }

    /// Answers orders that are carried out, or never will be.
    pub(super) fn answer_orders(&mut self, now: Instant, out: &mut Outbox) {
        let leads = self.voter.as_ref().is_some_and(Voter::is_leader);
        let orders = std::mem::take(&mut self.orders);
        for pending in orders {
            let progress: Vec<Progress> = pending.wishes.iter().map(|wish| progress(wish, &self.decided)).collect();
            let answer = if progress.iter().all(|progress| *progress == Progress::Done) {
                Letter::ControlAnswer(Box::new(ControlAnswer::Done))
            } else if !leads {
                refused("the leading director has changed: see what became of it and try again")
            } else if progress.contains(&Progress::Impossible) {
                refused("its conditions have changed meanwhile")
            } else if pending.deadline <= now {
                self.cancelled.extend(pending.wishes.iter().filter_map(|wish| match wish {
                    Wish::Active { group, .. } => Some(*group),
                    _ => None,
                }));
                self.dirty = true;
                refused("it was not carried out in time")
            } else {
                self.orders.push(pending);
                continue;
            };
            out.answer(&pending.mail, answer);
        }
    }
}

/// Pause between the first word of a division and the decision: by then everybody has noticed, and said, whom he does not
/// hear. Two beats.
const SAID_AFTER: Duration = Duration::from_millis(100);
