//! The ways to make an operation's span that `docs/adr/0003-spans-through-tracing.md` compares.
//!
//! `cargo bench -p agent-sdk-otel --bench spans`, or with `-- WAY SPANS ENTERS ROUNDS` one of them,
//! for an instruction count (the difference of two runs with different numbers of spans):
//! `valgrind --tool=callgrind target/release/deps/spans-… early 2000 1 1`.
//!
//! Result on a 2-core shared x86-64 VM, 2026-11, median ns for one enter: registry 200,
//! early 1,780–1,980, built 1,780–1,900, layer 970–1,020, fields 2,880–2,950, api 680.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark talks to its reader and stops at the first error"
)]

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use agent_sdk_otel::attrs;
use opentelemetry::time::now;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, ContextGuard, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SdkTracer, SdkTracerProvider, ShouldSample, SpanData, SpanEvents, SpanLinks,
    SpanProcessor,
};
use tracing::field::Empty;
use tracing::{Span, Subscriber, info_span, span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, registry};

const MODEL: &str = "gpt-5";
const MARKER: &str = "agent_sdk.exported";

/// Takes spans in batches, as a pipeline does, and forgets them.
#[derive(Clone, Debug, Default)]
struct Sink(Arc<Mutex<Vec<SpanData>>>);

impl Sink {
    fn push(&self, span: SpanData) {
        let mut batch = self.0.lock().unwrap();
        batch.push(span);
        if batch.len() == 512 {
            batch.clear();
        }
    }
}

#[derive(Debug)]
struct Processor {
    sink: Sink,
    skip_marked: bool,
}

impl SpanProcessor for Processor {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        let marked = |pair: &KeyValue| pair.key.as_str() == MARKER;
        if !(self.skip_marked && span.attributes.iter().any(marked)) {
            self.sink.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn sampler() -> Sampler {
    Sampler::ParentBased(Box::new(Sampler::AlwaysOn))
}

fn tracer(sink: &Sink, skip_marked: bool) -> SdkTracer {
    let processor = Processor {
        sink: sink.clone(),
        skip_marked,
    };
    SdkTracerProvider::builder()
        .with_sampler(sampler())
        .with_span_processor(processor)
        .build()
        .tracer("agent-sdk")
}

fn lean<S>(tracer: SdkTracer, only_users: bool) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(move |meta| {
            meta.is_span() && !(only_users && meta.target() == "agent_sdk")
        }))
}

fn name() -> String {
    ["chat ", MODEL].concat()
}

fn first_attributes() -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(12);
    attributes.push(attrs::text(attrs::OPERATION_NAME, "chat"));
    attributes.push(attrs::text(attrs::PROVIDER_NAME, "openai"));
    attributes.push(attrs::text(attrs::REQUEST_MODEL, MODEL.to_owned()));
    attributes.push(attrs::text(attrs::SERVER_ADDRESS, "api.openai.com"));
    attributes
}

fn last_attributes() -> [KeyValue; 8] {
    [
        attrs::int(attrs::USAGE_INPUT_TOKENS, 1_234),
        attrs::int(attrs::USAGE_OUTPUT_TOKENS, 321),
        attrs::text(attrs::RESPONSE_MODEL, "gpt-5-2026"),
        attrs::text(attrs::RESPONSE_ID, String::from("resp_0123456789")),
        attrs::float(attrs::REQUEST_TEMPERATURE, 0.2),
        attrs::float(attrs::USAGE_COST, 0.0123),
        attrs::text(attrs::OUTCOME, "ok"),
        attrs::text(attrs::RUN_ID, String::from("run_0123456789")),
    ]
}

fn finished(
    context: SpanContext,
    name: String,
    start: SystemTime,
    attributes: Vec<KeyValue>,
    scope: &InstrumentationScope,
) -> SpanData {
    SpanData {
        span_context: context,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Client,
        name: name.into(),
        start_time: start,
        end_time: now(),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    }
}

