use super::*;
use crate::testing::Directory;

fn settings(dir: &Directory) -> Settings {
    Settings { file: dir.path().join("sub/tandem.db"), ..Settings::default() }
}

#[test]
fn every_version_migrates_with_what_it_holds() {
    let dir = Directory::new("schema");
    let settings = settings(&dir);
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    let mut db = Connection::open(&settings.file).unwrap();
    migrate(&mut db, &MIGRATIONS[..1]).unwrap();
    db.execute("INSERT INTO bindings VALUES ('alice@example.test', x'0100')", []).unwrap();
    let values = "INSERT INTO cdrs VALUES (7, 'r', 'c', 1, 2, 'a', 'b', 3, 4, 'c', 'ok', 5, '{}')";
    db.execute(values, []).unwrap();
    drop(db);
    let db = open(&settings).unwrap();
    let aor: String = db.query_row("SELECT aor FROM bindings WHERE seq = 1", [], |row| row.get(0)).unwrap();
    let cdr: (i64, i64, String) = db
        .query_row("SELECT id, init_ms, cdr FROM cdrs", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    assert_eq!((aor.as_str(), cdr), ("alice@example.test", (7, 5, "{}".to_owned())));
    drop(db);
    assert!(open(&settings).is_ok(), "a second time there is nothing to do");
}

#[test]
fn a_newer_schema_is_refused() {
    let dir = Directory::new("schema");
    let db = open(&settings(&dir)).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let error = open(&settings(&dir)).unwrap_err().to_string();
    assert!(error.contains("99") && error.contains("newer"), "{error}");
}
