//! Softphones that people use: baresip over TCP, and linphone, whose Contact names an address that is not its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::process::{Process, until};
use crate::stage::{DOMAIN, Phone, Stage};

const CALLS_FOR_A_SECOND: &str = "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 180?\n< 200 | ~ m=audio\n> ACK\nwait 1000\n> BYE\n< 200";

#[test]
fn baresip_registers_over_tcp_and_is_called_through_its_connection() {
    let stage = Stage::with_relay(151);
    let mut baresip = baresip(&stage, &stage.phone(2));
    until("baresip is registered", Duration::from_secs(10), || !stage.switch.contacts("user2").is_empty());
    let contact = &stage.switch.contacts("user2")[0];
    assert!(contact["path"].as_str().is_some_and(|path| path.contains("transport=tcp")), "{contact}");
    assert!(contact["user_agent"].as_str().is_some_and(|agent| agent.contains("baresip")), "{contact}");
    let caller = stage.sipp(&stage.phone(1), CALLS_FOR_A_SECOND).run().passed();
    assert_eq!(caller.first("200 INVITE").media().expect("SDP").0, stage.relays[0].address.to_string());
    let cdr = &stage.wait_for_cdrs(1)[0];
    assert!(cdr["packets_from_callee"].as_u64() >= Some(30), "a second of its tone: {cdr:#}");
    // A phone that has lost its power has lost its connection: it is not there, and that is known at once.
    baresip.signal("KILL");
    baresip.wait(Duration::from_secs(5)).expect("a killed process ends");
    let gone = "> INVITE sdp\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\n< 480\n> ACK";
    stage.sipp(&stage.phone(1), gone).run().passed();
    assert_eq!(stage.wait_for_cdrs(2)[1]["call_status"], "offline");
}

#[test]
fn linphone_registers_is_called_and_calls() {
    let stage = Stage::with_relay(152);
    let listening = linphone(&stage, &stage.phone(2), &["-a"]);
    until("linphone is registered", Duration::from_secs(15), || !stage.switch.contacts("user2").is_empty());
    let contact = &stage.switch.contacts("user2")[0];
    assert!(contact["user_agent"].as_str().is_some_and(|agent| agent.contains("Linphone")), "{contact}");
    stage.sipp(&stage.phone(1), CALLS_FOR_A_SECOND).run().passed();
    drop(listening);
    stage.register(&stage.phone(3));
    let callee =
        stage.sipp(&stage.phone(3), "< INVITE | ~ m=audio\n> 180\n> 200 sdp\n< ACK\nwait 500\n> BYE\n< 200").start();
    let _calling = linphone(&stage, &stage.phone(1), &["-s", &format!("sip:user3@{DOMAIN}")]);
    let callee = callee.end().passed();
    assert_eq!(callee.first("INVITE").media().expect("SDP").0, stage.relays[0].address.to_string());
    let cdrs = stage.wait_for_cdrs(2);
    assert_eq!((cdrs[0]["stop_cause"].as_str(), cdrs[1]["stop_cause"].as_str()), (Some("caller"), Some("callee")));
}

/// A baresip that registers over TCP, answers every call, and plays a tone.
fn baresip(stage: &Stage, phone: &Phone) -> Process {
    let folder = stage.file("baresip");
    std::fs::create_dir_all(&folder).expect("a folder");
    let Phone { user, password, address } = phone;
    let account = format!(
        "<sip:{user}@{DOMAIN};transport=tcp>;auth_pass={password};outbound=\"sip:{};transport=tcp\";regint=600;answermode=auto\n",
        stage.switch.sip
    );
    let module =
        Command::new("find").args(["/usr/lib", "-path", "*baresip*", "-name", "g711.so"]).output().expect("find runs");
    let module = String::from_utf8_lossy(&module.stdout).lines().next().expect("baresip's modules").to_owned();
    let modules = module.trim_end_matches("/g711.so");
    let config = format!(
        "poll_method epoll\nsip_listen {address}\nnet_interface {ip}\naudio_source aufile,{tone}\naudio_player aubridge,{user}\n\
         ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\nrtp_ports 10000-11000\nmodule_path {modules}\n\
         module g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule uuid.so\nmodule_tmp account.so\nmodule_app menu.so\n",
        ip = address.ip(),
        tone = folder.join("tone.wav").display(),
    );
    std::fs::write(folder.join("tone.wav"), tone()).expect("a file");
    std::fs::write(folder.join("accounts"), account).expect("a file");
    std::fs::write(folder.join("config"), config).expect("a file");
    Process::start("baresip", Command::new("baresip").arg("-f").arg(&folder), &stage.file("baresip.log"))
}

/// Eight seconds of 440 Hz as a WAV file, 8000 samples a second.
fn tone() -> Vec<u8> {
    let wave = |at: u32| (8_000.0 * (f64::from(at) * 440.0 * std::f64::consts::TAU / 8_000.0).sin()) as i16;
    let samples: Vec<u8> = (0..64_000).flat_map(|at| wave(at).to_le_bytes()).collect();
    let length = samples.len() as u32;
    let head: [&[u8]; 8] = [
        b"RIFF",
        &(36 + length).to_le_bytes(),
        b"WAVEfmt \x10\0\0\0\x01\0\x01\0",
        &8_000_u32.to_le_bytes(),
        &16_000_u32.to_le_bytes(),
        b"\x02\0\x10\0",
        b"data",
        &length.to_le_bytes(),
    ];
    [&head.concat()[..], &samples].concat()
}

/// A linphonec that registers; `words` say whether it answers calls or places one.
fn linphone(stage: &Stage, phone: &Phone, words: &[&str]) -> Process {
    let Phone { user, password, .. } = phone;
    let switch: SocketAddr = stage.switch.sip;
    // Linphone binds the wildcard: a port that no other test and no other run of them uses.
    let port = 20_000 + std::process::id() % 10_000;
    let config = format!(
        "[sip]\nsip_port={port}\nsip_tcp_port=-2\nsip_tls_port=-2\ndefault_proxy=0\nguess_hostname=0\ncontact=\"{user}\" <sip:{user}@192.0.2.77>\n\
         register_only_when_network_is_up=0\n\
         [proxy_0]\nreg_proxy=<sip:{switch}>\nreg_route=<sip:{switch}>\nreg_identity=<sip:{user}@{DOMAIN}>\nreg_expires=600\nreg_sendregister=1\npublish=0\n\
         [auth_info_0]\nusername={user}\npasswd={password}\nrealm={DOMAIN}\ndomain={DOMAIN}\n\
         [net]\nfirewall_policy=0\n[sound]\nremote_ring=\nlocal_ring=\n"
    );
    let file = stage.file(&format!("linphonerc-{user}"));
    std::fs::write(&file, config).expect("a file");
    let mut command = Command::new("linphonec");
    command.arg("-c").arg(&file).args(["-d", "6", "-l"]).arg(stage.file(&format!("linphone-{user}.log"))).args(words);
    std::fs::create_dir_all(stage.file(".local/share/linphone")).expect("a folder");
    command.env("HOME", &stage.folder);
    Process::start("linphonec", &mut command, &stage.file(&format!("linphonec-{user}.out")))
}
