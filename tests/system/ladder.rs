//! Ladders: a phone's side of a call in a few lines, turned into a SIPp scenario.
//!
//! ```text
//! > INVITE sdp              send; `sdp`, `sdp:sendonly`, `sdp:inactive` add a body (`port=14000` with that media port),
//!                           `auth` the credentials asked for
//! < 407 auth                expect; `?` behind the number makes it optional
//! > ACK
//! < 200 INVITE | ~ m=audio  expect, and the message must match the expression
//! wait 500                  milliseconds
//! > BYE | Reason: bored     send with one more header field
//! > 180 INVITE              respond to the last (or the named) request
//! > REGISTER q=0.5          Contact with that preference; `contact=` and `via=` put another address there, `star` is `*`
//! ```
//! Dialogue state is kept here: CSeq, the peer's tag and Contact, and what a response must copy.

use std::fmt::Write;

use crate::stage::Phone;

const LOCAL_TAG: &str = "[pid]SIPpTag01[call_number]";

struct Writer<'a> {
    xml: String,
    phone: &'a Phone,
    called: &'a str,
    domain: &'a str,
    /// CSeq of the last request that took a new one.
    cseq: u32,
    invite_cseq: u32,
    /// Steps written so far, and the step of the last INVITE: SIPp counts branches backwards from the present step.
    steps: u32,
    invite_step: u32,
    /// This side sent the first INVITE.
    is_caller: bool,
    /// A dialogue exists: requests go to the peer's Contact with its tag.
    confirmed: bool,
    last_request: String,
    checks: u32,
}

/// A SIPp scenario that plays `ladder` as `phone` against the switch.
pub fn to_sipp(ladder: &str, phone: &Phone, called: &str, domain: &str) -> String {
    let first = ladder.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut writer = Writer {
        xml: String::from("<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<scenario name=\"ladder\">\n"),
        phone,
        called,
        domain,
        cseq: 0,
        invite_cseq: 0,
        steps: 0,
        invite_step: 0,
        is_caller: first.starts_with('>'),
        confirmed: false,
        last_request: String::new(),
        checks: 0,
    };
    for line in ladder.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        writer.step(line);
    }
    writer.finish()
}

