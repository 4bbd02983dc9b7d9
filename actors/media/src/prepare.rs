//! A description on its way to the relay: judged, printed anew, with the flags that go with it.

use bytes::Bytes;
use fabric::letters::media::MediaProfile;
use sdp::safety::{judge, strip_candidates};
use sdp::{Network, Rules, Session, Verdict};

use crate::settings::Settings;

/// A description that may go to the relay.
#[derive(Debug, Default)]
pub struct Prepared {
    pub sdp: Bytes,
    pub lines: u8,
    pub flags: Vec<String>,
    pub replace: Vec<String>,
    pub keys: Vec<(String, String)>,
}

/// Judges a description and makes rtpengine's flags.
///
/// Errors: what is wrong with it, for people; the call answers 488.
pub fn prepare(
    sdp: &[u8],
    from: &MediaProfile,
    to: &MediaProfile,
    answer: bool,
    settings: &Settings,
) -> Result<Prepared, String> {
    let mut session = Session::parse(sdp).map_err(|error| error.to_string())?;
    let believed: Vec<Network> = settings.internal_networks.iter().map(|network| network.0).collect();
    let rules = Rules { believed: &believed, source: from.source };
    let own_source = match judge(&session, &rules) {
        Verdict::Safe => from.nat,
        Verdict::Internal(_) if from.source.is_some() => true,
        Verdict::Internal(address) => return Err(format!("internal address {address}")),
        Verdict::Forbidden(danger) => return Err(danger.to_string()),
    };
    if from.web {
        strip_candidates(&mut session, &rules);
    } else {
        session.strip_ice();
    }
    let mut flags = vec!["endpoint-learning-heuristic".to_owned()];
    if settings.strict_source {
        flags.push("strict-source".to_owned());
    }
    let mut keys = Vec::new();
    let mut key = |name: &str, value: String| keys.push((name.to_owned(), value));
    if own_source && let Some(source) = from.source.map(|source| source.to_canonical()) {
        flags.push("SIP-source-address".to_owned());
        key("received from", format!("{} {source}", if source.is_ipv4() { "IP4" } else { "IP6" }));
    }
    match to.family {
        4 => key("address family", "IP4".to_owned()),
        6 => key("address family", "IP6".to_owned()),
        _ => {}
    }
    for (name, value) in transport(from.web, to.web, answer) {
        key(name, (*value).to_owned());
    }
    Ok(Prepared {
        lines: session.media.len() as u8,
        sdp: Bytes::from(session.to_bytes()),
        flags,
        replace: ["origin", "session-connection"].map(str::to_owned).to_vec(),
        keys,
    })
}

/// What a description needs for a leg that is, or is not, a WebSocket client; an answer follows what was offered.
fn transport(from_web: bool, to_web: bool, answer: bool) -> &'static [(&'static str, &'static str)] {
    match (from_web, to_web, answer) {
        (_, false, true) => &[("ICE", "remove")],
        (_, true, true) => &[],
        (false, false, false) => &[("ICE", "remove")],
        (true, false, false) => &[("ICE", "remove"), ("transport-protocol", "RTP/AVP"), ("rtcp-mux", "demux")],
        (false, true, false) => {
            &[("ICE", "force"), ("transport-protocol", "UDP/TLS/RTP/SAVPF"), ("rtcp-mux", "require")]
        }
        (true, true, false) => &[("ICE", "force")],
    }
}

#[cfg(test)]
mod tests;
