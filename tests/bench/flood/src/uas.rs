//! The answering side, and which call a message belongs to.

use crate::net::SockAddr;
use crate::{Gen, Mode, Timer, Uas, now_us, sip};

impl Gen {
    pub(crate) fn answer(&mut self, n: u32) {
        let a = &mut self.answers[n as usize];
        if a.st != Uas::Ringing {
            return;
        }
        let s = self.sinks[a.sink];
        let sdp = sip::sdp(&s.ip().to_string(), 40000 + (n % 10000) as u16 * 2);
        let m = format!(
            "SIP/2.0 200 OK\r\n{}Contact: <sip:uas@{s}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            a.base,
            sdp.len()
        )
        .into_bytes();
        a.st = Uas::Answered;
        a.gen += 1;
        a.t0 = now_us();
        a.resp = m.clone();
        let (to, sink, gen, at) = (a.to, a.sink, a.gen, a.t0 + 500_000);
        self.timers[0].push_back(Timer { at, n, gen, uas: true });
        self.socks[1 + sink].push(m, to);
    }

    pub(crate) fn incoming(&mut self, msg: &str, n: u32, from: SockAddr, sink: usize) {
        let method = msg.split(' ').next().unwrap_or("");
        let plain = |code: &str, tag: bool| {
            let mut m = format!("SIP/2.0 {code}\r\n{}", echo(msg, tag.then_some(n)));
            m.push_str("Content-Length: 0\r\n\r\n");
            m.into_bytes()
        };
        match method {
            "INVITE" => {
                if self.answers[n as usize].st != Uas::New {
                    self.uas_dup += 1;
                    let r = self.answers[n as usize].resp.clone();
                    if !r.is_empty() {
                        self.socks[1 + sink].push(r, from);
                    }
                    return;
                }
                let base = echo(msg, Some(n));
                let a = &mut self.answers[n as usize];
                a.st = Uas::Ringing;
                a.to = from;
                a.sink = sink;
                if self.mode == Mode::Call {
                    let s = self.sinks[sink];
                    let m = format!("SIP/2.0 180 Ringing\r\n{base}Contact: <sip:uas@{s}>\r\nContent-Length: 0\r\n\r\n").into_bytes();
                    a.resp = m.clone();
                    self.socks[1 + sink].push(m, from);
                }
                self.answers[n as usize].base = base;
                if self.ctl && self.ringing {
                    return;
                }
                if self.ring > 0 {
                    self.rings.push_back((now_us() + self.ring, n));
                } else {
                    self.answer(n);
                }
            }
            "ACK" => {
                let a = &mut self.answers[n as usize];
                if a.st == Uas::Answered {
                    a.st = Uas::Confirmed;
                    a.gen += 1;
                    a.resp = Vec::new();
                    a.base = String::new();
                }
            }
            "BYE" => {
                let a = &mut self.answers[n as usize];
                a.st = Uas::Gone;
                a.gen += 1;
                let m = plain("200 OK", false);
                self.socks[1 + sink].push(m, from);
            }
            "CANCEL" => {
                let m = plain("200 OK", true);
                self.socks[1 + sink].push(m, from);
                let a = &mut self.answers[n as usize];
                if a.st == Uas::Ringing {
                    a.st = Uas::Gone;
                    let m = format!("SIP/2.0 487 Request Terminated\r\n{}Content-Length: 0\r\n\r\n", a.base).into_bytes();
                    let to = a.to;
                    self.socks[1 + sink].push(m, to);
                }
            }
            "OPTIONS" => {
                let m = plain("200 OK", true);
                self.socks[1 + sink].push(m, from);
            }
            _ => self.stray += 1,
        }
    }

    /// The call of ours that this message belongs to; on the answering side a Call-ID that is not ours (a switch that opens a
    /// leg of its own) is given the next free number.
    pub(crate) fn number(&mut self, msg: &str, answering: bool) -> Option<u32> {
        let id = sip::header(msg, "Call-ID")?;
        if let Some(n) = self.own_number(id) {
            return Some(n);
        }
        if !answering {
            return None;
        }
        if let Some(n) = self.legs.get(id) {
            return Some(*n);
        }
        let n = self.legs.len() as u32;
        if n >= self.answers.len() as u32 {
            return None;
        }
        self.legs.insert(id.to_owned(), n);
        Some(n)
    }

    fn own_number(&self, id: &str) -> Option<u32> {
        let rest = id.strip_prefix(self.run.as_str())?.strip_prefix('-')?;
        let n: u32 = rest.split('@').next()?.parse().ok()?;
        (n < self.calls.len() as u32).then_some(n)
    }
}

/// The header lines that a response copies.
fn echo(msg: &str, tag: Option<u32>) -> String {
    let mut out = String::with_capacity(512);
    for line in msg.split("\r\n").skip(1) {
        if line.is_empty() {
            break;
        }
        let name = line.split(':').next().unwrap_or("");
        let keep = ["via", "record-route", "from", "call-id", "cseq"].iter().any(|k| name.eq_ignore_ascii_case(k));
        if keep {
            out.push_str(line);
            out.push_str("\r\n");
        } else if name.eq_ignore_ascii_case("to") {
            out.push_str(line);
            if let (Some(n), false) = (tag, line.contains(";tag=")) {
                out.push_str(&format!(";tag=s{n}"));
            }
            out.push_str("\r\n");
        }
    }
    out
}
