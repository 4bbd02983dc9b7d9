//! A whole node in this process, on free ports of 127.0.0.1.

mod api;
mod cluster;
mod control;
mod life;

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::Node;
use crate::config::Config;
use crate::logging::LogLevel;

/// A running node, and how to talk to it. The folder goes with it.
struct Stage {
    node: Option<Node>,
    runtime: tokio::runtime::Runtime,
    agent: Agent,
    api: String,
    control: String,
    sip: SocketAddr,
    folder: PathBuf,
}

/// An answer of either listener.
struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: Value,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

static STAGES: AtomicU32 = AtomicU32::new(0);

impl Stage {
    fn new() -> Stage {
        let number = STAGES.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tandem-node-{}-{number}", std::process::id()));
        Stage::at(folder)
    }

    fn at(folder: PathBuf) -> Stage {
        let text = format!(
            "data_dir = \"{}\"\nshards = 4\nstop_s = 1\n[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
             [api]\nlisten = \"127.0.0.1:0\"\nbody_bytes_max = 4096\nfailures_max = 4\n[api.users]\nadmin = \"{SECRET}\"\n\
             [control]\nlisten = \"127.0.0.1:0\"\n",
            folder.display()
        );
        let stage = Stage::with(folder, &text);
        stage.wait_until_ready();
        stage
    }

    /// A node with this configuration, not yet ready.
    fn with(folder: PathBuf, text: &str) -> Stage {
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("node.toml");
        std::fs::write(&file, text).expect("written");
        let config = Config::load(&file).expect("a configuration");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let node = runtime.block_on(Node::start(config, LogLevel::none())).expect("a node");
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .disable_verification(true)
            .build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(10)))
            .tls_config(tls)
            .build()
            .new_agent();
        let api = node.api_address().map_or(String::new(), |address| format!("https://{address}"));
        let control = format!("http://{}", node.control_address().expect("a control port"));
        let sip = node.sip_address(0).unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        Stage { node: Some(node), runtime, agent, api, control, sip, folder }
    }

    /// Bindings load after the sockets have opened.
    fn wait_until_ready(&self) {
        let start = std::time::Instant::now();
        while self.control("GET", "/ready", Value::Null).status != 200 {
            assert!(start.elapsed() < Duration::from_secs(10), "the node is not ready");
            std::thread::yield_now();
        }
    }

    /// A request to the API as the administrator.
    fn api(&self, method: &str, path: &str, body: Value) -> Answer {
        self.api_with(method, path, &[("Authorization", ADMIN), ("Content-Type", kind(method))], &text(&body))
    }

    fn api_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.request(method, &format!("{}{path}", self.api), headers, body)
    }

    fn control(&self, method: &str, path: &str, body: Value) -> Answer {
        self.request(method, &format!("{}{path}", self.control), &[("Content-Type", "application/json")], &text(&body))
    }

    fn request(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = self.agent.run(request.body(body.to_owned()).expect("a request")).expect("an answer");
        let text = response.body_mut().read_to_string().expect("a body");
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    /// Creates an entity; its id.
    fn create(&self, resource: &str, fields: Value) -> u64 {
        let answer = self.api("POST", &format!("/api/{resource}/"), fields);
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.header("location").rsplit('/').next().and_then(|id| id.parse().ok()).expect("an id in Location")
    }

    /// A domain, a customer and the subscriber alice; her id.
    fn alice(&self) -> u64 {
        self.create("domains", serde_json::json!({"domain": "example.test"}));
        let customer = self.create("customers", serde_json::json!({"external_id": "c1"}));
        let number = serde_json::json!({"cc": "43", "ac": "1", "sn": "1001"});
        let fields = serde_json::json!({"domain": "example.test", "username": "alice", "password": "alice-pw",
                                        "customer_id": customer, "primary_number": number});
        self.create("subscribers", fields)
    }

    /// Sends a SIP request from a socket and waits for the first answer.
    fn sip(&self, socket: &UdpSocket, method: &str, uri: &str, cseq: u32, headers: &str) -> String {
        let me = socket.local_addr().expect("an address");
        let request = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{method}{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@example.test>;tag=1\r\nTo: <sip:alice@example.test>\r\nCall-ID: {me}\r\nCSeq: {cseq} {method}\r\n\
             {headers}Content-Length: 0\r\n\r\n"
        );
        socket.send_to(request.as_bytes(), self.sip).expect("sent");
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("an answer within the timeout");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Registers alice's phone with the right digest; the last answer.
    fn register(&self, socket: &UdpSocket) -> String {
        self.register_from(socket, 1)
    }

    /// The same later.
    fn register_again(&self, socket: &UdpSocket) -> String {
        self.register_from(socket, 3)
    }

    fn register_from(&self, socket: &UdpSocket, cseq: u32) -> String {
        let contact = format!("Contact: <sip:alice@{}>\r\n", socket.local_addr().expect("an address"));
        let uri = "sip:example.test";
        let challenge = self.sip(socket, "REGISTER", uri, cseq, &contact);
        assert!(challenge.starts_with("SIP/2.0 401 "), "{challenge}");
        let line = challenge.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).expect("a challenge");
        let challenge = auth::Challenge::parse(line.as_bytes()).expect("a digest challenge");
        let ha1 = auth::Ha1::of("alice", "example.test", "alice-pw");
        let answering =
            auth::Answering { user: "alice", ha1: &ha1, method: "REGISTER", uri, nc: 1, cnonce: "0a4f113b" };
        let authorization = auth::respond(&challenge, &answering).expect("an answer to the challenge");
        self.sip(socket, "REGISTER", uri, cseq + 1, &format!("{contact}Authorization: {authorization}\r\n"))
    }

    /// Ends the node in good order.
    fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            self.runtime.block_on(node.stop());
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn phone() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    socket
}

fn text(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

fn kind(method: &str) -> &'static str {
    if method == "PATCH" { "application/json-patch+json" } else { "application/json" }
}

/// SHA-256 of `secret`, and the credentials that go with it.
const SECRET: &str = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
const ADMIN: &str = "Basic YWRtaW46c2VjcmV0";
