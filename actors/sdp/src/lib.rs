//! Session descriptions (RFC 4566, RFC 8866) and offer/answer (RFC 3264) as plain values.
//!
//! [`Session::parse`] borrows from the body and is tolerant where phones are sloppy (LF without CR, no final line end,
//! missing `s=` or `t=`, unknown lines kept in place) and strict where a mistake would be sent on: every line is checked,
//! a broken one is an [`SdpError`] that says where. Limits: [`BYTES_MAX`], [`LINES_MAX`], [`MEDIA_MAX`], [`FORMATS_MAX`].
//! Edits change the value, [`Session::to_bytes`] prints it; lines nobody touched come out as they came in.
//!
//! | module | what |
//! |---|---|
//! | `parse` | bytes to `Session`, with limits |
//! | `session` | session and media, reading and editing, printing |
//! | `fields` | origin, connection, direction |
//! | `codec` | payload types, codec filter |
//! | `answer` | offer/answer rules of RFC 3264, hold, refused streams |
//! | `safety` | addresses that media must never be sent to |
//!
//! What a switch asks: `session.is_hold()`, `answer::check_answer(&offer, &answer)`, `answer::change(&old, &new)`,
//! `safety::judge(&session, &rules)`, `session.strip_ice()`, `codec::filter(&mut session, &["PCMA"])`.

pub mod answer;
pub mod codec;
mod error;
pub mod fields;
mod parse;
pub mod safety;
mod session;

pub use answer::{AnswerError, Change, change, check_answer, refuse_all};
pub use codec::Codec;
pub use error::{SdpError, SdpErrorKind};
pub use fields::{Connection, Direction, Host, Origin};
pub use safety::{Danger, Network, Rules, Verdict};
pub use session::{Line, Media, Session};

/// Longest body, bytes.
pub const BYTES_MAX: usize = 65_535;

/// Most lines of a body, count.
pub const LINES_MAX: usize = 2_048;

/// Most m-lines of a body, count.
pub const MEDIA_MAX: usize = 32;

/// Most formats of an m-line, count.
pub const FORMATS_MAX: usize = 128;
