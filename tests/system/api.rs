//! The northbound API as curl sees it.

use std::process::Command;

use serde_json::Value;

use crate::switch::Switch;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and header fields.
    pub head: String,
    /// The body as JSON; null when it is empty or no JSON.
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// First value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Entities of a page.
    pub fn embedded(&self, resource: &str) -> &[Value] {
        self.body["_embedded"][format!("ngcp:{resource}")].as_array().map_or(&[], Vec::as_slice)
    }
}

impl Switch {
    pub fn get(&self, path: &str) -> Answer {
        self.api_request("GET", path, "", &[])
    }

    /// POST that wants the entity back.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.api_request("POST", path, body, &["Content-Type: application/json", "Prefer: return=representation"])
    }

    /// Any request of the administrator.
    pub fn api_request(&self, method: &str, path: &str, body: &str, headers: &[&str]) -> Answer {
        let user = ["-u", "admin:secret"];
        curl(&format!("https://{}/api/{path}", self.api), &[&user[..], &["-X", method]].concat(), body, headers)
    }

    /// Machines that the switch has lost by a panic, out of its metrics.
    pub fn panics(&self) -> u64 {
        self.metric("tandem_panics_total").expect("a counter that is always there")
    }

    /// Machines of a kind that are alive.
    pub fn machines(&self, kind: &str) -> u64 {
        self.metric(&format!("tandem_machines{{kind=\"{kind}\"}}")).unwrap_or(0)
    }

    /// A number out of the Prometheus metrics; labels are part of the name.
    fn metric(&self, name: &str) -> Option<u64> {
        let metrics = curl(&format!("http://{}/metrics", self.control), &[], "", &[]);
        assert_eq!(metrics.status, 200, "{}", metrics.text);
        let number = metrics.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        number.trim().parse::<f64>().ok().map(|number| number as u64)
    }
}

/// One request by curl, without certificate checks: the switch made its certificate itself.
pub fn curl(url: &str, arguments: &[&str], body: &str, headers: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.args(["-s", "-k", "-i", "--max-time", "20"]).args(arguments);
    for header in headers {
        command.args(["-H", header]);
    }
    if !body.is_empty() {
        command.args(["--data-binary", body]);
    }
    let output = command.arg(url).output().expect("curl runs");
    assert!(output.status.success(), "curl {url}: {:?}", output.status);
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    let body = serde_json::from_str(text).unwrap_or(Value::Null);
    Answer { status, head: head.to_owned(), body, text: text.to_owned() }
}
