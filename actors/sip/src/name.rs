//! Header names, recognised without allocation: RFC 3261 20 and the compact forms of its 7.3.3.

macro_rules! names {
    ($($variant:ident $text:literal),+ $(,)?) => {
        /// A header field name that Tandem reads; everything else is `Other`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Name { $($variant,)+ Other }

        impl Name {
            /// Every known name, in the order of the enum (without `Other`).
            pub const ALL: &'static [Name] = &[$(Name::$variant),+];
            const TEXTS: &'static [&'static str] = &[$($text),+];
        }
    };
}

names! {
    Via "Via", From "From", To "To", CallId "Call-ID", CSeq "CSeq", MaxForwards "Max-Forwards",
    Contact "Contact", Route "Route", RecordRoute "Record-Route", Path "Path", Expires "Expires",
    MinExpires "Min-Expires", ContentType "Content-Type", ContentLength "Content-Length",
    ContentDisposition "Content-Disposition", ContentEncoding "Content-Encoding",
    Authorization "Authorization", ProxyAuthorization "Proxy-Authorization",
    WwwAuthenticate "WWW-Authenticate", ProxyAuthenticate "Proxy-Authenticate",
    Supported "Supported", Require "Require", ProxyRequire "Proxy-Require",
    Unsupported "Unsupported", Allow "Allow", AllowEvents "Allow-Events", Accept "Accept",
    UserAgent "User-Agent", Server "Server", SessionExpires "Session-Expires", MinSe "Min-SE",
    RSeq "RSeq", RAck "RAck", ReferTo "Refer-To", ReferredBy "Referred-By", Replaces "Replaces",
    Event "Event", SubscriptionState "Subscription-State", PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity", Privacy "Privacy", Reason "Reason",
    RetryAfter "Retry-After", Date "Date", Warning "Warning", Subject "Subject",
    Organization "Organization", MimeVersion "MIME-Version", Timestamp "Timestamp",
    Diversion "Diversion", HistoryInfo "History-Info", AlertInfo "Alert-Info",
    CallInfo "Call-Info", InReplyTo "In-Reply-To", Priority "Priority", ErrorInfo "Error-Info",
    MaxBreadth "Max-Breadth", ServiceRoute "Service-Route", FlowTimer "Flow-Timer",
    Identity "Identity",
}

impl Name {
    /// The name that these bytes spell, long or compact, in any case; `Other` when unknown.
    pub fn of(text: &[u8]) -> Name {
        let mut window = [0; WINDOW];
        match window.get_mut(..text.len()) {
            Some(front) => front.copy_from_slice(text),
            None => return Name::Other,
        }
        Name::of_window(words(&window), text.len())
    }

    /// The name in the first `length` bytes of a window; the bytes behind do not matter.
    #[inline]
    pub(crate) fn of_window(words: [u64; 3], length: usize) -> Name {
        let Some(mask) = FRONT.get(length) else { return Name::Other };
        let words = [words[0] & mask[0], words[1] & mask[1], words[2] & mask[2]];
        let entry = &ENTRIES[SLOTS[slot(words)] as usize];
        let same = (words[0] | entry.letters[0]) ^ entry.words[0]
            | (words[1] | entry.letters[1]) ^ entry.words[1]
            | (words[2] | entry.letters[2]) ^ entry.words[2];
        if same == 0 && entry.length as usize == length { entry.name } else { Name::Other }
    }

    /// The long name in its usual spelling; empty for `Other`.
    pub fn text(self) -> &'static str {
        Name::TEXTS.get(self as usize).copied().unwrap_or("")
    }

    /// Whether a message may carry this field at most once: RFC 3261 7.3.1 with table 2 and 3.
    pub fn is_single(self) -> bool {
        use Name::*;
        matches!(
            self,
            From | To
                | CallId
                | CSeq
                | MaxForwards
                | Expires
                | MinExpires
                | ContentType
                | ContentLength
                | ContentDisposition
                | Date
                | Event
                | SubscriptionState
                | ReferTo
                | ReferredBy
                | Replaces
                | RSeq
                | RAck
                | SessionExpires
                | MinSe
                | RetryAfter
                | MimeVersion
                | Timestamp
                | MaxBreadth
                | FlowTimer
        )
    }

    pub(crate) fn bit(self) -> u64 {
        1 << (self as u8)
    }
}

