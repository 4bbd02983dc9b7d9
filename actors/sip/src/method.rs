//! Request methods: the ones Tandem acts on, and any other token (RFC 3261 7.1, 25.1).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

macro_rules! methods {
    ($($variant:ident $text:literal),+ $(,)?) => {
        /// A method as it stands in a message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method<'a> { $($variant,)+ Other(&'a str) }

        /// A method that is kept: the owned twin of `Method`.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum MethodName { $($variant,)+ Other(Box<str>) }

        impl<'a> Method<'a> {
            /// The method that a token names; methods are case-sensitive.
            pub fn of(text: &'a str) -> Method<'a> {
                match text { $($text => Method::$variant,)+ other => Method::Other(other) }
            }
            /// The method as it is written.
            pub fn as_str(&self) -> &'a str {
                match self { $(Method::$variant => $text,)+ Method::Other(other) => other }
            }
            /// A copy that outlives the message.
            pub fn to_owned(&self) -> MethodName {
                match self {
                    $(Method::$variant => MethodName::$variant,)+
                    Method::Other(other) => MethodName::Other((*other).into()),
                }
            }
        }

        impl MethodName {
            /// The borrowed twin.
            pub fn as_method(&self) -> Method<'_> {
                match self {
                    $(MethodName::$variant => Method::$variant,)+
                    MethodName::Other(other) => Method::Other(other),
                }
            }
        }
    };
}

methods! {
    Invite "INVITE", Ack "ACK", Bye "BYE", Cancel "CANCEL", Register "REGISTER",
    Options "OPTIONS", Info "INFO", Update "UPDATE", Prack "PRACK", Refer "REFER",
    Message "MESSAGE", Subscribe "SUBSCRIBE", Notify "NOTIFY", Publish "PUBLISH",
}

impl<'a> Method<'a> {
    /// The method that these bytes name; `None` when they are no token.
    pub fn parse(text: &'a [u8]) -> Option<Method<'a>> {
        if text.is_empty() || !text.iter().all(|&byte| crate::text::is_token(byte)) {
            return None;
        }
        std::str::from_utf8(text).ok().map(Method::of)
    }

    /// Whether this is a method the switch has no name for.
    pub fn is_other(&self) -> bool {
        matches!(self, Method::Other(_))
    }

    /// Whether a request of this method can open a dialog: RFC 3261 12.1, RFC 6665 4.4.1, RFC 3515 2.4.
    pub fn opens_dialog(&self) -> bool {
        matches!(self, Method::Invite | Method::Subscribe | Method::Refer | Method::Notify)
    }
}

impl MethodName {
    /// The method as it is written.
    pub fn as_str(&self) -> &str {
        self.as_method().as_str()
    }
}

impl<'a> From<&'a MethodName> for Method<'a> {
    fn from(name: &'a MethodName) -> Method<'a> {
        name.as_method()
    }
}

impl From<Method<'_>> for MethodName {
    fn from(method: Method<'_>) -> MethodName {
        method.to_owned()
    }
}

impl PartialEq<Method<'_>> for MethodName {
    fn eq(&self, other: &Method<'_>) -> bool {
        self.as_method() == *other
    }
}

impl PartialEq<MethodName> for Method<'_> {
    fn eq(&self, other: &MethodName) -> bool {
        *self == other.as_method()
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for MethodName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MethodName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MethodName, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Method::of(&text).to_owned())
    }
}
