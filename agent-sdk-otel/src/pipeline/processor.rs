//! Where the SDK's tracer provider hands over spans.

use std::cell::{Cell, RefCell};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};

use super::encode::encode_span;
use super::{Pipeline, Scope};

thread_local! {
    /// The times of the operation whose span this thread is ending.
    static TIMES: Cell<Option<(SystemTime, SystemTime)>> = const { Cell::new(None) };

    /// The buffer in which this thread encodes its spans.
    static ENCODED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Ends an operation's span through `end`, with the times of the run's own clock in place of the layer's.
///
/// The layer stamped the span's start with another reading of another clock. With these, the exported length is the
/// operation's duration to the nanosecond, and a clock that is set back cannot end it before it started.
pub(crate) fn with_times(start: SystemTime, stop: SystemTime, end: impl FnOnce()) {
    TIMES.set(Some((start, stop)));
    end();
    TIMES.set(None);
}

/// Puts every span that a tracer provider ends into the pipeline.
#[derive(Debug)]
pub(crate) struct PipelineProcessor {
    pipeline: Pipeline,
    /// The scopes seen last, encoded.
    scopes: Mutex<Vec<(InstrumentationScope, Scope)>>,
}

/// How many encoded scopes are kept; a program has about one for each library that records spans.
const KNOWN_SCOPES: usize = 64;

impl PipelineProcessor {
    pub(crate) fn new(pipeline: Pipeline) -> Self {
        Self {
            pipeline,
            scopes: Mutex::default(),
        }
    }

    fn scope(&self, scope: &InstrumentationScope) -> Scope {
        let mut known = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, encoded)) = known.iter().find(|(known, _)| known == scope) {
            return encoded.clone();
        }
        let encoded = Scope::new(scope);
        if known.len() == KNOWN_SCOPES {
            known.clear();
        }
        known.push((scope.clone(), encoded.clone()));
        encoded
    }
}

impl SpanProcessor for PipelineProcessor {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if let Some((start, stop)) = TIMES.take() {
            span.start_time = start;
            span.end_time = stop;
        }
        if !span.span_context.is_sampled() {
            self.pipeline.unsampled();
            return;
        }
        ENCODED.with_borrow_mut(|bytes| {
            bytes.clear();
            encode_span(&span, bytes);
            self.pipeline
                .push(&self.scope(&span.instrumentation_scope), bytes);
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        let limit = Duration::from_secs(5);
        if self.pipeline.flush(limit) {
            Ok(())
        } else {
            Err(OTelSdkError::Timeout(limit))
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let account = self.pipeline.shutdown(timeout);
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
    pub(crate) pipeline: Pipeline,
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
