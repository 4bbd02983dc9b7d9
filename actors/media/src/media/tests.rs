//! One session with everything around it: asks of the call in, commands to the anchor out, and its answers.

mod ending;
mod faults;
mod flows;
mod weather;

use std::time::Duration;

use fabric::NodeId;
use fabric::letters::media::{MediaProfile, StreamStats};

use super::*;

const CALL: Address = Address::Call(Key(7));

/// A media session; each step gives back all letters that came out, as text.
pub(super) struct Bench {
    pub(super) media: Media,
    /// The same session as its standby would have it: restored before every step, saved after it.
    pub(super) replica: Bytes,
    pub(super) home: Home,
    now: Now,
    out: Outbox,
    /// Commands sent: thread and what.
    sent: Vec<(Thread, RelayAsk)>,
    pub(super) thread: u64,
    start: Instant,
}

pub(super) fn bench() -> Bench {
    bench_with(|_| {})
}

fn bench_with(edit: impl Fn(&mut Settings)) -> Bench {
    let mut settings = Settings::default();
    edit(&mut settings);
    let home = Home::new(NodeId(1), [9; 16], 1);
    let now = Now { instant: Instant(1_000_000), unix_ms: 1_800_000_000_000 };
    let media = Media::new(&home, Key(7), Arc::new(settings), now);
    Bench {
        replica: media.write(),
        home,
        media,
        now,
        out: Outbox::new(Address::Media(Key(7))),
        sent: vec![],
        thread: 0,
        start: now.instant,
    }
}

fn profile(leg: u16) -> MediaProfile {
    MediaProfile { tag: format!("t{leg}"), source: Some("192.0.2.1".parse().unwrap()), ..MediaProfile::default() }
}

fn sdp(lines: usize) -> Bytes {
    let media = "m=audio 4000 RTP/AVP 0\r\n".repeat(lines);
    Bytes::from(format!("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}"))
}

pub(super) fn offer(from: u16, to: u16) -> MediaAsk {
    MediaAsk::Offer { from_leg: from, to_leg: to, sdp: sdp(1), from_profile: profile(from), to_profile: profile(to) }
}

pub(super) fn reply(from: u16, to: u16) -> MediaAsk {
    MediaAsk::Answer { from_leg: from, to_leg: to, sdp: sdp(1), from_profile: profile(from), to_profile: profile(to) }
}

fn no_lines() -> Vec<String> {
    Vec::new()
}

impl Bench {
    pub(super) fn ask(&mut self, ask: MediaAsk) -> Vec<String> {
        self.thread += 1;
        let mut mail = Envelope::ask(CALL, self.out.me(), Thread(self.thread), Letter::MediaAsk(Box::new(ask)));
        mail.trace = Trace(self.thread);
        self.handle(mail)
    }

    /// The anchor's answer to the last command.
    pub(super) fn done(&mut self, relay: u16) -> Vec<String> {
        let (thread, ask) = self.sent.last().expect("a command").clone();
        self.done_on(thread, &ask, relay)
    }

    fn done_on(&mut self, thread: Thread, ask: &RelayAsk, relay: u16) -> Vec<String> {
        let sdp = match ask.verb {
            RelayVerb::Offer | RelayVerb::Answer => Bytes::from_static(b"new"),
            _ => Bytes::new(),
        };
        let streams = vec![StreamStats { tag: "t0".into(), packets: 9, ..StreamStats::default() }];
        let stats = (ask.verb == RelayVerb::Delete).then(|| MediaStats { relay: Some(format!("m{relay}")), streams });
        self.answer(thread, Letter::RelayDone(Box::new(RelayDone { relay, sdp, stats })))
    }

    /// The anchor sends the last command back.
    fn fault(&mut self, kind: FaultKind) -> Vec<String> {
        let thread = self.sent.last().expect("a command").0;
        self.answer(thread, Letter::Returned(Fault::new(kind, "test")))
    }

    fn answer(&mut self, thread: Thread, letter: Letter) -> Vec<String> {
        let anchor = Address::Anchor(NodeId(1), 0);
        self.handle(Envelope::ask(anchor, self.out.me(), thread, letter))
    }

