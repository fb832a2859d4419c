//! The circuit breakers that are watched, among the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_sdk::model::{BreakerState, CircuitBreaker};
use opentelemetry::metrics::Meter;

use crate::instruments::{Labels, WatchedNames};
use crate::telemetry::Telemetry;
use crate::{attrs, metric};

impl Telemetry {
    /// Shows the state of a circuit breaker among the metrics, from now on and under a name that the caller chooses: 0 closed, 1
    /// half-open, 2 open. Of several with one name it shows the one that is furthest from closed.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::model::CircuitBreaker;
    /// use agent_sdk_otel::Telemetry;
    ///
    /// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
    /// let telemetry = Telemetry::builder().build()?;
    /// let breaker = CircuitBreaker::new();
    /// telemetry.watch_breaker("openai", &breaker);
    /// let page = telemetry.metrics_text()?;
    /// assert!(page.contains("agent_sdk_breaker_state{agent_sdk_breaker_name=\"openai\"} 0\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch_breaker(&self, name: impl Into<Arc<str>>, breaker: &CircuitBreaker) {
        self.breakers
            .watch(&name.into(), breaker, &self.metrics.meter());
    }
}

/// The breakers that are watched.
#[derive(Clone, Debug)]
pub(crate) struct Breakers(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    names: WatchedNames,
    breakers: Mutex<Vec<Named>>,
}

/// A breaker and what the metrics call it.
type Named = (Arc<str>, CircuitBreaker);

impl Breakers {
    pub(crate) fn new(labels: Labels) -> Self {
        Self(Arc::new(Watched {
            names: WatchedNames::new(labels, attrs::BREAKER_NAME),
            breakers: Mutex::default(),
        }))
    }

    /// Adds a breaker; with the first one the instrument is made.
    fn watch(&self, name: &str, breaker: &CircuitBreaker, meter: &Meter) {
        let name = self.0.names.value(name);
        // Not held while the instrument is made: whoever collects holds it and waits for this.
        let is_first = {
            let mut breakers = self.0.breakers();
            breakers.push((name, breaker.clone()));
            breakers.len() == 1
        };
        if is_first {
            let watched = self.0.clone();
            metric::BREAKER_STATE.f64_observable_gauge(meter, move |gauge| {
                for (name, state) in watched.states() {
                    gauge.observe(state.into(), &watched.names.of(&name, &[]));
                }
            });
        }
    }
}

impl Watched {
    fn breakers(&self) -> MutexGuard<'_, Vec<Named>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn states(&self) -> BTreeMap<Arc<str>, u8> {
        let mut states = BTreeMap::new();
        for (name, breaker) in self.breakers().iter() {
            let state = match breaker.state() {
                BreakerState::Closed => 0,
                BreakerState::HalfOpen => 1,
                _ => 2,
            };
            let shown = states.entry(name.clone()).or_insert(state);
            *shown = state.max(*shown);
        }
        states
    }
}

#[cfg(test)]
mod tests {
    use agent_sdk::budget::{Amounts, Budget, Ledger};
    use agent_sdk::operation::RunContext;

    use super::*;
    use crate::openmetrics::tests::read;

    const KEY: &str = "sk-proj-4f9a8b7c6d5e4f3a2b1c";

    fn ledger(name: impl Into<Arc<str>>, spent: &str) -> Ledger {
        let budget = Budget::new(name).max_usd("1".parse().unwrap());
        let ledger = Ledger::builder().budget(budget).build().unwrap();
        ledger.charge(&RunContext::new(), Amounts::usd(spent.parse().unwrap()));
        ledger
    }

    #[test]
    fn names_of_what_is_watched_pass_what_every_label_passes() {
        let telemetry = Telemetry::builder().secret("swordfish-42").build().unwrap();
        let breaker = CircuitBreaker::new();
        for name in [KEY, "swordfish-42"] {
            telemetry.watch_breaker(name, &breaker);
            telemetry.watch(&ledger(name, "0.6"));
        }
        telemetry.watch_breaker("long".repeat(1_000), &breaker);
        let page = telemetry.metrics_text().unwrap();
        assert!(!page.contains(KEY) && !page.contains("swordfish"), "{page}");
        for name in ["[redacted:key]", "[redacted:secret]"] {
            assert!(page.contains(&format!("agent_sdk_breaker_name=\"{name}\"")));
            assert!(page.contains(&format!("agent_sdk_budget_name=\"{name}\"")));
        }
        assert!(page.lines().all(|line| line.len() < 500));

        let without = Telemetry::builder()
            .without_metric_label(attrs::BREAKER_NAME)
            .without_metric_label(attrs::BUDGET_NAME)
            .build()
            .unwrap();
        without.watch_breaker("a", &breaker);
        without.watch_breaker("b", &breaker);
        without.watch(&ledger("a", "0.6"));
        without.watch(&ledger("b", "0.7"));
        let page = without.metrics_text().unwrap();
        for line in [
            "agent_sdk_breaker_state 0",
            "agent_sdk_budget_committed 0.7",
            "agent_sdk_budget_alerts_total{agent_sdk_budget_alert=\"threshold\"} 2",
        ] {
            assert!(page.lines().any(|each| each == line), "{line}: {page}");
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "sums of whole numbers are exact")]
    fn o6_names_of_what_is_watched_are_bounded_and_their_sums_exact() {
        let telemetry = Telemetry::builder().build().unwrap();
        for index in 0..1_000 {
            telemetry.watch(&ledger(format!("budget {index}"), "0.6"));
            telemetry.watch_breaker(format!("breaker {index}"), &CircuitBreaker::new());
        }
        for _ in 0..2 {
            let page = read(&telemetry.metrics_text().unwrap(), false);
            let alerts = "agent_sdk_budget_alerts_total";
            assert_eq!(page.sum(alerts), 1_000.0);
            assert_eq!(page.samples(alerts).count(), 401 * 4);
            assert_eq!(page.samples("agent_sdk_budget_committed").count(), 401);
            assert_eq!(page.samples("agent_sdk_breaker_state").count(), 401);
            let other = page
                .samples("agent_sdk_breaker_state")
                .find(|sample| sample.label("agent_sdk_breaker_name") == Some("other"));
            assert!(other.is_some());
        }
    }
}
