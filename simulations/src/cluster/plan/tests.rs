use super::*;

#[test]
fn the_supplied_plans_can_be_read() {
    for name in Plan::supplied() {
        let plan = Plan::open(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plan.name, name);
    }
}

#[test]
fn errors_name_the_line() {
    let cases = [
        ("name = \"a\"\nabout = \"b\"\nbusy_s = 10\nspeed = 3\n", 4, "unknown field `speed`"),
        ("name = \"a\"\nabout = \"b\"\n", 1, "missing field `busy_s`"),
        ("name = \"a\"\nabout = \"b\"\nbusy_s = 10\n[[fault]]\nkind = \"flood\"\n", 5, "unknown variant `flood`"),
        ("name = \"a\"\nabout = \"b\"\nbusy_s = 10\n\n[[fault]]\nkind = \"pause\"\n", 6, "pause needs a target"),
        (
            "name = \"a\"\nabout = \"b\"\nbusy_s = 10\n[[fault]]\nkind = \"pause\"\ntarget = \"any cat\"\n",
            5,
            "\"any cat\" is nobody",
        ),
        (
            "name = \"a\"\nabout = \"b\"\nbusy_s = 10\n[[fault]]\nkind = \"pause\"\ntarget = \"chassis 9\"\n",
            5,
            "there are 4 chassis",
        ),
        ("name = \"a\"\nabout = \"b\"\nbusy_s = 10\n\n[[fault]]\nkind = \"store-lag\"\n", 6, "store-lag needs `much`"),
        (
            "name = \"a\"\nabout = \"b\"\nbusy_s = 10\n\n[[fault]]\nkind = \"nat-reset\"\ntarget = \"active\"\n",
            6,
            "nat-reset has no target",
        ),
        (
            "name = \"a\"\nabout = \"b\"\nbusy_s = 10\n\n[[fault]]\nkind = \"torn-write\"\n",
            6,
            "torn-write needs a target",
        ),
        (
            "name = \"a\"\nabout = \"b\"\nbusy_s = 10\n[workload]\nnat_kinds = [\"cubic\"]\n",
            5,
            "unknown variant `cubic`",
        ),
        ("name = \"a\"\nabout = \"b\"\nbusy_s = 10\n[must]\nhappen = [\"rain\"]\n", 5, "nothing is called \"rain\""),
        ("name = \"a\"\nabout = \"b\"\nbusy_s = 10\n[workload]\ntalk_s = [5, 1]\n", 5, "a range goes upwards"),
        ("name = \"a\"\nabout = \"b\"\nbusy_s = 1\n", 0, "busy_s and drain_s lie between"),
    ];
    for (text, line, why) in cases {
        let error = Plan::parse(text, "a.toml").expect_err(text);
        assert_eq!(error.line, line, "{error}");
        assert!(error.why.contains(why), "{error}");
    }
}
