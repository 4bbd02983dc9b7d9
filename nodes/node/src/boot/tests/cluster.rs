//! Three nodes in this process: a balancer that also votes, and a pair of proxies that do too.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use fabric::NodeId;
use ports::links::certificate;
use ports::links::roles::{Role, Roles};
use serde_json::{Value, json};

use super::{SECRET, STAGES, Stage, phone};

/// Number, roles. The last one comes later.
const NODES: [(u16, &[Role]); 4] = [
    (1, &[Role::Balancer, Role::Director]),
    (2, &[Role::Proxy, Role::Director]),
    (3, &[Role::Proxy, Role::Director]),
    (4, &[Role::Proxy]),
];

/// The first three nodes by their order above, and their folder.
struct Trio {
    stages: Vec<Stage>,
    folder: PathBuf,
    links: Vec<SocketAddr>,
    sip: SocketAddr,
}

impl Trio {
    fn new() -> Trio {
        let number = STAGES.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tandem-trio-{}-{number}", std::process::id()));
        let authority = certificate::authority("test", 1, SystemTime::now()).expect("an authority");
        authority.write(&folder, "authority").expect("written");
        certificate::write_new(&folder.join("secret"), "00112233445566778899aabbccddeeff\n", 0o600).expect("written");
        // Addresses must be known before anybody starts.
        let links = free(|| TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()));
        let sip = free(|| UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()))[0];
        for (node, roles) in NODES {
            let order = certificate::Order {
                node: NodeId(node),
                name: format!("n{node}"),
                chassis: node,
                roles: roles.iter().copied().collect(),
                days: 1,
            };
            let pair = certificate::node(&authority, &order, SystemTime::now()).expect("a certificate");
            pair.write(&folder, &order.name).expect("written");
        }
        let mut trio = Trio { stages: Vec::new(), folder, links, sip };
        (1..=3).for_each(|node| trio.start(node, 3, ""));
        trio.wait("a full standby", |cluster| cluster["groups"][0]["full"] == true);
        trio
    }

    /// Starts a node that knows the first `known` nodes.
    fn start(&mut self, node: u16, known: usize, more: &str) {
        let text = self.text(node, known, more);
        let mut stage = Stage::with(self.folder.join(format!("n{node}")), &text);
        stage.sip = self.sip;
        self.stages.push(stage);
    }

    fn text(&self, node: u16, known: usize, more: &str) -> String {
        let data = self.folder.join(format!("n{node}"));
        text(node, &self.folder, &data, &self.links[..known], self.sip) + more
    }

    /// Writes the file of a node anew and has it read.
    fn reload(&self, node: u16, known: usize, more: &str) -> super::Answer {
        let stage = &self.stages[usize::from(node) - 1];
        std::fs::write(stage.folder.join("node.toml"), self.text(node, known, more)).expect("written");
        stage.control("POST", "/cluster/reload", json!({}))
    }

    /// Waits until every node that runs sees it.
    fn wait(&self, what: &str, seen: impl Fn(&Value) -> bool) {
        let start = Instant::now();
        let running = || self.stages.iter().filter(|stage| stage.node.is_some());
        while !running().all(|stage| seen(&stage.control("GET", "/cluster", Value::Null).body)) {
            let last = running().next().map(|stage| stage.control("GET", "/cluster", Value::Null).text);
            assert!(start.elapsed() < Duration::from_secs(20), "{what}: {last:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The end of a process: nothing is said, nothing is written.
    fn kill(&mut self, place: usize) {
        let stage = &mut self.stages[place];
        std::mem::forget(stage.node.take());
        let none = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        std::mem::replace(&mut stage.runtime, none).shutdown_background();
    }
}

impl Drop for Trio {
    fn drop(&mut self) {
        // All at once: nobody is left to take anything over.
        for place in 0..self.stages.len() {
            self.kill(place);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free(bind: impl Fn() -> std::io::Result<SocketAddr>) -> Vec<SocketAddr> {
    (0..NODES.len()).map(|_| bind().expect("a free port")).collect()
}

fn text(node: u16, folder: &Path, data: &Path, links: &[SocketAddr], sip: SocketAddr) -> String {
    let (folder, data) = (folder.display(), data.display());
    let mut text = format!(
        "node = {node}\nsecret_file = \"{folder}/secret\"\ndata_dir = \"{data}\"\nshards = 4\nworkers = 2\n\
         [control]\nlisten = \"127.0.0.1:0\"\n[[listen]]\nsite = 1\ntransport = \"udp\"\naddress = \"{sip}\"\n\
         [call]\nwithout_relay = \"unanchored\"\n[cluster]\nname = \"trio\"\ncertificate = \"{folder}/n{node}.pem\"\n\
         key = \"{folder}/n{node}.key\"\nauthority = \"{folder}/authority.pem\"\n[[cluster.pairs]]\npair = 1\nnodes = [2, 3]\n"
    );
    if node != 1 {
        text.push_str(&format!("[api]\nlisten = \"127.0.0.1:0\"\n[api.users]\nadmin = \"{SECRET}\"\n"));
    }
    for ((node, roles), address) in NODES.iter().zip(links) {
        let roles: Roles = roles.iter().copied().collect();
        let roles: Vec<String> = roles.iter().map(|role| format!("\"{role}\"")).collect();
        text.push_str(&format!(
            "[[cluster.nodes]]\nnode = {node}\nname = \"n{node}\"\nchassis = {node}\naddress = \"{address}\"\nroles = [{}]\n",
            roles.join(", ")
        ));
    }
    text
}

#[test]
fn a_registration_outlives_its_proxy() {
    let mut trio = Trio::new();
    trio.stages[1].alice();
    trio.stages[2].alice();
    let phone = phone();
    assert!(trio.stages[0].register(&phone).starts_with("SIP/2.0 200 "));
    let check = |place: usize| trio.stages[place].control("GET", "/cluster/active", Value::Null).body;
    assert_eq!(check(1), json!({"active": true, "why": "node 2 is active for group 0"}));
    assert_eq!(check(2), json!({"active": false, "why": "node 3 is standby for group 0"}));
    // By hand, through a director that may not lead.
    let moved = trio.stages[2].control("POST", "/cluster/make-active", json!({}));
    assert_eq!(moved.status, 200, "{}", moved.text);
    trio.wait("node 3 is active", |cluster| {
        cluster["groups"][0]["active"] == 3 && cluster["groups"][0]["full"] == true
    });
    let all = trio.stages[2].control("GET", "/registrations", Value::Null).body;
    assert_eq!(all["total_count"], 1, "{all}");
    // And by force.
    trio.kill(2);
    trio.wait("node 2 takes over", |cluster| cluster["groups"][0]["active"] == 2);
    let all = trio.stages[1].control("GET", "/registrations", Value::Null).body;
    assert_eq!(all["total_count"], 1, "{all}");
    let cluster = trio.stages[1].control("GET", "/cluster", Value::Null).body;
    assert_eq!((&cluster["groups"][0]["epoch"], &cluster["counts"]["cold_starts"]), (&json!(3), &json!(0)));
    assert!(cluster["leader"].is_u64(), "{cluster}");
    let metrics = trio.stages[1].control("GET", "/metrics", Value::Null).text;
    assert!(metrics.contains("tandem_cluster_groups_alone 1"), "{metrics}");
    // The phone comes again, as if nothing had been.
    let again = trio.stages[0].register_again(&phone);
    assert!(again.starts_with("SIP/2.0 200 "), "{again}");
}

#[test]
fn a_pair_is_added_and_taken_out_while_everything_runs() {
    let mut trio = Trio::new();
    trio.stages[1].alice();
    trio.stages[2].alice();
    assert!(trio.stages[0].register(&phone()).starts_with("SIP/2.0 200 "));
    let more = "[[cluster.pairs]]\npair = 2\nnodes = [3, 4]\n";
    // The new node may come before the others are told.
    trio.start(4, 4, more);
    for node in 1..=3 {
        let answer = trio.reload(node, 4, more);
        assert_eq!((answer.status, &answer.body["added"]), (200, &json!([4])), "{}", answer.text);
        assert_eq!(answer.body["restart_for"], json!([]), "{}", answer.text);
    }
    let slots = |cluster: &Value, pair: u16| {
        let rows = cluster["groups"].as_array().cloned().unwrap_or_default();
        let own = rows.iter().filter(|row| row["pair"] == pair);
        own.map(|row| cluster["slots"][row["group"].to_string()].as_u64().unwrap_or(0)).sum::<u64>()
    };
    trio.wait("both pairs have their share", |cluster| {
        let rows = cluster["groups"].as_array().cloned().unwrap_or_default();
        let home = |row: &Value| row["full"] == true && (row["pair"] == 1 || row["active"] != 2 && row["standby"] != 2);
        rows.len() == 2 && rows.iter().all(home)
    });
    let cluster = trio.stages[0].control("GET", "/cluster", Value::Null).body;
    assert!((1_900..2_200).contains(&slots(&cluster, 2)), "{cluster}");
    assert_eq!(slots(&cluster, 1) + slots(&cluster, 2), 4096);
    assert_eq!(cluster["nodes"].as_array().map(Vec::len), Some(4), "{cluster}");
    // Not all at once: it still has a part, and nothing has changed then.
    let refused = trio.reload(1, 3, "");
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(refused.text.contains("node 4 still has a part in group"), "{}", refused.text);
    for node in 1..=4 {
        assert_eq!(trio.reload(node, 4, "").status, 200);
    }
    trio.wait("the pair has given everything back", |cluster| {
        let rows = cluster["groups"].as_array().cloned().unwrap_or_default();
        rows.iter().all(|row| row["pair"] == 1 && row["full"] == true && row["active"] != 4 && row["standby"] != 4)
    });
    trio.kill(3);
    trio.stages.pop();
    for node in 1..=3 {
        let answer = trio.reload(node, 3, "");
        assert_eq!((answer.status, &answer.body["removed"]), (200, &json!([4])), "{}", answer.text);
    }
    trio.wait("it is forgotten", |cluster| cluster["nodes"].as_array().map(Vec::len) == Some(3));
    let cluster = trio.stages[0].control("GET", "/cluster", Value::Null).body;
    assert_eq!(cluster["counts"]["cold_starts"], 0, "{cluster}");
    let all = trio.stages[1].control("GET", "/registrations", Value::Null).body;
    let others = trio.stages[2].control("GET", "/registrations", Value::Null).body;
    assert_eq!(all["total_count"].as_u64().max(others["total_count"].as_u64()), Some(1), "{all} {others}");
    // What nobody can follow is said, and the node goes on.
    let nonsense = trio.reload(1, 3, "[[cluster.pairs]]\npair = 2\nnodes = [2, 2]\n");
    assert!(nonsense.status == 409 && nonsense.text.contains("own standby"), "{}", nonsense.text);
}

#[test]
fn the_secret_of_a_cluster_is_not_made() {
    let folder = std::env::temp_dir().join(format!("tandem-secretless-{}", std::process::id()));
    let address: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    let links = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"].map(|text| text.parse().expect("an address"));
    let config = crate::Config::parse(&text(1, &folder, &folder.join("n1"), &links, address)).expect("good");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let failed = runtime.block_on(crate::Node::start(config, crate::logging::LogLevel::none()));
    let error = failed.err().expect("there is none").to_string();
    assert!(error.contains("it must be the same on all nodes"), "{error}");
    let _ = std::fs::remove_dir_all(folder);
}
