//! What watches a run from outside: traces, metrics, logs.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use agent_sdk::{operation::Observers, store};
use agent_sdk_otel::{
    JsonLogs, JsonLogsBuilder, MetricsServer, Telemetry, TelemetryBuilder, TelemetryError,
};
use tracing_subscriber::{
    EnvFilter, Layer, filter::Filtered, fmt::format::FmtSpan, layer::SubscriberExt,
};

use crate::{
    args::{LogFormat, Shown},
    exit::Failure,
    interrupt::Interrupt,
    output::Output,
    secret, terminal,
    text::counted,
};

/// What is logged with `-v` unless `RUST_LOG` says otherwise.
const LOGGED: &str = "warn,agent=debug,agent_sdk=debug,agent_sdk_otel=debug";

/// Traces, metrics and logs, from the start to the end of the command.
pub(crate) struct Watch {
    telemetry: Arc<Telemetry>,
    server: Option<MetricsServer>,
    /// Written to until the end.
    logs: Vec<JsonLogs>,
}

/// What is logged, and where.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    verbose: bool,
    format: LogFormat,
    file: Option<PathBuf>,
}

impl Logs {
    pub(crate) fn of(shown: &Shown) -> Self {
        Self {
            verbose: shown.verbose,
            format: shown.log_format,
            file: shown.log_file.clone(),
        }
    }

    /// The structured ones.
    fn json(&self) -> Result<Vec<JsonLogs>, Failure> {
        let shown = self.verbose && self.format == LogFormat::Json;
        let shown = shown.then(JsonLogs::stderr);
        let logs = self
            .file
            .clone()
            .map(JsonLogs::file)
            .into_iter()
            .chain(shown);
        logs.map(start).collect()
    }
}

/// Starts a log without keys, safe for a terminal.
fn start(log: JsonLogsBuilder) -> Result<JsonLogs, Failure> {
    let log = log.filter(levels()).redact(|text| {
        let shown = secret::redact(text);
        terminal::safe(&shown).to_string().into()
    });
    log.start().map_err(|error| failure(&error))
}

impl Watch {
    /// Starts what the `OTEL_*` variables and the arguments ask for; without them nothing leaves the process.
    ///
    /// # Errors
    ///
    /// A variable cannot be used, or the metrics address is taken.
    pub(crate) async fn start(metrics: Option<SocketAddr>, logs: Logs) -> Result<Self, Failure> {
        let telemetry = TelemetryBuilder::from_lookup(setting)
            .and_then(|builder| {
                let builder = builder.prometheus(metrics.is_some());
                let builder =
                    secret::of_environment().fold(builder, |builder, key| builder.secret(&key));
                with_crash_reports(builder)
            })
            .map_err(|error| failure(&error))?;
        telemetry.install_crash_hook();
        let telemetry = Arc::new(telemetry);
        let is_text = logs.verbose && logs.format == LogFormat::Text;
        let text = if is_text { Some(log_filter()?) } else { None };
        let text = text.map(|filter| {
            tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
                .with_writer(|| LogWriter)
                .with_filter(filter)
        });
        let text: Option<Filtered<_, _, _>> = text;
        let logs = logs.json()?;
        let json = logs
            .iter()
            .map(JsonLogs::layer)
            .collect::<Result<Vec<_>, _>>();
        let json = json.map_err(|error| failure(&error))?;
        // A list of no layers would switch all logging off.
        let json = (!json.is_empty()).then_some(json);
        let subscriber = tracing_subscriber::registry()
            .with(telemetry.layer())
            .with(text)
            .with(json);
        // Only a second command in the same process, in a test, would find one there.
        let _ = tracing::subscriber::set_global_default(subscriber);
        let server = match metrics {
            Some(address) => Some(
                telemetry
                    .serve_metrics(address)
                    .await
                    .map_err(|error| failure(&error).advice("Pass another `--metrics ADDR`."))?,
            ),
            None => None,
        };
        Ok(Self {
            telemetry,
            server,
            logs,
        })
    }

