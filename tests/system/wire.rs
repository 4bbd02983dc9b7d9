//! What SIPp wrote down of the wire.

use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WireMessage {
    pub sent: bool,
    pub text: String,
}

/// Reads SIPp's message log (`-trace_msg`); empty while there is none.
pub fn read(log: &Path) -> Vec<WireMessage> {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let blocks = text.split("-----------------------------------------------").skip(1);
    blocks.filter_map(parse_block).collect()
}

fn parse_block(block: &str) -> Option<WireMessage> {
    let (head, text) = block.split_once("\n\n")?;
    let sent = head.contains("message sent");
    (sent || head.contains("message received"))
        .then(|| WireMessage { sent, text: text.trim_start_matches('\n').to_owned() })
}

/// The messages as lines, for people who look for what went wrong.
pub fn ladder(messages: &[WireMessage]) -> String {
    messages.iter().map(|message| format!("{} {}\n", if message.sent { ">" } else { "<" }, message.gist())).collect()
}

impl WireMessage {
    /// `INVITE` for a request, `180 INVITE` for a response to one.
    pub fn gist(&self) -> String {
        let first = self.text.lines().next().unwrap_or_default();
        match first.strip_prefix("SIP/2.0 ") {
            Some(rest) => {
                let method = self.header("CSeq").and_then(|cseq| cseq.split_whitespace().nth(1)).unwrap_or("?");
                format!("{} {method}", rest.split(' ').next().unwrap_or("?"))
            }
            None => first.split(' ').next().unwrap_or("?").to_owned(),
        }
    }

    /// First value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or(&self.text);
        head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// As many bytes as Content-Length says: SIPp's log adds empty lines.
    pub fn body(&self) -> &str {
        let body = self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let length = self.header("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(body.len());
        body.get(..length).unwrap_or(body)
    }

    /// The address of the first `c=` line and the port of the first `m=` line.
    pub fn media(&self) -> Option<(String, u16)> {
        let line = |start: &str| self.body().lines().find(|line| line.starts_with(start)).map(str::to_owned);
        let address = line("c=IN IP4 ")?["c=IN IP4 ".len()..].trim().to_owned();
        let port = line("m=")?.split(' ').nth(1)?.parse().ok()?;
        Some((address, port))
    }
}
