//! Child processes that end with the test, whatever way it ends.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running program; killed by its id when dropped.
pub struct Process {
    pub name: String,
    child: Child,
}

impl Process {
    /// Starts `command` with its output in `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Process {
        let file = std::fs::File::create(log).expect("a log file");
        let copy = file.try_clone().expect("a second handle");
        // A pipe that nobody writes to: a program that reads commands waits instead of taking the end for a farewell.
        let child = command.stdin(Stdio::piped()).stdout(file).stderr(copy).spawn();
        Process { name: name.to_owned(), child: child.unwrap_or_else(|error| panic!("{name} does not start: {error}")) }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by name (`KILL`, `TERM`, `USR1` ...).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "signal {name} to {}", self.name);
    }

    /// Waits for the end; `None` when it takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return Some(status);
            }
            if start.elapsed() > limit {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended by itself: then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until `done` holds; panics with `what` after `limit`.
pub fn until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether somebody has bound this address for UDP (or listens on it for TCP).
pub fn is_bound(address: SocketAddr, table: &str) -> bool {
    let SocketAddr::V4(v4) = address else { return true };
    let octets = v4.ip().octets();
    let wanted = format!("{:02X}{:02X}{:02X}{:02X}:{:04X}", octets[3], octets[2], octets[1], octets[0], v4.port());
    let Ok(text) = std::fs::read_to_string(format!("/proc/net/{table}")) else { return false };
    text.lines().any(|line| line.split_whitespace().nth(1) == Some(&wanted))
}
