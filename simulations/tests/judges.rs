//! Every judge must bite: each of these spoils one thing that the switch says, and the judge of that number must notice.

use std::sync::Arc;

use bytes::Bytes;
use fabric::letters::flow::Transmit;
use fabric::letters::media::RelayVerb;
use fabric::letters::record::Record;
use fabric::{Address, Envelope, Founder, Housing, Instant, Letter, Machine, Now, Outbox};
use simulations::lab::Saboteur;
use simulations::{Lab, Menu, Plan, Report, switch};

/// Runs calm seeds until the judge of this number notices.
fn caught(invariant: u8, saboteur: impl Fn() -> Saboteur) {
    for seed in 1..=SEEDS {
        let plan = Arc::new(Plan::new(seed, &Menu::calm()));
        let report = Lab::new(plan.clone(), switch::founder(&plan)).sabotage(saboteur()).run();
        if found(&report, invariant) {
            return;
        }
    }
    panic!("judge I{invariant} noticed nothing in {SEEDS} seeds");
}

fn found(report: &Report, invariant: u8) -> bool {
    report.violations.iter().any(|wrong| wrong.invariant == invariant)
}

const SEEDS: u64 = 12;

/// A saboteur that changes the bytes of messages to phones: `None` drops, several send more.
fn on_wire(change: impl Fn(&str, u64) -> Vec<String> + 'static) -> Saboteur {
    Box::new(move |envelope, now_ms| match &envelope.letter {
        Letter::Transmit(transmit) => {
            let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
            let again = |text: String| {
                let letter = Letter::Transmit(Transmit { flow: transmit.flow, bytes: Bytes::from(text) });
                Envelope { letter, ..envelope.clone() }
            };
            change(&text, now_ms).into_iter().map(again).collect()
        }
        _ => vec![envelope],
    })
}

fn has_method(text: &str, method: &str) -> bool {
    text.lines().any(|line| line.starts_with("CSeq:") && line.ends_with(method))
}

fn is_initial_invite(text: &str) -> bool {
    text.starts_with("INVITE ") && !text.lines().any(|line| line.starts_with("To:") && line.contains(";tag="))
}

#[test]
fn a_calm_run_is_good() {
    for seed in 1..=SEEDS {
        let report = simulations::run_seed(seed, &Menu::calm());
        assert!(report.is_good(), "{}", report.text());
    }
}

#[test]
fn conservation_notices_a_call_refused_by_the_switch() {
    caught(0, || {
        on_wire(|text, _| {
            let spoilt = text.replacen("SIP/2.0 200 OK", "SIP/2.0 500 Server Internal Error", 1);
            vec![if has_method(text, "INVITE") { spoilt } else { text.to_owned() }]
        })
    });
}

#[test]
fn i7_notices_a_live_dialog_that_is_denied() {
    caught(7, || {
        on_wire(|text, _| {
            let spoilt = text.replacen("SIP/2.0 200 OK", "SIP/2.0 481 Gone", 1);
            vec![if has_method(text, "INFO") { spoilt } else { text.to_owned() }]
        })
    });
}

#[test]
fn i9_notices_a_resent_request_that_differs() {
    caught(9, || {
        on_wire(|text, _| {
            let spoilt = text.replacen("Max-Forwards: ", "Max-Forwards: 1", 1);
            if is_initial_invite(text) { vec![text.to_owned(), spoilt] } else { vec![text.to_owned()] }
        })
    });
}

#[test]
fn i10_notices_a_phone_that_is_rung_twice() {
    caught(10, || {
        on_wire(|text, _| {
            let spoilt = text.replacen("branch=z9hG4bK", "branch=z9hG4bKx", 1);
            if is_initial_invite(text) { vec![text.to_owned(), spoilt] } else { vec![text.to_owned()] }
        })
    });
}

