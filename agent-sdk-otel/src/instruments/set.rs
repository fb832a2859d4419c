//! The instruments, made once.

use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

use crate::metric;

/// Every instrument that operations feed.
#[derive(Debug)]
pub(super) struct Instruments {
    pub(super) active: UpDownCounter<i64>,
    pub(super) inference_duration: Histogram<f64>,
    pub(super) inference_chunks: Chunks,
    pub(super) input: Counter<u64>,
    pub(super) output: Counter<u64>,
    pub(super) cache_read: Counter<u64>,
    pub(super) cache_write: Counter<u64>,
    pub(super) reasoning: Counter<u64>,
    pub(super) operation_input: Histogram<u64>,
    pub(super) operation_output: Histogram<u64>,
    pub(super) operation_duration: Histogram<f64>,
    pub(super) operation_chunks: Chunks,
    pub(super) token_usage: Histogram<u64>,
    pub(super) cost: Counter<f64>,
    pub(super) operation_cost: Histogram<f64>,
    pub(super) unpriced: Counter<u64>,
    pub(super) agent_duration: Histogram<f64>,
    pub(super) agent_inference_calls: Histogram<u64>,
    pub(super) agent_tool_calls: Histogram<u64>,
    pub(super) tool_duration: Histogram<f64>,
    pub(super) workflow_duration: Histogram<f64>,
}

/// The times of the pieces of a streamed answer.
#[derive(Debug)]
pub(super) struct Chunks {
    pub(super) first: Histogram<f64>,
    pub(super) gap: Histogram<f64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            active: metric::OPERATIONS_ACTIVE.i64_up_down_counter(meter),
            inference_duration: metric::INFERENCE_DURATION.f64_histogram(meter),
            inference_chunks: Chunks {
                first: metric::INFERENCE_TIME_TO_FIRST_CHUNK.f64_histogram(meter),
                gap: metric::INFERENCE_TIME_PER_OUTPUT_CHUNK.f64_histogram(meter),
            },
            input: metric::INFERENCE_INPUT_TOKENS.u64_counter(meter),
            output: metric::INFERENCE_OUTPUT_TOKENS.u64_counter(meter),
            cache_read: metric::INFERENCE_CACHE_READ_TOKENS.u64_counter(meter),
            cache_write: metric::INFERENCE_CACHE_WRITE_TOKENS.u64_counter(meter),
            reasoning: metric::INFERENCE_REASONING_TOKENS.u64_counter(meter),
            operation_input: metric::INFERENCE_OPERATION_INPUT_TOKENS.u64_histogram(meter),
            operation_output: metric::INFERENCE_OPERATION_OUTPUT_TOKENS.u64_histogram(meter),
            operation_duration: metric::OPERATION_DURATION.f64_histogram(meter),
            operation_chunks: Chunks {
                first: metric::OPERATION_TIME_TO_FIRST_CHUNK.f64_histogram(meter),
                gap: metric::OPERATION_TIME_PER_OUTPUT_CHUNK.f64_histogram(meter),
            },
            token_usage: metric::TOKEN_USAGE.u64_histogram(meter),
            cost: metric::COST.f64_counter(meter),
            operation_cost: metric::OPERATION_COST.f64_histogram(meter),
            unpriced: metric::UNPRICED_REQUESTS.u64_counter(meter),
            agent_duration: metric::AGENT_DURATION.f64_histogram(meter),
            agent_inference_calls: metric::AGENT_INFERENCE_CALLS.u64_histogram(meter),
            agent_tool_calls: metric::AGENT_TOOL_CALLS.u64_histogram(meter),
            tool_duration: metric::TOOL_DURATION.f64_histogram(meter),
            workflow_duration: metric::WORKFLOW_DURATION.f64_histogram(meter),
        }
    }
}
