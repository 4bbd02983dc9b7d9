//! STUN binding requests as keep-alives: RFC 5626 3.5.2 and 8, RFC 5389 7.3.1. Nothing else of STUN is spoken here.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};

/// The answer to a binding request; `None` when the datagram is none.
pub(super) fn answer(request: &[u8], from: SocketAddr) -> Option<Bytes> {
    let (head, attributes) = request.split_at_checked(HEAD_BYTES)?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if head[..2] != BINDING_REQUEST || head[4..8] != MAGIC_COOKIE || length != attributes.len() || length % 4 != 0 {
        return None;
    }
    let port = from.port() ^ u16::from_be_bytes([MAGIC_COOKIE[0], MAGIC_COOKIE[1]]);
    let mut out = BytesMut::with_capacity(HEAD_BYTES + 24);
    out.put_slice(&BINDING_SUCCESS);
    match from.ip() {
        std::net::IpAddr::V4(ip) => {
            head_and_attribute(&mut out, head, 8, 1, port);
            out.extend(ip.octets().iter().zip(&head[4..8]).map(|(byte, mask)| byte ^ mask));
        }
        std::net::IpAddr::V6(ip) => {
            head_and_attribute(&mut out, head, 20, 2, port);
            out.extend(ip.octets().iter().zip(&head[4..20]).map(|(byte, mask)| byte ^ mask));
        }
    }
    Some(out.freeze())
}

/// Rest of the header and the beginning of XOR-MAPPED-ADDRESS (RFC 5389 15.2).
fn head_and_attribute(out: &mut BytesMut, request: &[u8], value_bytes: u16, family: u8, port: u16) {
    out.put_u16(value_bytes + 4);
    out.put_slice(&request[4..HEAD_BYTES]);
    out.put_u16(XOR_MAPPED_ADDRESS);
    out.put_u16(value_bytes);
    out.put_u8(0);
    out.put_u8(family);
    out.put_u16(port);
}

const HEAD_BYTES: usize = 20;
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

#[cfg(test)]
mod tests;
