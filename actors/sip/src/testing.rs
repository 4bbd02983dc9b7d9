//! What tests of several files share: the torture messages.

use std::path::PathBuf;

/// A torture message of RFC 4475, or of RFC 5118 with its line ends made CRLF and its Content-Length fitting.
pub(crate) fn torture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/torture");
    if let Ok(bytes) = std::fs::read(folder.join("rfc4475").join(format!("{name}.dat"))) {
        return bytes;
    }
    let text = std::fs::read_to_string(folder.join("rfc5118").join(name)).expect(name);
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let body = body.replace('\n', "\r\n");
    let lines = head.lines().map(|line| match line.strip_prefix("Content-Length:") {
        Some(_) => format!("Content-Length: {}\r\n", body.len()),
        None => format!("{line}\r\n"),
    });
    format!("{}\r\n{body}", lines.collect::<String>()).into_bytes()
}

/// Every torture message.
pub(crate) fn all_torture() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/torture");
    let mut names: Vec<String> = ["rfc4475", "rfc5118"]
        .iter()
        .flat_map(|part| std::fs::read_dir(folder.join(part)).expect("the torture files are in the repository"))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".dat").to_owned())
        .collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), torture(&name))).collect()
}
