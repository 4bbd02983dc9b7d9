//! Boot, stop and what outlives both.

use serde_json::Value;

use super::{Stage, phone};
use crate::config::Config;
use crate::logging::LogLevel;
use crate::{BootError, Node};

#[test]
fn subscribers_and_bindings_outlive_a_restart() {
    let folder = std::env::temp_dir().join(format!("tandem-life-{}", std::process::id()));
    let mut first = Stage::at(folder.clone());
    first.alice();
    let phone = phone();
    assert!(first.register(&phone).starts_with("SIP/2.0 200 "));
    first.stop();
    std::mem::forget(std::mem::take(&mut first.folder));
    drop(first);
    let second = Stage::at(folder);
    let all = second.control("GET", "/registrations", Value::Null).body;
    assert_eq!(all["total_count"], 1, "{all}");
    assert_eq!(second.api("GET", "/api/subscribers/", Value::Null).body["total_count"], 1);
}

#[test]
fn an_address_in_use_is_named() {
    let stage = Stage::new();
    let taken = stage.sip;
    let folder = std::env::temp_dir().join(format!("tandem-taken-{}", std::process::id()));
    let text = format!(
        "data_dir = \"{}\"\nshards = 1\n[[listen]]\ntransport = \"udp\"\naddress = \"{taken}\"\n[control]\nlisten = \"127.0.0.1:0\"\n",
        folder.display()
    );
    let config = Config::parse(&text).expect("a configuration");
    let failed: Result<Node, BootError> = stage.runtime.block_on(Node::start(config, LogLevel::none()));
    let error = failed.err().expect("the address is taken").to_string();
    assert!(error.contains(&taken.to_string()), "{error}");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn a_data_directory_serves_one_switch() {
    let stage = Stage::new();
    let text = format!(
        "data_dir = \"{}\"\n[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n[control]\nlisten = \"127.0.0.1:0\"\n",
        stage.folder.display()
    );
    let config = Config::parse(&text).expect("a configuration");
    let failed = stage.runtime.block_on(Node::start(config, LogLevel::none()));
    let error = failed.err().expect("the directory is taken").to_string();
    assert!(error.contains("is in use by another switch"), "{error}");
}

#[test]
fn options_to_the_switch_are_answered() {
    let stage = Stage::new();
    let answer = stage.sip(&phone(), "OPTIONS", &format!("sip:{}", stage.sip), 1, "");
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
}
