//! A phone whose connection has broken in the middle of a call is looked for where it has registered since: a device is
//! found by its binding and flow, not by a remembered socket (rule R8, RFC 5626 5.3).

use bytes::Bytes;
use dialog::Side;
use fabric::letters::flow::Flow;
use fabric::letters::location::Binding;
use fabric::{Fault, Letter, Now, Tokens};
use sip::{Method, Status, Uri};

use crate::call::{Call, Purpose};
use crate::desk::Desk;
use crate::pair::{Bye, Which};
use crate::plan;
use crate::transactions::Role;

impl Call {
    /// A request inside the call could not be sent: asks where the phone is now; `false` when there is no use in it.
    pub(crate) fn search(&mut self, role: Role, status: Status, desk: &mut Desk<'_>) -> bool {
        let Some((pair, which)) = self.end_of_role(role) else { return false };
        let Some(pair) = self.pair_mut(pair).filter(|pair| pair.confirmed) else { return false };
        let end = pair.end_mut(which);
        let broken = status == Status::SERVICE_UNAVAILABLE && end.flow.transport.is_reliable() && !end.moved;
        let Some(aor) = end.aor.clone().filter(|_| broken) else { return false };
        end.moved = true;
        self.ask(desk.identity.home.location(&aor), Purpose::Moved(role), Letter::Locate(aor), desk);
        true
    }

    pub(crate) fn on_moved(&mut self, role: Role, answer: Result<Letter, Fault>, desk: &mut Desk<'_>) {
        let tokens = desk.identity.home.tokens;
        let Some((pair_id, which)) = self.end_of_role(role) else { return };
        let Some(end) = self.pair_mut(pair_id).map(|pair| pair.end_mut(which)) else { return };
        let bindings = match answer {
            Ok(Letter::Located(bindings)) => bindings,
            _ => Vec::new(),
        };
        let Some(flow) = new_way(&bindings, end.dialog.target(), &end.flow, &tokens, desk.now) else {
            return self.fail_role(role, desk);
        };
        end.flow = flow;
        match role {
            Role::Relay(id) => {
                let Some(relay) = self.relays.iter().find(|relay| relay.id == id) else { return };
                let view = relay.request.view();
                let (method, bare) = (view.method().to_owned(), view.body().is_empty());
                let Some(end) = self.pair_mut(pair_id).map(|pair| pair.end_mut(which)) else { return };
                end.pending.end(Side::Us, method.as_method());
                let sdp = if bare { Bytes::new() } else { end.sdp.clone() };
                self.send_relay(id, &sdp, desk);
            }
            Role::Refresh { .. } => {
                for method in [Method::Update, Method::Invite] {
                    end.pending.end(Side::Us, method);
                }
                self.refresh(pair_id, which, desk);
            }
            Role::Bye { .. } => {
                end.bye = Bye::No;
                self.say_bye(pair_id, which, desk);
            }
            _ => {}
        }
    }

    /// The phone is nowhere: what could not be sent has failed.
    fn fail_role(&mut self, role: Role, desk: &mut Desk<'_>) {
        match role {
            Role::Relay(id) => self.on_relay_failed(id, Status::TEMPORARILY_UNAVAILABLE, desk),
            Role::Refresh { pair, end } => self.on_refresh_failed(pair, end, desk),
            Role::Bye { pair, end } => self.on_bye_done(pair, end),
            _ => {}
        }
    }

    fn end_of_role(&self, role: Role) -> Option<(u16, Which)> {
        match role {
            Role::Relay(id) => {
                let relay = self.relays.iter().find(|relay| relay.id == id)?;
                Some((relay.pair, relay.from.other()))
            }
            Role::Refresh { pair, end } | Role::Bye { pair, end } => Some((pair, end)),
            _ => None,
        }
    }
}

/// The flow of the binding that is this phone: the same contact, else the same host over the same transport. Any other
/// binding, and be it the only one, may be another phone of its user, which has no part in this call.
fn new_way(bindings: &[Binding], target: &[u8], old: &Flow, tokens: &Tokens, now: Now) -> Option<Flow> {
    let live: Vec<&Binding> = bindings.iter().filter(|binding| binding.expires_ms > now.unix_ms).collect();
    let flow_of = |binding: &Binding| plan::way(&binding.path, tokens).0.filter(|flow| flow != old);
    let target = Uri::parse(target).ok()?;
    let same =
        |binding: &&&Binding| Uri::parse(binding.contact.as_bytes()).is_ok_and(|contact| contact.equals(&target));
    if let Some(binding) = live.iter().find(same) {
        return flow_of(binding);
    }
    let host = |flow: &Flow| flow.remote.ip() == old.remote.ip() && flow.transport == old.transport;
    live.iter().filter_map(|binding| flow_of(binding)).find(host)
}
