//! A real rtpengine.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{Process, is_bound, until};

pub struct Relay {
    pub process: Process,
    net: u8,
    folder: std::path::PathBuf,
}

/// Where the test's rtpengine listens for commands.
pub fn control_address(net: u8) -> SocketAddr {
    SocketAddr::from(([127, 10, net, 9], 2223))
}

/// Address of the relay's media ports.
pub fn media_ip(net: u8) -> String {
    format!("127.10.{net}.9")
}

impl Relay {
    pub fn start(net: u8, folder: &Path) -> Relay {
        Relay { process: launch(net, folder), net, folder: folder.to_path_buf() }
    }

    /// Ends the relay at once, as a crash would.
    pub fn kill(&mut self) {
        self.process.signal("KILL");
        self.process.wait(Duration::from_secs(5)).expect("a killed process ends");
    }

    /// Starts it again, empty.
    pub fn restart(&mut self) {
        self.process = launch(self.net, &self.folder);
    }
}

fn launch(net: u8, folder: &Path) -> Process {
    let control = control_address(net);
    let process = Process::start(
        "rtpengine",
        Command::new("rtpengine").args([
            "--table=-1",
            "--foreground",
            "--log-stderr",
            "--log-level=6",
            &format!("--interface={}", media_ip(net)),
            &format!("--listen-ng={control}"),
            "--port-min=30000",
            "--port-max=31000",
            "--delete-delay=0",
            "--num-threads=2",
            &format!("--pidfile={}", folder.join("rtpengine.pid").display()),
        ]),
        &folder.join("rtpengine.log"),
    );
    until("rtpengine listens", Duration::from_secs(10), || is_bound(control, "udp"));
    process
}
