//! SIP messages: bytes to values and back. RFC 3261 7, 18, 19, 20 and 25; no clock, no I/O, no allocation to read.
//!
//! | want | use |
//! |---|---|
//! | look at a datagram | [`View::parse`]: one pass, index on the stack, values on demand ([`View::call_id`], [`View::top_via`] ...) |
//! | know whether it deserves 400, 416, 501, 505 | [`View::check`], and [`ParseError::status`] of whatever refused it |
//! | answer a request that cannot be read | [`View::salvage`], then [`Builder::reply_to`] |
//! | keep or send a message | [`Message`]: `Bytes` and 12 bytes per header line, cheap to clone, serialised as its bytes |
//! | forward it with small changes | [`Splices`]: cuts and insertions over the original bytes, one copy |
//! | write a new one | [`Builder`]: no value can break out of its line |
//! | cut a stream into messages | [`Framer`] for TCP and TLS, [`frame_websocket`] for WebSocket |
//! | single values | [`Uri`], [`NameAddr`], [`Via`], [`CSeq`], [`AuthParams`], [`split_commas`], [`params`], [`multipart`] |
//! | rsip's types | [`rsip_door`], for applications; never on the path of a call |
//!
//! Tolerant in reading: compact names, any case, folds, white space before the colon, bare LF, leading CRLF, several values per
//! line, IPv6, any method and scheme, UTF-8 where it should be escaped, bodies of any bytes. Never tolerant about where a message
//! ends: two Content-Length fields, one that is no plain number or a body shorter than announced refuse the message, and a
//! stream is closed. A header name is a token or the message is refused, so no spelling hides a header from `remove_all`.
//!
//! Values come as raw bytes with folds and escapes in place: [`unfold`], [`unquote`], [`unescape`] undo them. Offsets in errors
//! count from the first byte of the message. [`Limits`] bounds bytes, lines and line lengths; a parser never reads a byte twice
//! without need and its work grows with the input only.

#![forbid(unsafe_code)]

mod auth_params;
mod builder;
mod check;
mod cseq;
mod error;
mod framer;
mod host;
mod index;
mod limits;
mod message;
mod method;
pub mod multipart;
mod name;
mod name_addr;
pub mod rsip_door;
mod splice;
mod status;
#[cfg(test)]
mod testing;
mod text;
mod typed;
mod uri;
mod via;
mod view;
mod websocket;
mod write;

pub use auth_params::AuthParams;
pub use builder::Builder;
pub use cseq::{CSeq, parse_cseq, parse_rack};
pub use error::{ErrorKind, ParseError};
pub use framer::{Frame, FrameError, Framer};
pub use host::Host;
pub use limits::Limits;
pub use message::Message;
pub use method::{Method, MethodName};
pub use name::Name;
pub use name_addr::{NameAddr, parse_name_addr};
pub use splice::Splices;
pub use status::{Class, Status};
pub use text::{Commas, Params, params, quote, split_commas, unescape, unfold, unquote};
pub use uri::{Scheme, Uri};
pub use via::{Via, parse_via};
pub use view::{Field, View};
pub use websocket::frame_websocket;
