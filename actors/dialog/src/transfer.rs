//! Small helpers for transfer: Replaces (RFC 3891) and the body that reports on a REFER (RFC 3515 2.4.5).

use sip::{Status, View};

use crate::{Dialog, State};

/// A Replaces value: which dialog the new call takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces<'a> {
    pub call_id: &'a [u8],
    pub to_tag: &'a [u8],
    pub from_tag: &'a [u8],
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// Reads a Replaces value, without escapes; `None` when Call-ID or one of the tags is missing or stands twice.
    pub fn parse(value: &'a [u8]) -> Option<Replaces<'a>> {
        let end = value.iter().position(|&byte| byte == b';')?;
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for (name, text) in sip::params(&value[end + 1..]) {
            let known = match () {
                _ if name.eq_ignore_ascii_case(b"to-tag") => &mut to_tag,
                _ if name.eq_ignore_ascii_case(b"from-tag") => &mut from_tag,
                _ => {
                    early_only |= name.eq_ignore_ascii_case(b"early-only");
                    continue;
                }
            };
            if known.replace(text?).is_some() {
                return None;
            }
        }
        let call_id = value[..end].trim_ascii();
        let replaces = Replaces { call_id, to_tag: to_tag?, from_tag: from_tag?, early_only };
        (!call_id.is_empty()).then_some(replaces)
    }

    /// The Replaces of an INVITE; `None` when it has none, more than one or a broken one.
    pub fn of(request: &View<'a>) -> Option<Replaces<'a>> {
        let mut values = request.headers(sip::Name::Replaces);
        let value = values.next()?;
        if values.next().is_some() { None } else { Replaces::parse(value) }
    }

    /// Whether it means this dialog of ours: its to-tag is our tag (RFC 3891 3); a null tag may be written as 0.
    pub fn matches(&self, dialog: &Dialog) -> bool {
        let remote = dialog.remote_tag();
        let same_peer = self.from_tag == remote || (remote.is_empty() && self.from_tag == b"0");
        self.call_id == dialog.call_id()
            && self.to_tag == dialog.local_tag()
            && same_peer
            && dialog.state() != State::Terminated
            && !(self.early_only && dialog.state() == State::Confirmed)
    }
}

/// Body of type `message/sipfrag` for a NOTIFY about a REFER: the status line alone (RFC 3515 2.4.5).
pub fn sipfrag(status: Status) -> Vec<u8> {
    format!("SIP/2.0 {status}\r\n").into_bytes()
}

#[cfg(test)]
mod tests;
