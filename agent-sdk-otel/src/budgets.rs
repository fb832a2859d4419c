//! The ledgers that are watched, among the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_sdk::budget::{Ledger, Standing};
use opentelemetry::metrics::Meter;

use crate::instruments::{Labels, WatchedNames};
use crate::{attrs, metric};

/// The kinds of alerts, so that each has a series from the start and its first one is seen to be new.
const KINDS: [&str; 4] = ["threshold", "exhausted", "pace", "debt"];

/// The ledgers that are watched.
#[derive(Clone, Debug)]
pub(crate) struct Budgets(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    names: WatchedNames,
    ledgers: Mutex<Vec<Ledger>>,
}

impl Budgets {
    pub(crate) fn new(labels: Labels) -> Self {
        Self(Arc::new(Watched {
            names: WatchedNames::new(labels, attrs::BUDGET_NAME),
            ledgers: Mutex::default(),
        }))
    }

    /// Adds a ledger; with the first one the instruments are made.
    pub(crate) fn watch(&self, ledger: &Ledger, meter: &Meter) {
        // Not held while instruments are made: whoever collects holds theirs and waits for this.
        let is_first = {
            let mut ledgers = self.0.ledgers();
            ledgers.push(ledger.clone());
            ledgers.len() == 1
        };
        if is_first {
            self.register(meter);
        }
    }

    fn register(&self, meter: &Meter) {
        for (def, read) in GAUGES {
            let watched = self.0.clone();
            def.f64_observable_gauge(meter, move |gauge| {
                for (name, standing) in watched.latest() {
                    if let Some(usd) = read(&standing) {
                        gauge.observe(usd, &watched.names.of(&name, &[]));
                    }
                }
            });
        }
        let watched = self.0.clone();
        metric::BUDGET_REFUSALS.u64_observable_counter(meter, move |counter| {
            for (name, count) in watched.refusals() {
                counter.observe(count, &watched.names.of(&name, &[]));
            }
        });
        let watched = self.0.clone();
        metric::BUDGET_ALERTS.u64_observable_counter(meter, move |counter| {
            for ((name, kind), count) in watched.alerts() {
                let kind = [(attrs::BUDGET_ALERT, kind)];
                counter.observe(count, &watched.names.of(&name, &kind));
            }
        });
    }
}

impl Watched {
    fn ledgers(&self) -> MutexGuard<'_, Vec<Ledger>> {
        self.ledgers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How each budget stands; where several are shown under one name, the one that is nearest to its cap.
    fn latest(&self) -> BTreeMap<Arc<str>, Standing> {
        let mut all = BTreeMap::<Arc<str>, Standing>::new();
        for standing in self.ledgers().iter().flat_map(Ledger::latest) {
            let name = self.names.value(&standing.budget);
            match all.get(&name) {
                Some(known) if known.percent >= standing.percent => {}
                _ => {
                    all.insert(name, standing);
                }
            }
        }
        all
    }

    fn refusals(&self) -> BTreeMap<Arc<str>, u64> {
        let mut all = BTreeMap::new();
        for ledger in self.ledgers().iter() {
            let names = ledger
                .budgets()
                .iter()
                .map(|budget| (budget.name.clone(), 0));
            for (name, count) in names.chain(ledger.refusals()) {
                *all.entry(self.names.value(&name)).or_default() += count;
            }
        }
        all
    }

    fn alerts(&self) -> BTreeMap<(Arc<str>, &'static str), u64> {
        let mut all = BTreeMap::new();
        for ledger in self.ledgers().iter() {
            let names = ledger.budgets().iter();
            let none = names.flat_map(|budget| KINDS.map(|kind| ((budget.name.clone(), kind), 0)));
            for ((name, kind), count) in none.chain(ledger.alerts()) {
                let kind = self.names.other(attrs::BUDGET_ALERT, kind);
                *all.entry((self.names.value(&name), kind)).or_default() += count;
            }
        }
        all
    }
}

type Read = fn(&Standing) -> Option<f64>;

const GAUGES: [(metric::MetricDef, Read); 3] = [
    (metric::BUDGET_LIMIT, |standing| {
        Some(standing.caps.usd?.as_f64())
    }),
    (metric::BUDGET_COMMITTED, |standing| {
        Some(standing.committed.usd.as_f64())
    }),
    (metric::BUDGET_RESERVED, |standing| {
        Some(standing.reserved.usd.as_f64())
    }),
];

