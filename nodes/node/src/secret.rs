//! The cluster secret: 16 random bytes that keys, tokens and nonces are made with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Reads the secret, and makes it (mode 0600) when the file is absent. Errors: what, and what to do.
pub fn load(path: &Path) -> Result<[u8; 16], String> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            check_mode(path)?;
            parse(text.trim()).ok_or_else(|| format!("{} does not hold 32 hex digits", path.display()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Reads the secret of a cluster, which is never made here: every node must have the same. Errors: what, and what to do.
pub fn load_shared(path: &Path) -> Result<[u8; 16], String> {
    match path.exists() {
        true => load(path),
        false => Err(format!(
            "the cluster secret {0} is missing; it must be the same on all nodes, so it is not made here. Once, anywhere: \
             `od -An -N16 -tx1 /dev/urandom | tr -d ' \\n' > secret`, then copy it to {0} on every node, mode 0600",
            path.display()
        )),
    }
}

/// A number that another process will hardly choose.
pub fn random() -> Result<u64, String> {
    let mut bytes = [0u8; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| format!("cannot read /dev/urandom: {error}"))?;
    Ok(u64::from_ne_bytes(bytes))
}

fn make(path: &Path) -> Result<[u8; 16], String> {
    let fail = |error: std::io::Error| format!("cannot make {}: {error}", path.display());
    let mut secret = [0u8; 16];
    std::fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut secret)).map_err(fail)?;
    let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fail)?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(fail)?;
    Ok(secret)
}

/// Whoever knows the secret can make tokens: nobody but its owner may read it.
fn check_mode(path: &Path) -> Result<(), String> {
    let mode = std::fs::metadata(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?
        .permissions()
        .mode();
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(format!("{0} can be read by others; chmod 600 {0}", path.display())),
    }
}

fn parse(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut secret = [0u8; 16];
    for (place, byte) in secret.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[place * 2..place * 2 + 2], 16).ok()?;
    }
    Some(secret)
}

#[cfg(test)]
mod tests;
