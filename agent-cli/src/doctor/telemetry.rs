//! What leaves the process: the variables, the addresses, a span that is sent, and filters.

use std::time::Duration;

use agent_sdk_otel::{
    TelemetryBuilder,
    doctor::{self, FindingStatus},
};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt};

use super::{Finding, Status};
use crate::watch;

/// How long the end of what was started here may take.
const END: Duration = Duration::from_secs(1);

/// Each variable of telemetry that is set.
pub(super) fn variables() -> Vec<Finding> {
    let all = std::env::vars_os();
    // What is no text is no variable of ours.
    let all =
        all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut findings: Vec<_> = doctor::environment(all)
        .into_iter()
        .map(Finding::from)
        .collect();
    findings.extend(log_filter());
    findings
}

/// What is sent where, and whether it arrives.
pub(super) fn exports() -> Vec<Finding> {
    // What earlier commands left is for the next run to report.
    let setting = |name: &str| {
        let is_crash = name.starts_with("AGENT_SDK_OTEL_CRASH_");
        watch::setting(name).filter(|_| !is_crash)
    };
    let built = TelemetryBuilder::from_lookup(setting)
        .and_then(|builder| builder.shutdown_limit(END).build());
    // The variables' own check has said what is wrong with them.
    let Ok(telemetry) = built else {
        return Vec::new();
    };
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let findings = tracing::subscriber::with_default(subscriber, || telemetry.doctor());
    // The test span has been waited for already.
    let _ = telemetry.shutdown();
    findings.into_iter().map(Finding::from).collect()
}

/// What `RUST_LOG` would do to the spans of operations in a program that filters its whole subscriber with it.
fn log_filter() -> Option<Finding> {
    const CHECK: &str = "RUST_LOG";
    let wanted = std::env::var("RUST_LOG").ok()?;
    if wanted.trim().is_empty() {
        return None;
    }
    let Ok(filter) = EnvFilter::builder().parse(&wanted) else {
        let says = "its levels cannot be read: `agent run -v` would not start";
        return Some(
            Finding::new(CHECK, Status::Failed, says)
                .advice("Write levels by module, such as `warn,agent_sdk=debug`."),
        );
    };
    let subscriber = tracing_subscriber::registry().with(filter);
    let is_seen = tracing::subscriber::with_default(
        subscriber,
        || tracing::span_enabled!(target: "agent_sdk::operation", tracing::Level::INFO),
    );
    if is_seen {
        let says = "filters logs; the spans of operations would pass it too";
        return Some(Finding::new(CHECK, Status::Ok, says));
    }
    let says = "filters logs alone here; in a program that has it before its whole subscriber it hides the spans of operations";
    Some(
        Finding::new(CHECK, Status::Ok, says)
            .advice("In a program of your own, give that filter to the layer for logs only."),
    )
}

impl From<doctor::Finding> for Finding {
    fn from(found: doctor::Finding) -> Self {
        let status = match found.status {
            FindingStatus::Ok => Status::Ok,
            FindingStatus::Warning => Status::Warning,
            _ => Status::Failed,
        };
        Self {
            advice: found.advice,
            ..Self::new(found.check, status, found.says)
        }
    }
}
