//! Who is calling: trusted sources, digest credentials (RFC 3261 22.3, RFC 7616), and what a locked subscriber may do.

use auth::{Asked, Ha1, NonceCounts, Outcome, Policy, Server};
use fabric::letters::subscriber::{Account, AccountAsk, Lock, Subscriber};
use fabric::{Key, Now, Reject};
use serde::{Deserialize, Serialize};
use sip::{Name, Status, Uri, View};

use crate::reject;
use crate::settings::Settings;

/// Checks the callers of one call; remembers which nonces have been used (I26).
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Admission {
    counts: NonceCounts,
}

/// What the first look at a request says.
pub(crate) enum Look {
    /// No usable credentials: challenge.
    Challenge,
    /// Credentials of this account: ask the store.
    Ask(AccountAsk),
    Refuse(Reject),
}

/// What the store's answer makes of it.
pub(crate) enum Entry {
    Admitted,
    /// Challenge again; `true`: the digest was right, only the nonce too old.
    Challenge(bool),
    Refuse(Reject),
}

impl Admission {
    /// Looks at a request of an untrusted source.
    pub fn look(&self, request: &View<'_>) -> Look {
        let Some(realm) = realm(request) else {
            return Look::Refuse(Reject::new(Status::BAD_REQUEST));
        };
        match auth::pick(request.headers(Name::ProxyAuthorization), realm.as_bytes()) {
            Some(Ok(credentials)) => match credentials.user() {
                Some(user) => Look::Ask(AccountAsk { user: user.to_owned(), domain: realm }),
                None => Look::Challenge,
            },
            _ => Look::Challenge,
        }
    }

    /// Judges the credentials with the account that they name.
    pub fn judge(&mut self, request: &View<'_>, account: &Account, door: &Door<'_>, now: Now) -> Entry {
        let Some(realm) = realm(request) else { return Entry::Challenge(false) };
        let Some(Ok(credentials)) = auth::pick(request.headers(Name::ProxyAuthorization), realm.as_bytes()) else {
            return Entry::Challenge(false);
        };
        let ha1 = match account {
            Account::Subscriber(subscriber) => Ha1 { md5: subscriber.ha1_md5, sha256: subscriber.ha1_sha256 },
            Account::UnknownUser => auth::decoy(door.secret, &credentials.username),
            Account::ForeignDomain => return Entry::Refuse(reject::forbidden()),
        };
        let method = request.method();
        let binding = door.key.0.to_be_bytes();
        let asked = Asked { method: method.as_str().as_bytes(), uri: request.uri(), binding: &binding };
        if fabric::mutant!(NonceReused) {
            self.counts = NonceCounts::new();
        }
        match door.server().check(&credentials, &asked, &ha1, &mut self.counts, now.unix_ms) {
            Outcome::Accepted => match account {
                Account::Subscriber(subscriber) => self.enter(request, subscriber),
                _ => Entry::Challenge(false),
            },
            Outcome::Stale => Entry::Challenge(true),
            Outcome::Refused(_) => Entry::Challenge(false),
        }
    }

    /// Until when a used nonce must be remembered, milliseconds since 1970.
    pub fn remember_until_ms(&self, door: &Door<'_>) -> Option<u64> {
        self.counts.remember_until_ms(door.server().nonce_life_ms())
    }

    fn enter(&self, request: &View<'_>, subscriber: &Subscriber) -> Entry {
        if !speaks_for(request, subscriber) {
            return Entry::Refuse(reject::forbidden());
        }
        match subscriber.lock {
            Lock::None | Lock::Foreign => Entry::Admitted,
            Lock::Outgoing | Lock::All | Lock::Global | Lock::Ported => Entry::Refuse(reject::forbidden()),
        }
    }
}

/// What checking credentials needs besides the request.
pub(crate) struct Door<'a> {
    pub secret: &'a [u8; 16],
    pub key: Key,
    pub settings: &'a Settings,
}

impl Door<'_> {
    /// Values of the Proxy-Authenticate lines of a 407.
    pub fn challenge(&self, request: &View<'_>, stale: bool, now: Now) -> Vec<String> {
        let realm = realm(request).unwrap_or_default();
        self.server().challenge(&realm, &self.key.0.to_be_bytes(), stale, now.unix_ms)
    }

    fn server(&self) -> Server {
        let settings = self.settings;
        let policy = Policy {
            md5: settings.digest_md5,
            sha256: settings.digest_sha256,
            nonce_life_s: settings.nonce_life_s,
            ..Policy::default()
        };
        Server::new(*self.secret, policy)
    }
}

/// The realm that a caller must prove to belong to: the domain of its From, lower case; of the Request-URI when it calls
/// anonymously (RFC 3323 4.1.1.3).
fn realm(request: &View<'_>) -> Option<String> {
    let from = request.from().ok()?;
    let uri = from.uri().ok()?;
    let domain = host_of(&uri);
    if domain == ANONYMOUS {
        return Some(host_of(&Uri::parse(request.uri()).ok()?));
    }
    Some(domain).filter(|domain| !domain.is_empty())
}

/// Whether the From address belongs to this subscriber: its user name, one of its numbers, or nobody's.
fn speaks_for(request: &View<'_>, subscriber: &Subscriber) -> bool {
    let Ok(from) = request.from() else { return false };
    let Ok(uri) = from.uri() else { return false };
    let domain = host_of(&uri);
    if domain == ANONYMOUS {
        return true;
    }
    let user = uri.user_decoded();
    let user = String::from_utf8_lossy(&user);
    let number = user.strip_prefix('+').unwrap_or(&user);
    domain == subscriber.domain
        && (user.eq_ignore_ascii_case(&subscriber.username) || subscriber.numbers.iter().any(|own| own == number))
}

/// Host of a URI without port, lower case.
pub(crate) fn host_of(uri: &Uri<'_>) -> String {
    uri.host.to_string().to_ascii_lowercase()
}

/// Domain of an anonymous caller (RFC 3323 4.1.1.3).
const ANONYMOUS: &str = "anonymous.invalid";
