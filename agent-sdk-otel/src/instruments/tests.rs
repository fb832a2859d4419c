#![expect(clippy::float_cmp, reason = "sums of whole numbers are exact")]

use std::time::Duration;

use agent_sdk::model::Usage;
use agent_sdk::operation::{
    Facts, Kind, Observers, Operation, Outcome, Payload, RunContext, trace_agent, trace_chat,
    trace_tool,
};
use opentelemetry_sdk::trace::Sampler;

use crate::openmetrics::tests::{Page, Sample, read};
use crate::testing::{Behaviour, Collector};
use crate::{Telemetry, TelemetryBuilder, attrs};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

fn telemetry() -> Telemetry {
    Telemetry::builder().build().unwrap()
}

fn context(telemetry: &Telemetry) -> RunContext {
    RunContext::builder()
        .observers(telemetry.observers())
        .build()
}

fn page(telemetry: &Telemetry) -> Page {
    let page = telemetry.metrics_page(OPEN_METRICS).unwrap();
    assert!(page.body.len() <= crate::MAX_PAGE_BYTES);
    read(&telemetry.metrics_text().unwrap(), false);
    read(&page.body, true)
}

fn chat(context: &RunContext, model: &str, learn: impl FnOnce(&mut Facts)) -> Operation {
    let chat = trace_chat(context, "openai", model).begin();
    chat.record(learn);
    chat
}

fn answered(facts: &mut Facts) {
    facts.usage = Usage::new(1_000, 50).with_cache_read(400);
    facts.response_model = Some("gpt-4o-2024-08-06".into());
    facts.first_chunk = Some(Duration::from_millis(300));
    facts.chunk_gaps_us = vec![20_000, 20_000, 300_000, 20_000];
}

#[tokio::test]
async fn every_histogram_leads_to_the_trace_of_its_newest_measurement() {
    let telemetry = telemetry();
    let context = context(&telemetry);
    let mut traces = Vec::new();
    for _ in 0..2 {
        let agent = trace_agent(&context, "triage").begin();
        let chat = chat(agent.context(), "gpt-4o", answered);
        traces.push(chat.info().trace);
        chat.end(Outcome::Ok, Payload::None);
        trace_tool(agent.context(), "search").future(async {}).await;
        agent.end(Outcome::Ok, Payload::None);
    }
    let page = page(&telemetry);
    let newest = traces.pop().unwrap();
    let histograms = page
        .families
        .iter()
        .filter(|family| family.kind == "histogram");
    let mut counted = 0;
    for family in histograms {
        counted += 1;
        let buckets = family
            .samples
            .iter()
            .filter(|sample| sample.name.ends_with("_bucket"));
        let mut below = 0.0;
        for bucket in buckets {
            let filled = bucket.value > below;
            below = if bucket.label("le") == Some("+Inf") {
                0.0
            } else {
                bucket.value
            };
            assert_eq!(bucket.exemplar.is_some(), filled, "{bucket:?}");
            if let Some(exemplar) = &bucket.exemplar {
                assert_eq!(
                    exemplar.labels[0],
                    ("trace_id".into(), newest.trace_id.to_string())
                );
                assert!(exemplar.time > 1.7e9);
            }
        }
    }
    assert_eq!(counted, 14);
    let duration = page.family("gen_ai_client_inference_duration_seconds");
    assert_eq!(duration.unit.as_deref(), Some("seconds"));
    let exemplars = duration
        .samples
        .iter()
        .filter_map(|sample| sample.exemplar.as_ref());
    let spans: Vec<_> = exemplars
        .map(|exemplar| exemplar.labels[1].1.clone())
        .collect();
    assert_eq!(spans, [newest.span_id.to_string()]);
    let cost = &page.family("agent_sdk_cost").samples[0];
    assert!(cost.exemplar.is_some());
    assert!(!telemetry.metrics_text().unwrap().contains("trace_id"));
}

#[tokio::test]
async fn what_is_not_sampled_is_counted_without_an_exemplar() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .sampler(Sampler::AlwaysOff)
        .build()
        .unwrap();
    let context = context(&telemetry);
    chat(&context, "gpt-4o", answered).end(Outcome::Ok, Payload::None);
    let page = telemetry.metrics_page(OPEN_METRICS).unwrap().body;
    assert!(!page.contains(" # {"), "{page}");
    let page = read(&page, true);
    assert_eq!(
        page.sum("gen_ai_client_inference_duration_seconds_count"),
        1.0
    );
}

