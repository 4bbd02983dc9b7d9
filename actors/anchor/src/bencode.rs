//! Bencode: integers, byte strings, lists and dictionaries. rtpengine neither sorts keys nor sticks to UTF-8.
//!
//! A decoder of our own because those at hand overflow the stack on one hostile datagram, refuse unsorted keys or want
//! text. Depth is limited, so is size; every byte is looked at once.

use std::borrow::Cow;
use std::fmt;

/// A bencoded value; byte strings borrow from the datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Bytes(Cow<'a, [u8]>),
    Integer(i64),
    List(Vec<Value<'a>>),
    /// In the order of the datagram; of two equal keys the first counts.
    Dictionary(Vec<(Cow<'a, [u8]>, Value<'a>)>),
}

/// Why bytes are not bencode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BencodeError {
    /// The bytes end inside a value.
    Short,
    /// Not a value, not a number, a key that is no byte string; at this byte.
    Syntax(usize),
    /// Deeper than `DEPTH_MAX`.
    Deep,
    /// Bytes behind the value.
    Trailing(usize),
    /// Larger than `BYTES_MAX`.
    TooLarge,
}

/// Deepest nesting, levels; a `query` reply has 9.
pub const DEPTH_MAX: usize = 32;

/// Largest document, bytes.
pub const BYTES_MAX: usize = 1 << 16;

impl<'a> Value<'a> {
    /// Decodes one value that fills `bytes`.
    pub fn decode(bytes: &'a [u8]) -> Result<Value<'a>, BencodeError> {
        if bytes.len() > BYTES_MAX {
            return Err(BencodeError::TooLarge);
        }
        let mut reader = Reader { bytes, at: 0 };
        let value = reader.value(0)?;
        if reader.at == bytes.len() { Ok(value) } else { Err(BencodeError::Trailing(reader.at)) }
    }

    /// Appends the encoded value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Bytes(bytes) => text(bytes, out),
            Value::Integer(number) => out.extend_from_slice(format!("i{number}e").as_bytes()),
            Value::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.encode(out));
                out.push(b'e');
            }
            Value::Dictionary(pairs) => {
                out.push(b'd');
                for (key, value) in pairs {
                    text(key, out);
                    value.encode(out);
                }
                out.push(b'e');
            }
        }
    }

    /// A list of texts.
    pub fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Value<'static> {
        Value::List(items.into_iter().map(|item| Value::Bytes(Cow::Owned(item.as_ref().as_bytes().to_vec()))).collect())
    }

    /// Value of a key; `None` also for what is no dictionary.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.pairs().iter().find(|(own, _)| **own == *key.as_bytes()).map(|(_, value)| value)
    }

    /// Byte string of a key.
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.get(key)?.as_bytes()
    }

    /// Integer of a key, if it is not negative.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Items of a list; empty for anything else.
    pub fn items(&self) -> &[Value<'a>] {
        match self {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Pairs of a dictionary; empty for anything else.
    pub fn pairs(&self) -> &[(Cow<'a, [u8]>, Value<'a>)] {
        match self {
            Value::Dictionary(pairs) => pairs,
            _ => &[],
        }
    }

    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Value<'a> {
        Value::Bytes(Cow::Borrowed(text.as_bytes()))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Value<'a> {
        Value::Bytes(Cow::Borrowed(bytes))
    }
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value<'a>, BencodeError> {
        if depth > DEPTH_MAX {
            return Err(BencodeError::Deep);
        }
        match self.peek()? {
            b'i' => {
                self.at += 1;
                Ok(Value::Integer(self.digits(b'e')?))
            }
            b'l' => {
                self.at += 1;
                let mut items = Vec::new();
                while self.peek()? != b'e' {
                    items.push(self.value(depth + 1)?);
                }
                self.at += 1;
                Ok(Value::List(items))
            }
            b'd' => {
                self.at += 1;
                let mut pairs = Vec::new();
                while self.peek()? != b'e' {
                    let key = self.text()?;
                    pairs.push((Cow::Borrowed(key), self.value(depth + 1)?));
                }
                self.at += 1;
                Ok(Value::Dictionary(pairs))
            }
            _ => Ok(Value::Bytes(Cow::Borrowed(self.text()?))),
        }
    }

    fn peek(&self) -> Result<u8, BencodeError> {
        self.bytes.get(self.at).copied().ok_or(BencodeError::Short)
    }

    fn text(&mut self) -> Result<&'a [u8], BencodeError> {
        if !self.peek()?.is_ascii_digit() {
            return Err(BencodeError::Syntax(self.at));
        }
        let length = self.digits(b':')?;
        let end =
            usize::try_from(length).ok().and_then(|length| self.at.checked_add(length)).ok_or(BencodeError::Short)?;
        let text = self.bytes.get(self.at..end).ok_or(BencodeError::Short)?;
        self.at = end;
        Ok(text)
    }

    /// A number that ends with `end`, which is consumed.
    fn digits(&mut self, end: u8) -> Result<i64, BencodeError> {
        let start = self.at;
        let rest = &self.bytes[start..self.bytes.len().min(start + DIGITS_MAX)];
        let Some(length) = rest.iter().position(|byte| *byte == end) else {
            return Err(if self.bytes.len() - start < DIGITS_MAX {
                BencodeError::Short
            } else {
                BencodeError::Syntax(start)
            });
        };
        let digits = &rest[..length];
        let plain = digits.strip_prefix(b"-").unwrap_or(digits);
        if plain.is_empty() || !plain.iter().all(u8::is_ascii_digit) {
            return Err(BencodeError::Syntax(start));
        }
        self.at = start + length + 1;
        std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(BencodeError::Syntax(start))
    }
}

/// Digits of a 64-bit number with its sign and end.
const DIGITS_MAX: usize = 21;

impl fmt::Display for BencodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BencodeError::Short => write!(f, "bencode ends too early"),
            BencodeError::Syntax(at) => write!(f, "bad bencode at byte {at}"),
            BencodeError::Deep => write!(f, "bencode deeper than {DEPTH_MAX} levels"),
            BencodeError::Trailing(at) => write!(f, "bytes behind the bencode at byte {at}"),
            BencodeError::TooLarge => write!(f, "bencode of more than {BYTES_MAX} bytes"),
        }
    }
}

impl std::error::Error for BencodeError {}

#[cfg(test)]
mod tests;
