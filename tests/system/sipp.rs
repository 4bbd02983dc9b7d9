//! SIPp as a phone: plays a ladder, and tells what it saw.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::ladder;
use crate::process::{Process, is_bound, until};
use crate::stage::{DOMAIN, Phone};
use crate::wire::{self, WireMessage};

pub struct Sipp {
    folder: PathBuf,
    switch: SocketAddr,
    phone: Phone,
    ladder: String,
    called: String,
    domain: String,
    tcp: bool,
    seconds_max: u64,
    extra: Vec<String>,
}

/// A SIPp that is playing.
pub struct Playing {
    process: Process,
    log: PathBuf,
    errors: PathBuf,
    seconds_max: u64,
}

/// What came of it.
pub struct Played {
    pub code: Option<i32>,
    pub messages: Vec<WireMessage>,
    errors: String,
    name: String,
}

impl Sipp {
    pub fn new(folder: &Path, switch: SocketAddr, phone: &Phone, ladder: &str) -> Sipp {
        Sipp {
            folder: folder.to_path_buf(),
            switch,
            phone: phone.clone(),
            ladder: ladder.to_owned(),
            called: "user2".to_owned(),
            domain: DOMAIN.to_owned(),
            tcp: false,
            seconds_max: 20,
            extra: Vec::new(),
        }
    }

    /// Whom it calls.
    pub fn calls(mut self, user: &str) -> Sipp {
        user.clone_into(&mut self.called);
        self
    }

    /// The domain that the phone belongs to.
    pub fn of(mut self, domain: &str) -> Sipp {
        domain.clone_into(&mut self.domain);
        self
    }

    pub fn over_tcp(mut self) -> Sipp {
        self.tcp = true;
        self
    }

    /// Sends to this address instead of the switch's first listener.
    pub fn through(mut self, address: SocketAddr) -> Sipp {
        self.switch = address;
        self
    }

    pub fn within(mut self, seconds: u64) -> Sipp {
        self.seconds_max = seconds;
        self
    }

    /// More SIPp arguments.
    pub fn args(mut self, words: &[&str]) -> Sipp {
        self.extra.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Starts playing, and returns once the phone's socket is bound.
    pub fn start(self) -> Playing {
        let number = std::fs::read_dir(&self.folder).expect("the test's folder").count();
        let file = |ending: &str| self.folder.join(format!("{}-{number}.{ending}", self.phone.user));
        let scenario = ladder::to_sipp(&self.ladder, &self.phone, &self.called, &self.domain);
        std::fs::write(file("xml"), scenario).expect("a scenario file");
        let (log, errors) = (file("msg"), file("err"));
        let mut command = Command::new("sipp");
        command
            .arg(self.switch.to_string())
            .args(["-sf".as_ref(), file("xml").as_os_str()])
            .args(["-i", &self.phone.address.ip().to_string(), "-p", &self.phone.address.port().to_string()])
            .args(["-mi", &self.phone.address.ip().to_string()])
            .args(["-m", "1", "-l", "1", "-r", "1", "-nostdin", "-trace_msg", "-message_file"])
            .arg(&log)
            .args(["-trace_err", "-error_file"])
            .arg(&errors)
            .args(["-timeout", &format!("{}s", self.seconds_max), "-timeout_error"])
            .args(["-auth_uri", &self.request_uri()])
            .args(["-t", if self.tcp { "t1" } else { "u1" }])
            .args(&self.extra)
            .current_dir(&self.folder);
        let process = Process::start(&format!("sipp {}", self.phone.user), &mut command, &file("out"));
        if !self.tcp {
            until("SIPp has bound its socket", Duration::from_secs(5), || is_bound(self.phone.address, "udp"));
        }
        Playing { process, log, errors, seconds_max: self.seconds_max }
    }

    /// What the digest signs (RFC 7616 3.4.6), without its scheme; SIPp would sign the address that it sends to.
    fn request_uri(&self) -> String {
        match (self.ladder.trim_start().starts_with("> REGISTER"), self.called.contains('@')) {
            (true, _) => self.domain.clone(),
            (false, true) => self.called.clone(),
            (false, false) => format!("{}@{}", self.called, self.domain),
        }
    }

    /// Plays to the end.
    pub fn run(self) -> Played {
        self.start().end()
    }
}

impl Playing {
    /// Waits for the end.
    pub fn end(mut self) -> Played {
        let status = self.process.wait(Duration::from_secs(self.seconds_max + 10));
        self.played(status.and_then(|status| status.code()))
    }

    /// Ends the phone at once: it has lost its power.
    pub fn power_off(mut self) -> Played {
        self.process.signal("KILL");
        self.process.wait(Duration::from_secs(5));
        self.played(None)
    }

    /// Waits until the phone has seen a message for which `wanted` holds.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&WireMessage) -> bool) {
        until(what, Duration::from_secs(self.seconds_max), || wire::read(&self.log).iter().any(&wanted));
    }

    /// What it has seen until now.
    pub fn so_far(&self) -> Played {
        self.played(None)
    }

    fn played(&self, code: Option<i32>) -> Played {
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        Played { code, messages: wire::read(&self.log), errors, name: self.process.name.clone() }
    }
}

impl Played {
    /// The exit code says that all went as the ladder has it.
    pub fn passed(self) -> Played {
        assert_eq!(
            self.code,
            Some(0),
            "{} did not see its ladder:\n{}\n{}",
            self.name,
            self.errors,
            wire::ladder(&self.messages)
        );
        self
    }

    /// What it received, in order.
    pub fn received(&self) -> Vec<String> {
        self.messages.iter().filter(|message| !message.sent).map(WireMessage::gist).collect()
    }

    /// The first received message whose gist is `gist` (`200 INVITE`, `BYE` ...).
    pub fn first(&self, gist: &str) -> &WireMessage {
        let found = self.messages.iter().find(|message| !message.sent && message.gist() == gist);
        found.unwrap_or_else(|| panic!("{} received no {gist}:\n{}", self.name, wire::ladder(&self.messages)))
    }

    /// How many messages of this gist it sent, repetitions included.
    pub fn sent(&self, gist: &str) -> usize {
        self.messages.iter().filter(|message| message.sent && message.gist() == gist).count()
    }

    /// How many messages of this gist it received.
    pub fn count(&self, gist: &str) -> usize {
        self.messages.iter().filter(|message| !message.sent && message.gist() == gist).count()
    }
}
