use super::*;
use crate::testing::home;

const TABLE: &str = "CREATE TABLE bindings (seq INTEGER PRIMARY KEY, aor TEXT NOT NULL, bindings BLOB NOT NULL, stamp INTEGER NOT NULL DEFAULT 0)";

fn state(number: u64, cseq: u32) -> StoredBindings {
    let binding = Binding {
        contact: "sip:a".into(),
        path: "".into(),
        call_id: "c".into(),
        cseq,
        q: 1000,
        expires_ms: 1_000,
        instance: None,
        reg_id: 0,
        user_agent: None,
        received: None,
        nat: false,
    };
    StoredBindings { aor: format!("user{number}@example.test").into(), bindings: vec![binding] }
}

struct Table {
    db: Connection,
    bindings: Bindings,
}

impl Table {
    fn new() -> Table {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(TABLE).unwrap();
        let bindings = Bindings::open(&db, home(), 1_000_000).unwrap();
        Table { db, bindings }
    }

    fn commit(&mut self, states: impl IntoIterator<Item = StoredBindings>) {
        states.into_iter().for_each(|state| self.bindings.keep(state, 0));
        self.bindings.write(&self.db, 0).unwrap();
        self.bindings.written();
    }

    fn rows(&self) -> usize {
        self.db.query_row("SELECT count(*) FROM bindings", [], |row| row.get::<_, i64>(0)).unwrap() as usize
    }

    /// CSeq by address-of-record, as this object and as one that opens the table anew see it.
    fn loaded(&self, now_ms: u64) -> BTreeMap<String, u32> {
        let mut fresh = Bindings::open(&self.db, home(), 10).unwrap();
        assert_eq!((fresh.rows, fresh.newest.len()), (self.bindings.rows, self.bindings.newest.len()));
        let all = fresh.load(&self.db, 0, 1, now_ms).unwrap();
        all.iter().map(|state| (state.aor.to_string(), state.bindings[0].cseq)).collect()
    }
}

#[test]
fn refreshes_for_ever_keep_the_table_small_and_whole() {
    let mut table = Table::new();
    let mut expected = BTreeMap::new();
    // Half of the users refresh often, in an order of their own, the other half never.
    table.commit((0..2_000).map(|number| state(number, 1)));
    expected.extend((0..2_000).map(|number| (state(number, 1).aor.to_string(), 1)));
    for round in 2..60u32 {
        for part in 0..20 {
            let numbers = (0..50u64).map(|place| (part * 50 + place) * 7 % 1_000);
            table.commit(numbers.clone().map(|number| state(number, round)));
            expected.extend(numbers.map(|number| (state(number, round).aor.to_string(), round)));
        }
        assert!(table.rows() <= 2 * 2_000 + OUTDATED_MIN + 50, "{} rows in round {round}", table.rows());
    }
    assert_eq!(table.loaded(0), expected);
}

#[test]
fn what_was_removed_stays_removed_while_old_rows_are_cleaned() {
    let mut table = Table::new();
    table.commit((0..500).map(|number| state(number, 1)));
    table.commit((0..250).map(|number| StoredBindings { bindings: Vec::new(), ..state(number, 2) }));
    for round in 3..30 {
        table.commit((250..500).map(|number| state(number, round)));
        let loaded = table.loaded(0);
        assert_eq!(loaded.len(), 250, "round {round}");
        assert!(loaded.values().all(|cseq| *cseq == round));
    }
    assert_eq!(table.bindings.newest.len(), 250, "removed ones are forgotten at last");
}

#[test]
fn expired_bindings_leave_with_their_old_rows() {
    let mut table = Table::new();
    table.commit((0..500).map(|number| state(number, 1)));
    for round in 2..30 {
        (500..600).for_each(|number| table.bindings.keep(state(number, round), 0));
        table.bindings.write(&table.db, 2_000).unwrap();
        table.bindings.written();
    }
    assert_eq!(table.loaded(0).len(), 100, "whose time was over at the cleaning");
    assert_eq!(table.loaded(2_000).len(), 0);
}

#[test]
fn a_failed_commit_changes_nothing() {
    let mut table = Table::new();
    table.commit((0..1_500).map(|number| state(number, 1)));
    for round in 2..5 {
        table.commit((0..1_500).map(|number| state(number, round)));
    }
    let before = table.loaded(0);
    for _ in 0..3 {
        table.db.execute_batch("BEGIN").unwrap();
        (0..10).for_each(|number| table.bindings.keep(state(number, 9), 0));
        table.bindings.write(&table.db, 0).unwrap();
        table.db.execute_batch("ROLLBACK").unwrap();
        assert_eq!(table.loaded(0), before);
    }
    table.commit([]);
    let after = table.loaded(0);
    assert!((0..10).all(|number| after[&*state(number, 0).aor] == 9), "what waited is written at the next commit");
    assert_eq!(after.len(), 1_500);
}

#[test]
fn damaged_and_newer_rows_are_no_bindings() {
    let table = Table::new();
    for bytes in [&b""[..], b"\x01", b"\x01\xff\xff\xff", b"\x02\x00"] {
        table.db.execute("INSERT INTO bindings (aor, bindings) VALUES ('a@b', ?)", [bytes]).unwrap();
        let mut fresh = Bindings::open(&table.db, home(), 10).unwrap();
        assert!(fresh.load(&table.db, 0, 1, 0).unwrap().is_empty(), "{bytes:?}");
    }
}
