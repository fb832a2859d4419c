//! Every metric: its name, unit, description and buckets, in one place.
//!
//! Names and buckets follow the same text as [`attrs`](crate::attrs). Buckets are
//! recommendations there; the duration buckets here have three more at the top, because reasoning
//! models answer after minutes. Prometheus names follow from these: dots become underscores,
//! `s` becomes `_seconds`, counters get `_total`, and units in braces disappear.

use opentelemetry::metrics::{
    AsyncInstrument, Counter, Histogram, Meter, ObservableCounter, ObservableGauge, UpDownCounter,
};

/// Seconds, from 10 ms to eleven minutes: requests, tools.
pub const DURATION_BUCKETS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
    327.68, 655.36,
];

/// Tokens, in powers of four.
pub const TOKEN_BUCKETS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Seconds, for an agent's whole run.
pub const AGENT_BUCKETS: &[f64] = &[
    0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6,
];

/// Calls made in one run.
pub const CALL_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// Seconds, for a workflow or one of its steps.
pub const WORKFLOW_BUCKETS: &[f64] = &[
    1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0,
];

/// US dollars for one operation, from a hundredth of a cent to a hundred dollars.
pub const COST_BUCKETS: &[f64] = &[
    0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0,
];

/// Summed work over wall time.
pub const SPEEDUP_BUCKETS: &[f64] = &[1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0];

/// What a metric is: everything but its values.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MetricDef {
    /// The OpenTelemetry name.
    pub name: &'static str,
    /// The UCUM unit; braces mark an annotation.
    pub unit: &'static str,
    /// One sentence for the reader of a dashboard.
    pub description: &'static str,
    /// Upper bounds of a histogram's buckets; empty for every other kind.
    pub buckets: &'static [f64],
}

impl MetricDef {
    const fn new(name: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self {
            name,
            unit,
            description,
            buckets: &[],
        }
    }

    const fn histogram(
        name: &'static str,
        unit: &'static str,
        description: &'static str,
        buckets: &'static [f64],
    ) -> Self {
        Self {
            name,
            unit,
            description,
            buckets,
        }
    }

    /// Makes the histogram of this definition, with its buckets.
    pub fn f64_histogram(&self, meter: &Meter) -> Histogram<f64> {
        meter
            .f64_histogram(self.name)
            .with_unit(self.unit)
            .with_description(self.description)
            .with_boundaries(self.buckets.to_vec())
            .build()
    }

    /// Makes the histogram of this definition over whole numbers.
    pub fn u64_histogram(&self, meter: &Meter) -> Histogram<u64> {
        meter
            .u64_histogram(self.name)
            .with_unit(self.unit)
            .with_description(self.description)
            .with_boundaries(self.buckets.to_vec())
            .build()
    }

    /// Makes the counter of this definition.
    pub fn u64_counter(&self, meter: &Meter) -> Counter<u64> {
        meter
            .u64_counter(self.name)
            .with_unit(self.unit)
            .with_description(self.description)
            .build()
    }

    /// Makes the counter of this definition that is read when metrics are collected.
    pub fn u64_observable_counter(
        &self,
        meter: &Meter,
        read: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static,
    ) -> ObservableCounter<u64> {
        meter
            .u64_observable_counter(self.name)
            .with_unit(self.unit)
            .with_description(self.description)
            .with_callback(read)
            .build()
    }

    /// Makes the counter of this definition over fractions that is read when metrics are collected.
    pub fn f64_observable_counter(
        &self,
        meter: &Meter,
        read: impl Fn(&dyn AsyncInstrument<f64>) + Send + Sync + 'static,
    ) -> ObservableCounter<f64> {
        meter
            .f64_observable_counter(self.name)
            .with_unit(self.unit)
            .with_description(self.description)
            .with_callback(read)
            .build()
    }

    /// Makes the gauge of this definition that is read when metrics are collected.
    pub fn f64_observable_gauge(
        &self,
        meter: &Meter,
        read: impl Fn(&dyn AsyncInstrument<f64>) + Send + Sync + 'static,
    ) -> ObservableGauge<f64> {
        meter
            .f64_observable_gauge(self.name)
            .with_unit(self.unit)
            .with_description(self.description)
            .with_callback(read)
            .build()
    }

    /// Makes the gauge of this definition over whole numbers that is read when metrics are collected.
    pub fn u64_observable_gauge(
        &self,
        meter: &Meter,
        read: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static,
    ) -> ObservableGauge<u64> {
        meter
            .u64_observable_gauge(self.name)
            .with_unit(self.unit)
            .with_description(self.description)
            .with_callback(read)
            .build()
    }

    /// Makes the counter of this definition that also goes down.
    pub fn i64_up_down_counter(&self, meter: &Meter) -> UpDownCounter<i64> {
        meter
            .i64_up_down_counter(self.name)
            .with_unit(self.unit)
            .with_description(self.description)
            .build()
    }