impl Writer<'_> {
    fn step(&mut self, line: &str) {
        let (main, extra) = line.split_once('|').map_or((line, ""), |(main, extra)| (main.trim(), extra.trim()));
        let words: Vec<&str> = main.split_whitespace().collect();
        match words.as_slice() {
            ["wait", ms] => writeln!(self.xml, "<pause milliseconds=\"{ms}\"/>").expect("a string"),
            [">", what, options @ ..] if what.starts_with(|c: char| c.is_ascii_digit()) => {
                self.respond(what, options, extra)
            }
            [">", method, options @ ..] => self.request(method, options, extra),
            ["<", what, options @ ..] => self.expect(what, options, extra),
            _ => panic!("not a line of a ladder: {line}"),
        }
        self.steps += 1;
    }

    fn request(&mut self, method: &str, options: &[&str], extra: &str) {
        let in_dialog = self.confirmed || !self.is_caller;
        let cseq = match method {
            "ACK" | "CANCEL" => self.invite_cseq,
            _ => self.cseq + 1,
        };
        self.cseq = self.cseq.max(cseq);
        if method == "INVITE" {
            (self.invite_cseq, self.invite_step) = (cseq, self.steps);
        }
        let early = options.contains(&"early"); // in the early dialogue: PRACK, UPDATE
        let peer = match (method, self.called.contains('@')) {
            ("REGISTER", _) => format!("sip:{}@{}", self.phone.user, self.domain),
            (_, true) => format!("sip:{}", self.called),
            (_, false) => format!("sip:{}@{}", self.called, self.domain),
        };
        let uri = match (method, in_dialog || early) {
            ("REGISTER", _) => format!("sip:{}", self.domain),
            ("OPTIONS", _) if options.contains(&"server") => format!("sip:{}", self.domain),
            (_, true) => "[next_url]".to_owned(),
            (_, false) => peer.clone(),
        };
        let me = format!("<sip:{}@{}>;tag={LOCAL_TAG}", self.phone.user, self.domain);
        let (from, to) = if self.is_caller {
            let tagged = in_dialog || early || (method == "ACK" && !self.confirmed);
            (me, format!("<{peer}>{}", if tagged { "[peer_tag_param]" } else { "" }))
        } else {
            (format!("[$local];tag={LOCAL_TAG}"), "[$remote]".to_owned())
        };
        // RFC 3261 9.1 and 17.1.1.3: CANCEL and the ACK of a refusal are of the INVITE's transaction.
        let of_invite = method == "CANCEL" || (method == "ACK" && self.last_request != "200");
        let branch =
            if of_invite { format!("[branch-{}]", self.steps - self.invite_step) } else { "[branch]".to_owned() };
        let via = self.option(options, "via").map_or("[local_ip]:[local_port]".to_owned(), str::to_owned);
        let contact = self.option(options, "contact").map_or("[local_ip]:[local_port]".to_owned(), str::to_owned);
        let mut message = format!(
            "{method} {uri} SIP/2.0\nVia: SIP/2.0/[transport] {via};rport;branch={branch}\nMax-Forwards: 70\nFrom: {from}\nTo: {to}\n\
             Call-ID: [call_id]\nCSeq: {cseq} {method}\n"
        );
        if !matches!(method, "CANCEL" | "BYE" | "ACK" | "PRACK") {
            let q = self.option(options, "q").map(|q| format!(";q={q}")).unwrap_or_default();
            let contact = if options.contains(&"star") {
                "*".to_owned()
            } else {
                format!("<sip:{}@{contact};transport=[transport]>{q}", self.phone.user)
            };
            let _ = writeln!(message, "Contact: {contact}");
        }
        if method == "PRACK" {
            let _ = writeln!(message, "RAck:[$rseq] {} INVITE", self.invite_cseq);
        }
        if options.contains(&"auth") {
            let _ = writeln!(message, "[authentication username={} password={}]", self.phone.user, self.phone.password);
        }
        if !extra.is_empty() {
            let _ = writeln!(message, "{}", extra.replace(" ;; ", "\n"));
        }
        self.send(&message, options, !matches!(method, "ACK"));
        if method == "ACK" && self.is_caller && self.last_request == "200" {
            self.confirmed = true;
        }
    }

    fn respond(&mut self, status: &str, options: &[&str], extra: &str) {
        let to_invite = options.contains(&"INVITE")
            || (self.last_request == "INVITE"
                && !options.iter().any(|word| word.chars().all(|c| c.is_ascii_uppercase())));
        let reason = match status {
            "100" => "Trying",
            "180" => "Ringing",
            "183" => "Session Progress",
            "200" => "OK",
            "486" => "Busy Here",
            "487" => "Request Terminated",
            "603" => "Decline",
            "491" => "Request Pending",
            _ => "Whatever",
        };
        let tag = format!(";tag={LOCAL_TAG}");
        let mut message = format!("SIP/2.0 {status} {reason}\n");
        if to_invite {
            let to = if self.confirmed { "[$to]".to_owned() } else { format!("[$to]{tag}") };
            let _ = write!(message, "Via:[$via]\nFrom:[$from]\nTo:{to}\n[last_Call-ID:]\nCSeq:[$cseq]\n");
        } else {
            let tag = if self.confirmed || self.last_request != "CANCEL" { "" } else { &tag };
            let _ = write!(message, "[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n");
        }
        let _ = writeln!(message, "Contact: <sip:{}@[local_ip]:[local_port];transport=[transport]>", self.phone.user);
        if !extra.is_empty() {
            let _ = writeln!(message, "{}", extra.replace(" ;; ", "\n"));
        }
        self.send(&message, options, to_invite && status.starts_with('2'));
    }

    fn expect(&mut self, what: &str, options: &[&str], extra: &str) {
        let optional = what.ends_with('?');
        let what = what.trim_end_matches('?');
        let attributes = if optional { " optional=\"true\"" } else { "" };
        let mut actions = String::new();
        if what.starts_with(|c: char| c.is_ascii_digit()) {
            let auth = if matches!(what, "401" | "407") && options.contains(&"auth") { " auth=\"true\"" } else { "" };
            let rrs = if matches!(what, "200" | "180" | "183") { " rrs=\"true\"" } else { "" };
            if options.contains(&"rseq") {
                actions.push_str("<ereg regexp=\" [0-9]+\" search_in=\"hdr\" header=\"RSeq:\" check_it=\"true\" assign_to=\"rseq\"/>\n");
            }
            self.check(extra, &mut actions);
            self.open("recv", &format!("response=\"{what}\"{attributes}{auth}{rrs}"), &actions);
            if what == "200" && !self.is_caller {
                self.confirmed = true;
            }
            if !optional {
                what.clone_into(&mut self.last_request);
            }
            return;
        }
        let first = what == "INVITE" && !self.is_caller && !self.confirmed;
        if what == "INVITE" {
            for (header, variable) in [("Via:", "via"), ("From:", "from"), ("To:", "to"), ("CSeq:", "cseq")] {
                let _ = writeln!(
                    actions,
                    "<ereg regexp=\".*\" search_in=\"hdr\" header=\"{header}\" check_it=\"true\" assign_to=\"{variable}\"/>"
                );
            }
            if first {
                let _ = writeln!(
                    actions,
                    "<ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" check_it=\"true\" assign_to=\"remote\"/>"
                );
                let _ = writeln!(
                    actions,
                    "<ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" check_it=\"true\" assign_to=\"local\"/>"
                );
            }
        }
        if what == "ACK" && !self.is_caller && self.last_request == "INVITE" {
            self.confirmed = true;
        }
        self.check(extra, &mut actions);
        self.open(
            "recv",
            &format!("request=\"{what}\"{attributes}{}", if first { " rrs=\"true\"" } else { "" }),
            &actions,
        );
        if !optional && what != "ACK" {
            what.clone_into(&mut self.last_request);
        }
    }

    fn check(&mut self, extra: &str, actions: &mut String) {
        for expression in extra.split(" ;; ").filter_map(|part| part.trim().strip_prefix('~')) {
            self.checks += 1;
            let expression = escape(expression.trim());
            let _ = writeln!(
                actions,
                "<ereg regexp=\"{expression}\" search_in=\"msg\" check_it=\"true\" assign_to=\"check{}\"/>",
                self.checks
            );
        }
    }

    fn open(&mut self, element: &str, attributes: &str, actions: &str) {
        if actions.is_empty() {
            writeln!(self.xml, "<{element} {attributes}/>").expect("a string");
        } else {
            writeln!(self.xml, "<{element} {attributes}>\n<action>\n{actions}</action>\n</{element}>")
                .expect("a string");
        }
    }

    fn send(&mut self, message: &str, options: &[&str], repeat: bool) {
        let sdp = options.iter().find_map(|word| match *word {
            "sdp" => Some("sendrecv"),
            _ => word.strip_prefix("sdp:"),
        });
        let mut message = message.to_owned();
        match sdp {
            Some(direction) => {
                let port = self.option(options, "port").unwrap_or("[media_port]");
                let _ = write!(
                    message,
                    "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=phone 5{n} {n} IN IP[local_ip_type] [local_ip]\ns=-\n\
                     c=IN IP[media_ip_type] [media_ip]\nt=0 0\nm=audio {port} RTP/AVP 8 0 101\na=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\n\
                     a=rtpmap:101 telephone-event/8000\na={direction}\n",
                    n = self.cseq + 1
                );
            }
            None => message.push_str("Content-Length: 0\n\n"),
        }
        let retrans = if repeat { " retrans=\"500\"" } else { "" };
        writeln!(self.xml, "<send{retrans}><![CDATA[\n\n{message}\n]]></send>").expect("a string");
    }

    fn option<'o>(&self, options: &[&'o str], name: &str) -> Option<&'o str> {
        options.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn finish(mut self) -> String {
        let mut variables: Vec<String> = (1..=self.checks).map(|n| format!("check{n}")).collect();
        for name in ["via", "from", "to", "cseq", "remote", "local", "rseq"] {
            if self.xml.contains(&format!("assign_to=\"{name}\"")) {
                variables.push(name.to_owned());
            }
        }
        if !variables.is_empty() {
            let _ = writeln!(self.xml, "<Reference variables=\"{}\"/>", variables.join(","));
        }
        self.xml.push_str("</scenario>\n");
        self.xml
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
