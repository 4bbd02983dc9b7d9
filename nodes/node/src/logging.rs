//! Logs: lines for people or JSON, with a level that can be changed while the node runs.

use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{LogFormat, LogSettings};

/// Changes the level of a running log.
#[derive(Clone)]
pub struct LogLevel {
    set: Arc<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

impl LogLevel {
    /// Errors: what is wrong with the filter.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        (self.set)(parse(filter)?)
    }

    /// A log that nobody has started: tests, and programs that bring their own.
    pub fn none() -> LogLevel {
        LogLevel { set: Arc::new(|_| Ok(())) }
    }
}

/// Starts logging to standard error; does nothing when a log has been started in this process before.
pub fn start(settings: &LogSettings) -> Result<LogLevel, String> {
    let (filter, handle) = reload::Layer::<EnvFilter, Registry>::new(parse(&settings.level)?);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match settings.format {
        LogFormat::Human => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry.with(fmt::layer().with_ansi(ansi).with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(layer.with_writer(std::io::stderr)).try_init()
        }
    };
    if started.is_err() {
        return Ok(LogLevel::none());
    }
    Ok(LogLevel { set: Arc::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())) })
}

/// Whether a filter can be read; errors say what is wrong.
pub fn check(filter: &str) -> Result<(), String> {
    parse(filter).map(drop)
}

/// Reads a filter. ractor opens a span for every actor at INFO: it stays quiet unless named.
fn parse(filter: &str) -> Result<EnvFilter, String> {
    let known = filter.split(',').all(|part| {
        let level = part.rsplit('=').next().unwrap_or(part).trim().to_ascii_lowercase();
        ["off", "error", "warn", "info", "debug", "trace"].contains(&level.as_str())
    });
    if !known {
        return Err(format!(
            "\"{filter}\" is no level (error, warn, info, debug, trace) nor a filter like \"info,call=debug\""
        ));
    }
    let quiet = "ractor=warn,hyper=info,rustls=info,hickory_resolver=info,hickory_proto=info";
    EnvFilter::try_new(format!("{quiet},{filter}")).map_err(|error| error.to_string())
}