#[tokio::test]
async fn what_is_warm_is_counted_like_what_is_cold() {
    let telemetry = telemetry();
    let agent = trace_agent(&context(&telemetry), "triage").begin();
    for round in 0..10 {
        let ok = chat(agent.context(), "gpt-4o", answered);
        ok.end(Outcome::Ok, Payload::None);
        chat(agent.context(), "gpt-4o", |_| {}).fail("rate_limited", "wait");
        let page = page(&telemetry);
        let times = f64::from(round + 1);
        let of = |name: &str| page.sum(&format!("gen_ai_client_inference_{name}")) / times;
        assert_eq!(of("usage_input_tokens_total"), 1_000.0);
        assert_eq!(of("usage_output_tokens_total"), 50.0);
        assert_eq!(of("usage_cache_read_input_tokens_total"), 400.0);
        assert_eq!(of("duration_seconds_count"), 2.0);
        assert_eq!(of("time_per_output_chunk_seconds_count"), 4.0);
        let tokens = page.family("gen_ai_client_inference_usage_input_tokens");
        assert_eq!(
            tokens.samples.len(),
            2,
            "a failed request has a series of its own, at zero"
        );
        assert_eq!(page.sum("agent_sdk_operations_active"), 1.0);
    }
}

#[test]
fn many_threads_lose_nothing() {
    let telemetry = telemetry();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let observers = telemetry.observers();
            scope.spawn(move || many(observers, thread));
        }
        for _ in 0..20 {
            page(&telemetry);
        }
    });
    let page = page(&telemetry);
    assert_eq!(
        page.sum("gen_ai_client_operation_duration_seconds_count"),
        4_000.0
    );
    assert_eq!(
        page.sum("gen_ai_client_inference_usage_input_tokens_total"),
        4_000_000.0
    );
    assert_eq!(page.sum("agent_sdk_operations_active"), 0.0);
    let models = page.samples("gen_ai_client_operation_duration_seconds_count");
    assert_eq!(models.count(), 50);
}

fn many(observers: Observers, thread: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let context = RunContext::builder().observers(observers).build();
    for index in 0..500 {
        let model = format!("model-{}", (thread + index) % 50);
        let chat = chat(&context, &model, |facts| facts.usage = Usage::new(1_000, 1));
        chat.end(Outcome::Ok, Payload::None);
    }
}

#[tokio::test]
async fn o6_labels_are_bounded_and_totals_exact() {
    let telemetry = telemetry();
    let context = context(&telemetry);
    let calls = 6_000;
    for index in 0..calls {
        let model = format!("m\"{index}\n\\\0");
        let chat = chat(&context, &model, answered);
        chat.end(Outcome::Ok, Payload::None);
    }
    let page = page(&telemetry);
    let calls = f64::from(calls);
    for (name, total) in [
        ("gen_ai_client_inference_duration_seconds_count", calls),
        (
            "gen_ai_client_inference_usage_input_tokens_total",
            1_000.0 * calls,
        ),
        (
            "gen_ai_client_inference_operation_input_tokens_sum",
            1_000.0 * calls,
        ),
        ("gen_ai_client_token_usage_sum", 1_050.0 * calls),
    ] {
        let series: Vec<_> = page.samples(name).collect();
        assert!(
            (10..=2_001).contains(&series.len()),
            "{name}: {}",
            series.len()
        );
        assert_eq!(page.sum(name), total, "{name}");
        assert!(
            series
                .iter()
                .any(|sample| sample.label("otel_metric_overflow") == Some("true"))
        );
    }
    assert_eq!(page.sum("agent_sdk_operations_active"), 0.0);
}

#[tokio::test]
async fn o6_names_that_a_provider_or_a_failure_makes_up_become_other() {
    let telemetry = telemetry();
    let context = context(&telemetry);
    for index in 0..300 {
        let chat = chat(&context, "gpt-4o", |facts| {
            facts.response_model = Some(format!("made-up-{index}").into());
        });
        chat.fail(format!("class {index}"), "words");
    }
    let page = page(&telemetry);
    let count = "gen_ai_client_inference_duration_seconds_count";
    let series: Vec<_> = page.samples(count).collect();
    assert_eq!(page.sum(count), 300.0);
    assert_eq!(series.len(), 65, "64 answers and `other`");
    assert!(
        series
            .iter()
            .all(|sample| sample.label("error_type") == Some("_OTHER"))
    );
    let other = series
        .iter()
        .find(|sample| sample.label("gen_ai_response_model") == Some("other"));
    assert_eq!(other.unwrap().value, 236.0);
}

