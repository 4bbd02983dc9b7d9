//! SIP messages: bytes to values and back. RFC 3261 7, 18, 19, 20 and 25.

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
