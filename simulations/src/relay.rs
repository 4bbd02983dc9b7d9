//! An rtpengine that speaks the NG protocol: sessions, ports, cookies; may be sick (silent) or start again empty.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::bencode::Item;
use crate::phone::Media;

pub struct Relay {
    /// Its address in session descriptions.
    address: String,
    sessions: BTreeMap<Vec<u8>, Session>,
    /// Replies by cookie: a repeated command changes nothing.
    replies: BTreeMap<Vec<u8>, Vec<u8>>,
    next_port: u16,
    pub commands: u64,
    pub sessions_max: usize,
}

#[derive(Default)]
struct Session {
    /// By the two tags, `one>other`.
    sides: BTreeMap<Vec<u8>, Side>,
}

/// Where the voice of `other` goes on its way to `one`.
struct Side {
    /// The port that stands in `other`'s session description.
    port: u16,
    /// Where `one` wants to hear it.
    endpoint: Option<SocketAddr>,
}

/// What the addresses of all relays begin with: they stand in every session description that went through one.
pub const RELAY_ADDRESS: &str = "203.0.113.";

const REPLIES_MAX: usize = 512;

const FIRST_PORT: u16 = 30_000;
const LAST_PORT: u16 = 60_000;

impl Session {
    fn name_of(&self, port: u16) -> Option<&Vec<u8>> {
        self.sides.iter().find(|(_, side)| side.port == port).map(|(name, _)| name)
    }
}

/// `other>one` of `one>other`.
fn turned(name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = name.split(|byte| *byte == b'>').collect();
    parts.reverse();
    parts.join(&b'>')
}

impl Relay {
    pub fn new() -> Relay {
        Relay::at(9)
    }

    /// The relay at this place of the relays' network.
    pub fn at(number: usize) -> Relay {
        let address = format!("{RELAY_ADDRESS}{number}");
        Relay {
            address,
            sessions: BTreeMap::new(),
            replies: BTreeMap::new(),
            next_port: FIRST_PORT,
            commands: 0,
            sessions_max: 0,
        }
    }

    /// Comes back empty, and gives the same ports away again.
    pub fn restart(&mut self) {
        self.sessions.clear();
        self.replies.clear();
        self.next_port = FIRST_PORT;
    }

    /// Where a packet goes that came to a port; one from somebody who is not of the session is dropped (`strict source`).
    pub fn forward(&self, port: u16, source: SocketAddr) -> Option<SocketAddr> {
        let (names, session) = self.sessions.values().find_map(|session| Some((session.name_of(port)?, session)))?;
        let other = session.sides.get(&turned(names))?;
        let is_known = other.endpoint.is_none_or(|endpoint| endpoint == source);
        session.sides[names].endpoint.filter(|_| is_known)
    }

