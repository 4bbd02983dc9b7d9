use super::{span, table};

fn rows() -> Vec<Vec<String>> {
    vec![
        vec!["alice@example.test".to_owned(), "sip:alice@192.0.2.17:5071;transport=udp".to_owned(), "59 s".to_owned()],
        vec!["bob@example.test".to_owned(), "sip:b@192.0.2.18".to_owned(), "1:00 min".to_owned()],
    ]
}

#[test]
fn as_wide_as_its_cells() {
    let text = table(&["AOR", "CONTACT", "EXPIRES"], &rows(), 120);
    let expected = "\
AOR                 CONTACT                                  EXPIRES
alice@example.test  sip:alice@192.0.2.17:5071;transport=udp  59 s
bob@example.test    sip:b@192.0.2.18                         1:00 min
";
    assert_eq!(text, expected);
}

#[test]
fn cut_to_the_terminal() {
    let text = table(&["AOR", "CONTACT", "EXPIRES"], &rows(), 40);
    assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    assert!(text.contains('…') && text.contains("1:00 min"), "{text}");
}

#[test]
fn spans() {
    for (seconds, text) in [(0, "0 s"), (59, "59 s"), (60, "1:00 min"), (3_661, "1:01:01 h"), (90_000, "1 d 01 h")] {
        assert_eq!(span(seconds), text);
    }
}
