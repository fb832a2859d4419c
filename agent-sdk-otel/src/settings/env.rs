//! The standard environment variables.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;

use super::{Address, Header, Settings, SignalSettings, list, span_limits};
use crate::content::{ContentFiles, FileFormat};
use crate::error::TelemetryError;
use crate::live::LiveSettings;
use crate::logs::LogSettings;
use crate::otlp::{Compression, PemFile, Protocol, Trust};
use crate::pipeline::WhenFull;
use crate::profile::{ContentCapture, EmissionProfile};
use crate::propagation::{PROPAGATORS, PropagationSettings};
use crate::sampling::TailSampling;

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
    settings.live = LiveSettings::read(|name| env.text(name))?;
    settings.tail = env.tail("AGENT_SDK_OTEL_TAIL")?;
    let chosen = env.choice("OTEL_PROPAGATORS", PROPAGATORS)?;
    settings.propagation = PropagationSettings::read(|name| env.text(name), chosen.as_deref())?;
    span_limits::read(&env, &mut settings.limits)?;
    read_export(&env, &mut settings)?;
    read_sampling_and_batches(&env, &mut settings)?;
    settings.logging = LogSettings::read(|name| env.text(name))?;
    if let Some(list) = env.text("OTEL_SEMCONV_STABILITY_OPT_IN") {
        settings.profile = EmissionProfile::from_opt_in(&list);
    }
    read_content(&env, &mut settings)?;
    // An address that cannot be used is found here, as every other value is.
    settings.sends()?;
    Ok(settings)
}

fn read_content(env: &Env<'_>, settings: &mut Settings) -> Result<(), TelemetryError> {
    let capture = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    if let Some(value) = env.text(capture) {
        settings.content = ContentCapture::parse(&value).ok_or_else(|| {
            TelemetryError::setting(format!(
                "{capture} takes NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT"
            ))
        })?;
    }
    let hook = env.choice(
        "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK",
        &["upload", "none"],
    )?;
    if !hook.is_some_and(|hook| hook.contains(&"upload")) {
        return Ok(());
    }
    let path = "OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH";
    let directory = env
        .text(path)
        .map(|path| match path.strip_prefix("file://") {
            Some(path) => path.to_owned(),
            None => path,
        });
    let directory = directory
        .filter(|path| !path.contains("://"))
        .ok_or_else(|| {
            TelemetryError::setting(format!("{path} takes a directory on this machine"))
        })?;
    let mut files = ContentFiles::new(directory);
    let format = "OTEL_INSTRUMENTATION_GENAI_UPLOAD_FORMAT";
    files = match env.choice(format, &["json", "jsonl"])?.as_deref() {
        Some(["jsonl"]) => files.format(FileFormat::JsonLines),
        _ => files,
    };
    let queue = "OTEL_INSTRUMENTATION_GENAI_UPLOAD_MAX_QUEUE_SIZE";
    if let Some(queue) = env.parsed::<NonZeroUsize>(queue, "a number above zero")? {
        files = files.queue(queue);
    }
    settings.capture.files = Some(files);
    Ok(())
}

fn read_export(env: &Env<'_>, settings: &mut Settings) -> Result<(), TelemetryError> {
    settings.endpoint = env.address("OTEL_EXPORTER_OTLP_ENDPOINT");
    settings.headers = env
        .headers("OTEL_EXPORTER_OTLP_HEADERS")?
        .unwrap_or_default();
    if let Some(timeout) = env.millis("OTEL_EXPORTER_OTLP_TIMEOUT")? {
        settings.timeout = timeout;
    }
    let compression = env.compression("OTEL_EXPORTER_OTLP_COMPRESSION")?;
    settings.compression = compression.unwrap_or_default();
    let protocol = env.protocol("OTEL_EXPORTER_OTLP_PROTOCOL")?;
    settings.protocol = protocol.unwrap_or_default();
    settings.trust = env.trust("OTEL_EXPORTER_OTLP_");
    settings.traces = read_signal(env, "TRACES")?;
    settings.metrics = read_signal(env, "METRICS")?;
    settings.logs = read_signal(env, "LOGS")?;
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

/// What a signal has of its own.
fn read_signal(env: &Env<'_>, signal: &str) -> Result<SignalSettings, TelemetryError> {
    let name = |what: &str| format!("OTEL_EXPORTER_OTLP_{signal}_{what}");
    Ok(SignalSettings {
        otlp: None,
        endpoint: env.address(&name("ENDPOINT")),
        headers: env.headers(&name("HEADERS"))?,
        timeout: env.millis(&name("TIMEOUT"))?,
        compression: env.compression(&name("COMPRESSION"))?,
        protocol: env.protocol(&name("PROTOCOL"))?,
        trust: env.trust(&name("")),
    })
}

fn read_sampling_and_batches(env: &Env<'_>, settings: &mut Settings) -> Result<(), TelemetryError> {
    if let Some(name) = env.text("OTEL_TRACES_SAMPLER") {
        let ratio = env
            .parsed::<f64>("OTEL_TRACES_SAMPLER_ARG", "a ratio from 0 to 1")?
            .unwrap_or(1.0);
        settings.sampler = Some(sampler(&name, ratio)?).filter(|_| name != "parentbased_always_on");
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
    let when_full = "AGENT_SDK_OTEL_WHEN_FULL";
    if let Some(policy) = env.text(when_full) {
        settings.when_full = WhenFull::parse(&policy).ok_or_else(|| {
            TelemetryError::setting(format!(
                "{when_full} takes drop, block:MILLISECONDS or spill:DIRECTORY"
            ))
        })?;
    }
    let spill_bytes = "AGENT_SDK_OTEL_SPILL_MAX_BYTES";
    if let Some(bytes) = env.parsed::<std::num::NonZeroU64>(spill_bytes, count)?
        && let WhenFull::Spill(spill) = &settings.when_full
    {
        settings.when_full = WhenFull::Spill(spill.clone().max_bytes(bytes.get()));
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

pub(super) struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    fn address(&self, name: &str) -> Option<Address> {
        Some(Address::new(self.text(name)?, name.to_owned()))
    }

    /// The files of certificates, by the variables that begin so.
    fn trust(&self, begin: &str) -> Trust {
        let file = |what| {
            let name = format!("{begin}{what}");
            Some(PemFile::new(self.text(&name)?, name))
        };
        Trust {
            authorities: file("CERTIFICATE"),
            certificate: file("CLIENT_CERTIFICATE"),
            key: file("CLIENT_KEY"),
        }
    }

    fn tail(&self, name: &str) -> Result<Option<TailSampling>, TelemetryError> {
        let unusable = |what| TelemetryError::setting(format!("{name}: {what}"));
        self.text(name)
            .map(|rules| TailSampling::read(&rules).map_err(unusable))
            .transpose()
    }

    pub(super) fn parsed<T: std::str::FromStr>(
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

    fn compression(&self, name: &str) -> Result<Option<Compression>, TelemetryError> {
        let unknown = || TelemetryError::setting(format!("{name} takes gzip or none"));
        self.text(name)
            .map(|value| Compression::parse(&value).ok_or_else(unknown))
            .transpose()
    }

    fn protocol(&self, name: &str) -> Result<Option<Protocol>, TelemetryError> {
        let unknown = || TelemetryError::setting(format!("{name} takes http/protobuf or grpc"));
        self.text(name)
            .map(|value| Protocol::parse(&value).ok_or_else(unknown)?.available(name))
            .transpose()
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