    /// What has to watch the run.
    pub(crate) fn observers(&self) -> Observers {
        self.telemetry.observers()
    }

    /// Whether traces leave the process.
    pub(crate) fn exports_traces(&self) -> bool {
        self.telemetry.tracer_provider().is_some()
    }

    /// Where metrics are served.
    pub(crate) fn metrics_url(&self) -> Option<String> {
        let server = self.server.as_ref()?;
        Some(format!("http://{}/metrics", server.address()))
    }

    /// Says what earlier commands left, and writes down what runs once this one is asked to end: it may not get to end it.
    pub(crate) fn begin(&self, output: &mut Output, interrupt: &Interrupt) {
        let crashed = self.telemetry.crashed();
        if let Some(first) = crashed.first() {
            output.note(format_args!(
                "an earlier command ended before what it ran did: {}, of trace {}, went out as cancelled now",
                counted(crashed.len() as u64, "span"),
                first.trace.trace_id
            ));
        }
        let (telemetry, token) = (Arc::downgrade(&self.telemetry), interrupt.token().clone());
        tokio::spawn(async move {
            token.cancelled().await;
            if let Some(telemetry) = telemetry.upgrade() {
                // That it cannot be written changes nothing for the run that ends.
                let _ = telemetry.report_crash();
            }
        });
    }

    /// Sends what waits, and says so where something was lost.
    pub(crate) async fn end(self, output: &mut Output) {
        if let Some(server) = self.server {
            server.shutdown().await;
        }
        let report = tokio::task::block_in_place(|| self.telemetry.shutdown());
        if !report.is_complete() {
            output.note(format_args!(
                "warning: not all telemetry arrived where OTEL_EXPORTER_OTLP_ENDPOINT points: {report}"
            ));
        }
        for log in self.logs {
            tokio::task::block_in_place(|| log.flush(Duration::from_secs(2)));
            let lost = log.lines().lost();
            if lost > 0 {
                output.note(format_args!(
                    "warning: {lost} lines of the log could not be written"
                ));
            }
        }
    }
}

/// How often it is written down what runs, unless a variable says otherwise.
const CRASH_INTERVAL: Duration = Duration::from_secs(2);

/// Telemetry that leaves word of what ran, where spans are sent at all: in the folder of the variable, or else beside the store.
fn with_crash_reports(builder: TelemetryBuilder) -> Result<Telemetry, TelemetryError> {
    let is_set = |name| setting(name).is_some_and(|value| !value.trim().is_empty());
    if is_set("AGENT_SDK_OTEL_CRASH_FOLDER") || !builder.exports_traces() {
        return builder.build();
    }
    let Ok(home) = store::home() else {
        return builder.build();
    };
    let mut reporting = builder.clone().crash_reports(home.join("crash"));
    if !is_set("AGENT_SDK_OTEL_CRASH_INTERVAL") {
        reporting = reporting.crash_interval(CRASH_INTERVAL);
    }
    // A folder that nothing can be written in is no reason not to run.
    reporting.build().or_else(|_| builder.build())
}

/// The variables, and a service name where they have none.
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().or_else(|| {
        let attributes = std::env::var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let is_named = attributes.contains("service.name");
        (name == "OTEL_SERVICE_NAME" && !is_named).then(|| "agent".to_owned())
    })
}

fn log_filter() -> Result<EnvFilter, Failure> {
    EnvFilter::builder().parse(levels()).map_err(|error| {
        Failure::usage(format!("RUST_LOG cannot be used: {error}"))
            .advice("Write levels by module, such as `warn,agent_sdk=debug`.")
    })
}

/// What is logged, by module.
fn levels() -> String {
    let wanted = std::env::var("RUST_LOG").ok();
    let wanted = wanted.filter(|wanted| !wanted.trim().is_empty());
    wanted.unwrap_or_else(|| LOGGED.to_owned())
}

fn failure(error: &TelemetryError) -> Failure {
    Failure::usage(error.to_string()).because(error)
}

/// Standard error for logs: made safe, and without keys.
struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let shown = secret::redact(&text);
        io::stderr().write_all(terminal::safe(&shown).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
