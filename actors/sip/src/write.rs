//! The printer's small parts: header lines that no value can break out of.

use crate::Name;
use crate::text::is_token;
use bytes::BufMut;
use std::net::IpAddr;

/// Writes `Name: value` and CRLF.
pub(crate) fn header_line<B: BufMut>(out: &mut B, name: Name, value: &[u8]) {
    out.put_slice(name.text().as_bytes());
    put_rest(out, value);
}

/// The same for a name given as text.
pub(crate) fn other_line<B: BufMut>(out: &mut B, name: &str, value: &[u8]) {
    put_token(out, name.as_bytes());
    put_rest(out, value);
}

fn put_rest<B: BufMut>(out: &mut B, value: &[u8]) {
    out.put_slice(b": ");
    put_clean(out, value);
    out.put_slice(b"\r\n");
}

/// Writes a value; CR, LF and NUL become spaces, so folds are undone and no value can begin a line of its own.
pub(crate) fn put_clean<B: BufMut>(out: &mut B, value: &[u8]) {
    if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
        return out.put_slice(value);
    }
    for &byte in value {
        out.put_u8(if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { byte });
    }
}

/// Writes a URI for a start line: bytes that would end it are escaped.
pub(crate) fn put_uri<B: BufMut>(out: &mut B, uri: &[u8]) {
    if !uri.iter().any(|&byte| byte <= 0x20 || byte == 0x7f) {
        return out.put_slice(uri);
    }
    for &byte in uri {
        if byte <= 0x20 || byte == 0x7f {
            out.put_slice(&[b'%', HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
        } else {
            out.put_u8(byte);
        }
    }
}

/// Writes a method or header name; bytes that no token may hold become `-`.
pub(crate) fn put_token<B: BufMut>(out: &mut B, name: &[u8]) {
    if name.iter().all(|&byte| is_token(byte)) {
        return out.put_slice(name);
    }
    for &byte in name {
        out.put_u8(if is_token(byte) { byte } else { b'-' });
    }
}

/// Writes a decimal number.
pub(crate) fn number<B: BufMut>(out: &mut B, mut value: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

/// Writes an address for `received`: IPv6 without brackets, as RFC 3261 25.1 has it.
pub(crate) fn put_address<B: BufMut>(out: &mut B, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.put_u8(b'.');
                }
                number(out, octet.into());
            }
        }
        IpAddr::V6(address) => {
            let mut text = Fixed { bytes: [0; 48], used: 0 };
            let written = std::fmt::write(&mut text, format_args!("{address}"));
            debug_assert!(written.is_ok(), "an IPv6 address is at most 45 characters");
            out.put_slice(&text.bytes[..text.used]);
        }
    }
}

struct Fixed {
    bytes: [u8; 48],
    used: usize,
}

impl std::fmt::Write for Fixed {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.used + text.len();
        self.bytes.get_mut(self.used..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
