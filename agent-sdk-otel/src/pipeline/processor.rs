//! Where the SDK's tracer provider hands over spans.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_sdk::redact::Redactor;
use opentelemetry::metrics::Counter;
use opentelemetry::trace::{Link, Span as _, SpanKind, TraceId};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};

use super::{Pipeline, Scope};
use crate::baggage;
use crate::encode::{Limits, encode_span};
use crate::sampling::{Finished, TailSampler};

thread_local! {
    /// The buffer in which this thread encodes its spans.
    static ENCODED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Puts every span that a tracer provider ends into the pipeline.
#[derive(Debug)]
pub(crate) struct PipelineProcessor {
    pipeline: Pipeline,
    tail: Option<Arc<TailSampler<Pipeline>>>,
    limits: Limits,
    /// What spans had no room for.
    dropped: Counter<u64>,
    redactor: Redactor,
    /// The scopes seen last, encoded.
    scopes: Mutex<Vec<(InstrumentationScope, Scope)>>,
}

/// How many encoded scopes are kept; a program has about one for each library that records spans.
const KNOWN_SCOPES: usize = 64;

/// A buffer that grew beyond this for one large span is given back.
const KEPT: usize = 64 * 1024;

impl PipelineProcessor {
    pub(crate) fn new(
        pipeline: Pipeline,
        limits: Limits,
        tail: Option<Arc<TailSampler<Pipeline>>>,
        dropped: Counter<u64>,
        redactor: Redactor,
    ) -> Self {
        Self {
            pipeline,
            tail,
            limits,
            dropped,
            redactor,
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
    fn on_start(&self, span: &mut Span, around: &Context) {
        baggage::inherited(around).for_each(|attribute| span.set_attribute(attribute));
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            self.pipeline.unsampled();
            return;
        }
        ENCODED.with_borrow_mut(|bytes| {
            bytes.clear();
            let dropped = encode_span(&span, self.limits, bytes);
            if dropped > 0 {
                self.dropped.add(dropped.into(), &[]);
            }
            let scope = self.scope(&span.instrumentation_scope);
            self.pipeline
                .without_secrets(&self.redactor, bytes, |message| match &self.tail {
                    Some(tail) => tail.offer(&Finished::of_span(&span, &scope, message)),
                    None => self.pipeline.push(&scope, message),
                });
            bytes.shrink_to(KEPT);
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
