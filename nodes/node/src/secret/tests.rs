use std::os::unix::fs::PermissionsExt;

use super::{load, parse};

#[test]
fn made_once_and_kept() {
    let folder = std::env::temp_dir().join(format!("tandem-secret-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("secret");
    let made = load(&file).expect("a new secret");
    assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    assert_eq!(load(&file), Ok(made));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    assert!(load(&file).expect_err("others can read it").contains("chmod 600"));
    std::fs::remove_dir_all(&folder).expect("tidied");
}

#[test]
fn what_it_looks_like() {
    assert_eq!(parse("000102030405060708090a0b0c0d0e0f"), Some([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]));
    for text in [
        "",
        "00",
        "zz0102030405060708090a0b0c0d0e0f",
        "000102030405060708090a0b0c0d0e0f00",
        "ü00102030405060708090a0b0c0d0e0",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}
