//! Session timers: a session that nobody refreshes ends by itself. RFC 4028.

use std::time::Duration;

use fabric::{Instant, Now, Reject};
use serde::{Deserialize, Serialize};
use sip::{Builder, Name, Status, View};

use crate::settings::LEAST_S;
use crate::{Settings, Side};

/// Who refreshes, as a message says it: the sender of the request or of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refresher {
    Uac,
    Uas,
}

/// What an INVITE or UPDATE of the peer says about the session interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOffer {
    /// Session-Expires, seconds.
    interval_s: Option<u32>,
    /// Min-SE, seconds; 90 when the message has none.
    least_s: u32,
    refresher: Option<Refresher>,
    /// The peer itself knows session timers (Supported or Require).
    supported: bool,
}

/// The session timer of one dialog. RFC 4028 7 to 10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTimer {
    /// Agreed interval, seconds; zero when there is none.
    interval_s: u32,
    /// Largest Min-SE that the peer side has named, seconds.
    least_s: u32,
    refresher: Option<Side>,
    refresh_at: Option<Instant>,
    expires_at: Option<Instant>,
    refusals: u8,
}

/// What the session timer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionDue {
    /// Send UPDATE (when the peer allows it) or re-INVITE.
    Refresh,
    /// The peer is silent: end the session with BYE.
    Expired,
}

impl SessionOffer {
    /// Reads the fields of a request; unreadable ones count as absent.
    pub fn of(request: &View<'_>) -> SessionOffer {
        SessionOffer {
            interval_s: request.number(Name::SessionExpires).ok().flatten(),
            least_s: request.number(Name::MinSe).ok().flatten().unwrap_or(LEAST_S).max(LEAST_S),
            refresher: refresher_of(request),
            supported: request.has_option(Name::Supported, "timer") || request.has_option(Name::Require, "timer"),
        }
    }

    /// Whether the interval is acceptable.
    ///
    /// Errors: `Reject` 422 with Min-SE when it is shorter than ours and the peer knows what that means (RFC 4028 9).
    pub fn check(&self, settings: &Settings) -> Result<(), Reject> {
        match self.interval_s {
            Some(interval_s) if self.supported && interval_s < settings.least_s() && settings.session_max_s > 0 => {
                let least_s = settings.least_s().to_string();
                Err(Reject::new(Status::SESSION_INTERVAL_TOO_SMALL).header(Name::MinSe, least_s))
            }
            _ => Ok(()),
        }
    }
}

impl SessionTimer {
    /// Adds Session-Expires and Min-SE to our INVITE or UPDATE; `timer` in Supported is the caller's to write.
    pub fn request(&self, request: Builder, settings: &Settings) -> Builder {
        let Some(interval_s) = self.wanted_s(settings) else {
            return request;
        };
        let expires = match self.refresher {
            Some(Side::Us) => format!("{interval_s};refresher=uac"),
            Some(Side::Peer) => format!("{interval_s};refresher=uas"),
            None => interval_s.to_string(),
        };
        // Min-SE is obligatory in the repetition after a 422 and superfluous at its default (RFC 4028 7.1, 7.4).
        let least_s = self.least_s.max(settings.least_s());
        let request = request.header(Name::SessionExpires, expires);
        if least_s > LEAST_S { request.header(Name::MinSe, least_s.to_string()) } else { request }
    }

    /// The peer accepted our INVITE or UPDATE: what its 2xx says holds from now on (RFC 4028 7.2).
    pub fn on_success(&mut self, response: &View<'_>, now: Now, settings: &Settings) {
        self.refusals = 0;
        let interval_s = response.number(Name::SessionExpires).ok().flatten().filter(|_| settings.session_max_s > 0);
        match (interval_s, self.wanted_s(settings)) {
            (Some(interval_s), _) => {
                let refresher = match refresher_of(response) {
                    Some(Refresher::Uas) => Side::Peer,
                    // The 2xx has to name one; whoever forgets it will not refresh either.
                    Some(Refresher::Uac) | None => Side::Us,
                };
                self.start(interval_s, refresher, now, settings);
            }
            // Nobody beyond knows session timers: we may still ask from time to time whether the peer lives.
            (None, Some(interval_s)) if settings.refresh => self.start(interval_s, Side::Us, now, settings),
            (None, _) => self.stop(),
        }
    }

