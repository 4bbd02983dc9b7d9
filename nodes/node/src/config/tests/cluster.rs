//! The section `[cluster]`.

use fabric::NodeId;

use super::super::{Config, warnings};

const A: &str = include_str!("../../../../../deploy/cluster/a.toml");

#[test]
fn the_examples_are_good_and_say_the_same() {
    let b = include_str!("../../../../../deploy/cluster/b.toml");
    let w = include_str!("../../../../../deploy/cluster/w.toml");
    let [a, b, w] = [A, b, w].map(|text| Config::parse(text).expect("an example"));
    let director = |config: &Config| config.cluster.as_ref().expect("a cluster").director();
    assert!(director(&a) == director(&b) && director(&a) == director(&w));
    for config in [&a, &b, &w] {
        assert!(warnings(config).is_empty(), "{:?}", warnings(config));
    }
    assert_eq!((a.sites(), b.sites(), w.sites()), (sites(&[1, 2]), sites(&[2, 1]), vec![]));
    assert_eq!((a.node_name(), w.node_name()), ("a", "w"));
    assert!(a.is_proxy() && a.is_balancer() && a.is_director());
    assert!(!w.is_proxy() && !w.is_balancer() && w.is_director());
    // Their numbers are places within the site, whatever stands between them.
    let second: Vec<_> = b.listeners(NodeId(2)).map(|listen| listen.address.to_string()).collect();
    assert_eq!(second, ["192.0.2.20:5060", "192.0.2.20:5060"]);
}

fn sites(numbers: &[u16]) -> Vec<NodeId> {
    numbers.iter().map(|number| NodeId(*number)).collect()
}

#[test]
fn what_is_wrong_with_a_cluster() {
    // What is replaced in the example, by what, and what is said.
    let rows: &[(&str, &str, &str)] = &[
        ("node = 1\nsecret", "node = 7\nsecret", "node: node 7 is not among the nodes of the cluster (1, 2, 3)"),
        (
            "node = 1\nsecret",
            "roles = [\"proxy\"]\nnode = 1\nsecret",
            "roles: [proxy] here, but [balancer, proxy, director]",
        ),
        ("chassis = 2", "chassis = 1", "cluster.pairs[0].nodes: both stand on chassis 1"),
        ("nodes = [2, 1]", "nodes = [2, 2]", "cluster.pairs[1].nodes: a node cannot be its own standby"),
        ("nodes = [2, 1]", "nodes = [2, 3]", "cluster.pairs[1].nodes: node 3 is no proxy"),
        ("nodes = [2, 1]", "nodes = [2, 9]", "cluster.pairs[1].nodes: node 9 is not under [[cluster.nodes]]"),
        ("pair = 2", "pair = 1", "cluster.pairs[1].pair: cluster.pairs[0] has this number already"),
        ("holders = [2, 1]", "holders = [1, 2]", "cluster.sites[1].holders: must begin with the site's own node 2"),
        ("holders = [2, 1]", "holders = [2, 3]", "cluster.sites[1].holders: node 3 is no balancer"),
        ("pair = 2", "pair = 5000", "cluster.pairs[1].pair: must be from 0 to 4095"),
        ("pair = 2", "zone = 16\npair = 2", "cluster.pairs[1].zone: must be from 1 to 15"),
        ("pair = 2", "zone = 1\npair = 2", "cluster.pairs[0].zone: other pairs have a zone"),
        ("site = 2\nholders", "zone = 1\nsite = 2\nholders", "cluster.sites[1].zone: no pair has zone 1"),
        ("name = \"w\"", "name = \"b\"", "cluster.nodes[2].name: is that of cluster.nodes[1] already"),
        ("10.0.0.3:5070", "10.0.0.2:5070", "cluster.nodes[2].address: is that of cluster.nodes[1] already"),
        ("10.0.0.3:5070", "10.0.0.3:0", "cluster.nodes[2].address: must be an address and port"),
        ("certificate = \"/etc/tandem/a.pem\"\n", "", "cluster.certificate: names a PEM file"),
        ("name = \"example\"", "name = \"\"", "cluster.name: must be a name for people"),
        ("site = 2\ntransport = \"tcp\"", "site = 3\ntransport = \"tcp\"", "listen[3].site: node 3 is no balancer"),
        ("address_up =", "address_down =", "duplicate key"),
        ("[cluster]\n", "[cluster]\nwitness = 3\n", "unknown field `witness`"),
        (
            "[cluster]\n",
            "[cluster.director]\nlease_ms = 500\n[cluster]\n",
            "cluster.director.lease_ms: say cluster.office.lease_ms",
        ),
    ];
    for (from, to, expected) in rows {
        let text = A.replacen(from, to, 1);
        assert_ne!(text, A, "{from}");
        let error = Config::parse(&text).expect_err(to).to_string();
        assert!(
            error.lines().any(|line| line.contains(expected)),
            "{from} -> {to}\nexpected: {expected}\nsaid: {error}"
        );
    }
}