    fn handle(&mut self, mail: Envelope) -> Vec<String> {
        self.step(Some(mail));
        self.letters()
    }

    /// A letter, or a wake-up, for the session; its replica has to do the very same.
    fn step(&mut self, mail: Option<Envelope>) {
        let run = |media: &mut Media, out: &mut Outbox| {
            out.open(Address::Media(Key(7)), mail.as_ref());
            match mail.clone() {
                Some(mail) => media.handle(mail, self.now, out),
                None => media.wake(self.now, out),
            }
        };
        let mut replica = self.restore();
        let mut again = Outbox::new(self.out.me());
        run(&mut replica, &mut again);
        run(&mut self.media, &mut self.out);
        assert_eq!(again.mail(), self.out.mail(), "what the replica posts");
        let asked = again.mail().iter().filter(|mail| mail.letter.is_question());
        asked.for_each(|mail| assert!(replica.waits_for(mail.thread), "for {}", mail.letter.kind()));
        assert_eq!(replica.deadline(), self.media.deadline());
        assert_eq!((replica.is_idle(), replica.is_quiet()), (self.media.is_idle(), self.media.is_quiet()));
        self.replica = replica.write();
        assert!(self.replica == self.media.write(), "the replica's state differs");
    }

    /// The session as its standby goes on with it.
    fn restore(&self) -> Media {
        Media::restore(&self.home, Key(7), self.media.settings.clone(), &self.replica).expect("saved by a session")
    }

    /// Lets time pass without anybody answering; letters with the milliseconds since the start.
    fn pass(&mut self, milliseconds: u64) -> Vec<String> {
        let end = self.now.instant + Duration::from_millis(milliseconds);
        let mut seen = Vec::new();
        for step in 0.. {
            let Some(at) = self.media.deadline().filter(|at| *at <= end) else { break };
            assert!(step < 1_000, "wakes for ever");
            self.now = self.now.after(at.since(self.now.instant));
            self.step(None);
            let at = self.now.instant.since(self.start).as_millis();
            seen.extend(self.letters().into_iter().map(|line| format!("{at} {line}")));
            if self.media.is_idle() {
                break;
            }
        }
        self.now = self.now.after(end.since(self.now.instant));
        seen
    }

    fn letters(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for envelope in self.out.take() {
            lines.push(match envelope.letter {
                Letter::RelayAsk(ask) => {
                    assert_eq!(envelope.to, Address::Anchor(NodeId(1), 0));
                    let relay = ask.relay.map_or_else(|| "any".to_owned(), |relay| format!("m{relay}"));
                    let generation = ask.call_id.rsplit('-').next().unwrap().to_owned();
                    let line = format!(
                        "{relay} {:?}/{generation} {}>{}",
                        ask.verb,
                        ask.from_tag,
                        ask.to_tag.as_deref().unwrap_or("all")
                    );
                    self.sent.push((envelope.thread, *ask));
                    line
                }
                letter => {
                    assert_eq!((envelope.to, envelope.thread.0), (CALL, envelope.trace.0), "thread and trace kept");
                    let what = match letter {
                        Letter::MediaDone(done) => match *done {
                            MediaDone::Sdp(sdp) => format!("sdp {}", String::from_utf8_lossy(&sdp)),
                            MediaDone::Ended(stats) => format!("ended {:?}/{}", stats.relay, stats.streams.len()),
                            other => format!("{other:?}"),
                        },
                        Letter::Returned(fault) => format!("{:?} {}", fault.kind, fault.what),
                        other => other.kind().to_owned(),
                    };
                    format!("{} {what}", envelope.thread.0)
                }
            });
        }
        lines
    }

    /// An answered call between legs 0 and 1 on relay 2; the next ask has thread 3.
    pub(super) fn answered(mut self) -> Bench {
        assert_eq!(self.ask(offer(0, 1)), ["any Offer/0 t0>t1"]);
        assert_eq!(self.done(2), ["1 sdp new"]);
        assert_eq!(self.ask(reply(1, 0)), ["m2 Answer/0 t0>t1"]);
        assert_eq!(self.done(2), ["2 sdp new"]);
        self
    }
}
