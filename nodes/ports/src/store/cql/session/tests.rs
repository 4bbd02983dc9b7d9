use super::*;

#[test]
fn a_script_is_cut_into_statements_without_its_comments() {
    let script = "-- about; this\nCREATE TABLE a (\n  -- inner\n  b int\n);\n\nDROP TABLE c;\n-- end\n";
    let found: Vec<String> = statements_of(script).collect();
    assert_eq!(found, ["CREATE TABLE a (\n  b int\n)", "DROP TABLE c"]);
    for script in MIGRATIONS {
        assert!(statements_of(script).all(|statement| statement.starts_with("CREATE TABLE IF NOT EXISTS ")));
    }
}
