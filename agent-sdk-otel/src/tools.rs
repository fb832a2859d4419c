//! The tool schedulers that are watched, among the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_sdk::tool::{ToolScheduler, ToolStats};
use opentelemetry::metrics::Meter;

use crate::telemetry::Telemetry;
use crate::{attrs, metric};

impl Telemetry {
    /// Shows a tool scheduler among the metrics, from now on: for each of its tools how many calls wait, how long they have waited, how many
    /// were made again and how much of its cap was in use, and the state of its breaker as [`watch_breaker`](Self::watch_breaker) does, under the
    /// tool's name; for all together how many ran at once and how much faster that was. Of several schedulers it shows the sums.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::tool::{ToolPolicy, ToolScheduler};
    /// use agent_sdk_otel::Telemetry;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let telemetry = Telemetry::builder().build()?;
    /// let scheduler = ToolScheduler::builder().tool("search", ToolPolicy::new()).build()?;
    /// telemetry.watch_tools(&scheduler);
    /// let page = telemetry.metrics_text()?;
    /// assert!(page.contains("agent_sdk_tool_queue_depth{gen_ai_tool_name=\"search\"} 0\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch_tools(&self, scheduler: &ToolScheduler) {
        self.tools.watch(scheduler, &self.metrics.meter());
        for (tool, breaker) in scheduler.breakers() {
            self.watch_breaker(tool, &breaker);
        }
    }
}

/// The schedulers that are watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tools(Arc<Mutex<Vec<ToolScheduler>>>);

impl Tools {
    fn list(&self) -> MutexGuard<'_, Vec<ToolScheduler>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a scheduler; with the first one the instruments are made.
    fn watch(&self, scheduler: &ToolScheduler, meter: &Meter) {
        // Not held while instruments are made: whoever collects holds theirs and waits for this.
        let is_first = {
            let mut list = self.list();
            list.push(scheduler.clone());
            list.len() == 1
        };
        if !is_first {
            return;
        }
        let tools = self.clone();
        metric::TOOL_QUEUE_DEPTH.f64_observable_gauge(meter, move |gauge| {
            for (name, sums) in tools.by_tool() {
                let queued = u32::try_from(sums.queued).unwrap_or(u32::MAX);
                gauge.observe(queued.into(), &[attrs::text(attrs::TOOL_NAME, name)]);
            }
        });
        let tools = self.clone();
        metric::TOOL_QUEUE_WAIT.f64_observable_counter(meter, move |counter| {
            for (name, sums) in tools.by_tool() {
                let waited = sums.waited.as_secs_f64();
                counter.observe(waited, &[attrs::text(attrs::TOOL_NAME, name)]);
            }
        });
        let tools = self.clone();
        metric::TOOL_RETRIES.u64_observable_counter(meter, move |counter| {
            for (name, sums) in tools.by_tool() {
                counter.observe(sums.retries, &[attrs::text(attrs::TOOL_NAME, name)]);
            }
        });
        let tools = self.clone();
        metric::TOOL_UTILIZATION.f64_observable_gauge(meter, move |gauge| {
            for (name, sums) in tools.by_tool() {
                if sums.permits > 0.0 {
                    let used = sums.used / sums.permits;
                    gauge.observe(used, &[attrs::text(attrs::TOOL_NAME, name)]);
                }
            }
        });
        let tools = self.clone();
        metric::TOOL_PARALLELISM.f64_observable_gauge(meter, move |gauge| {
            gauge.observe(tools.whole().parallelism(), &[]);
        });
        let tools = self.clone();
        metric::TOOL_SPEEDUP.f64_observable_gauge(meter, move |gauge| {
            gauge.observe(tools.whole().speedup(), &[]);
        });
    }

    /// Sums over all schedulers, by tool.
    fn by_tool(&self) -> BTreeMap<Arc<str>, Sums> {
        let mut sums: BTreeMap<Arc<str>, Sums> = BTreeMap::new();
        for scheduler in self.list().iter() {
            for (name, counts) in scheduler.stats().tools {
                let sum = sums.entry(name).or_default();
                sum.queued += u64::from(counts.queued);
                sum.waited += counts.waited;
                sum.retries += counts.retries;
                if let (Some(permits), Some(part)) = (counts.permits, counts.utilisation) {
                    sum.permits += f64::from(permits);
                    sum.used += f64::from(permits) * part;
                }
            }
        }
        sums
    }

    /// The times of all schedulers, summed.
    fn whole(&self) -> ToolStats {
        let mut whole = ToolStats::default();
        for scheduler in self.list().iter() {
            let stats = scheduler.stats();
            whole.work += stats.work;
            whole.busy += stats.busy;
            whole.under_way += stats.under_way;
        }
        whole
    }
}

