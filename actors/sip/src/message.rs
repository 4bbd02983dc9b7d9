//! The owned message: its bytes and a compact index, cheap to clone.

use crate::index::{Head, Rec};
use crate::view::Fields;
use crate::{Limits, MethodName, ParseError, Status, View};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// A message that is kept or sent on; 12 bytes of index per header line beside the bytes themselves.
#[derive(Clone)]
pub struct Message {
    bytes: Bytes,
    head: Head,
    records: Arc<[Rec]>,
}

impl Message {
    /// Reads a message that is alone in its buffer, by the rules of `View::parse`.
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Message, ParseError> {
        let view = View::parse(&bytes, limits)?;
        let records = Arc::from(view.records());
        let head = view.head;
        let kept = bytes.slice_ref(view.bytes());
        Ok(Message { bytes: kept, head, records })
    }

    pub(crate) fn of(bytes: Bytes, head: Head, records: &[Rec]) -> Message {
        Message { bytes, head, records: Arc::from(records) }
    }

    /// The view over the kept index; nothing is read again.
    pub fn view(&self) -> View<'_> {
        View { bytes: &self.bytes, head: self.head, fields: Fields::Kept(&self.records) }
    }

    /// The message from its first to its last byte.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        self.view().is_request()
    }

    /// The method of the request, or the one a response answers.
    pub fn method(&self) -> MethodName {
        self.view().method().to_owned()
    }

    /// The status of a response.
    pub fn status(&self) -> Option<Status> {
        self.view().status()
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Message {}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({})", String::from_utf8_lossy(self.view().start_line()))
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bytes)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Message, D::Error> {
        let bytes = Bytes::deserialize(deserializer)?;
        Message::parse(bytes, &Limits::NONE).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
