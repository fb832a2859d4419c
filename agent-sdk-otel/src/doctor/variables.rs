//! The environment variables that are set, and whether anybody reads them.

use std::cell::RefCell;
use std::collections::HashSet;

use super::{Finding, mask};
use crate::settings;

/// What the variables of a program mean to telemetry, one finding each: those that begin with `OTEL_` or `AGENT_SDK_`, with the
/// secrets in them masked, and a failure where they cannot be used.
///
/// # Example
///
/// ```
/// use agent_sdk_otel::doctor::environment;
///
/// let variables = [("OTEL_EXPORTER_OTLP_HEADERS".to_owned(), "authorization=s3cret".to_owned())];
/// let findings = environment(variables);
/// assert_eq!(findings[0].says, "OTEL_EXPORTER_OTLP_HEADERS=authorization=[set]");
/// ```
pub fn environment(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Finding> {
    let ours = |name: &str| name.starts_with("OTEL_") || name.starts_with("AGENT_SDK_");
    let variables = variables.into_iter().filter(|(name, _)| ours(name));
    let mut variables: Vec<(String, String)> = variables.collect();
    variables.sort();
    // Whatever the settings ask for is read; what they never ask for has no effect.
    let asked = RefCell::new(HashSet::new());
    let read = settings::read(|name| {
        asked.borrow_mut().insert(name.to_owned());
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    });
    let asked = asked.into_inner();
    // What stops early asks for less.
    let is_whole = read.as_ref().is_ok_and(|settings| !settings.disabled);
    let mut findings: Vec<Finding> = variables
        .iter()
        .map(|(name, value)| {
            let is_telemetry = name.starts_with("OTEL_") || name.starts_with("AGENT_SDK_OTEL_");
            if value.trim().is_empty() {
                return Finding::ok(CHECK, format!("{name} is empty, which counts as not set"));
            }
            if is_whole && is_telemetry && !asked.contains(name) {
                // Its value may be anything.
                return Finding::warning(CHECK, format!("{name} is set, and has no effect here"))
                    .advice("Look for a spelling mistake, or for another variable that it needs.");
            }
            Finding::ok(CHECK, format!("{name}={}", mask::value(name, value)))
        })
        .collect();
    match read {
        Err(error) => findings.push(
            Finding::failed(CHECK, error.to_string())
                .advice("Correct the variable: nothing is exported until then."),
        ),
        Ok(settings) if settings.disabled => findings.push(
            Finding::warning(CHECK, "OTEL_SDK_DISABLED is true: nothing is recorded")
                .advice("Remove it to have telemetry."),
        ),
        Ok(_) if findings.is_empty() => findings.push(Finding::ok(
            CHECK,
            "no variable is set: nothing is exported, and everything has its default",
        )),
        Ok(_) => {}
    }
    findings
}

const CHECK: &str = "variable";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::FindingStatus;

    fn of(variables: &[(&str, &str)]) -> Vec<(FindingStatus, String)> {
        let owned = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let findings = environment(owned).into_iter();
        findings
            .map(|finding| (finding.status, finding.says))
            .collect()
    }

    #[test]
    fn what_is_set_is_shown_and_what_nobody_reads_is_said() {
        use FindingStatus::{Failed, Ok, Warning};
        let both = of(&[
            ("OTEL_SERVICE_NAME", "triage"),
            ("HOME", "/root"),
            ("OTEL_SERVICENAME", "s3cret"),
        ]);
        assert_eq!(
            both,
            [
                (
                    Warning,
                    "OTEL_SERVICENAME is set, and has no effect here".to_owned()
                ),
                (Ok, "OTEL_SERVICE_NAME=triage".to_owned()),
            ]
        );
        // An argument of a sampler that was not chosen.
        assert_eq!(of(&[("OTEL_TRACES_SAMPLER_ARG", "0.5")])[0].0, Warning);
        let chosen = of(&[
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ]);
        assert!(chosen.iter().all(|(status, _)| *status == Ok), "{chosen:?}");
        assert_eq!(of(&[("AGENT_SDK_HOME", "/x")])[0].0, Ok);
        let wrong = of(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "s3cret-protocol")]);
        assert_eq!(wrong.last().unwrap().0, Failed);
        let off = of(&[("OTEL_SDK_DISABLED", "true"), ("OTEL_SERVICE_NAME", "x")]);
        assert_eq!(off.last().unwrap().0, Warning);
        assert_eq!(of(&[]).len(), 1);
    }
}
