//! The `tandem` binary as a process, and its operator commands.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Process, until};
use crate::relay::{Relay, control_address};
use crate::stage::{DOMAIN, Props, ip, ip6};

pub struct Switch {
    pub process: Process,
    /// Where phones reach it, UDP and TCP.
    pub sip: SocketAddr,
    pub control: SocketAddr,
    pub api: SocketAddr,
    config: PathBuf,
    folder: PathBuf,
}

impl Switch {
    /// Starts a switch on host 10 of the test's network and provisions user1 to user9.
    pub fn start(net: u8, folder: &Path, relays: &[Relay], props: &Props) -> Switch {
        let sip = SocketAddr::from((ip(net, 10), 5060));
        let control = SocketAddr::from((ip(net, 10), 8090));
        let api = SocketAddr::from((ip(net, 10), 1443));
        let config = folder.join("tandem.toml");
        let data = folder.join("data");
        std::fs::create_dir_all(&data).expect("a data folder");
        let number = |relay: &Relay| relays.iter().position(|other| other.address == relay.address).unwrap_or(0) + 1;
        let relays: String =
            relays.iter().map(|relay| relay_section(&format!("media{}", number(relay)), relay.address)).collect();
        let toml = props.toml;
        let call = if toml.contains("[call]") { "" } else { "[call]\nwithout_relay = \"unanchored\"\n" };
        let log = if toml.contains("[log]") { "" } else { "[log]\nlevel = \"debug\"\n" };
        let listen: String = [sip].iter().chain(props.ipv6.then_some(&ip6(net))).map(listen_sections).collect();
        let text = format!(
            "node = 1\nname = \"system-{net}\"\ndata_dir = \"{data}\"\n\n{listen}\
             [api]\nlisten = \"{api}\"\n[api.users]\nadmin = \"sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"\n\n[control]\nlisten = \"{control}\"\n\n{log}{relays}{call}{toml}",
            data = data.display()
        );
        std::fs::write(&config, text).expect("a configuration");
        let process = launch(&config, folder);
        let mut switch = Switch { process, sip, control, api, config, folder: folder.to_path_buf() };
        switch.wait_until_ready();
        let users: Vec<String> = (1..=9).map(|n| format!("user{n}")).collect();
        let entries: String =
            (1..=9).map(|n| subscriber(&users[n - 1], &format!("secret{n}"), &format!("100{n}"))).collect();
        switch.apply(DOMAIN, &entries);
        switch
    }

    /// Creates more subscribers, all with the password `secret`.
    pub fn provision(&self, users: &[String]) {
        let entries: String =
            users.iter().enumerate().map(|(n, user)| subscriber(user, "secret", &format!("2{n:06}"))).collect();
        self.apply(DOMAIN, &entries);
    }

    /// Creates subscribers of another domain, all with the password `secret`.
    pub fn provision_in(&self, domain: &str, users: &[&str]) {
        let entry =
            |user: &&str| format!("  - {{domain: {domain}, username: {user}, password: secret, customer: demo}}\n");
        self.apply(domain, &users.iter().map(entry).collect::<String>());
    }

    /// Provisions through the northbound API.
    fn apply(&self, domain: &str, entries: &str) {
        let yml = self.folder.join("subscribers.yml");
        std::fs::write(
            &yml,
            format!("domains: [{{domain: {domain}}}]\ncustomers: [{{external_id: demo}}]\nsubscribers:\n{entries}"),
        )
        .expect("a provisioning file");
        let output = Command::new(binary())
            .args(["ctl", "apply"])
            .arg(yml)
            .args(["--api", &format!("https://{}", self.api), "--user", "admin:secret", "--insecure"])
            .output()
            .expect("tandem ctl runs");
        assert!(output.status.success(), "apply: {}{}", text(&output.stdout), text(&output.stderr));
    }

    fn wait_until_ready(&mut self) {
        until("the switch is ready", Duration::from_secs(20), || {
            assert!(self.process.is_running(), "the switch ended while starting");
            self.is_ready()
        });
    }

    /// Whether `tandem ctl ready` says that it takes calls.
    pub fn is_ready(&self) -> bool {
        let output = Command::new(binary()).args(["ctl", "--control", &self.control.to_string(), "ready"]).output();
        output.is_ok_and(|output| output.status.success())
    }

    /// Starts it again after it has ended.
    pub fn restart(&mut self) {
        self.process = launch(&self.config, &self.folder);
        self.wait_until_ready();
    }

    /// Kills the switch with SIGKILL and starts it again; returns how long it took until it was ready.
    pub fn crash_and_restart(&mut self) -> Duration {
        self.process.signal("KILL");
        self.process.wait(Duration::from_secs(5)).expect("a killed process ends");
        let start = std::time::Instant::now();
        self.restart();
        start.elapsed()
    }

    /// Runs an operator command with `--json`.
    pub fn ctl(&self, words: &[&str]) -> Value {
        let output = self.ctl_raw(&[&["--json"], words].concat());
        serde_json::from_str(&output)
            .unwrap_or_else(|error| panic!("ctl {words:?} answers JSON, not {output:?}: {error}"))
    }

    /// Runs an operator command as a person would.
    pub fn ctl_raw(&self, words: &[&str]) -> String {
        let output = Command::new(binary())
            .args(["ctl", "--control", &self.control.to_string()])
            .args(words)
            .output()
            .expect("tandem ctl runs");
        assert!(output.status.success(), "ctl {words:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Writes the ladder of the last call beside the other files of a test that has failed.
    pub fn leave_trace(&self) {
        let control = self.control.to_string();
        if let Ok(output) = Command::new(binary()).args(["ctl", "--control", &control, "trace", "--last"]).output() {
            // Only for people: a test that fails has failed already.
            let _ = std::fs::write(self.folder.join("trace.txt"), [output.stdout, output.stderr].concat());
        }
    }

    /// Number of calls that the switch holds.
    pub fn calls(&self) -> u64 {
        self.ctl(&["status"])["calls"].as_u64().expect("a number of calls")
    }

    /// Contacts registered for a user.
    pub fn contacts(&self, user: &str) -> Vec<Value> {
        let answer = self.ctl(&["registrations", &format!("{user}@{DOMAIN}")]);
        answer["registrations"].as_array().expect("registrations").clone()
    }

    /// Resident memory, kB.
    pub fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("process status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }
}

fn listen_sections(address: &SocketAddr) -> String {
    ["udp", "tcp"]
        .map(|transport| format!("[[listen]]\ntransport = \"{transport}\"\naddress = \"{address}\"\n\n"))
        .concat()
}

/// Configuration of a relay.
pub fn relay_section(name: &str, address: Ipv4Addr) -> String {
    format!("[[anchor.relays]]\nname = \"{name}\"\naddress = \"{}\"\n\n", control_address(address))
}

/// One subscriber of a provisioning file.
fn subscriber(user: &str, password: &str, sn: &str) -> String {
    format!(
        "  - {{domain: {DOMAIN}, username: {user}, password: {password}, customer: demo, primary_number: {{cc: 43, ac: 1, sn: \"{sn}\"}}}}\n"
    )
}

fn launch(config: &Path, folder: &Path) -> Process {
    Process::start("tandem", Command::new(binary()).args(["solo", "--config"]).arg(config), &folder.join("tandem.log"))
}

/// The binary that `tests/run` has built.
pub fn binary() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tandem_tests::root().join("target"), PathBuf::from);
    let binary = target.join("release/tandem");
    assert!(binary.exists(), "{} is missing: cargo build --release -p tandem", binary.display());
    binary
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