#[test]
fn i11_notices_a_second_final_response() {
    caught(11, || {
        on_wire(|text, _| {
            let spoilt = text.replacen("SIP/2.0 200 OK", "SIP/2.0 486 Busy Here", 1);
            if spoilt != text && has_method(text, "INVITE") {
                vec![text.to_owned(), spoilt]
            } else {
                vec![text.to_owned()]
            }
        })
    });
}

#[test]
fn i12_notices_a_cseq_that_does_not_rise() {
    caught(12, || {
        on_wire(|text, _| {
            let spoilt = text.lines().map(|line| if line.ends_with(" BYE") { "CSeq: 1 BYE" } else { line });
            vec![if text.starts_with("BYE ") {
                spoilt.collect::<Vec<_>>().join("\r\n") + "\r\n\r\n"
            } else {
                text.to_owned()
            }]
        })
    });
}

#[test]
fn i13_notices_a_phone_that_rings_on() {
    caught(13, || on_wire(|text, _| if text.starts_with("CANCEL ") { Vec::new() } else { vec![text.to_owned()] }));
}

#[test]
fn i14_notices_a_request_without_an_answer() {
    caught(14, || {
        on_wire(|text, _| {
            let answer = text.starts_with("SIP/2.0") && has_method(text, "BYE");
            if answer { Vec::new() } else { vec![text.to_owned()] }
        })
    });
}

#[test]
fn i14_notices_an_answer_that_nobody_acknowledges() {
    caught(14, || on_wire(|text, _| if text.starts_with("ACK ") { Vec::new() } else { vec![text.to_owned()] }));
}

#[test]
fn i15_notices_a_call_that_ends_early() {
    for seed in 1..=SEEDS {
        let plan = Arc::new(Plan::new(seed, &Menu::calm()));
        let shorter = Plan { length_max_s: 10, ..(*plan).clone() };
        if found(&Lab::new(plan, switch::founder(&shorter)).run(), 15) {
            return;
        }
    }
    panic!("judge I15 noticed nothing");
}

/// Changes what location shards tell the operator.
fn on_located(change: impl Fn(&mut Vec<fabric::letters::location::Binding>) + 'static) -> Saboteur {
    Box::new(move |mut envelope, _| {
        if let (Letter::Located(bindings), Address::Control(_)) = (&mut envelope.letter, envelope.to) {
            change(bindings);
        }
        vec![envelope]
    })
}

#[test]
fn i16_notices_a_lost_binding() {
    caught(16, || on_located(|bindings| bindings.clear()));
}

#[test]
fn i17_notices_a_binding_that_comes_back() {
    caught(17, || {
        let mut seen = std::collections::BTreeMap::<Box<str>, fabric::letters::location::Binding>::new();
        Box::new(move |mut envelope, _| {
            if let Letter::KeepBindings(stored) = &envelope.letter {
                seen.extend(stored.bindings.iter().map(|binding| (stored.aor.clone(), binding.clone())));
            }
            if let (Letter::Located(bindings), Address::Control(_)) = (&mut envelope.letter, envelope.to) {
                bindings.extend(seen.values().cloned());
            }
            vec![envelope]
        })
    });
}

#[test]
fn i18_notices_too_many_contacts() {
    caught(18, || {
        on_located(|bindings| {
            let more: Vec<_> = bindings.iter().cycle().take(bindings.len() * 6).cloned().collect();
            *bindings = more;
        })
    });
}

#[test]
fn i19_notices_media_that_goes_past_the_relay() {
    caught(19, || on_wire(|text, _| vec![text.replace("203.0.113.9", "198.51.100.77")]));
}

#[test]
fn i20_notices_a_session_that_is_never_deleted() {
    caught(20, || {
        Box::new(|envelope, _| match &envelope.letter {
            Letter::RelayAsk(ask) if ask.verb == RelayVerb::Delete => Vec::new(),
            _ => vec![envelope],
        })
    });
}

