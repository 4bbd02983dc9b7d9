//! SIP over WebSocket: one message per WebSocket message, RFC 7118 5.

use crate::index::{Length, content_length, head_end};
use crate::{ErrorKind, Frame, FrameError, Limits, ParseError};
use bytes::Bytes;

/// Reads the payload of one WebSocket message; Content-Length may be missing, but must agree when it stands there.
pub fn frame_websocket(payload: &[u8], limits: &Limits) -> Result<Frame, FrameError> {
    match payload {
        b"\r\n\r\n" => return Ok(Frame::Ping),
        b"\r\n" => return Ok(Frame::Pong),
        _ => {}
    }
    let refuse = |error, end: usize| {
        let head = (end > 0).then(|| Bytes::copy_from_slice(&payload[..end]));
        Err(FrameError { error, head })
    };
    if payload.len() > limits.message_bytes_max {
        return refuse(ParseError::new(ErrorKind::TooLarge, limits.message_bytes_max, "message"), 0);
    }
    let Some(end) = head_end(payload, 0) else {
        return refuse(ParseError::new(ErrorKind::Incomplete, payload.len(), "header section"), 0);
    };
    match content_length(&payload[..end], limits) {
        Err(error) => refuse(error, 0),
        Ok(Length::Bad(fault)) => refuse(fault, end),
        Ok(Length::Known(length)) if length != (payload.len() - end) as u64 => {
            refuse(ParseError::new(ErrorKind::Truncated, end, "body"), end)
        }
        Ok(_) => Ok(Frame::Message(Bytes::copy_from_slice(payload))),
    }
}

#[cfg(test)]
mod tests;
