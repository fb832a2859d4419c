//! Where the SDK's tracer provider hands over spans.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};

use super::SpanPipeline;

/// Puts every span that a tracer provider ends into the pipeline.
#[derive(Debug)]
pub(crate) struct PipelineProcessor(pub(crate) SpanPipeline);

impl SpanProcessor for PipelineProcessor {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        let limit = Duration::from_secs(5);
        if self.0.flush(limit) {
            Ok(())
        } else {
            Err(OTelSdkError::Timeout(limit))
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let account = self.0.shutdown(timeout);
        if account.queued == 0 && account.lost() == 0 {
            Ok(())
        } else {
            Err(OTelSdkError::InternalFailure(format!(
                "{} spans were lost and {} are unsettled",
                account.lost(),
                account.queued
            )))
        }
    }
}

/// A sampler that counts the spans it leaves out, which no processor ever sees.
#[derive(Clone, Debug)]
pub(crate) struct CountingSampler {
    pub(crate) inner: Sampler,
    pub(crate) pipeline: SpanPipeline,
}

impl ShouldSample for CountingSampler {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let result =
            self.inner
                .should_sample(parent_context, trace_id, name, span_kind, attributes, links);
        if result.decision == SamplingDecision::Drop {
            self.pipeline.unsampled();
        }
        result
    }
}