#[tokio::test]
async fn only_what_is_allowed_is_a_label() {
    let allowed = [
        attrs::OPERATION_NAME,
        attrs::PROVIDER_NAME,
        attrs::REQUEST_MODEL,
        attrs::RESPONSE_MODEL,
        attrs::SERVER_ADDRESS,
        attrs::SERVER_PORT,
        attrs::ERROR_TYPE,
        attrs::TOKEN_MODALITY,
        attrs::TOKEN_TYPE_V1_41,
        attrs::AGENT_NAME,
        attrs::TOOL_NAME,
        attrs::TOOL_TYPE,
        attrs::COST_SOURCE,
        attrs::OPERATION_KIND,
        "le",
    ]
    .map(|name| name.replace('.', "_"));
    let telemetry = telemetry();
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .session("canary-session")
        .user("canary-user")
        .tag("team", "canary-tag")
        .build();
    let agent = trace_agent(&context, "triage").begin();
    chat(agent.context(), "gpt-4o", answered).fail("timeout", "canary-words");
    trace_tool(agent.context(), "search").future(async {}).await;
    drop(agent);
    let text = telemetry.metrics_page(OPEN_METRICS).unwrap().body;
    assert!(!text.contains("canary"), "{text}");
    for family in page(&telemetry)
        .families
        .iter()
        .filter(|family| family.name != "target")
    {
        for (name, _) in family.samples.iter().flat_map(|sample| &sample.labels) {
            assert!(allowed.contains(name), "{name} of {}", family.name);
        }
    }
}

#[tokio::test]
async fn a_label_that_is_not_wanted_is_left_out() {
    let telemetry = TelemetryBuilder::default()
        .without_metric_label(attrs::RESPONSE_MODEL)
        .build()
        .unwrap();
    let context = context(&telemetry);
    for answer in ["a", "b"] {
        let chat = chat(&context, "gpt-4o", |facts| {
            facts.response_model = Some(answer.into());
        });
        chat.end(Outcome::Ok, Payload::None);
    }
    let page = page(&telemetry);
    let series: Vec<_> = page
        .samples("gen_ai_client_inference_duration_seconds_count")
        .collect();
    assert_eq!((series.len(), series[0].value), (1, 2.0));
    assert!(series[0].label("gen_ai_response_model").is_none());
}

#[tokio::test]
async fn steps_are_timed_under_their_plan() {
    let telemetry = telemetry();
    let workflow = context(&telemetry).start(Kind::Workflow, "release").begin();
    for step in ["build", "test"] {
        let step = workflow.context().start(Kind::Step, step).begin();
        step.end(Outcome::Ok, Payload::None);
    }
    workflow.end(Outcome::Ok, Payload::None);
    let page = page(&telemetry);
    let steps: Vec<_> = page
        .samples("agent_sdk_step_duration_seconds_count")
        .collect();
    assert_eq!((steps.len(), steps[0].value), (1, 2.0));
    assert_eq!(steps[0].label("agent_sdk_plan_name"), Some("release"));
    assert_eq!(
        page.sum("gen_ai_invoke_workflow_duration_seconds_count"),
        1.0
    );
}

#[tokio::test]
async fn a_run_is_timed_under_its_model_where_that_is_one() {
    let telemetry = telemetry();
    let context = context(&telemetry);
    for (name, models) in [
        ("one", &["gpt-4o", "gpt-4o"][..]),
        ("two", &["gpt-4o", "gpt-5", "gpt-4o"]),
        ("none", &[]),
    ] {
        let agent = trace_agent(&context, name).begin();
        for model in models {
            let tool = trace_tool(agent.context(), "search").begin();
            chat(tool.context(), model, answered).end(Outcome::Ok, Payload::None);
            // Another agent's requests are its own.
            let inner = trace_agent(tool.context(), "inner").begin();
            chat(inner.context(), "small", answered).end(Outcome::Ok, Payload::None);
        }
        agent.end(Outcome::Ok, Payload::None);
    }
    let page = page(&telemetry);
    let runs = page.samples("gen_ai_invoke_agent_duration_seconds_count");
    let label = |sample: &Sample, name| sample.label(name).map(str::to_owned);
    let mut runs: Vec<_> = runs
        .map(|run| {
            let agent = label(run, "gen_ai_agent_name").unwrap();
            (agent, label(run, "gen_ai_request_model"), run.value)
        })
        .collect();
    runs.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("inner", Some("small"), 5.0),
        ("none", None, 1.0),
        ("one", Some("gpt-4o"), 1.0),
        ("two", None, 1.0),
    ];
    let expected =
        expected.map(|(agent, model, runs)| (agent.to_owned(), model.map(str::to_owned), runs));
    assert_eq!(runs, expected);
}
