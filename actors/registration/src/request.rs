//! What a REGISTER wants: address-of-record, and what shall happen to its bindings. RFC 3261 10.2 and 10.3.

use fabric::letters::location::{BindChange, Binding};
use fabric::letters::subscriber::Subscriber;
use fabric::{Now, Reject};
use sip::{Host, Name, NameAddr, Scheme, Status, Uri, View, unquote};

use crate::Settings;

/// Option tags that a phone may require of us.
const SUPPORTED: [&str; 2] = ["path", "outbound"];

/// Longest User-Agent that is kept, bytes.
const USER_AGENT_BYTES_MAX: usize = 96;

/// The address-of-record of a REGISTER.
pub struct Wanted<'a> {
    pub to: Uri<'a>,
    /// Its host in lower case: the realm it has to prove itself to.
    pub domain: String,
}

/// Where a REGISTER came from, as its bindings remember it.
pub struct Origin<'a> {
    pub path: &'a str,
    pub received: String,
    pub nat: bool,
}

/// Reads the address-of-record. Errors: 420 for what we do not support, 400 when To is no SIP address.
pub fn wanted<'a>(view: &View<'a>) -> Result<Wanted<'a>, Reject> {
    let unknown = |tag: &&str| !SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(tag));
    let unsupported: Vec<&str> = view.option_tags(Name::Require).filter(unknown).collect();
    if !unsupported.is_empty() {
        return Err(Reject::new(Status::BAD_EXTENSION).header(Name::Unsupported, unsupported.join(", ")));
    }
    let to = view.to().and_then(|to| to.uri()).map_err(|_| bad("Bad To"))?;
    if !matches!(to.scheme, Scheme::Sip | Scheme::Sips) {
        return Err(bad("Bad To"));
    }
    let domain = match to.host {
        Host::Name(name) => name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(),
        address => address.to_string(),
    };
    Ok(Wanted { to, domain })
}

/// Whether the address-of-record is this subscriber's own: its user name, or one of its numbers with or without `+`.
pub fn is_own(to: &Uri<'_>, subscriber: &Subscriber) -> bool {
    let user = to.user_decoded();
    if user.eq_ignore_ascii_case(subscriber.username.as_bytes()) {
        return true;
    }
    let number = to.number();
    let number = number.strip_prefix(b"+").unwrap_or(&number);
    !number.is_empty() && subscriber.numbers.iter().any(|own| own.as_bytes() == number)
}

/// Reads the Contacts.
///
/// Errors: 400 for what cannot be read or a misused `*`, 403 for too many or for our own address, 423 for a lifetime
/// below the minimum.
pub fn change(
    view: &View<'_>,
    origin: &Origin<'_>,
    local: std::net::SocketAddr,
    now: Now,
    settings: &Settings,
) -> Result<BindChange, Reject> {
    let expires = match view.number(Name::Expires) {
        Ok(Some(seconds)) => seconds,
        // RFC 3261 20.19: a malformed value counts as the default.
        Ok(None) | Err(_) => settings.expires_default_s,
    };
    let mut reader = Reader::new(view, origin, local, now, settings, expires)?;
    let mut bindings = Vec::with_capacity(1);
    for contact in view.contacts() {
        let contact = contact.map_err(|_| bad("Bad Contact"))?;
        if contact.is_star() {
            let alone = bindings.is_empty() && view.values(Name::Contact).count() == 1;
            let zero = view.number(Name::Expires) == Ok(Some(0));
            return if alone && zero { Ok(BindChange::RemoveAll) } else { Err(bad("Bad Use Of *")) };
        }
        if bindings.len() >= usize::from(settings.request_contacts_max) {
            return Err(Reject::new(Status::FORBIDDEN).reason("Too Many Contacts"));
        }
        bindings.push(reader.binding(&contact)?);
    }
    Ok(if bindings.is_empty() { BindChange::Fetch } else { BindChange::Contacts(bindings) })
}

/// Whether flows shall be kept apart: RFC 5626 6.
pub fn wants_outbound(view: &View<'_>, settings: &Settings) -> bool {
    let says_so = |name| view.has_option(name, "outbound");
    settings.outbound && (says_so(Name::Supported) || says_so(Name::Require))
}

/// Whether RFC 5626 is in force for these bindings: the 200 then says so.
pub fn uses_outbound(bindings: &BindChange) -> bool {
    matches!(bindings, BindChange::Contacts(bindings) if bindings.iter().any(|binding| binding.reg_id != 0))
}

struct Reader<'a> {
    origin: &'a Origin<'a>,
    local: std::net::SocketAddr,
    now: Now,
    settings: &'a Settings,
    expires: u32,
    call_id: &'a str,
    cseq: u32,
    user_agent: Option<Box<str>>,
    outbound: bool,
    reg_id_seen: bool,
}

