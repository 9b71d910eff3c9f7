//! Traces for OpenTelemetry: how long the steps take between a tap and the screen that it brings.
//!
//! Spans of the target [`TARGET`] leave the process by OTLP over HTTP, if it is configured; without it they are not
//! even made. A trace begins with a request to the gateway, goes on with the ticket that it was answered with, and
//! ends with the first whole screen on the link that showed the ticket. No span says who somebody is or what they see.

mod context;
mod export;

pub use context::{continues, here};

use crate::outbound::is_safe;
use export::Collector;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

/// The target of every span that is meant for a collector.
pub const TARGET: &str = "chevet::trace";
/// A stopping program waits this long for its last spans to leave.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Where traces go.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The collector's address; `/v1/traces` is added to one without a path.
    pub otlp: Url,
    /// The authority of its certificate, in PEM; without it the public ones.
    pub ca: Option<PathBuf>,
    /// How many traces of a hundred are sent.
    #[serde(default = "all")]
    pub percent: f64,
}

fn all() -> f64 {
    100.0
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("[telemetry] otlp: {0} is neither https nor on this machine; traces would be read on the way")]
    Unsafe(Url),
    #[error("[telemetry] percent: {0} is not between 0 and 100")]
    Percent(f64),
    #[error("[telemetry] ca: {0}")]
    Authority(String),
    #[error("[telemetry]: no traces can be sent to {url}: {reason}")]
    Exporter { url: Url, reason: String },
}

impl Config {
    pub fn check(&self) -> Result<(), TelemetryError> {
        if !is_safe(&self.otlp) {
            return Err(TelemetryError::Unsafe(self.otlp.clone()));
        }
        match (0.0..=100.0).contains(&self.percent) {
            true => Ok(()),
            false => Err(TelemetryError::Percent(self.percent)),
        }
    }

    fn endpoint(&self) -> Url {
        let mut url = self.otlp.clone();
        if url.path() == "/" {
            url.set_path("/v1/traces");
        }
        url
    }
}

/// Traces on their way to a collector. What waits is sent when it is dropped.
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// Begins to send; `runtime` is where the requests are made. A collector that is away costs spans and nothing else.
    pub fn start(config: &Config, runtime: tokio::runtime::Handle) -> Result<Telemetry, TelemetryError> {
        config.check()?;
        let url = config.endpoint();
        let collector = Collector::new(url.clone(), config.ca.as_deref(), runtime);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector.map_err(TelemetryError::Authority)?)
            .with_endpoint(url.as_str())
            .build();
        let failed = |reason: String| TelemetryError::Exporter { url: url.clone(), reason };
        let exporter = exporter.map_err(|error| failed(error.to_string()))?;
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", "chevet"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("host.name", machine))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            // By the trace's number alone: a client cannot have its own traces kept by saying so.
            .with_sampler(Sampler::TraceIdRatioBased(config.percent / 100.0))
            .with_batch_exporter(exporter)
            .build();
        Ok(Telemetry { provider })
    }

    /// The layer that turns spans into those of a trace.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("chevet"))
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // Whether the collector took them, its log says.
        let _ = self.provider.shutdown_with_timeout(LAST_SPANS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn traces_go_to_the_collectors_usual_path_unless_another_is_named() {
        let usual = config("otlp = 'http://127.0.0.1:4318'");
        assert_eq!(usual.endpoint().as_str(), "http://127.0.0.1:4318/v1/traces");
        let named = config("otlp = 'https://apm.example/intake/v1'");
        assert_eq!(named.endpoint().as_str(), "https://apm.example/intake/v1");
    }

    #[test]
    fn traces_are_not_sent_where_others_could_read_them() {
        assert!(config("otlp = 'http://apm.example'").check().unwrap_err().to_string().contains("https"));
        assert!(config("otlp = 'https://apm.example'").check().is_ok());
        let wrong = config("otlp = 'https://apm.example'\npercent = 101").check();
        assert!(wrong.unwrap_err().to_string().contains("101"));
    }
}