/// What is shown of one tool.
#[derive(Debug, Default)]
struct Sums {
    queued: u64,
    waited: Duration,
    retries: u64,
    /// How many may run at once, and how many of these were in use on average.
    permits: f64,
    used: f64,
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use agent_sdk::model::{CircuitBreaker, Jitter, Retry};
    use agent_sdk::operation::RunContext;
    use agent_sdk::tool::{Effect, FnTool, ToolError, ToolHandle, ToolOptions, ToolPolicy};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watched_scheduler_shows_who_waits_what_was_made_again_and_its_breakers() {
        let telemetry = Telemetry::builder().build().unwrap();
        let breaker = CircuitBreaker::builder().min_calls(NonZeroU32::MIN).build();
        let bad = ToolPolicy::new().breaker(breaker);
        let again = ToolPolicy::new().retry(Retry::default().jitter(Jitter::None));
        let slow = ToolPolicy::new().concurrency(NonZeroU32::MIN);
        let scheduler = ToolScheduler::builder()
            .tool("bad", bad)
            .tool("again", again)
            .tool("slow", slow)
            .build()
            .unwrap();
        telemetry.watch_tools(&scheduler);
        let options = ToolOptions::default().with_effect(Effect::ReadOnly);
        let fails = |name: &'static str| {
            let fails = async || Err::<u8, _>(ToolError::failed("no"));
            ToolHandle::from(FnTool::new(name, "", fails).options(options))
        };
        let context = RunContext::new();
        scheduler
            .call(&context, &fails("bad"), "{}")
            .await
            .unwrap_err();
        scheduler
            .call(&context, &fails("again"), "{}")
            .await
            .unwrap_err();
        let slow = FnTool::new("slow", "", async || {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Ok::<_, ToolError>(1)
        });
        let slow = ToolHandle::from(slow);
        let look = async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            telemetry.metrics_text().unwrap()
        };
        let call = || scheduler.call(&context, &slow, "{}");
        let (_, _, _, page) = tokio::join!(call(), call(), call(), look);
        let lines: Vec<_> = page
            .lines()
            .filter(|line| {
                line.starts_with("agent_sdk_tool_") || line.starts_with("agent_sdk_breaker_")
            })
            .collect();
        assert_eq!(
            lines,
            [
                "agent_sdk_breaker_state{agent_sdk_breaker_name=\"bad\"} 2",
                "agent_sdk_tool_parallelism_ratio 1",
                "agent_sdk_tool_queue_depth{gen_ai_tool_name=\"again\"} 0",
                "agent_sdk_tool_queue_depth{gen_ai_tool_name=\"bad\"} 0",
                "agent_sdk_tool_queue_depth{gen_ai_tool_name=\"slow\"} 2",
                "agent_sdk_tool_queue_wait_seconds_total{gen_ai_tool_name=\"again\"} 0",
                "agent_sdk_tool_queue_wait_seconds_total{gen_ai_tool_name=\"bad\"} 0",
                "agent_sdk_tool_queue_wait_seconds_total{gen_ai_tool_name=\"slow\"} 0.002",
                "agent_sdk_tool_retries_total{gen_ai_tool_name=\"again\"} 2",
                "agent_sdk_tool_retries_total{gen_ai_tool_name=\"bad\"} 0",
                "agent_sdk_tool_retries_total{gen_ai_tool_name=\"slow\"} 0",
                // A millisecond of work in 1,501: the waits between tries count.
                "agent_sdk_tool_speedup_ratio 0.0006662225183211193",
                "agent_sdk_tool_utilization_ratio{gen_ai_tool_name=\"slow\"} 1",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_schedulers_the_sums_are_shown() {
        let telemetry = Telemetry::builder().build().unwrap();
        let slow = FnTool::new("slow", "", async || {
            tokio::time::sleep(Duration::from_millis(125)).await;
            Ok::<_, ToolError>(1)
        });
        let slow = ToolHandle::from(slow);
        let context = RunContext::new();
        for permits in [1, 3] {
            let policy = ToolPolicy::new().concurrency(NonZeroU32::new(permits).unwrap());
            let scheduler = ToolScheduler::builder().tool("slow", policy).build();
            let scheduler = scheduler.unwrap();
            telemetry.watch_tools(&scheduler);
            let call = || scheduler.call(&context, &slow, "{}");
            let (first, second, third) = tokio::join!(call(), call(), call());
            assert!(first.is_ok() && second.is_ok() && third.is_ok());
        }
        let page = telemetry.metrics_text().unwrap();
        let lines = page.lines();
        let lines: Vec<_> = lines
            .filter(|line| line.starts_with("agent_sdk_tool_"))
            .collect();
        // One after the other for 375 ms, and then three at once for 125; the one permit of the first was idle since.
        assert_eq!(
            lines,
            [
                "agent_sdk_tool_parallelism_ratio 1.5",
                "agent_sdk_tool_queue_depth{gen_ai_tool_name=\"slow\"} 0",
                "agent_sdk_tool_queue_wait_seconds_total{gen_ai_tool_name=\"slow\"} 0.375",
                "agent_sdk_tool_retries_total{gen_ai_tool_name=\"slow\"} 0",
                "agent_sdk_tool_speedup_ratio 1.5",
                "agent_sdk_tool_utilization_ratio{gen_ai_tool_name=\"slow\"} 0.9375",
            ]
        );
    }
}