fn open(name: &str) -> Span {
    info_span!(target: "agent_sdk", "operation", otel.name = name, otel.kind = "client",
        gen_ai.operation.name = "chat", gen_ai.provider.name = "openai",
        gen_ai.request.model = MODEL, server.address = "api.openai.com")
}

fn open_marked(name: &str) -> Span {
    info_span!(target: "agent_sdk", "operation", otel.name = name, otel.kind = "client",
        agent_sdk.exported = true,
        gen_ai.operation.name = "chat", gen_ai.provider.name = "openai",
        gen_ai.request.model = MODEL, server.address = "api.openai.com")
}

fn enter(span: &Span, times: u32) {
    for _ in 0..times {
        span.in_scope(|| black_box(()));
    }
}

/// A layer of our own: makes the ids before the span opens and attaches a context when it is
/// entered. The user's spans are `tracing-opentelemetry`'s.
struct OwnLayer<S>(PhantomData<fn(S)>);

struct OwnContext(Context);

thread_local! {
    static PENDING: RefCell<Option<SpanContext>> = const { RefCell::new(None) };
    static ENTERED: RefCell<Vec<(u64, ContextGuard)>> = const { RefCell::new(Vec::new()) };
    static RANDOM: Cell<u64> = const { Cell::new(0x9E37_79B9_7F4A_7C15) };
}

fn random() -> u64 {
    RANDOM.with(|state| {
        let mut value = state.get();
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        state.set(value);
        value
    })
}

impl<S> Layer<S> for OwnLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(
        &self,
        _attributes: &span::Attributes<'_>,
        id: &span::Id,
        layers: LayerContext<'_, S>,
    ) {
        let pending = PENDING.with(|pending| pending.borrow_mut().take());
        if let (Some(context), Some(span)) = (pending, layers.span(id)) {
            let context = Context::map_current(|cx| cx.with_remote_span_context(context));
            span.extensions_mut().insert(OwnContext(context));
        }
    }

    fn on_enter(&self, id: &span::Id, layers: LayerContext<'_, S>) {
        let context = layers.span(id).and_then(|span| {
            let extensions = span.extensions();
            extensions.get::<OwnContext>().map(|own| own.0.clone())
        });
        if let Some(context) = context {
            let guard = context.attach();
            ENTERED.with(|entered| entered.borrow_mut().push((id.into_u64(), guard)));
        }
    }

    fn on_exit(&self, id: &span::Id, _layers: LayerContext<'_, S>) {
        ENTERED.with(|entered| {
            let mut entered = entered.borrow_mut();
            if let Some(at) = entered.iter().rposition(|(own, _)| *own == id.into_u64()) {
                entered.remove(at);
            }
        });
    }
}

#[derive(Clone, Copy)]
struct Work {
    spans: u32,
    enters: u32,
    rounds: usize,
}

fn measure(way: &str, work: Work, mut span: impl FnMut()) {
    (0..work.spans.min(2_000)).for_each(|_| span());
    let mut rounds = Vec::new();
    for _ in 0..work.rounds {
        let begin = Instant::now();
        (0..work.spans).for_each(|_| span());
        rounds.push(begin.elapsed().as_nanos() / u128::from(work.spans));
    }
    rounds.sort_unstable();
    let median = rounds.get(rounds.len() / 2).unwrap();
    println!("{way:9} {:2} enters: median {median:5} ns", work.enters);
}

