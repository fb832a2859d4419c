//! The standard environment variables.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;

use super::{Header, Secret, Settings, SignalSettings, list};
use crate::error::TelemetryError;
use crate::profile::{ContentCapture, EmissionProfile};

/// Reads the settings through `lookup`, which answers with a variable's value.
///
/// An empty value counts as unset. A value that cannot be used is an error that names the
/// variable, so that a typing mistake does not silently cost the telemetry.
pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Settings, TelemetryError> {
    let env = Env(&|name: &str| {
        let value = lookup(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    });
    let mut settings = Settings {
        disabled: env
            .text("OTEL_SDK_DISABLED")
            .is_some_and(|value| value.eq_ignore_ascii_case("true")),
        service_name: env.text("OTEL_SERVICE_NAME"),
        ..Settings::default()
    };
    if settings.disabled {
        // Nothing else matters, so nothing else can be wrong.
        return Ok(settings);
    }
    settings.resource = env.pairs("OTEL_RESOURCE_ATTRIBUTES")?.unwrap_or_default();
    read_export(&env, &mut settings)?;
    read_sampling_and_batches(&env, &mut settings)?;
    if let Some(list) = env.text("OTEL_SEMCONV_STABILITY_OPT_IN") {
        settings.profile = EmissionProfile::from_opt_in(&list);
    }
    let capture = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    if let Some(value) = env.text(capture) {
        settings.content = ContentCapture::parse(&value).ok_or_else(|| {
            TelemetryError::setting(format!(
                "{capture} takes NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT"
            ))
        })?;
    }
    Ok(settings)
}

fn read_export(env: &Env<'_>, settings: &mut Settings) -> Result<(), TelemetryError> {
    for name in [
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    ] {
        if env.text(name).is_some_and(|value| value != "http/protobuf") {
            return Err(TelemetryError::setting(format!(
                "{name} takes only http/protobuf"
            )));
        }
    }
    settings.endpoint = env.text("OTEL_EXPORTER_OTLP_ENDPOINT").map(Secret);
    settings.headers = env
        .headers("OTEL_EXPORTER_OTLP_HEADERS")?
        .unwrap_or_default();
    if let Some(timeout) = env.millis("OTEL_EXPORTER_OTLP_TIMEOUT")? {
        settings.timeout = timeout;
    }
    settings.traces = SignalSettings {
        otlp: None,
        endpoint: env.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(Secret),
        headers: env.headers("OTEL_EXPORTER_OTLP_TRACES_HEADERS")?,
        timeout: env.millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")?,
    };
    settings.metrics = SignalSettings {
        otlp: None,
        endpoint: env.text("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT").map(Secret),
        headers: env.headers("OTEL_EXPORTER_OTLP_METRICS_HEADERS")?,
        timeout: env.millis("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT")?,
    };
    settings.logs = SignalSettings {
        otlp: None,
        endpoint: env.text("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT").map(Secret),
        headers: env.headers("OTEL_EXPORTER_OTLP_LOGS_HEADERS")?,
        timeout: env.millis("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT")?,
    };
    if let Some(chosen) = env.choice("OTEL_TRACES_EXPORTER", &["otlp", "none"])? {
        settings.traces.otlp = Some(chosen.contains(&"otlp"));
    }
    if let Some(chosen) = env.choice("OTEL_LOGS_EXPORTER", &["otlp", "none"])? {
        settings.logs.otlp = Some(chosen.contains(&"otlp"));
    }
    let exporters = ["otlp", "prometheus", "none"];
    if let Some(chosen) = env.choice("OTEL_METRICS_EXPORTER", &exporters)? {
        settings.metrics.otlp = Some(chosen.contains(&"otlp"));
        settings.prometheus = chosen.contains(&"prometheus");
    }
    if let Some(port) = env.parsed("OTEL_EXPORTER_PROMETHEUS_PORT", "a port number")? {
        settings.prometheus_address.set_port(port);
    }
    let host = "OTEL_EXPORTER_PROMETHEUS_HOST";
    if env.text(host).is_some_and(|value| value != "localhost")
        && let Some(ip) = env.parsed::<IpAddr>(host, "localhost or an IP address")?
    {
        settings.prometheus_address = SocketAddr::new(ip, settings.prometheus_address.port());
    }
    Ok(())
}

fn read_sampling_and_batches(env: &Env<'_>, settings: &mut Settings) -> Result<(), TelemetryError> {
    if let Some(name) = env.text("OTEL_TRACES_SAMPLER") {
        let ratio = env
            .parsed::<f64>("OTEL_TRACES_SAMPLER_ARG", "a ratio from 0 to 1")?
            .unwrap_or(1.0);
        settings.sampler = sampler(&name, ratio)?;
    }
    let count = "a number above zero";
    if let Some(queue) = env.parsed::<NonZeroUsize>("OTEL_BSP_MAX_QUEUE_SIZE", count)? {
        settings.batch.queue = queue.get();
    }
    if let Some(batch) = env.parsed::<NonZeroUsize>("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", count)? {
        settings.batch.batch = batch.get();
        settings.batch.largest = batch.get();
    }
    if let Some(delay) = env.millis("OTEL_BSP_SCHEDULE_DELAY")? {
        settings.batch.delay = delay;
    }
    if let Some(limit) = env.millis("OTEL_BSP_EXPORT_TIMEOUT")? {
        let own = settings.traces.timeout.unwrap_or(settings.timeout);
        settings.traces.timeout = Some(own.min(limit));
    }
    if let Some(interval) = env.millis("OTEL_METRIC_EXPORT_INTERVAL")? {
        settings.metric_interval = interval;
    }
    Ok(())
}

fn sampler(name: &str, ratio: f64) -> Result<Sampler, TelemetryError> {
    if !(0.0..=1.0).contains(&ratio) {
        return Err(TelemetryError::setting(
            "OTEL_TRACES_SAMPLER_ARG takes a ratio from 0 to 1",
        ));
    }
    let root = match name.strip_prefix("parentbased_").unwrap_or(name) {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio),
        _ => {
            return Err(TelemetryError::setting(
                "OTEL_TRACES_SAMPLER takes always_on, always_off or traceidratio, \
                 each also after parentbased_",
            ));
        }
    };
    if name.starts_with("parentbased_") {
        Ok(Sampler::ParentBased(Box::new(root)))
    } else {
        Ok(root)
    }
}

struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        takes: &str,
    ) -> Result<Option<T>, TelemetryError> {
        self.text(name)
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| TelemetryError::setting(format!("{name} takes {takes}")))
            })
            .transpose()
    }

    /// A duration in whole milliseconds, at least one.
    fn millis(&self, name: &str) -> Result<Option<Duration>, TelemetryError> {
        let millis = self.parsed::<std::num::NonZeroU32>(name, "milliseconds above zero")?;
        Ok(millis.map(|millis| Duration::from_millis(millis.get().into())))
    }

    fn pairs(&self, name: &str) -> Result<Option<Vec<(String, String)>>, TelemetryError> {
        self.text(name)
            .map(|value| {
                list::pairs(&value).map_err(|position| {
                    TelemetryError::setting(format!("{name} takes name=value, entry {position}"))
                })
            })
            .transpose()
    }

    fn headers(&self, name: &str) -> Result<Option<Vec<Header>>, TelemetryError> {
        let Some(pairs) = self.pairs(name)? else {
            return Ok(None);
        };
        let mut headers = Vec::with_capacity(pairs.len());
        for (position, (key, value)) in pairs.iter().enumerate() {
            headers.push(Header::new(key, value).ok_or_else(|| {
                TelemetryError::setting(format!("{name} is no HTTP header, entry {}", position + 1))
            })?);
        }
        Ok(Some(headers))
    }

    /// A comma-separated list out of `allowed`.
    fn choice<'c>(
        &self,
        name: &str,
        allowed: &[&'c str],
    ) -> Result<Option<Vec<&'c str>>, TelemetryError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        value
            .split(',')
            .map(|item| {
                let known = allowed.iter().find(|known| **known == item.trim());
                known.copied().ok_or_else(|| {
                    TelemetryError::setting(format!("{name} takes {}", allowed.join(", ")))
                })
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }
}