    /// Sessions that were not deleted.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Call-ids of the sessions, for a report.
    pub fn names(&self) -> Vec<String> {
        self.sessions.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// The reply to a datagram; `None` for what is not NG.
    pub fn on_datagram(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let (cookie, document) = (&bytes[..space], &bytes[space + 1..]);
        if let Some(reply) = self.replies.get(cookie) {
            return Some(reply.clone());
        }
        let command = Item::decode(document)?;
        let answer = self.command(&command);
        let mut reply = cookie.to_vec();
        reply.push(b' ');
        answer.encode(&mut reply);
        if self.replies.len() >= REPLIES_MAX {
            self.replies.clear();
        }
        self.replies.insert(cookie.to_vec(), reply.clone());
        Some(reply)
    }

    fn command(&mut self, command: &Item) -> Item {
        let verb = command.get_text("command").unwrap_or_default();
        if verb == b"ping" {
            return Item::table([("result", Item::text("pong"))]);
        }
        self.commands += 1;
        let call_id = command.get_text("call-id").unwrap_or_default().to_vec();
        let from = command.get_text("from-tag").unwrap_or_default().to_vec();
        let to = command.get_text("to-tag").map(<[u8]>::to_vec);
        let branch = command.get_text("via-branch").unwrap_or_default().to_vec();
        match verb {
            b"offer" => {
                // The side that the offer goes to has no tag yet: it is known by its branch.
                let towards = to.unwrap_or(branch);
                self.sessions.entry(call_id.clone()).or_default();
                self.sessions_max = self.sessions_max.max(self.sessions.len());
                self.describe(&call_id, &from, &towards, command)
            }
            b"answer" if !self.sessions.contains_key(&call_id) => unknown(),
            b"answer" => self.describe(&call_id, &to.unwrap_or_default(), &from, command),
            b"delete" => self.delete(&call_id, to.as_deref()),
            b"query" => self.sessions.get(&call_id).map_or_else(unknown, totals),
            _ => Item::table([("result", Item::text("error")), ("error-reason", Item::text("Unrecognized command"))]),
        }
    }

    /// With a to-tag only what that leg has; the session goes with its last leg.
    fn delete(&mut self, call_id: &[u8], tag: Option<&[u8]>) -> Item {
        let Some(session) = self.sessions.get_mut(call_id) else {
            return Item::table([
                ("result", Item::text("ok")),
                ("warning", Item::text("Call-ID not found or tags didn't match")),
            ]);
        };
        let report = totals(session);
        let names = |side: &[u8], tag: &[u8]| side.split(|byte| *byte == b'>').any(|part| part == tag);
        match tag {
            Some(tag) => session.sides.retain(|side, _| !names(side, tag)),
            None => session.sides.clear(),
        }
        if session.sides.is_empty() {
            self.sessions.remove(call_id);
        }
        report
    }

    /// The description with the relay's address and a port of this session.
    fn describe(&mut self, call_id: &[u8], from: &[u8], towards: &[u8], command: &Item) -> Item {
        let mut side = from.to_vec();
        side.push(b'>');
        side.extend_from_slice(towards);
        let Some(session) = self.sessions.get_mut(call_id) else { return unknown() };
        let next = &mut self.next_port;
        let side = session.sides.entry(side).or_insert_with(|| {
            *next = if *next >= LAST_PORT { FIRST_PORT } else { *next + 2 };
            Side { port: *next, endpoint: None }
        });
        let sdp = command.get_text("sdp").unwrap_or_default();
        side.endpoint = Media::of(sdp).map(|media| media.to);
        let port = side.port;
        let mut out = String::new();
        for line in String::from_utf8_lossy(sdp).split("\r\n").filter(|line| !line.is_empty()) {
            let line = match line.get(..2) {
                Some("c=") => format!("c=IN IP4 {}", self.address),
                Some("m=") => {
                    let mut parts: Vec<String> = line.split(' ').map(str::to_owned).collect();
                    if parts.get(1).is_some_and(|port| port != "0") {
                        parts[1] = port.to_string();
                    }
                    parts.join(" ")
                }
                _ => line.to_owned(),
            };
            out.push_str(&line);
            out.push_str("\r\n");
        }
        Item::table([("result", Item::text("ok")), ("sdp", Item::text(out))])
    }
}

impl Default for Relay {
    fn default() -> Relay {
        Relay::new()
    }
}

fn unknown() -> Item {
    Item::table([("result", Item::text("error")), ("error-reason", Item::text("Unknown call-id"))])
}

fn totals(session: &Session) -> Item {
    let tags = session
        .sides
        .iter()
        .map(|(names, side)| {
            let tag = names.split(|byte| *byte == b'>').next().unwrap_or_default().to_vec();
            let stats = Item::table([
                ("packets", Item::Number(50)),
                ("bytes", Item::Number(8_600)),
                ("errors", Item::Number(0)),
            ]);
            let stream = Item::table([
                ("local port", Item::Number(i64::from(side.port))),
                ("flags", Item::List(vec![Item::text("RTP")])),
                ("stats", stats),
            ]);
            let media = Item::table([("streams", Item::List(vec![stream]))]);
            (tag, Item::table([("medias", Item::List(vec![media]))]))
        })
        .collect();
    Item::table([("result", Item::text("ok")), ("tags", Item::Table(tags))])
}
