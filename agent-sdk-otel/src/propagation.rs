//! Traces that go on in other processes: to whom ours is told, and what of theirs is believed.

use std::sync::Arc;

use agent_sdk::operation::{Incoming, Propagation};
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

use crate::attrs;
use crate::builder::TelemetryBuilder;
use crate::error::TelemetryError;
use crate::telemetry::Telemetry;

/// Who is told of traces, and what of baggage becomes attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct PropagationSettings {
    pub(crate) to: Propagation,
    /// The first host that was none.
    bad_host: Option<String>,
    pub(crate) baggage_keys: Vec<String>,
}

impl PropagationSettings {
    /// Adds a host that is told.
    fn add(&mut self, host: &str) {
        match self.to.clone().with_host(host) {
            Ok(to) => self.to = to,
            Err(error) => self.bad_host = self.bad_host.take().or(Some(error.to_string())),
        }
    }

    /// Says what was wrong with the settings.
    pub(crate) fn checked(&self) -> Result<(), TelemetryError> {
        match &self.bad_host {
            Some(words) => Err(TelemetryError::setting(words.clone())),
            None => Ok(()),
        }
    }

    /// The variables `AGENT_SDK_PROPAGATE_TO` and `AGENT_SDK_BAGGAGE_KEYS`, lists, and the standard `OTEL_PROPAGATORS`.
    pub(crate) fn read(
        text: impl Fn(&str) -> Option<String>,
        propagators: Option<&[&str]>,
    ) -> Result<Self, TelemetryError> {
        let mut settings = Self::default();
        let list = |name: &str| {
            let value = text(name).unwrap_or_default();
            let items = value.split(',').map(|item| item.trim().to_owned());
            items.filter(|item| !item.is_empty()).collect::<Vec<_>>()
        };
        for host in list(HOSTS) {
            settings.add(&host);
        }
        settings.baggage_keys = list("AGENT_SDK_BAGGAGE_KEYS");
        if let Some(wanted) = propagators {
            let has = |name| wanted.contains(&name);
            let to = settings.to.with_trace_context(has("tracecontext"));
            settings.to = to.with_baggage(has("baggage"));
        }
        match &settings.bad_host {
            Some(words) => Err(TelemetryError::setting(format!("{HOSTS}: {words}"))),
            None => Ok(settings),
        }
    }
}

const HOSTS: &str = "AGENT_SDK_PROPAGATE_TO";

/// What `OTEL_PROPAGATORS` may name.
pub(crate) const PROPAGATORS: &[&str] = &["tracecontext", "baggage", "none"];

impl TelemetryBuilder {
    /// Tells a host of our traces: requests to models that are there carry `traceparent`, `tracestate` and `baggage`. It is a name,
    /// or `*.` and a name for all hosts under it. Default: nobody is told, so that a provider never sees our ids.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk_otel::Telemetry;
    ///
    /// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
    /// let telemetry = Telemetry::builder().propagate_to("*.internal.example").build()?;
    /// assert!(Telemetry::builder().propagate_to("https://internal.example").build().is_err());
    /// # let _ = telemetry;
    /// # Ok(())
    /// # }
    /// ```
    pub fn propagate_to(mut self, host: impl AsRef<str>) -> Self {
        self.settings.propagation.add(host.as_ref());
        self
    }

    /// Copies these members of the caller's baggage to every span of a run, the user's own inside it included, as attributes of the
    /// same names: `tenant`, for example. Default: none, because whoever calls decides what is in it.
    pub fn baggage_keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.settings.propagation.baggage_keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Whether spans also say what they are in the words of `OpenInference`, `openinference.span.kind`: for back ends that know no other
    /// name of a workflow or a retrieval. Default: no.
    pub fn openinference(mut self, on: bool) -> Self {
        self.settings.openinference = on;
        self
    }
}

impl Telemetry {
    /// Reads the trace context of a request that a server got, and counts what of it had to be
    /// [ignored](crate::metric::PROPAGATION_IGNORED). The run that answers takes it with
    /// [`RunContextBuilder::incoming`](agent_sdk::operation::RunContextBuilder::incoming).
    pub fn incoming<K: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        headers: impl IntoIterator<Item = (K, V)>,
    ) -> Incoming {
        let incoming = Incoming::from_headers(headers);
        let ignored = incoming.ignored();
        for (header, count) in [
            ("traceparent", ignored.traceparent),
            ("tracestate", ignored.tracestate),
            ("baggage", ignored.baggage),
        ] {
            if count > 0 {
                let label = attrs::text(attrs::PROPAGATION_HEADER, header);
                self.ignored_headers.add(count.into(), &[label]);
            }
        }
        incoming
    }

    pub(crate) fn set_global_propagator() {
        opentelemetry::global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ]));
    }

    pub(crate) fn baggage_keys(settings: &PropagationSettings) -> Arc<[String]> {
        settings.baggage_keys.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TelemetryErrorKind;

    #[test]
    fn hosts_and_propagators_come_from_variables() {
        let read = |propagators: &str, hosts: &str| {
            let (propagators, hosts) = (propagators.to_owned(), hosts.to_owned());
            let builder = TelemetryBuilder::from_lookup(move |name| match name {
                "OTEL_PROPAGATORS" => Some(propagators.clone()),
                "AGENT_SDK_PROPAGATE_TO" => Some(hosts.clone()),
                _ => None,
            });
            builder.map(|builder| builder.settings.propagation.to)
        };
        let to = read("", "a.test, *.b.test").unwrap();
        assert!(to.reaches("a.test") && to.reaches("x.b.test") && !to.reaches("b.test"));
        assert!(!read("", "").unwrap().reaches("a.test"));
        let both = read("tracecontext,baggage", "a.test").unwrap();
        assert_eq!(both, read("", "a.test").unwrap());
        assert_ne!(read("none", "a.test").unwrap(), both);
        assert!(read("b3", "").is_err());
        let error = read("", "https://a.test").unwrap_err();
        assert_eq!(error.kind(), TelemetryErrorKind::Setting);
        assert!(
            error.to_string().contains("AGENT_SDK_PROPAGATE_TO"),
            "{error}"
        );
    }

    #[test]
    fn o8_ignored_headers_are_counted() {
        let telemetry = Telemetry::builder().build().unwrap();
        let long = "x".repeat(64 * 1024);
        let headers = [
            ("traceparent", long.as_str()),
            ("baggage", &long),
            ("baggage", "a=1,b"),
        ];
        let incoming = telemetry.incoming(headers);
        assert_eq!(incoming.caller(), None);
        assert_eq!(incoming.baggage().get("a"), Some("1"));
        let page = telemetry.metrics_text().unwrap();
        for line in [
            "agent_sdk_propagation_ignored_total{agent_sdk_propagation_header=\"baggage\"} 2",
            "agent_sdk_propagation_ignored_total{agent_sdk_propagation_header=\"traceparent\"} 1",
        ] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
    }
}
