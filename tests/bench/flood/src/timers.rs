//! Retransmissions, time-outs, and the state of all calls as JSON.

use std::collections::HashMap;

use crate::net::Udp;
use crate::{Gen, St, Timer, Uas};

impl Gen {
    pub(crate) fn fire(&mut self, now: u64) {
        for lvl in 0..self.timers.len() {
            while self.timers[lvl].front().is_some_and(|t| t.at <= now) {
                let t = self.timers[lvl].pop_front().unwrap();
                let up = (lvl + 1).min(self.timers.len() - 1);
                let delay = 500_000u64 << up;
                if t.uas {
                    let a = &self.answers[t.n as usize];
                    if a.gen != t.gen || a.st != Uas::Answered || now - a.t0 > self.tmo {
                        continue;
                    }
                    self.uas_retrans += 1;
                    let (m, to, sink) = (a.resp.clone(), a.to, a.sink);
                    self.socks[1 + sink].push(m, to);
                    self.timers[up].push_back(Timer { at: now + delay, ..t });
                } else {
                    let c = &self.calls[t.n as usize];
                    if c.gen != t.gen {
                        continue;
                    }
                    if now - c.t0 > self.tmo {
                        self.timeouts += 1;
                        self.finish(t.n, false);
                        continue;
                    }
                    self.retrans += 1;
                    let m = c.last.clone();
                    self.socks[0].push(m, self.target);
                    self.timers[up].push_back(Timer { at: now + delay, ..t });
                }
            }
        }
        while self.long.front().is_some_and(|t| t.at <= now) {
            let t = self.long.pop_front().unwrap();
            let c = &self.calls[t.n as usize];
            if c.gen == t.gen && !(self.ctl && c.st == St::Ringing && !c.cancel) {
                self.timeouts += 1;
                self.finish(t.n, false);
            }
        }
        while self.rings.front().is_some_and(|r| r.0 <= now) {
            let (_, n) = self.rings.pop_front().unwrap();
            self.answer(n);
        }
        while self.holds.front().is_some_and(|h| h.0 <= now) {
            let (_, n) = self.holds.pop_front().unwrap();
            self.begin_bye(n);
        }
    }

    pub(crate) fn status(&self, extra: &str) -> String {
        let mut count: HashMap<&str, u32> = HashMap::new();
        for c in &self.calls {
            let k = match c.st {
                St::Idle => "idle",
                St::First | St::Second => "setup",
                St::Ringing => "ringing",
                St::Up => "up",
                St::Bye => "bye",
                St::Done => "done",
                St::Failed => "failed_now",
            };
            *count.entry(k).or_insert(0) += 1;
        }
        let mut keys: Vec<_> = count.into_iter().collect();
        keys.sort();
        let states: Vec<String> = keys.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
        let codes: Vec<String> = self.codes.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
        let s = |f: fn(&Udp) -> u64| self.socks.iter().map(f).sum::<u64>();
        format!(
            "{{\"started\":{},\"ok\":{},\"failed\":{},\"timeouts\":{},\"states\":{{{}}},\"codes\":{{{}}},\
             \"retrans\":{},\"uas_retrans\":{},\"uas_dup\":{},\"stray\":{},\"sent\":{},\"received\":{},\"tx_dropped\":{},\
             \"rtd_us\":[{},{},{}]{extra}}}",
            self.started, self.ok, self.failed, self.timeouts,
            states.join(","), codes.join(","),
            self.retrans, self.uas_retrans, self.uas_dup, self.stray,
            s(|u| u.sent), s(|u| u.received), s(|u| u.dropped),
            self.rtd[0].json(), self.rtd[1].json(), self.rtd[2].json()
        )
    }
}
