//! Values of settings without the secrets in them.

use agent_sdk::text::strip_controls;
use reqwest::Url;

use crate::settings::pairs;

/// The longest value that is shown, in characters.
const LONGEST: usize = 200;

/// What a secret is shown as.
const MASKED: &str = "[set]";

/// Parts of names whose values are secrets.
const SECRET_NAMES: [&str; 7] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "AUTHORIZATION",
    "CREDENTIAL",
];

/// The value of a variable as it may be shown.
pub(super) fn value(name: &str, value: &str) -> String {
    if name.ends_with("_HEADERS") {
        return listed(value, |_| true);
    }
    if name == "OTEL_RESOURCE_ATTRIBUTES" {
        return listed(value, is_secret);
    }
    if is_secret(name) {
        return MASKED.to_owned();
    }
    if name.ends_with("_ENDPOINT") || name.ends_with("_URL") {
        return Url::parse(value.trim())
            .map_or_else(|_| "[not an address]".to_owned(), |url| address(&url));
    }
    short(value)
}

/// An address without the user, the password and the query in it.
pub(super) fn address(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for addresses that have no such part.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    if shown.query().is_some() {
        shown.set_query(Some(MASKED));
    }
    short(shown.as_str())
}

fn listed(list: &str, is_secret: impl Fn(&str) -> bool) -> String {
    let Ok(pairs) = pairs(list) else {
        return "[not a list of name=value]".to_owned();
    };
    let pairs = pairs.into_iter().map(|(name, value)| {
        let value = if is_secret(&name) { MASKED } else { &value };
        format!("{name}={value}")
    });
    short(&pairs.collect::<Vec<_>>().join(","))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

fn short(text: &str) -> String {
    let text = strip_controls(text);
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        for (name, given, shown) in [
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20s3cret,x=s3cret",
                "authorization=[set],x=[set]",
            ),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "s3cret",
                "[not a list of name=value]",
            ),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "https://u:s3cret@host:4318/a?key=s3cret#s3cret",
                "https://host:4318/a?[set]",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "s3cret",
                "[not an address]",
            ),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "team=a,api_key=s3cret",
                "team=a,api_key=[set]",
            ),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "s3cret", "[set]"),
            ("OTEL_SERVICE_NAME", "tri\x07age", "triage"),
        ] {
            assert_eq!(value(name, given), shown, "{name}");
        }
        assert_eq!(
            value("OTEL_SERVICE_NAME", &"x".repeat(300)).chars().count(),
            201
        );
    }
}