#[test]
fn i27_notices_what_nobody_can_read() {
    caught(27, || on_wire(|text, _| vec![text.replace("CSeq: ", "C Seq ")]));
}

#[test]
fn i28_notices_messages_that_go_to_nobody() {
    caught(28, || {
        Box::new(|mut envelope, _| {
            if let Letter::Transmit(transmit) = &mut envelope.letter {
                transmit.flow.remote.set_port(9);
            }
            vec![envelope]
        })
    });
}

fn is_stop(envelope: &Envelope) -> bool {
    matches!(&envelope.letter, Letter::Record(record) if matches!(**record, Record::Stop { .. }))
}

#[test]
fn i23_notices_a_missing_record() {
    caught(23, || Box::new(|envelope, _| if is_stop(&envelope) { Vec::new() } else { vec![envelope] }));
}

#[test]
fn i23_notices_a_wrong_length() {
    caught(23, || {
        Box::new(|mut envelope, _| {
            if let Letter::Record(record) = &mut envelope.letter
                && let Record::Stop { stop, .. } = &mut **record
            {
                stop.duration_ms += 1_500;
            }
            vec![envelope]
        })
    });
}

#[test]
fn i23_notices_a_record_under_two_names() {
    caught(23, || {
        Box::new(|envelope, _| {
            let mut again = envelope.clone();
            if let Letter::Record(record) = &mut again.letter
                && let Record::Start(parties) = &mut **record
            {
                parties.id.leg += 100;
                return vec![envelope, again];
            }
            vec![envelope]
        })
    });
}

/// Founds the switch's machines and wraps calls.
struct Wrapping<F: Fn(Box<dyn Machine>) -> Box<dyn Machine> + Send + Sync> {
    inner: Arc<dyn Founder>,
    wrap: F,
}

impl<F: Fn(Box<dyn Machine>) -> Box<dyn Machine> + Send + Sync> Founder for Wrapping<F> {
    fn found(&self, address: Address, letter: &Letter, now: Now) -> Option<Box<dyn Machine>> {
        let machine = self.inner.found(address, letter, now)?;
        Some(if matches!(address, Address::Call(_)) { (self.wrap)(machine) } else { machine })
    }
    fn housing(&self, address: Address) -> Housing {
        self.inner.housing(address)
    }
}

fn wrapped(wrap: impl Fn(Box<dyn Machine>) -> Box<dyn Machine> + Send + Sync + 'static) -> Report {
    let plan = Arc::new(Plan::new(1, &Menu::calm()));
    let inner = switch::founder(&plan);
    Lab::new(plan, Arc::new(Wrapping { inner, wrap })).run()
}

/// A call that stays, or dies at its third letter.
struct Odd {
    inner: Box<dyn Machine>,
    letters: u32,
    dies: bool,
}

impl Machine for Odd {
    fn handle(&mut self, mail: Envelope, now: Now, out: &mut Outbox) {
        self.letters += 1;
        assert!(!(self.dies && self.letters == 3), "told to die");
        self.inner.handle(mail, now, out);
    }
    fn wake(&mut self, now: Now, out: &mut Outbox) {
        self.inner.wake(now, out);
    }
    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }
    fn is_idle(&self) -> bool {
        false
    }
}

#[test]
fn i30_notices_calls_that_stay() {
    assert!(found(&wrapped(|inner| Box::new(Odd { inner, letters: 0, dies: false })), 30));
}

#[test]
fn i31_notices_a_panic() {
    assert!(found(&wrapped(|inner| Box::new(Odd { inner, letters: 0, dies: true })), 31));
}

#[test]
fn i32_the_same_seed_goes_the_same_way_and_another_one_does_not() {
    let menu = Menu::mixed();
    let traces = [1, 1, 2].map(|seed| simulations::run_seed(seed, &menu).trace);
    assert_eq!(traces[0], traces[1]);
    assert_ne!(traces[0], traces[2]);
}
