//! What a machine looks like in a replica, and all images of a group with their sum.

use std::collections::BTreeMap;

use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};
use fabric::hash::FixedMap;
use fabric::{Address, Envelope, Instant, Part, Thread, codec};

/// A machine as its last record left it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    parts: Parts,
    sum: u64,
    /// Microseconds to add to this node's clock to get the clock that the machine lives by.
    pub offset: i64,
    /// Questions without an answer.
    pub asked: Vec<Envelope>,
}

/// Most machines are one part; a location shard is thousands.
#[derive(Clone, Debug, Default)]
enum Parts {
    #[default]
    None,
    Whole(Bytes),
    Named(BTreeMap<Box<str>, Bytes>),
}

impl Image {
    /// Whether this part is in the image as it is.
    pub fn has(&self, part: &Part) -> bool {
        self.value(&part.name) == part.value.as_ref()
    }

    /// The part of this name.
    pub fn value(&self, name: &str) -> Option<&Bytes> {
        match &self.parts {
            Parts::Whole(bytes) if name.is_empty() => Some(bytes),
            Parts::Named(parts) => parts.get(name),
            _ => None,
        }
    }

    fn put(&mut self, part: &Part) {
        if let Parts::None = self.parts {
            self.parts = match (&part.value, part.name.is_empty()) {
                (Some(value), true) => Parts::Whole(value.clone()),
                _ => Parts::Named(BTreeMap::new()),
            };
        }
        match &mut self.parts {
            Parts::Whole(bytes) if part.name.is_empty() => *bytes = part.value.clone().unwrap_or_default(),
            Parts::Whole(bytes) => {
                let whole = std::mem::take(bytes);
                self.parts = Parts::Named(BTreeMap::from([("".into(), whole)]));
                self.put(part);
            }
            Parts::Named(parts) => match &part.value {
                Some(value) => drop(parts.insert(part.name.clone(), value.clone())),
                None => drop(parts.remove(&part.name)),
            },
            Parts::None => {}
        }
    }

    /// All parts.
    pub fn parts(&self) -> Vec<Part> {
        match &self.parts {
            Parts::None => Vec::new(),
            Parts::Whole(bytes) => vec![Part { name: "".into(), value: Some(bytes.clone()) }],
            Parts::Named(parts) => {
                let all = parts.iter();
                all.map(|(name, bytes)| Part { name: name.clone(), value: Some(bytes.clone()) }).collect()
            }
        }
    }

    pub fn bytes(&self) -> usize {
        match &self.parts {
            Parts::None => 0,
            Parts::Whole(bytes) => bytes.len(),
            Parts::Named(parts) => parts.iter().map(|(name, bytes)| name.len() + bytes.len()).sum(),
        }
    }

    /// Notes questions and answers of a step.
    pub fn note(&mut self, asked: &[Envelope], answered: &[Thread]) {
        self.asked.retain(|mail| !answered.contains(&mail.thread));
        for mail in asked {
            self.asked.retain(|other| other.thread != mail.thread);
            self.asked.push(mail.clone());
        }
    }

    /// The clock that the machine lives by, when this node's shows `now`.
    pub fn axis(&self, now: Instant) -> Instant {
        shift(now, self.offset)
    }
}

/// `at` on another clock.
pub(crate) fn shift(at: Instant, offset: i64) -> Instant {
    Instant(at.0.saturating_add_signed(offset))
}

/// How far `axis` is ahead of `now`.
pub(crate) fn offset(axis: Instant, now: Instant) -> i64 {
    (axis.0 as i64).wrapping_sub(now.0 as i64)
}

/// All images of a group.
#[derive(Debug, Default)]
pub(crate) struct Images {
    all: FixedMap<Address, Image>,
    /// Wrapping sum of a hash of every part: equal sums mean equal images (I4).
    sum: u64,
    /// Room for the bytes of an address.
    name: Vec<u8>,
}

impl Images {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn sum(&self) -> u64 {
        self.sum
    }

    pub fn get(&self, address: Address) -> Option<&Image> {
        self.all.get(&address)
    }

    /// The image of an address, made when there is none.
    pub fn open(&mut self, address: Address) -> &mut Image {
        self.all.entry(address).or_default()
    }

    /// Changes parts of an image.
    pub fn put(&mut self, address: Address, parts: &[Part]) {
        let image = self.all.entry(address).or_default();
        let mut change = 0u64;
        if !parts.is_empty() {
            self.name.clear();
            codec::append_part(&address, &mut self.name);
        }
        let whose = crc32c(&self.name);
        for part in parts {
            if let Some(before) = image.value(&part.name) {
                change = change.wrapping_sub(weigh(whose, &part.name, before));
            }
            if let Some(value) = &part.value {
                change = change.wrapping_add(weigh(whose, &part.name, value));
            }
            image.put(part);
        }
        image.sum = image.sum.wrapping_add(change);
        self.sum = self.sum.wrapping_add(change);
    }

    pub fn remove(&mut self, address: Address) -> Option<Image> {
        let image = self.all.remove(&address)?;
        self.sum = self.sum.wrapping_sub(image.sum);
        Some(image)
    }

    /// Addresses in the order they are brought to life: who is where first, then calls.
    pub fn addresses(&self) -> Vec<Address> {
        let mut all: Vec<Address> = self.all.keys().copied().collect();
        all.sort_unstable_by_key(|address| (!matches!(address, Address::Location(_)), *address));
        all
    }

    /// Takes out the images for which `moves` holds.
    pub fn split(&mut self, moves: impl Fn(Address) -> bool) -> Images {
        let mut other = Images::default();
        let gone: Vec<Address> = self.all.keys().copied().filter(|address| moves(*address)).collect();
        for address in gone {
            if let Some(image) = self.remove(address) {
                other.sum = other.sum.wrapping_add(image.sum);
                other.all.insert(address, image);
            }
        }
        other
    }
}

/// What a part adds to the sum, below the sum of its machine's address; made to notice mistakes, not malice.
fn weigh(address: u32, name: &str, value: &[u8]) -> u64 {
    let whose = crc32c_append(address, name.as_bytes());
    u64::from(whose) << 32 | u64::from(crc32c_append(whose, value))
}
