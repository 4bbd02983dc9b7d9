//! Bencode for the simulated rtpengine: written apart from the anchor's codec, so that both cannot be wrong alike.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Text(Vec<u8>),
    Number(i64),
    List(Vec<Item>),
    Table(BTreeMap<Vec<u8>, Item>),
}

impl Item {
    pub fn text(text: impl AsRef<[u8]>) -> Item {
        Item::Text(text.as_ref().to_vec())
    }

    pub fn table<const N: usize>(pairs: [(&str, Item); N]) -> Item {
        Item::Table(pairs.into_iter().map(|(key, item)| (key.as_bytes().to_vec(), item)).collect())
    }

    pub fn get(&self, key: &str) -> Option<&Item> {
        match self {
            Item::Table(table) => table.get(key.as_bytes()),
            _ => None,
        }
    }

    pub fn get_text(&self, key: &str) -> Option<&[u8]> {
        match self.get(key)? {
            Item::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Item::Text(text) => {
                out.extend_from_slice(text.len().to_string().as_bytes());
                out.push(b':');
                out.extend_from_slice(text);
            }
            Item::Number(number) => out.extend_from_slice(format!("i{number}e").as_bytes()),
            Item::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.encode(out));
                out.push(b'e');
            }
            Item::Table(table) => {
                out.push(b'd');
                for (key, item) in table {
                    Item::text(key).encode(out);
                    item.encode(out);
                }
                out.push(b'e');
            }
        }
    }

    /// The whole of `bytes` as one item.
    pub fn decode(bytes: &[u8]) -> Option<Item> {
        let (item, rest) = item(bytes)?;
        rest.is_empty().then_some(item)
    }
}

fn item(bytes: &[u8]) -> Option<(Item, &[u8])> {
    match bytes.first()? {
        b'i' => {
            let end = bytes.iter().position(|byte| *byte == b'e')?;
            let number = std::str::from_utf8(&bytes[1..end]).ok()?.parse().ok()?;
            Some((Item::Number(number), &bytes[end + 1..]))
        }
        b'l' => {
            let (mut rest, mut items) = (&bytes[1..], Vec::new());
            while *rest.first()? != b'e' {
                let (one, after) = item(rest)?;
                items.push(one);
                rest = after;
            }
            Some((Item::List(items), &rest[1..]))
        }
        b'd' => {
            let (mut rest, mut table) = (&bytes[1..], BTreeMap::new());
            while *rest.first()? != b'e' {
                let (Item::Text(key), after) = item(rest)? else { return None };
                let (value, after) = item(after)?;
                table.insert(key, value);
                rest = after;
            }
            Some((Item::Table(table), &rest[1..]))
        }
        _ => {
            let colon = bytes.iter().position(|byte| *byte == b':')?;
            let length: usize = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
            let text = bytes.get(colon + 1..colon + 1 + length)?;
            Some((Item::text(text), &bytes[colon + 1 + length..]))
        }
    }
}
