//! The instruments, made once.

use opentelemetry::metrics::{Meter, UpDownCounter};

use super::bound::{Count, Distribution};
use crate::metric;
use crate::openmetrics::Exemplars;

/// Every instrument that operations feed.
#[derive(Debug)]
pub(super) struct Instruments {
    pub(super) active: UpDownCounter<i64>,
    pub(super) inference_duration: Distribution<f64>,
    pub(super) inference_chunks: Chunks,
    pub(super) input: Count<u64>,
    pub(super) output: Count<u64>,
    pub(super) cache_read: Count<u64>,
    pub(super) cache_write: Count<u64>,
    pub(super) reasoning: Count<u64>,
    pub(super) operation_input: Distribution<u64>,
    pub(super) operation_output: Distribution<u64>,
    pub(super) operation_duration: Distribution<f64>,
    pub(super) operation_chunks: Chunks,
    pub(super) token_usage: Distribution<u64>,
    pub(super) cost: Count<f64>,
    pub(super) operation_cost: Distribution<f64>,
    pub(super) unpriced: Count<u64>,
    pub(super) agent_duration: Distribution<f64>,
    pub(super) agent_inference_calls: Distribution<u64>,
    pub(super) agent_tool_calls: Distribution<u64>,
    pub(super) tool_duration: Distribution<f64>,
    pub(super) workflow_duration: Distribution<f64>,
    pub(super) step_duration: Distribution<f64>,
    pub(super) plan_speedup: Distribution<f64>,
    pub(super) plan_critical_path: Distribution<f64>,
}

/// The times of the pieces of a streamed answer.
#[derive(Debug)]
pub(super) struct Chunks {
    pub(super) first: Distribution<f64>,
    pub(super) gap: Distribution<f64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter, exemplars: &Exemplars) -> Self {
        let seconds = |def| Distribution::<f64>::f64(def, meter, exemplars);
        let sizes = |def| Distribution::<u64>::u64(def, meter, exemplars);
        // An exemplar leads from money to its trace; of tokens the histograms of operations have them.
        let money = |def| Count::<f64>::f64(def, meter, exemplars);
        let none = Exemplars::off();
        let tokens = |def| Count::<u64>::u64(def, meter, &none);
        Self {
            active: metric::OPERATIONS_ACTIVE.i64_up_down_counter(meter),
            inference_duration: seconds(metric::INFERENCE_DURATION),
            inference_chunks: Chunks {
                first: seconds(metric::INFERENCE_TIME_TO_FIRST_CHUNK),
                gap: seconds(metric::INFERENCE_TIME_PER_OUTPUT_CHUNK),
            },
            input: tokens(metric::INFERENCE_INPUT_TOKENS),
            output: tokens(metric::INFERENCE_OUTPUT_TOKENS),
            cache_read: tokens(metric::INFERENCE_CACHE_READ_TOKENS),
            cache_write: tokens(metric::INFERENCE_CACHE_WRITE_TOKENS),
            reasoning: tokens(metric::INFERENCE_REASONING_TOKENS),
            operation_input: sizes(metric::INFERENCE_OPERATION_INPUT_TOKENS),
            operation_output: sizes(metric::INFERENCE_OPERATION_OUTPUT_TOKENS),
            operation_duration: seconds(metric::OPERATION_DURATION),
            operation_chunks: Chunks {
                first: seconds(metric::OPERATION_TIME_TO_FIRST_CHUNK),
                gap: seconds(metric::OPERATION_TIME_PER_OUTPUT_CHUNK),
            },
            token_usage: sizes(metric::TOKEN_USAGE),
            cost: money(metric::COST),
            operation_cost: seconds(metric::OPERATION_COST),
            unpriced: Count::<u64>::u64(metric::UNPRICED_REQUESTS, meter, exemplars),
            agent_duration: seconds(metric::AGENT_DURATION),
            agent_inference_calls: sizes(metric::AGENT_INFERENCE_CALLS),
            agent_tool_calls: sizes(metric::AGENT_TOOL_CALLS),
            tool_duration: seconds(metric::TOOL_DURATION),
            workflow_duration: seconds(metric::WORKFLOW_DURATION),
            step_duration: seconds(metric::STEP_DURATION),
            plan_speedup: seconds(metric::PLAN_SPEEDUP),
            plan_critical_path: seconds(metric::PLAN_CRITICAL_PATH),
        }
    }
}