#[cfg(test)]
mod tests {
    use agent_sdk::budget::{Amounts, Budget};
    use agent_sdk::operation::RunContext;

    use super::*;
    use crate::Telemetry;

    fn usd(text: &str) -> Amounts {
        Amounts::usd(text.parse().unwrap())
    }

    #[tokio::test]
    async fn a_watched_ledger_shows_its_budgets_refusals_and_alerts() {
        let telemetry = Telemetry::builder().build().unwrap();
        let ledger = Ledger::builder()
            .budget(Budget::new("day").max_usd("2".parse().unwrap()))
            .budget(Budget::new("calls").max_requests(100))
            .build()
            .unwrap();
        telemetry.watch(&ledger);
        let context = RunContext::new();
        let open = ledger.reserve(&context, usd("0.25"), "m").await.unwrap();
        ledger.charge(&context, usd("1.6"));
        ledger.reserve(&context, usd("0.5"), "m").await.unwrap_err();
        let page = telemetry.metrics_text().unwrap();
        let lines: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("agent_sdk_budget_"))
            .collect();
        assert_eq!(
            lines,
            [
                "agent_sdk_budget_alerts_total{agent_sdk_budget_alert=\"debt\",agent_sdk_budget_name=\"calls\"} 0",
                "agent_sdk_budget_alerts_total{agent_sdk_budget_alert=\"debt\",agent_sdk_budget_name=\"day\"} 0",
                "agent_sdk_budget_alerts_total{agent_sdk_budget_alert=\"exhausted\",agent_sdk_budget_name=\"calls\"} 0",
                "agent_sdk_budget_alerts_total{agent_sdk_budget_alert=\"exhausted\",agent_sdk_budget_name=\"day\"} 1",
                "agent_sdk_budget_alerts_total{agent_sdk_budget_alert=\"pace\",agent_sdk_budget_name=\"calls\"} 0",
                "agent_sdk_budget_alerts_total{agent_sdk_budget_alert=\"pace\",agent_sdk_budget_name=\"day\"} 0",
                "agent_sdk_budget_alerts_total{agent_sdk_budget_alert=\"threshold\",agent_sdk_budget_name=\"calls\"} 0",
                "agent_sdk_budget_alerts_total{agent_sdk_budget_alert=\"threshold\",agent_sdk_budget_name=\"day\"} 2",
                "agent_sdk_budget_committed{agent_sdk_budget_name=\"calls\"} 1.6",
                "agent_sdk_budget_committed{agent_sdk_budget_name=\"day\"} 1.6",
                "agent_sdk_budget_limit{agent_sdk_budget_name=\"day\"} 2",
                "agent_sdk_budget_refusals_total{agent_sdk_budget_name=\"calls\"} 0",
                "agent_sdk_budget_refusals_total{agent_sdk_budget_name=\"day\"} 1",
                "agent_sdk_budget_reserved{agent_sdk_budget_name=\"calls\"} 0.25",
                "agent_sdk_budget_reserved{agent_sdk_budget_name=\"day\"} 0.25",
            ]
        );
        open.release();
    }

    #[test]
    fn two_ledgers_with_a_budget_of_one_name_show_the_one_that_is_nearer_to_its_cap() {
        let telemetry = Telemetry::builder().build().unwrap();
        for spent in ["0.2", "0.7", "0.4"] {
            let budget = Budget::new("run").max_usd("1".parse().unwrap());
            let ledger = Ledger::builder().budget(budget).build().unwrap();
            ledger.charge(&RunContext::new(), usd(spent));
            telemetry.watch(&ledger);
        }
        let page = telemetry.metrics_text().unwrap();
        assert!(
            page.contains("agent_sdk_budget_committed{agent_sdk_budget_name=\"run\"} 0.7\n"),
            "{page}"
        );
        // The second one reached 50 percent; counts are sums.
        let threshold = "agent_sdk_budget_alert=\"threshold\",agent_sdk_budget_name=\"run\"} 1\n";
        assert!(page.contains(threshold), "{page}");
    }
}