impl<'a> Reader<'a> {
    fn new(
        view: &View<'a>,
        origin: &'a Origin<'a>,
        local: std::net::SocketAddr,
        now: Now,
        settings: &'a Settings,
        expires: u32,
    ) -> Result<Reader<'a>, Reject> {
        Ok(Reader {
            origin,
            local,
            now,
            settings,
            expires,
            call_id: call_id(view)?,
            cseq: view.cseq().map_err(|_| bad("Bad CSeq"))?.number,
            user_agent: view.header(Name::UserAgent).and_then(user_agent),
            outbound: wants_outbound(view, settings),
            reg_id_seen: false,
        })
    }

    fn binding(&mut self, contact: &NameAddr<'_>) -> Result<Binding, Reject> {
        let uri = contact.uri().map_err(|_| bad("Bad Contact"))?;
        let readable = matches!(uri.scheme, Scheme::Sip | Scheme::Sips)
            && contact.uri.len() <= usize::from(self.settings.contact_bytes_max);
        let text = std::str::from_utf8(contact.uri).ok().filter(|_| readable).ok_or_else(|| bad("Bad Contact"))?;
        let port = uri.port.unwrap_or(5060);
        if uri.host.ip() == Some(self.local.ip().to_canonical()) && port == self.local.port() {
            return Err(Reject::new(Status::FORBIDDEN).reason("Contact Is This Switch"));
        }
        let (instance, reg_id) = self.flow(contact)?;
        Ok(Binding {
            contact: text.into(),
            path: self.origin.path.into(),
            call_id: self.call_id.into(),
            cseq: self.cseq,
            q: contact.q().map_err(|_| bad("Bad q"))?.unwrap_or(1_000),
            expires_ms: self.now.unix_ms + u64::from(self.lifetime(contact)?) * 1_000,
            instance,
            reg_id,
            user_agent: self.user_agent.clone(),
            received: Some(self.origin.received.as_str().into()),
            nat: self.origin.nat,
        })
    }

    /// Lifetime of a binding: the contact's `expires`, else the Expires header, else the default.
    ///
    /// Seconds, cut at the maximum. Errors: 423 with Min-Expires when shorter than the minimum. Source: RFC 3261 10.3
    /// step 7.
    fn lifetime(&self, contact: &NameAddr<'_>) -> Result<u32, Reject> {
        let wanted = match contact.param("expires") {
            Some(_) => contact.expires().unwrap_or(self.settings.expires_default_s),
            None => self.expires,
        };
        let min = self.settings.expires_min_s;
        match wanted {
            0 => Ok(0),
            short if short < min => Err(Reject::new(Status::INTERVAL_TOO_BRIEF).min_expires(min)),
            long => Ok(long.min(self.settings.expires_max_s.max(min).max(1))),
        }
    }

    /// `+sip.instance` without quotes, and `reg-id`, which counts only with an instance. Errors: 400 when a second
    /// contact carries one (RFC 5626 6).
    fn flow(&mut self, contact: &NameAddr<'_>) -> Result<(Option<Box<str>>, u32), Reject> {
        let Some(instance) = contact.param("+sip.instance") else { return Ok((None, 0)) };
        let instance = unquote(instance);
        let instance = std::str::from_utf8(&instance).map_err(|_| bad("Bad Instance"))?;
        if instance.is_empty() || instance.len() > usize::from(self.settings.contact_bytes_max) {
            return Err(bad("Bad Instance"));
        }
        let reg_id = contact.param("reg-id").filter(|_| self.outbound);
        let Some(reg_id) = reg_id else { return Ok((Some(instance.into()), 0)) };
        if std::mem::replace(&mut self.reg_id_seen, true) {
            return Err(bad("Second reg-id"));
        }
        let digits = reg_id.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(reg_id).ok()).flatten();
        let number =
            digits.and_then(|digits| digits.parse::<u32>().ok()).filter(|number| (1..1 << 31).contains(number));
        Ok((Some(instance.into()), number.ok_or_else(|| bad("Bad reg-id"))?))
    }
}

/// The Call-ID as text. Errors: 400.
pub fn call_id<'a>(view: &View<'a>) -> Result<&'a str, Reject> {
    let text = view.call_id().ok().and_then(|call_id| std::str::from_utf8(call_id).ok());
    text.filter(|text| text.len() <= CALL_ID_BYTES_MAX).ok_or_else(|| bad("Bad Call-ID"))
}

/// Longest Call-ID of a REGISTER, bytes.
const CALL_ID_BYTES_MAX: usize = 512;

/// A 400 that says what is bad.
pub fn bad(reason: &str) -> Reject {
    Reject::new(Status::BAD_REQUEST).reason(reason)
}

fn user_agent(value: &[u8]) -> Option<Box<str>> {
    let text = std::str::from_utf8(value).ok()?;
    let mut end = text.len().min(USER_AGENT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let clean = |character: char| if character.is_control() { ' ' } else { character };
    Some(text[..end].chars().map(clean).collect::<String>().into())
}

#[cfg(test)]
mod tests;
