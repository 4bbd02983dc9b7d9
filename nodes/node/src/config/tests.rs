mod cluster;

use super::Config;

const LISTEN: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"192.0.2.1:5060\"\n";

#[test]
fn the_example_is_good() {
    let config = Config::parse(include_str!("../../../../deploy/solo.toml")).expect("deploy/solo.toml");
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.anchor.relays[0].name, "media1");
    assert_eq!(config.secret_file(), std::path::Path::new("/var/lib/tandem/secret"));
}

#[test]
fn what_is_wrong_and_where() {
    let rows: &[(&str, &str)] = &[
        // Whole file, and the message.
        ("", "listen: at least one [[listen]] with transport and address is needed"),
        ("nodes = 1\n", "line 1: unknown field `nodes`"),
        ("name = \"x\"\n[call]\nlength_max = 3\n", "line 3: unknown field `length_max`"),
        ("[[listen]]\ntransport = \"sctp\"\naddress = \"192.0.2.1:5060\"\n", "line 2: unknown variant `sctp`"),
        ("[[listen]]\ntransport = \"udp\"\naddress = \"somewhere\"\n", "line 3: invalid socket address syntax"),
        (
            "[[listen]]\ntransport = \"udp\"\naddress = \"0.0.0.0:5060\"\n",
            "line 3: listen[0].address: 0.0.0.0 would listen on every address",
        ),
        (
            "[[listen]]\ntransport = \"udp\"\naddress = \"[::]:5060\"\nwildcard = true\n",
            "line 1: listen[0].advertise: a wildcard listener must say",
        ),
        (
            "[[listen]]\ntransport = \"udp\"\naddress = \"192.0.2.1:5060\"\nadvertise = \"[2001:db8::1]:5060\"\n",
            "line 4: listen[0].advertise: must be of the same family",
        ),
        (
            "[[listen]]\ntransport = \"tcp\"\naddress = \"192.0.2.1:5060\"\nsockets = 2\n",
            "line 4: listen[0].sockets: only udp has several sockets",
        ),
        (
            "[[listen]]\ntransport = \"udp\"\naddress = \"192.0.2.1:5060\"\n[[listen]]\ntransport = \"udp\"\naddress = \"192.0.2.1:5060\"\n",
            "line 6: listen[1].address: listen[0] has this transport and address already",
        ),
        ("shards = 0\n+", "line 1: shards: must be from 1 to 4096"),
        ("shards = 4097\n+", "line 1: shards: must be from 1 to 4096"),
        ("shards = 70000\n+", "line 1: invalid value"),
        (
            "+[control]\nlisten = \"192.0.2.1:8090\"\n",
            "line 5: control.listen: 192.0.2.1:8090 is not a loopback address",
        ),
        ("+[api]\nlisten = \"192.0.2.1:1443\"\n", "line 4: api.users: nobody could use the API"),
        (
            "+[api]\nlisten = \"192.0.2.1:1443\"\n[api.users]\nadmin = \"secret\"\n",
            "line 7: api.users.admin: expected \"pbkdf2:",
        ),
        ("+[api]\ncertificate = \"/etc/tandem/cert.pem\"\n", "line 4: api.key: certificate and key go together"),
        ("+[log]\nlevel = \"loud\"\n", "line 5: log.level: \"loud\" is no level"),
        ("+[log]\nformat = \"xml\"\n", "line 5: unknown variant `xml`"),
        (
            "+[[anchor.relays]]\nname = \"a\"\naddress = \"127.0.0.1\"\n",
            "line 6: anchor.relays[0].address: \"127.0.0.1\" is not ip:port",
        ),
        (
            "+[[anchor.relays]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\n[[anchor.relays]]\nname = \"a\"\naddress = \"127.0.0.1:2\"\n",
            "line 8: anchor.relays[1].name: anchor.relays[0] has this name already",
        ),
        ("name = \"un\n", "line 1: "),
    ];
    for (text, expected) in rows {
        let whole = text.replace('+', LISTEN);
        let error = Config::parse(&whole).expect_err(text).to_string();
        assert!(error.lines().any(|line| line.starts_with(expected)), "{whole}\nexpected: {expected}\nsaid: {error}");
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let error = Config::parse("shards = 0\nname = \"\"\n").expect_err("three faults");
    assert_eq!(error.problems.len(), 3, "{error}");
}

#[test]
fn one_balancer_a_socket() {
    let config =
        Config::parse("workers = 3\n[[listen]]\ntransport = \"udp\"\naddress = \"192.0.2.1:5060\"\nsockets = 0\n")
            .expect("good");
    assert_eq!((config.balancers(fabric::NodeId(1)), config.hive_count()), (3, 6));
}