fn run(way: &str, work: Work) {
    let sink = Sink::default();
    let scope = InstrumentationScope::builder("agent-sdk").build();
    let under = |subscriber: Box<dyn Subscriber + Send + Sync>, span: &mut dyn FnMut()| {
        tracing::subscriber::with_default(subscriber, || measure(way, work, span));
    };
    match way {
        "registry" => under(Box::new(registry()), &mut || {
            enter(&open(&name()), work.enters);
        }),
        "early" => {
            let subscriber = registry().with(lean(tracer(&sink, false), false));
            under(Box::new(subscriber), &mut || {
                let span = open(&name());
                let context = span.context();
                black_box(context.span().span_context().span_id());
                enter(&span, work.enters);
                let operation = context.span();
                operation.set_attributes(last_attributes());
                operation.set_status(Status::Unset);
                operation.end_with_timestamp(now());
            });
        }
        "built" => {
            let subscriber = registry().with(lean(tracer(&sink, true), false));
            under(Box::new(subscriber), &mut || {
                let (start, name) = (now(), name());
                let span = open_marked(&name);
                let ids = span.context().span().span_context().clone();
                enter(&span, work.enters);
                let mut attributes = first_attributes();
                attributes.extend(last_attributes());
                sink.push(finished(ids, name, start, attributes, &scope));
            });
        }
        "layer" => {
            let own = OwnLayer(PhantomData).with_filter(filter_fn(|m| m.target() == "agent_sdk"));
            let subscriber = registry().with(own).with(lean(tracer(&sink, false), true));
            let sampler = sampler();
            under(Box::new(subscriber), &mut || {
                let (start, name, mut attributes) = (now(), name(), first_attributes());
                let trace = u128::from(random()) << 64 | u128::from(random());
                let trace = TraceId::from(trace);
                let kind = SpanKind::Client;
                black_box(Context::map_current(|cx| {
                    sampler.should_sample(Some(cx), trace, &name, &kind, &attributes, &[])
                }));
                let span_id = SpanId::from(random());
                let flags = TraceFlags::SAMPLED;
                let ids = SpanContext::new(trace, span_id, flags, false, TraceState::NONE);
                PENDING.with(|pending| pending.replace(Some(ids.clone())));
                let span = info_span!(target: "agent_sdk", "operation");
                enter(&span, work.enters);
                attributes.extend(last_attributes());
                sink.push(finished(ids, name, start, attributes, &scope));
            });
        }
        "fields" => {
            let subscriber = registry().with(lean(tracer(&sink, false), false));
            under(Box::new(subscriber), &mut || {
                let span = info_span!(target: "agent_sdk", "operation",
                    otel.name = name().as_str(), otel.kind = "client",
                    gen_ai.operation.name = "chat", gen_ai.provider.name = "openai",
                    gen_ai.request.model = MODEL, server.address = "api.openai.com",
                    gen_ai.request.temperature = 0.2, agent_sdk.run.id = "run_0123456789",
                    gen_ai.usage.input_tokens = Empty, gen_ai.usage.output_tokens = Empty,
                    gen_ai.response.model = Empty, gen_ai.response.id = Empty,
                    gen_ai.usage.cost = Empty, agent_sdk.outcome = Empty);
                black_box(span.context().span().span_context().span_id());
                enter(&span, work.enters);
                span.record(attrs::USAGE_INPUT_TOKENS, 1_234);
                span.record(attrs::USAGE_OUTPUT_TOKENS, 321);
                span.record(attrs::RESPONSE_MODEL, "gpt-5-2026");
                span.record(attrs::RESPONSE_ID, "resp_0123456789");
                span.record(attrs::USAGE_COST, 0.0123);
                span.record(attrs::OUTCOME, "ok");
            });
        }
        _ => {
            let tracer = tracer(&sink, false);
            measure("api", work, || {
                let builder = SpanBuilder::from_name(name())
                    .with_kind(SpanKind::Client)
                    .with_attributes(first_attributes());
                let span = tracer.build_with_context(builder, &Context::new());
                let context = Context::new().with_span(span);
                let operation = context.span();
                operation.set_attributes(last_attributes());
                operation.end_with_timestamp(now());
            });
        }
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u32>().ok());
    if let Some(way) = arguments.first() {
        let work = Work {
            spans: number(1).unwrap_or(100_000),
            enters: number(2).unwrap_or(1),
            rounds: number(3).unwrap_or(9) as usize,
        };
        return run(way, work);
    }
    for enters in [1, 11] {
        for way in ["registry", "early", "built", "layer", "fields", "api"] {
            run(
                way,
                Work {
                    spans: 50_000,
                    enters,
                    rounds: 9,
                },
            );
        }
    }
}
