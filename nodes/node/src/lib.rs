//! A node: configuration, boot, wiring, telemetry and a graceful end.
//!
//! [`Config`] is one TOML file in which every section is the `Settings` of the crate that acts on it; unknown keys are
//! refused with their line, and `config::check` looks across sections. [`Node::start`] boots in an order in which nothing is
//! asked before it can answer: secret, store, exchange with its ports, residents (bindings load), sockets, web. [`Node::stop`] goes
//! the other way: balancers refuse new work, running transactions get `stop_s`, established calls get BYE, then sockets close, records and bindings are
//! flushed. [`run`] does both for a process: it returns when SIGTERM or SIGINT has ended the node.
//!
//! `call.trusted` are trunks: their requests are not challenged, and balancers do not limit them either.
//! `balancer.trusted` alone frees an address from limits and bans; its requests are still challenged.
//!
//! Logs go to standard error, human or JSON, with a level that `POST /log` changes. Metrics: `/metrics` of the control port.

mod boot;
pub mod config;
mod crew;
mod facts;
pub mod logging;
mod secret;

pub use boot::{BootError, Node, run};
pub use config::{Config, ConfigError};
