//! HTTP as the commands need it: JSON in, JSON out, errors that say what to do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::Failure;

/// A switch's control port or API.
pub struct Client {
    agent: Agent,
    base: String,
    authorization: Option<String>,
    /// What to try when nobody answers.
    hint: String,
}

/// An answer: status, `Location`, and the body as JSON where there is one.
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: Value,
}

/// How the API's certificate is checked.
pub enum Trust<'a> {
    /// By this PEM file.
    File(&'a Path),
    /// Not at all.
    Nothing,
    /// By the file that a solo switch on this machine makes.
    Default,
}

impl Client {
    /// The operator's port, plain HTTP.
    pub fn control(address: &str) -> Client {
        let hint =
            format!("is the switch running, and is its [control] listen = \"{address}\"? Another address: --control");
        Client { agent: agent(None), base: format!("http://{address}"), authorization: None, hint }
    }

    /// The northbound API.
    pub fn api(base: &str, user: &str, trust: &Trust<'_>) -> Result<Client, Failure> {
        let roots = |path: &Path| {
            let pem = std::fs::read(path).map_err(|error| {
                Failure::usage(format!(
                    "cannot read {}: {error}; name the API's certificate with --ca, or say --insecure",
                    path.display()
                ))
            })?;
            let certificate = Certificate::from_pem(&pem)
                .map_err(|error| Failure::usage(format!("{} is no PEM certificate: {error}", path.display())))?;
            Ok::<_, Failure>(RootCerts::Specific(Arc::new(vec![certificate])))
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let tls = match trust {
            Trust::File(path) => tls.root_certs(roots(path)?),
            Trust::Default => tls.root_certs(roots(Path::new(DEFAULT_CA))?),
            Trust::Nothing => tls.disable_verification(true),
        };
        if !user.contains(':') {
            return Err(Failure::usage("--user wants NAME:PASSWORD"));
        }
        Ok(Client {
            agent: agent(Some(tls.build())),
            base: base.trim_end_matches('/').to_owned(),
            authorization: Some(format!("Basic {}", base64(user.as_bytes()))),
            hint: "is the switch running with this [api] listen? Another address: --api".to_owned(),
        })
    }

    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let request =
            request.body(text).map_err(|error| Failure::usage(format!("{}{path} is no URL: {error}", self.base)))?;
        match self.agent.run(request) {
            Ok(response) => answer(response),
            Err(error) => Err(Failure::unreachable(format!("no answer from {}: {error}\n{}", self.base, self.hint))),
        }
    }

    /// The body of a good answer; a refusal becomes a failure with the switch's own words.
    pub fn good(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let answer = self.send(method, path, body)?;
        match answer.status {
            200..=299 => Ok(answer.body),
            _ => Err(Failure::refused(answer.refusal())),
        }
    }
}

impl Answer {
    /// The switch's own words for a refusal.
    pub fn refusal(&self) -> String {
        let message = self.body["message"].as_str().unwrap_or("no reason given");
        match self.status {
            401 => "wrong name or password; give them with --user NAME:PASSWORD".to_owned(),
            status => format!("{message} ({status})"),
        }
    }
}

fn answer(mut response: Response<ureq::Body>) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let location = response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let text = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string();
    let text = text.map_err(|error| Failure::unreachable(format!("the answer broke off: {error}")))?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, location, body })
}

fn agent(tls: Option<TlsConfig>) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .allow_non_standard_methods(true)
        .max_idle_connections(CONNECTIONS_KEPT)
        .max_idle_connections_per_host(CONNECTIONS_KEPT)
        .timeout_global(Some(Duration::from_secs(30)));
    if let Some(tls) = tls {
        config = config.tls_config(tls);
    }
    config.build().new_agent()
}

/// Certificate that a switch with the default data directory makes.
const DEFAULT_CA: &str = "/var/lib/tandem/api-cert.pem";

/// Connections that wait for the next request, count.
const CONNECTIONS_KEPT: usize = 32;

/// Largest answer that is read, bytes.
const BODY_BYTES_MAX: u64 = 256 << 20;

/// Percent-encodes what may not stand in a path or query.
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().enumerate().fold(0u32, |word, (place, byte)| word | u32::from(*byte) << (16 - 8 * place));
        for place in 0..4 {
            match place <= chunk.len() {
                true => text.push(ALPHABET[(word >> (18 - 6 * place)) as usize & 63] as char),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