    /// The peer refused our request with 422: whether to repeat it with the longer interval (RFC 4028 7.4).
    pub fn on_refusal(&mut self, response: &View<'_>, settings: &Settings) -> bool {
        let least_s = response.number(Name::MinSe).ok().flatten().unwrap_or(0);
        // A 422 that asks for no more than we offered would be refused for ever.
        let longer = self.wanted_s(settings).is_some_and(|wanted_s| least_s > wanted_s);
        if !longer || least_s > settings.session_max_s || self.refusals >= settings.session_retries_max {
            return false;
        }
        self.refusals += 1;
        self.least_s = least_s;
        true
    }

    /// We accept the peer's request: settles interval and refresher, and writes them into our 2xx (RFC 4028 9).
    pub fn accept(&mut self, offer: SessionOffer, response: Builder, now: Now, settings: &Settings) -> Builder {
        self.least_s = self.least_s.max(offer.least_s);
        let asked_s = offer.interval_s.filter(|_| settings.session_max_s > 0);
        let interval_s = match (asked_s, self.wanted_s(settings)) {
            // Only shorter than asked is allowed, and never under anybody's minimum.
            (Some(asked_s), wanted_s) => {
                let floor_s = offer.least_s.max(settings.least_s());
                wanted_s.unwrap_or(asked_s).min(asked_s).min(settings.session_max_s).max(floor_s)
            }
            (None, Some(wanted_s)) if settings.refresh || offer.supported => wanted_s,
            (None, _) => {
                self.stop();
                return response;
            }
        };
        let refresher = match (offer.supported, offer.refresher) {
            (true, Some(Refresher::Uac)) => Side::Peer,
            (true, None) if !settings.refresh => Side::Peer,
            // Also when the peer knows no session timers: table 2 of RFC 4028 9.
            _ => Side::Us,
        };
        self.start(interval_s, refresher, now, settings);
        let who = if refresher == Side::Peer { "uac" } else { "uas" };
        let response = response.header(Name::SessionExpires, format!("{interval_s};refresher={who}"));
        if offer.supported { response.header(Name::Require, "timer") } else { response }
    }

    /// Our refresh failed in a way that does not end the session (491, 500): try again after `delay`.
    pub fn postpone(&mut self, delay: Duration, now: Now) {
        if self.refresher == Some(Side::Us) {
            self.refresh_at = Some(now.instant + delay);
        }
    }

    /// No session timer any more.
    pub fn stop(&mut self) {
        *self = SessionTimer { least_s: self.least_s, refusals: self.refusals, ..SessionTimer::default() };
    }

    /// Says once what is due; call until `None`.
    pub fn wake(&mut self, now: Now) -> Option<SessionDue> {
        if self.expires_at.is_some_and(|at| at <= now.instant) {
            self.stop();
            return Some(SessionDue::Expired);
        }
        if self.refresh_at.is_some_and(|at| at <= now.instant) {
            self.refresh_at = None;
            return Some(SessionDue::Refresh);
        }
        None
    }

    pub fn deadline(&self) -> Option<Instant> {
        [self.refresh_at, self.expires_at].into_iter().flatten().min()
    }

    /// Agreed interval in seconds and who refreshes; `None` when there is none.
    pub fn agreed(&self) -> Option<(u32, Side)> {
        self.refresher.map(|refresher| (self.interval_s, refresher))
    }

    fn start(&mut self, interval_s: u32, refresher: Side, now: Now, settings: &Settings) {
        // A peer that names less than RFC 4028 5 allows would have us refresh without end.
        let interval_s = interval_s.clamp(LEAST_S, settings.session_max_s.max(LEAST_S));
        self.interval_s = interval_s;
        self.refresher = Some(refresher);
        // Refresh at half; give up min(32 s, a third) before the end: RFC 4028 10.
        let refresh_at = now.instant + Duration::from_millis(u64::from(interval_s) * 500);
        self.refresh_at = (refresher == Side::Us).then_some(refresh_at);
        self.expires_at = Some(now.instant + Duration::from_secs(u64::from(interval_s - (interval_s / 3).min(32))));
    }

    /// The interval we ask for, seconds: the agreed one, else the configured one, never below what the peer side demands.
    fn wanted_s(&self, settings: &Settings) -> Option<u32> {
        if settings.session_max_s == 0 {
            return None;
        }
        let wanted_s = if self.interval_s > 0 { self.interval_s } else { settings.session_expires_s };
        (wanted_s > 0).then(|| wanted_s.max(settings.least_s()).max(self.least_s))
    }
}

fn refresher_of(message: &View<'_>) -> Option<Refresher> {
    let value = message.header(Name::SessionExpires)?;
    let start = value.iter().position(|&byte| byte == b';')?;
    match sip::params(&value[start + 1..]).get("refresher")? {
        who if who.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
        who if who.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
