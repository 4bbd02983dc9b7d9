//! Media sessions, their anchor, real rtpengines and phones that only send RTP.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant as Clock, SystemTime};

use anchor::bencode::Value;
use anchor::{Anchor, RelaySettings};
use bytes::Bytes;
use fabric::letters::media::{MediaAsk, MediaDone, MediaProfile, MediaStats};
use fabric::{Address, Envelope, FaultKind, Home, Instant, Key, Letter, Machine, NodeId, Now, Outbox, Thread};
use media::Media;

/// One anchor, its rtpengines, and the media sessions of some calls.
pub struct Stage {
    home: Home,
    anchor: Anchor,
    sessions: BTreeMap<Key, Media>,
    engines: Vec<Engine>,
    clock: Clock,
    thread: u64,
    /// What came back to the calls.
    answers: Vec<(Thread, Letter)>,
}

struct Engine {
    process: Child,
    address: String,
    socket: UdpSocket,
}

/// A phone: one RTP socket.
pub struct Phone {
    socket: UdpSocket,
    address: String,
    /// What its description says in place of the address.
    claims: String,
}

const NG_PORT: u16 = 22_222;
const CONTROL: Address = Address::Call(Key(1));

pub fn installed() -> bool {
    Command::new("rtpengine").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Port of the first m-line.
pub fn port_of(sdp: &str) -> u16 {
    let line = sdp.lines().find(|line| line.starts_with("m=")).expect("an m-line");
    line.split(' ').nth(1).and_then(|port| port.parse().ok()).expect("a port")
}

fn address_of(sdp: &str) -> &str {
    sdp.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")).expect("an address")
}

impl Stage {
    /// Starts an rtpengine on each address; `None` when there is none to start.
    pub fn new(addresses: &[&str], options: &[&str]) -> Option<Stage> {
        if !super::ready() {
            return None;
        }
        let home = Home::new(NodeId(1), [5; 16], 1);
        let relays = addresses.iter().enumerate();
        let relays =
            relays.map(|(n, address)| RelaySettings::new(format!("m{n}"), format!("{address}:{NG_PORT}"))).collect();
        let settings = anchor::Settings { relays, ..anchor::Settings::default() };
        let stage = Stage {
            home,
            anchor: Anchor::new(&home, 0, Arc::new(settings)),
            sessions: BTreeMap::new(),
            engines: addresses.iter().map(|address| Engine::start(address, options)).collect(),
            clock: Clock::now(),
            thread: 0,
            answers: Vec::new(),
        };
        for place in 0..addresses.len() {
            stage.wait_for_engine(place);
        }
        Some(stage)
    }

    pub fn offer(&mut self, call: u128, from: u16, to: u16, phone: &Phone) -> String {
        self.try_offer(call, from, to, phone).expect("anchored")
    }

    pub fn try_offer(&mut self, call: u128, from: u16, to: u16, phone: &Phone) -> Result<String, FaultKind> {
        let (from_profile, to_profile) = (phone.profile(from), phone.profile(to));
        super::described(
            self.ask(call, MediaAsk::Offer { from_leg: from, to_leg: to, sdp: phone.sdp(), from_profile, to_profile }),
        )
    }

    pub fn answer(&mut self, call: u128, from: u16, to: u16, phone: &Phone) -> String {
        let (from_profile, to_profile) = (phone.profile(from), phone.profile(to));
        let ask = MediaAsk::Answer { from_leg: from, to_leg: to, sdp: phone.sdp(), from_profile, to_profile };
        super::described(self.ask(call, ask)).expect("anchored")
    }

    pub fn drop(&mut self, call: u128, leg: u16) {
        assert_eq!(self.ask(call, MediaAsk::Drop { leg }), Letter::MediaDone(Box::new(MediaDone::Dropped)));
    }

    pub fn end(&mut self, call: u128) -> MediaStats {
        match self.ask(call, MediaAsk::End) {
            Letter::MediaDone(done) => match *done {
                MediaDone::Ended(stats) => stats,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// Asks a call's media session and waits for the answer.
    fn ask(&mut self, call: u128, ask: MediaAsk) -> Letter {
        let key = Key(call);
        let now = self.now();
        let (home, settings) = (self.home, Arc::new(media::Settings::default()));
        self.sessions.entry(key).or_insert_with(|| Media::new(&home, key, settings, now));
        self.thread += 1;
        let thread = Thread(self.thread);
        self.deliver(Envelope::ask(CONTROL, Address::Media(key), thread, Letter::MediaAsk(Box::new(ask))));
        self.run(Duration::from_secs(10), |stage| stage.answers.iter().any(|(own, _)| *own == thread));
        let place = self.answers.iter().position(|(own, _)| *own == thread).expect("an answer within 10 s");
        self.answers.remove(place).1
    }

    /// Lets everything run until `done` or the time is up.
    pub fn run(&mut self, time: Duration, done: impl Fn(&Stage) -> bool) {
        let end = Clock::now() + time;
        while Clock::now() < end && !done(self) {
            let now = self.now();
            let mut out = Outbox::new(self.home.anchor());
            if self.anchor.deadline().is_some_and(|at| at <= now.instant) {
                self.anchor.wake(now, &mut out);
            }
            for (key, session) in &mut self.sessions {
                if session.deadline().is_some_and(|at| at <= now.instant) {
                    out.open(Address::Media(*key), None);
                    session.wake(now, &mut out);
                }
            }
            out.take().into_iter().for_each(|envelope| self.deliver(envelope));
            for place in 0..self.engines.len() {
                let mut bytes = [0; 65_536];
                while let Ok(length) = self.engines[place].socket.recv(&mut bytes) {
                    let letter = Letter::RelayReceived(place as u16, Bytes::copy_from_slice(&bytes[..length]));
                    self.deliver(Envelope::new(self.home.relay(), self.home.anchor(), letter));
                }
            }
            std::thread::sleep(Duration::from_micros(300));
        }
        self.sessions.retain(|_, session| !session.is_idle());
    }

    fn deliver(&mut self, envelope: Envelope) {
        let now = self.now();
        let mut out = Outbox::new(envelope.to);
        out.open(envelope.to, Some(&envelope));
        match (envelope.to, &envelope.letter) {
            (Address::Anchor(..), _) => self.anchor.handle(envelope, now, &mut out),
            (Address::Media(key), _) => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.handle(envelope, now, &mut out);
                }
            }
            (Address::Relay(_), Letter::RelaySend(relay, bytes)) => {
                let _ = self.engines[usize::from(*relay)].socket.send(bytes);
            }
            (_, letter) => self.answers.push((envelope.thread, letter.clone())),
        }
        out.take().into_iter().for_each(|envelope| self.deliver(envelope));
    }

    /// Call-ids that an rtpengine holds, by its own word.
    pub fn sessions(&self, place: usize) -> Vec<String> {
        let reply = self.engines[place].command("d7:command4:list5:limiti10000ee").expect("a reply");
        let value = Value::decode(&reply).expect("bencode");
        let calls = value.get("calls").map(Value::items).unwrap_or_default();
        calls.iter().map(|call| String::from_utf8_lossy(call.as_bytes().unwrap_or_default()).into_owned()).collect()
    }

    pub fn address(&self, place: usize) -> String {
        format!("{}\r\n", self.engines[place].address)
    }

    pub fn kill(&mut self, place: usize) {
        let process = &mut self.engines[place].process;
        process.kill().expect("a process of ours");
        process.wait().expect("ended");
    }

    pub fn signal(&self, place: usize, signal: &str) {
        let process = self.engines[place].process.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &process]).status().expect("kill").success());
    }

    fn wait_for_engine(&self, place: usize) {
        let end = Clock::now() + Duration::from_secs(10);
        while self.engines[place].command("d7:command4:pinge").is_none() {
            assert!(Clock::now() < end, "rtpengine does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let instant = Instant(1 + self.clock.elapsed().as_micros() as u64);
        Now { instant, unix_ms: unix.as_millis() as u64 }
    }
}

impl Engine {
    fn start(address: &str, options: &[&str]) -> Engine {
        let process = Command::new("rtpengine")
            .args([
                "--config-file=none",
                "--table=-1",
                "--foreground",
                "--log-stderr",
                "--log-level=4",
                "--port-min=31000",
                "--port-max=33000",
            ])
            .arg(format!("--interface={address}"))
            .arg(format!("--listen-ng={address}:{NG_PORT}"))
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rtpengine starts");
        let socket = UdpSocket::bind((address, 0)).expect("a local port");
        socket.connect((address, NG_PORT)).expect("an address");
        socket.set_nonblocking(true).expect("a socket");
        Engine { process, address: address.to_owned(), socket }
    }

    /// A command of the test's own, on a socket of its own.
    fn command(&self, document: &str) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind((self.address.as_str(), 0)).ok()?;
        socket.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
        socket.connect((self.address.as_str(), NG_PORT)).ok()?;
        let cookie = format!("test{}", socket.local_addr().ok()?.port());
        socket.send(format!("{cookie} {document}").as_bytes()).ok()?;
        let mut bytes = vec![0; 65_536];
        let length = socket.recv(&mut bytes).ok()?;
        Some(bytes[cookie.len() + 1..length].to_vec())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Phone {
    pub fn new(address: &str) -> Phone {
        Phone::behind(address, address)
    }

    /// A phone whose description names another address than the one it has.
    pub fn behind(address: &str, claims: &str) -> Phone {
        let socket = UdpSocket::bind((address, 0)).expect("a local port");
        socket.set_nonblocking(true).expect("a socket");
        Phone { socket, address: address.to_owned(), claims: claims.to_owned() }
    }

    fn sdp(&self) -> Bytes {
        let (port, claims) = (self.socket.local_addr().expect("bound").port(), &self.claims);
        Bytes::from(format!(
            "v=0\r\no=- 1 1 IN IP4 {claims}\r\ns=-\r\nc=IN IP4 {claims}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\na=sendrecv\r\n"
        ))
    }

    fn profile(&self, leg: u16) -> MediaProfile {
        let source = self.address.parse().ok();
        MediaProfile { nat: false, tag: format!("leg{leg}"), family: 4, web: false, source }
    }

    /// Sends one RTP packet of 172 bytes to where this description says.
    pub fn talk(&self, sdp: &str, number: u16) {
        let mut packet = vec![0x80, 8];
        packet.extend_from_slice(&number.to_be_bytes());
        packet.extend_from_slice(&(u32::from(number) * 160).to_be_bytes());
        packet.extend_from_slice(&u32::from(self.socket.local_addr().expect("bound").port()).to_be_bytes());
        packet.resize(172, 0xd5);
        self.socket.send_to(&packet, (address_of(sdp), port_of(sdp))).expect("sent");
        std::thread::sleep(Duration::from_millis(2));
    }

    /// Packets that have come, waiting up to a second for `expected`.
    pub fn heard(&self, expected: usize) -> usize {
        let end = Clock::now() + Duration::from_secs(1);
        let mut count = 0;
        let mut bytes = [0; 2_048];
        while count < expected && Clock::now() < end {
            match self.socket.recv(&mut bytes) {
                Ok(_) => count += 1,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        std::thread::sleep(Duration::from_millis(20));
        while self.socket.recv(&mut bytes).is_ok() {
            count += 1;
        }
        count
    }
}