/// The long form of a compact name that has no `Name` of its own.
pub(crate) fn compact_other(letter: u8) -> Option<&'static str> {
    match letter | 0x20 {
        b'a' => Some("Accept-Contact"),
        b'd' => Some("Request-Disposition"),
        b'j' => Some("Reject-Contact"),
        b'n' => Some("Identity-Info"),
        _ => None,
    }
}

const COMPACT: [(u8, Name); 16] = [
    (b'v', Name::Via),
    (b'f', Name::From),
    (b't', Name::To),
    (b'i', Name::CallId),
    (b'm', Name::Contact),
    (b'l', Name::ContentLength),
    (b'c', Name::ContentType),
    (b'e', Name::ContentEncoding),
    (b'k', Name::Supported),
    (b's', Name::Subject),
    (b'r', Name::ReferTo),
    (b'b', Name::ReferredBy),
    (b'o', Name::Event),
    (b'u', Name::AllowEvents),
    (b'x', Name::SessionExpires),
    (b'y', Name::Identity),
];

/// Bytes that are looked at to recognise a name; no known one is longer.
pub(crate) const WINDOW: usize = 24;

/// The window as three little-endian words.
#[inline]
pub(crate) const fn words(window: &[u8; WINDOW]) -> [u64; 3] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *window;
    let [i, j, k, l, m, n, o, p, rest @ ..] = rest;
    let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let second = u64::from_le_bytes([i, j, k, l, m, n, o, p]);
    [first, second, u64::from_le_bytes(rest)]
}

/// Masks of the first 0 to 23 bytes of a window.
static FRONT: [[u64; 3]; WINDOW] = {
    let mut masks = [[0; 3]; WINDOW];
    let mut length = 0;
    while length < WINDOW {
        let mut window = [0; WINDOW];
        let mut at = 0;
        while at < length {
            window[at] = 0xff;
            at += 1;
        }
        masks[length] = words(&window);
        length += 1;
    }
    masks
};

#[derive(Clone, Copy)]
struct Entry {
    /// The name in lower case.
    words: [u64; 3],
    /// The bit of case at every letter, nothing at a hyphen.
    letters: [u64; 3],
    length: u8,
    name: Name,
}

const ENTRIES_MAX: usize = 128;
/// Long names, then compact ones; the rest matches nothing because its length is zero.
static ENTRIES: [Entry; ENTRIES_MAX] = entries();
/// A perfect hash of the words; the build fails if two names collide.
static SLOTS: [u8; 512] = slots();

#[inline]
const fn slot(words: [u64; 3]) -> usize {
    // Upper and lower case fall together, and so do a few bytes that are no letters: they are told apart later.
    const CASE: u64 = 0x2020_2020_2020_2020;
    let mixed = (words[0] | CASE) ^ (words[1] | CASE).rotate_left(23) ^ (words[2] | CASE).rotate_left(47);
    (mixed.wrapping_mul(0xc98c_9e51_4ce7_4655) >> 55) as usize
}

const fn entries() -> [Entry; ENTRIES_MAX] {
    let mut table = [Entry { words: [0; 3], letters: [0; 3], length: 0, name: Name::Other }; ENTRIES_MAX];
    let mut at = 0;
    while at < Name::TEXTS.len() {
        table[at] = entry(Name::TEXTS[at].as_bytes(), Name::ALL[at]);
        at += 1;
    }
    let mut compact = 0;
    while compact < COMPACT.len() {
        let (letter, name) = COMPACT[compact];
        table[at + compact] = entry(&[letter], name);
        compact += 1;
    }
    table
}

const fn entry(text: &[u8], name: Name) -> Entry {
    let (mut window, mut letters) = ([0; WINDOW], [0; WINDOW]);
    let mut at = 0;
    while at < text.len() {
        window[at] = text[at].to_ascii_lowercase();
        letters[at] = if text[at].is_ascii_alphabetic() { 0x20 } else { 0 };
        at += 1;
    }
    Entry { words: words(&window), letters: words(&letters), length: text.len() as u8, name }
}

const fn slots() -> [u8; 512] {
    let empty = ENTRIES_MAX as u8 - 1;
    let entries = entries();
    let mut table = [empty; 512];
    let mut at = 0;
    while at < Name::TEXTS.len() + COMPACT.len() {
        let place = slot(entries[at].words);
        assert!(table[place] == empty, "two header names share a slot");
        table[place] = at as u8;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests;