#[test]
fn fewer_than_three_directors_is_a_warning() {
    let text = A.replace("roles = [\"witness\"]", "roles = [\"web\"]");
    let found = warnings(&Config::parse(&text).expect("it works"));
    assert!(found.iter().any(|line| line.starts_with("2 of at least 3 voting directors")), "{found:?}");
}

#[test]
fn a_node_that_is_alone_has_no_other_sites() {
    let listen = "[[listen]]\ntransport = \"udp\"\naddress = \"192.0.2.1:5060\"\n";
    for (text, expected) in [
        (format!("{listen}site = 2\n"), "listen[0].site: another site than node 1 needs the section [cluster]"),
        (format!("{listen}floating = true\n"), "listen[0].floating: an address that moves needs"),
        (format!("roles = [\"proxy\"]\n{listen}"), "roles: a node that is alone is balancer and proxy"),
    ] {
        let error = Config::parse(&text).expect_err(&text).to_string();
        assert!(error.contains(expected), "{text}\nsaid: {error}");
    }
}

#[test]
fn balancers_may_keep_to_pairs_of_their_zone() {
    let zoned = |first: u16, second: u16| {
        let text = A.replace("pair = 1", "zone = 1\npair = 1").replace("pair = 2", "zone = 2\npair = 2");
        let text = text.replace("site = 1\nholders", &format!("zone = {first}\nsite = 1\nholders"));
        Config::parse(&text.replace("site = 2\nholders", &format!("zone = {second}\nsite = 2\nholders"))).expect("good")
    };
    let config = zoned(1, 0);
    let cluster = config.cluster.as_ref().expect("a cluster");
    assert_eq!(
        (cluster.zones(), cluster.zone(1), cluster.zone(2)),
        (2, fabric::Zone::new(1, 2), fabric::Zone::new(0, 2))
    );
    let pairs: Vec<u16> = cluster.director().pairs.iter().map(|pair| pair.pair).collect();
    assert_eq!(pairs, [0x1001, 0x2002]);
    assert!(warnings(&config).is_empty());
    let plain = Config::parse(A).expect("good");
    let cluster = plain.cluster.as_ref().expect("a cluster");
    assert_eq!((cluster.zones(), cluster.director().pairs[1].pair), (0, 2), "without zones nothing is new");
    // A third pair on other chassis, whose zone a balancer of chassis 1 keeps to.
    let far = A.replace("chassis = 1\n", "chassis = 7\n").replace("pair = 1", "zone = 1\npair = 1");
    let far = far.replace("pair = 2", "zone = 2\npair = 2").replace("site = 1\nholders", "zone = 2\nsite = 1\nholders");
    let far = far.replace("nodes = [2, 1]", "nodes = [2, 4]");
    let more =
        "\n[[cluster.nodes]]\nnode = 4\nname = \"d\"\nchassis = 8\naddress = \"10.0.0.4:5070\"\nroles = [\"proxy\"]\n";
    let said = warnings(&Config::parse(&format!("{far}{more}")).expect("good"));
    assert_eq!(said, ["site 1 keeps to zone 2, of which no pair stands on its chassis"]);
}
