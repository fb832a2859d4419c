//! The circuit breakers that are watched, among the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_sdk::model::{BreakerState, CircuitBreaker};
use opentelemetry::metrics::Meter;

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
            .watch(name.into(), breaker, &self.metrics.meter());
    }
}

/// The breakers that are watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breakers(Arc<Mutex<Vec<Named>>>);

/// A breaker and what the metrics call it.
type Named = (Arc<str>, CircuitBreaker);

impl Breakers {
    fn list(&self) -> MutexGuard<'_, Vec<Named>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a breaker; with the first one the instrument is made.
    fn watch(&self, name: Arc<str>, breaker: &CircuitBreaker, meter: &Meter) {
        // Not held while the instrument is made: whoever collects holds it and waits for this.
        let is_first = {
            let mut list = self.list();
            list.push((name, breaker.clone()));
            list.len() == 1
        };
        if is_first {
            let breakers = self.clone();
            metric::BREAKER_STATE.f64_observable_gauge(meter, move |gauge| {
                for (name, state) in breakers.states() {
                    gauge.observe(state.into(), &[attrs::text(attrs::BREAKER_NAME, name)]);
                }
            });
        }
    }

    fn states(&self) -> BTreeMap<Arc<str>, u8> {
        let mut states = BTreeMap::new();
        for (name, breaker) in self.list().iter() {
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
