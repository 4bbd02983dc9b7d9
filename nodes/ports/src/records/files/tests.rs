use super::*;
use crate::testing::Directory;

fn cdr(id: &str, day: &str) -> Cdr {
    Cdr { id: id.into(), end_time: format!("{day}T08:00:00.000Z"), source_user: "alice".into(), ..Cdr::default() }
}

fn text(dir: &Directory, name: &str) -> String {
    std::fs::read_to_string(dir.path().join(name)).unwrap()
}

#[test]
fn columns_are_the_fields_in_order() {
    let json = serde_json::to_string(&Cdr::default()).unwrap();
    let places: Vec<_> = Cdr::COLUMNS.iter().map(|name| json.find(&format!("\"{name}\":")).expect(name)).collect();
    assert!(places.is_sorted());
    assert_eq!(serde_json::to_value(Cdr::default()).unwrap().as_object().unwrap().len(), Cdr::COLUMNS.len());
}

#[test]
fn writes_each_day_into_its_own_files() {
    let dir = Directory::new("files");
    let mut files = DayFiles::new(dir.path(), true).unwrap();
    files.append([cdr("a", "2026-11-20"), cdr("b", "2026-11-21"), cdr("c", "2026-11-21")].iter()).unwrap();
    files.sync().unwrap();
    let json = text(&dir, "2026-11-21.jsonl");
    let ids: Vec<Cdr> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids.iter().map(|cdr| cdr.id.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    let csv = text(&dir, "2026-11-20.csv");
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert_eq!((lines.len(), lines[2]), (3, ""));
    assert!(lines[0].starts_with("id,call_id,callee_call_id,update_time,") && lines[1].starts_with("a,,,,0,,alice,"));
    files.append([cdr("d", "2026-11-21")].iter()).unwrap();
    assert_eq!(text(&dir, "2026-11-21.csv").matches("id,call_id,").count(), 1, "one head");
}

#[test]
fn after_a_crash_only_what_is_missing_is_written() {
    let dir = Directory::new("files");
    let day = "2026-11-21";
    DayFiles::new(dir.path(), true).unwrap().append([cdr("a", day), cdr("b", day)].iter()).unwrap();
    // The crash left half of b's line in the CSV file.
    let path = dir.path().join("2026-11-21.csv");
    let csv = text(&dir, "2026-11-21.csv");
    std::fs::write(&path, &csv[..csv.len() - 5]).unwrap();
    let mut files = DayFiles::new(dir.path(), true).unwrap();
    files.append_missing([cdr("a", day), cdr("b", day), cdr("c", day), cdr("c", day)].iter()).unwrap();
    for name in ["2026-11-21.jsonl", "2026-11-21.csv"] {
        let text = text(&dir, name);
        for id in ["a", "b", "c"] {
            let starts = [format!("{{\"id\":\"{id}\""), format!("{id},")];
            let count = text.lines().filter(|line| starts.iter().any(|start| line.starts_with(start))).count();
            assert_eq!(count, 1, "{id} in {name}:\n{text}");
        }
    }
}

#[test]
fn cells_are_neither_formulas_nor_lines() {
    let rows = [
        ("alice", "alice"),
        ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
        ("+4311001", "'+4311001"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "' =1+1"),
        ("a,b", "\"a,b\""),
        ("a\r\nb", "a  b"),
        ("a;b", "\"a;b\""),
        ("", ""),
    ];
    let written = |cell: Cell<'_>| {
        let mut row = Vec::new();
        write_cell(cell, &mut row);
        String::from_utf8(row).unwrap()
    };
    for (value, expected) in rows {
        assert_eq!(written(Cell::Text(value)), expected, "{value:?}");
    }
    assert_eq!((written(Cell::Number(7)), written(Cell::Nothing)), ("7".to_owned(), String::new()));
}

#[test]
fn removes_old_days_and_nothing_else() {
    let dir = Directory::new("files");
    let mut files = DayFiles::new(dir.path(), true).unwrap();
    files.append([cdr("a", "2026-10-01"), cdr("b", "2026-11-21")].iter()).unwrap();
    std::fs::write(dir.path().join("0-notes.txt"), "mine").unwrap();
    assert_eq!(files.remove_before("2026-11-01").unwrap(), 2);
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["0-notes.txt", "2026-11-21.csv", "2026-11-21.jsonl"]);
}
