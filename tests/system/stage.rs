//! A stage for one test: a network of loopback addresses, a folder, a switch, perhaps a relay, and phones.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::relay::{Relay, relay_ip};
use crate::sipp::Sipp;
use crate::switch::Switch;

/// Domain of the test subscribers.
pub const DOMAIN: &str = "example.test";

pub struct Stage {
    net: u8,
    pub folder: PathBuf,
    pub switch: Switch,
    pub relays: Vec<Relay>,
}

/// A subscriber with a telephone at an address of the test's network.
#[derive(Clone)]
pub struct Phone {
    pub user: String,
    pub password: String,
    pub address: SocketAddr,
}

/// What a stage is made of.
#[derive(Default)]
pub struct Props<'a> {
    /// Real rtpengines to start, count.
    pub relays: u8,
    /// Another listener on `ip6(net)`, and a relay with media ports there.
    pub ipv6: bool,
    /// More configuration, as TOML sections (`[call]` ...).
    pub toml: &'a str,
}

impl Stage {
    /// A switch without media relay that passes SDP on unanchored.
    pub fn plain(net: u8) -> Stage {
        Stage::new(net, Props::default())
    }

    /// A switch with a real rtpengine.
    pub fn with_relay(net: u8) -> Stage {
        Stage::new(net, Props { relays: 1, ..Props::default() })
    }

    pub fn new(net: u8, props: Props) -> Stage {
        let folder = std::env::temp_dir().join(format!("tandem-system-{}-{net}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder); // leftover of an earlier process with this id
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        let relays: Vec<Relay> =
            (0..props.relays).map(|number| Relay::start(relay_ip(net, number), props.ipv6, &folder)).collect();
        let switch = Switch::start(net, &folder, &relays, &props);
        Stage { net, folder, switch, relays }
    }

    /// Phone of subscriber `user1` to `user9` at host `20 + number` of the test's network.
    pub fn phone(&self, number: u8) -> Phone {
        self.phone_at(number, 20 + number)
    }

    /// An address of the test's network.
    pub fn ip(&self, host: u8) -> Ipv4Addr {
        ip(self.net, host)
    }

    /// The same subscriber's phone at another address.
    pub fn phone_at(&self, number: u8, host: u8) -> Phone {
        Phone {
            user: format!("user{number}"),
            password: format!("secret{number}"),
            address: SocketAddr::from((self.ip(host), 5060)),
        }
    }

    /// A SIPp that plays `ladder` as `phone`.
    pub fn sipp(&self, phone: &Phone, ladder: &str) -> Sipp {
        Sipp::new(&self.folder, self.switch.sip, phone, ladder)
    }

    /// Registers a phone and checks that it worked.
    pub fn register(&self, phone: &Phone) {
        self.sipp(phone, crate::registrations::REGISTER).run().passed();
    }

    /// Path of a file of this test.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Call records written so far, oldest first.
    pub fn cdrs(&self) -> Vec<serde_json::Value> {
        read_cdrs(&self.folder.join("data/cdr"))
    }

    /// Waits until there are `count` call records, and returns them.
    pub fn wait_for_cdrs(&self, count: usize) -> Vec<serde_json::Value> {
        crate::process::until("call records", std::time::Duration::from_secs(10), || self.cdrs().len() >= count);
        let cdrs = self.cdrs();
        assert_eq!(cdrs.len(), count, "call records: {cdrs:#?}");
        cdrs
    }
}

/// Address of a host in a test's network. Hosts: 9 the relay, 10 the switch, from 21 the phones.
pub fn ip(net: u8, host: u8) -> Ipv4Addr {
    let process = 16 + (std::process::id() % 223) as u8;
    Ipv4Addr::new(127, process, net, host)
}

/// The switch's address for IPv6: there is one loopback address only, so the test and the process choose the port.
pub fn ip6(net: u8) -> SocketAddr {
    let port = 32_000 + 100 * (std::process::id() % 250) as u16 + u16::from(net) % 50 * 2;
    SocketAddr::from((Ipv6Addr::LOCALHOST, port))
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder); // only tidying up
        } else {
            self.switch.leave_trace();
            eprintln!("what happened is in {}", self.folder.display());
        }
    }
}

fn read_cdrs(folder: &Path) -> Vec<serde_json::Value> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let lines = files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    lines.flat_map(|text| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>()).collect()
}
