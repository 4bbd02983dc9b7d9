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
    #[inline]
    pub fn of(text: &[u8]) -> Name {
        match text {
            [] => Name::Other,
            [letter] => compact(*letter),
            _ => {
                let candidate = SLOTS[slot(text)];
                if candidate == EMPTY {
                    return Name::Other;
                }
                let known = Name::TEXTS[candidate as usize].as_bytes();
                if known == text || known.eq_ignore_ascii_case(text) {
                    Name::ALL[candidate as usize]
                } else {
                    Name::Other
                }
            }
        }
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

fn compact(letter: u8) -> Name {
    match letter | 0x20 {
        b'v' => Name::Via,
        b'f' => Name::From,
        b't' => Name::To,
        b'i' => Name::CallId,
        b'm' => Name::Contact,
        b'l' => Name::ContentLength,
        b'c' => Name::ContentType,
        b'e' => Name::ContentEncoding,
        b'k' => Name::Supported,
        b's' => Name::Subject,
        b'r' => Name::ReferTo,
        b'b' => Name::ReferredBy,
        b'o' => Name::Event,
        b'u' => Name::AllowEvents,
        b'x' => Name::SessionExpires,
        b'y' => Name::Identity,
        _ => Name::Other,
    }
}

const EMPTY: u8 = u8::MAX;
/// A perfect hash over length, first, middle and last letter; the build fails if two names collide.
const SLOTS: [u8; 256] = slots();

const fn slot(text: &[u8]) -> usize {
    let length = text.len();
    let first = (text[0] | 0x20) as usize;
    let middle = (text[length / 2] | 0x20) as usize;
    let last = (text[length - 1] | 0x20) as usize;
    (length * 58 + first * 183 + middle * 52 + last * 98) & 255
}

const fn slots() -> [u8; 256] {
    let mut table = [EMPTY; 256];
    let mut at = 0;
    while at < Name::TEXTS.len() {
        let place = slot(Name::TEXTS[at].as_bytes());
        assert!(table[place] == EMPTY, "two header names share a slot");
        table[place] = at as u8;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests;
