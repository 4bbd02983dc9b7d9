//! A real rtpengine.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Process, is_bound, until};
use crate::stage::ip;

pub struct Relay {
    pub process: Process,
    /// Address of its media ports, and of its control port.
    pub address: Ipv4Addr,
    /// With media ports on the IPv6 loopback address as well.
    ipv6: bool,
    folder: PathBuf,
}

/// Where the rtpengine of this number (from 0) is in a test's network: hosts 9, 8, 7 ...
pub fn relay_ip(net: u8, number: u8) -> Ipv4Addr {
    ip(net, 9 - number)
}

/// Where it listens for commands.
pub fn control_address(address: Ipv4Addr) -> SocketAddr {
    SocketAddr::from((address, 2223))
}

impl Relay {
    pub fn start(address: Ipv4Addr, ipv6: bool, folder: &Path) -> Relay {
        Relay { process: launch(address, ipv6, folder), address, ipv6, folder: folder.to_path_buf() }
    }

    /// Ends the relay at once, as a crash would.
    pub fn kill(&mut self) {
        self.process.signal("KILL");
        self.process.wait(Duration::from_secs(5)).expect("a killed process ends");
    }

    /// Starts it again, empty.
    pub fn restart(&mut self) {
        self.process = launch(self.address, self.ipv6, &self.folder);
    }
}

fn launch(address: Ipv4Addr, ipv6: bool, folder: &Path) -> Process {
    let control = control_address(address);
    let process = Process::start(
        "rtpengine",
        Command::new("rtpengine").args(ipv6.then_some("--interface=::1")).args([
            "--config-file=none",
            "--table=-1",
            "--foreground",
            "--log-stderr",
            "--log-level=6",
            &format!("--interface={address}"),
            &format!("--listen-ng={control}"),
            "--port-min=30000",
            "--port-max=31000",
            "--delete-delay=0",
            "--num-threads=2",
            &format!("--pidfile={}", folder.join(format!("rtpengine-{address}.pid")).display()),
        ]),
        &folder.join(format!("rtpengine-{address}.log")),
    );
    until("rtpengine listens", Duration::from_secs(10), || is_bound(control, "udp"));
    process
}
