use ports::links::certificate::Facts;

use super::*;

/// A directory of one test, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("tandem-certificate-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn order() -> Order {
    let roles = [Role::Proxy, Role::Director].into_iter().collect();
    Order { node: NodeId(3), name: "b1".to_owned(), chassis: 2, roles, days: 90 }
}

fn message(result: Result<(Value, String), Failure>) -> String {
    result.err().expect("a failure").message
}

#[test]
fn an_authority_and_a_node() {
    let directory = Directory::new("good");
    let (ca, out) = (directory.0.join("ca"), directory.0.join("b1"));
    let (_, text) = authority(&ca, "test", 30).ok().expect("an authority");
    assert!(text.contains("authority.pem") && text.contains("keep it"), "{text}");
    let (answer, text) = of_node(&ca, &order(), &out).ok().expect("a certificate");
    assert!(text.starts_with("[cluster]\ncertificate = \"") && text.contains("b1.key"), "{text}");
    assert!(out.join("authority.pem").exists() && !out.join("authority.key").exists());
    let file = PathBuf::from(answer["certificate"].as_str().expect("a path"));
    let shown = certificate::show_file(&file).expect("a certificate");
    let (answer, text, is_over) = show(&shown, unix_s(SystemTime::now()));
    assert_eq!((answer["node"].as_u64(), answer["chassis"].as_u64(), is_over), (Some(3), Some(2), false));
    assert!(text.starts_with("node       3\nname       b1\nchassis    2\nroles      proxy, director\nexpires    "));

    // A second node into the same directory is fine, the same one again is not.
    assert!(of_node(&ca, &Order { name: "b2".to_owned(), node: NodeId(4), ..order() }, &out).is_ok());
    assert!(message(of_node(&ca, &order(), &out)).contains("exists already"));
    assert!(message(authority(&ca, "test", 30)).contains("exists already"));
}

#[test]
fn errors_say_what_to_do() {
    let directory = Directory::new("errors");
    let (ca, other, out) = (directory.0.join("ca"), directory.0.join("other"), directory.0.join("out"));
    let error = message(of_node(&ca, &order(), &out));
    assert!(error.contains("cannot read") && error.contains("tandem ctl certificate authority --out"), "{error}");
    assert!(authority(&ca, "one", 30).is_ok() && authority(&other, "two", 30).is_ok());
    assert!(of_node(&ca, &order(), &out).is_ok());
    let error = message(of_node(&other, &Order { name: "b2".to_owned(), ..order() }, &out));
    assert!(error.contains("another authority"), "{error}");
    assert!(message(of_node(&ca, &Order { name: "a b".to_owned(), ..order() }, &out)).contains("no node name"));
    assert!(
        message(of_node(&ca, &Order { name: "authority".to_owned(), ..order() }, &out)).contains("cannot be called")
    );
}

#[test]
fn expiry_is_shown_as_a_date() {
    for (unix_s, text) in
        [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_795_219_200, "2026-11-21"), (-1, "1969-12-31")]
    {
        assert_eq!(date(unix_s), text);
    }
    let roles = Roles::default();
    let facts =
        Facts { node: NodeId(1), chassis: 1, name: "a".to_owned(), roles, not_before_s: 0, not_after_s: 86_400 };
    let (_, text, is_over) = show(&Shown::Node(facts.clone()), 0);
    assert!(text.ends_with("roles      none\nexpires    1970-01-02 (in 1 d 00 h)\n") && !is_over, "{text}");
    let (_, text, is_over) = show(&Shown::Node(facts), 90_000);
    assert!(text.contains("ago)") && is_over, "{text}");
}