    /// Makes the counter of this definition over fractions.
    pub fn f64_counter(&self, meter: &Meter) -> Counter<f64> {
        meter
            .f64_counter(self.name)
            .with_unit(self.unit)
            .with_description(self.description)
            .build()
    }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $unit:literal, $text:literal $(, $buckets:ident)?;)*) => {
        $($(#[$doc])* #[doc = concat!("`", $name, "` in `", $unit, "`: ", $text)]
        pub const $id: MetricDef = metrics!(@def $name, $unit, $text $(, $buckets)?);)*

        /// Every metric that the bridge can emit.
        pub const ALL: &[MetricDef] = &[$($id),*];
    };
    (@def $name:literal, $unit:literal, $text:literal) => { MetricDef::new($name, $unit, $text) };
    (@def $name:literal, $unit:literal, $text:literal, $buckets:ident) => {
        MetricDef::histogram($name, $unit, $text, $buckets)
    };
}

metrics! {
    INFERENCE_DURATION = "gen_ai.client.inference.duration", "s", "Duration of a model request, retries included.", DURATION_BUCKETS;
    INFERENCE_TIME_TO_FIRST_CHUNK = "gen_ai.client.inference.time_to_first_chunk", "s", "Time until the first chunk of a streamed answer.", DURATION_BUCKETS;
    INFERENCE_TIME_PER_OUTPUT_CHUNK = "gen_ai.client.inference.time_per_output_chunk", "s", "Time between the chunks of a streamed answer.", DURATION_BUCKETS;
    INFERENCE_INPUT_TOKENS = "gen_ai.client.inference.usage.input_tokens", "{token}", "Input tokens, those read from or written to a cache included.";
    INFERENCE_OUTPUT_TOKENS = "gen_ai.client.inference.usage.output_tokens", "{token}", "Output tokens, reasoning included.";
    INFERENCE_CACHE_READ_TOKENS = "gen_ai.client.inference.usage.cache_read.input_tokens", "{token}", "Input tokens read from the provider's cache.";
    INFERENCE_CACHE_WRITE_TOKENS = "gen_ai.client.inference.usage.cache_write.input_tokens", "{token}", "Input tokens written to the provider's cache.";
    INFERENCE_REASONING_TOKENS = "gen_ai.client.inference.usage.reasoning.output_tokens", "{token}", "Output tokens spent on reasoning.";
    INFERENCE_OPERATION_INPUT_TOKENS = "gen_ai.client.inference.operation.input_tokens", "{token}", "Input tokens of one request.", TOKEN_BUCKETS;
    INFERENCE_OPERATION_OUTPUT_TOKENS = "gen_ai.client.inference.operation.output_tokens", "{token}", "Output tokens of one request.", TOKEN_BUCKETS;
    OPERATION_DURATION = "gen_ai.client.operation.duration", "s", "Duration of a GenAI client operation.", DURATION_BUCKETS;
    /// Of v1.41.
    TOKEN_USAGE = "gen_ai.client.token.usage", "{token}", "Tokens of one request, by type.", TOKEN_BUCKETS;
    /// Of v1.41.
    OPERATION_TIME_TO_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk", "s", "Time until the first chunk of a streamed answer.", DURATION_BUCKETS;
    /// Of v1.41.
    OPERATION_TIME_PER_OUTPUT_CHUNK = "gen_ai.client.operation.time_per_output_chunk", "s", "Time between the chunks of a streamed answer.", DURATION_BUCKETS;
    AGENT_DURATION = "gen_ai.invoke_agent.duration", "s", "Duration of an agent's run.", AGENT_BUCKETS;
    AGENT_INFERENCE_CALLS = "gen_ai.invoke_agent.inference_calls", "{inference_call}", "Model requests in an agent's run, failed ones included.", CALL_BUCKETS;
    AGENT_TOOL_CALLS = "gen_ai.invoke_agent.tool_calls", "{tool_call}", "Tool calls in an agent's run.", CALL_BUCKETS;
    TOOL_DURATION = "gen_ai.execute_tool.duration", "s", "Duration of a tool call.", DURATION_BUCKETS;
    WORKFLOW_DURATION = "gen_ai.invoke_workflow.duration", "s", "Duration of a workflow.", WORKFLOW_BUCKETS;
    COST = "agent_sdk.cost", "{USD}", "Money spent on models and tools.";
    OPERATION_COST = "agent_sdk.operation.cost", "{USD}", "Cost of one operation.", COST_BUCKETS;
    UNPRICED_REQUESTS = "agent_sdk.unpriced_requests", "{request}", "Requests whose price is unknown.";
    BUDGET_LIMIT = "agent_sdk.budget.limit", "{USD}", "The money that a budget caps.";
    BUDGET_COMMITTED = "agent_sdk.budget.committed", "{USD}", "The money that a budget has spent in its period; of one with several accounts, that which is nearest to its cap.";
    BUDGET_RESERVED = "agent_sdk.budget.reserved", "{USD}", "The money that a budget has put aside for what is under way, in the same account.";
    BUDGET_REFUSALS = "agent_sdk.budget.refusals", "{refusal}", "What a budget refused.";
    BUDGET_ALERTS = "agent_sdk.budget.alerts", "{alert}", "Alerts that a budget gave.";
    OPERATIONS_ACTIVE = "agent_sdk.operations.active", "{operation}", "Operations that run now.";
    STEP_DURATION = "agent_sdk.step.duration", "s", "Duration of a plan's step.", WORKFLOW_BUCKETS;
    PLAN_SPEEDUP = "agent_sdk.plan.speedup", "1", "A plan's summed work over its wall time.", SPEEDUP_BUCKETS;
    PLAN_CRITICAL_PATH = "agent_sdk.plan.critical_path", "s", "Length of a plan's critical path.", WORKFLOW_BUCKETS;
    TOOL_QUEUE_DEPTH = "agent_sdk.tool.queue_depth", "{call}", "Tool calls that wait for a slot.";
    TOOL_RETRIES = "agent_sdk.tool.retries", "{retry}", "Tool calls made again.";
    TOOL_QUEUE_WAIT = "agent_sdk.tool.queue_wait", "s", "How long tool calls have waited for a slot, summed.";
    TOOL_UTILIZATION = "agent_sdk.tool.utilization", "1", "The part of a tool's slots that was in use on average, of tools with a cap of their own.";
    TOOL_PARALLELISM = "agent_sdk.tool.parallelism", "1", "How many tools ran at once on average while any did.";
    TOOL_SPEEDUP = "agent_sdk.tool.speedup", "1", "The summed work of tools over the time in which calls were under way.";
    PROPAGATION_IGNORED = "agent_sdk.propagation.ignored", "{header}", "Trace headers of incoming requests, or members of them, that were ignored.";
    SPAN_LIMITS_DROPPED = "agent_sdk.span_limits.dropped", "{item}", "Attributes, events and links that a span had no room for.";
    BREAKER_STATE = "agent_sdk.breaker.state", "{state}", "0 closed, 1 half open, 2 open.";
    METRICS_TRUNCATED_SERIES = "agent_sdk.metrics.truncated_series", "{series}", "Series that the page has no room for: the sums of counters and histograms are in the overflow series.";
    TAIL_SAMPLING_KEPT = "agent_sdk.tail_sampling.kept", "{trace}", "Traces that tail sampling kept for a reason; those of its share are not among them.";
    TAIL_SAMPLING_LEFT_OUT = "agent_sdk.tail_sampling.left_out", "{trace}", "Traces that tail sampling left out.";
    TAIL_SAMPLING_UNDECIDED = "agent_sdk.tail_sampling.undecided", "{trace}", "Traces that tail sampling holds.";
    TAIL_SAMPLING_HELD = "agent_sdk.tail_sampling.held", "By", "Memory of the spans that tail sampling holds.";
    SPANS_ENDED = "agent_sdk.spans.ended", "{span}", "Spans or log records that ended: the sum of what became of them.";
    SPANS_UNSAMPLED = "agent_sdk.spans.unsampled", "{span}", "Spans that the sampler left out.";
    SPANS_QUEUED = "agent_sdk.spans.queued", "{span}", "Spans or log records that wait for export or are being exported.";
    SPANS_EXPORTED = "agent_sdk.spans.exported", "{span}", "Spans or log records that the collector accepted.";
    SPANS_REJECTED = "agent_sdk.spans.rejected", "{span}", "Spans or log records that the collector refused in an accepted request.";
    SPANS_DROPPED = "agent_sdk.spans.dropped", "{span}", "Spans or log records that found the queue full or closed, or could not be cleared of a secret.";
    SPANS_FAILED = "agent_sdk.spans.failed", "{span}", "Spans or log records whose request failed.";
    SPANS_SPILLED = "agent_sdk.spans.spilled", "{span}", "Spans or log records in files on disk, to be sent later.";
    SPANS_UNKNOWN = "agent_sdk.spans.unknown", "{span}", "Spans or log records that were sent but whose reply was lost.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_never_say_total() {
        let names: HashSet<_> = ALL.iter().map(|def| def.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|def| !def.name.ends_with("total")));
    }

    #[test]
    fn buckets_rise() {
        for def in ALL {
            assert!(def.buckets.is_sorted_by(|a, b| a < b), "{}", def.name);
        }
    }
}
