use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_sdk::agent::{Agent, AgentBuilder};
use agent_sdk::model::{
    CircuitBreaker, Jitter, ModelError, ModelErrorKind, ModelHandle, ResponseCache, Retry, Usage,
};
use agent_sdk::operation::{FixedClock, RunContext};
use agent_sdk::run::{Evaluation, RunReport};
use agent_sdk::testing::{CountingTool, ScriptedModel, Turn, failing_tool};
use agent_sdk::tool::{Concurrency, ToolOptions};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::{Value, json};
use tracing_subscriber::prelude::*;

use crate::testing::{Behaviour, Collector};
use crate::{ContentCapture, JsonLogs, JsonLogsBuilder, Telemetry};

const LIMIT: Duration = Duration::from_secs(10);

/// A log to read.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn log(&self) -> JsonLogsBuilder {
        let log = JsonLogs::writer(self.clone()).service_name("t");
        log.clock(FixedClock::at(1_700_000_000)).filter("info")
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The names of the events of a target.
    fn names(&self, target: &str) -> Vec<String> {
        let lines = self.lines().into_iter();
        let lines = lines.filter(|line| line["target"] == target);
        lines
            .map(|line| line["name"].as_str().unwrap_or("-").to_owned())
            .collect()
    }
}

fn overloaded() -> Turn {
    Turn::new().fail(ModelError::new(ModelErrorKind::Overloaded, "canary-error"))
}

fn patient() -> Retry {
    Retry::default().jitter(Jitter::None)
}

fn agent(model: impl Into<ModelHandle>, telemetry: &Telemetry) -> AgentBuilder {
    Agent::builder("triage", model.into()).observers(telemetry.observers())
}

/// Ids by the order in which they come, so that whole lines can be compared.
fn named(text: &str, report: &RunReport) -> String {
    let mut text = text.replace(&report.trace_id.to_string(), "TRACE");
    let marker = "\"span_id\":\"";
    for number in 1.. {
        let ids = text
            .split(marker)
            .skip(1)
            .filter_map(|rest| rest.split('"').next());
        let Some(id) = ids.map(str::to_owned).find(|id| !id.starts_with('S')) else {
            break;
        };
        text = text.replace(&id, &format!("S{number}"));
    }
    text
}

#[tokio::test(start_paused = true)]
async fn lines_of_a_run_say_what_it_decided_and_what_it_came_to() {
    let written = Written::default();
    let logs = written.log().start().unwrap();
    let telemetry = Telemetry::builder().build().unwrap();
    let subscriber = tracing_subscriber::registry()
        .with(telemetry.layer())
        .with(logs.layer().unwrap());
    let _guard = tracing::subscriber::set_default(subscriber);
    let model = ScriptedModel::new([
        overloaded(),
        Turn::new()
            .tool_call("call-1", "search", r#"{"q":"canary-argument"}"#)
            .tool_call("call-2", "guess", "{}")
            .usage(Usage::new(100, 20))
            .id("r-1"),
        Turn::from("canary-answer")
            .usage(Usage::new(150, 5))
            .id("r-2"),
    ]);
    let model = ModelHandle::builder(model).retry(patient()).build();
    let agent = agent(model, &telemetry)
        .tool(failing_tool("search", "canary-result"))
        .build()
        .unwrap();
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .run_id("run-1")
        .build();
    let report = agent.run("canary-prompt").context(&context).await.unwrap();
    report.record_evaluation(&Evaluation::new("relevance").score(0.5).label("pass"));
    assert!(logs.flush(LIMIT));
    let text = named(&written.text(), &report);
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(text, include_str!("run.jsonl"));
    assert_eq!(logs.lines().written, text.lines().count() as u64);
}

#[test]
fn the_secrets_of_a_telemetry_are_in_no_line_nor_are_the_log_s_own() {
    let written = Written::default();
    let telemetry = Telemetry::builder().secret("swordfish-42").build().unwrap();
    let log = written.log().secret("halibut-43").secrets_of(&telemetry);
    let logs = log.secret("mackerel-44").start().unwrap();
    let subscriber = tracing_subscriber::registry().with(logs.layer().unwrap());
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(
            code = "c3dvcmRmaXNoLTQy",
            "swordfish-42 and halibut-43 and mackerel-44"
        );
    });
    assert!(logs.flush(LIMIT));
    let [line] = &written.lines()[..] else {
        panic!("{}", written.text());
    };
    let mark = "[redacted:secret]";
    assert_eq!(line["message"], format!("{mark} and {mark} and {mark}"));
    assert_eq!(line["fields"], json!({ "code": mark }));
}

#[tokio::test(start_paused = true)]
async fn each_decision_has_its_event() {
    let written = Written::default();
    let logs = written
        .log()
        .filter("agent_sdk::decision=debug")
        .start()
        .unwrap();
    let telemetry = Telemetry::builder().build().unwrap();
    let subscriber = tracing_subscriber::registry().with(logs.layer().unwrap());
    let _guard = tracing::subscriber::set_default(subscriber);
    let one = NonZeroU32::MIN;
    let ask = async |model: ModelHandle| {
        let agent = agent(model, &telemetry);
        agent.build().unwrap().run("Hi.").await
    };

    let broken = ModelHandle::builder(ScriptedModel::from_fn(|_, _| overloaded()))
        .retry(patient().max_attempts(NonZeroU32::new(2).unwrap()))
        .breaker(CircuitBreaker::builder().min_calls(one).build())
        .fallback(ScriptedModel::new(["Hello."]).named("other", "m-2"))
        .cache(ResponseCache::new(std::num::NonZeroUsize::MIN))
        .build();
    ask(broken.clone()).await.unwrap();
    let cached = ModelHandle::builder(ScriptedModel::new(["Hello."]))
        .cache(ResponseCache::new(std::num::NonZeroUsize::MIN))
        .build();
    ask(cached.clone()).await.unwrap();
    ask(cached).await.unwrap();
    let rated = ModelHandle::builder(ScriptedModel::new(["One.", "Two."]))
        .requests_per_minute(one)
        .build();
    ask(rated.clone()).await.unwrap();
    ask(rated).await.unwrap();
    let slow = ScriptedModel::new([Turn::from("Late.").delay(Duration::from_secs(9))]);
    let quick = ScriptedModel::new(["Soon."]).named("other", "m-3");
    let hedged = agent_sdk::model::Hedge::after(Duration::from_secs(1), quick);
    ask(ModelHandle::builder(slow).hedge(hedged).build())
        .await
        .unwrap();
    let cut = Turn::from("Once upon").finish(agent_sdk::model::FinishReason::Length);
    ask(ModelHandle::new(ScriptedModel::new([cut])))
        .await
        .unwrap_err();

    let calls = || {
        let calls = Turn::new().tool_call("1", "count", "{}");
        calls.tool_call("2", "count", "{}")
    };
    let tool = CountingTool::new("count");
    let options = ToolOptions::default().with_concurrency(Concurrency::Exclusive);
    let tool = tool.options(options);
    let model = ScriptedModel::new([calls(), calls()]);
    let limited = agent(model, &telemetry).tool(tool).max_turns(one);
    limited.build().unwrap().run("Count.").await.unwrap_err();

    assert!(logs.flush(LIMIT));
    let names = written.names("agent_sdk::decision");
    let names: Vec<_> = names
        .iter()
        .map(|name| name.strip_prefix("agent_sdk.").unwrap())
        .collect();
    let expected = [
        "breaker.changed",
        "chat.fallback",
        "chat.cache_hit",
        "chat.rate_limited",
        "chat.hedge",
        "chat.hedge_won",
        "answer.refused",
        "tool.chosen",
        "tool.chosen",
        "tool.queued",
        "run.limit",
    ];
    assert_eq!(names, expected, "{}", written.text());
}

fn value(any: Option<&AnyValue>) -> Value {
    match any.and_then(|value| value.value.as_ref()) {
        None => Value::Null,
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(flag)) => json!(flag),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(list)) => {
            let items = list.values.iter().map(|item| value(Some(item)));
            items.collect()
        }
        Some(Any::KvlistValue(map)) => attributes(&map.values),
        other => panic!("{other:?}"),
    }
}

fn attributes(pairs: &[KeyValue]) -> Value {
    let pairs = pairs.iter();
    let pairs = pairs.map(|pair| (pair.key.clone(), value(pair.value.as_ref())));
    Value::Object(pairs.collect())
}

fn only<'a>(logs: &'a [(String, LogRecord)], name: &str) -> &'a LogRecord {
    let mut found = logs.iter().filter(|(_, record)| record.event_name == name);
    let (_, record) = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "{name} twice");
    record
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one list, compared whole")]
async fn records_carry_names_ids_and_typed_attributes() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .content(ContentCapture::Events)
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry()
        .with(telemetry.layer())
        .with(telemetry.log_layer().unwrap());
    let guard = tracing::subscriber::set_default(subscriber);
    let model = ScriptedModel::new([Turn::from("Paris.").usage(Usage::new(7, 2)).id("r-1")]);
    let report = agent(model, &telemetry)
        .instructions("Be short.")
        .build()
        .unwrap()
        .run("The capital of France?")
        .await
        .unwrap();
    let failing = ScriptedModel::new([overloaded()]);
    let failing = ModelHandle::builder(failing).retry(Retry::none()).build();
    let failing = agent(failing, &telemetry).build().unwrap();
    failing.run("Hi.").await.unwrap_err();
    let judged = Evaluation::new("relevance")
        .score(0.9)
        .explanation("It is Paris.");
    report.record_evaluation(&judged.response_id("r-1"));
    tracing::info_span!("users").in_scope(|| {
        tracing::warn!(count = 3_u64, share = 0.5, ok = true, "plain");
    });
    drop(guard);
    let shut = telemetry.shutdown();
    assert!(shut.is_complete(), "{shut}");

    let (logs, spans) = (collector.logs(), collector.spans());
    assert_eq!(shut.logs.exported, logs.len() as u64);
    let of_report = |name: &str| {
        let id = report.trace_id.0.to_be_bytes();
        let mut spans = spans.iter();
        spans
            .find(|span| span.trace_id == id && span.name.starts_with(name))
            .unwrap()
    };

    let name = "gen_ai.client.inference.operation.details";
    let mut details = logs.iter().filter(|(_, record)| record.event_name == name);
    let (scope, details) = details.next().unwrap();
    let chat = of_report("chat");
    assert_eq!(scope, "agent-sdk");
    assert_eq!(
        (&details.span_id, &details.trace_id),
        (&chat.span_id, &chat.trace_id)
    );
    assert_eq!((details.severity_number, &details.body), (5, &None));
    let all = attributes(&details.attributes);
    assert_eq!(
        all["gen_ai.input.messages"],
        json!([{"role": "user", "parts": [{"type": "text", "content": "The capital of France?"}]}])
    );
    assert_eq!(
        all["gen_ai.system_instructions"],
        json!([{"type": "text", "content": "Be short."}])
    );
    assert_eq!(
        all["gen_ai.output.messages"][0]["parts"][0]["content"],
        "Paris."
    );
    assert_eq!(all["gen_ai.usage.input_tokens"], 7);
    // The span's own attributes, but for what only the span carries.
    let on_span = attributes(&chat.attributes);
    for (key, expected) in on_span.as_object().unwrap() {
        assert_eq!(&all[key], expected, "{key}");
    }
    assert!(on_span.get("gen_ai.input.messages").is_none());

    let failed = only(&logs, "gen_ai.client.operation.exception");
    let all = attributes(&failed.attributes);
    assert_eq!(
        (failed.severity_number, &*failed.severity_text),
        (13, "WARN")
    );
    assert_eq!(all["exception.type"], "overloaded");
    assert!(!all["exception.message"].to_string().contains("canary"));
    assert_eq!(
        all["agent_sdk.failure.path"],
        "invoke_agent triage > chat scripted-1"
    );

    let judged = only(&logs, "gen_ai.evaluation.result");
    assert_eq!(judged.span_id, of_report("invoke_agent").span_id);
    assert_eq!((judged.flags, &judged.body), (1, &None));
    assert_eq!(
        attributes(&judged.attributes),
        json!({
            "gen_ai.evaluation.name": "relevance",
            "gen_ai.evaluation.score.value": 0.9,
            "gen_ai.evaluation.explanation": "It is Paris.",
            "gen_ai.response.id": "r-1",
            "agent_sdk.run.id": report.run_id.as_str(),
        })
    );

    let plain = logs
        .iter()
        .find(|(scope, _)| scope.starts_with("agent_sdk_otel"));
    let (_, plain) = plain.unwrap();
    let users = spans.iter().find(|span| span.name == "users").unwrap();
    assert_eq!((&*plain.event_name, &plain.span_id), ("", &users.span_id));
    assert_eq!(value(plain.body.as_ref()), "plain");
    assert_eq!(
        attributes(&plain.attributes),
        json!({"count": 3, "share": 0.5, "ok": true})
    );
}

#[tokio::test]
async fn events_without_content_have_none() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .emit_events(true)
        .build()
        .unwrap();
    let model = ScriptedModel::new(["canary-answer"]);
    let agent = agent(model, &telemetry).instructions("canary-instructions");
    agent.build().unwrap().run("canary-prompt").await.unwrap();
    assert!(telemetry.shutdown().is_complete());
    let logs = collector.logs();
    let details = only(&logs, "gen_ai.client.inference.operation.details");
    assert!(!format!("{details:?}").contains("canary"));
    assert_eq!(logs.len(), 1, "without the layer nothing else is exported");
}

#[test]
fn o4_what_the_exporter_does_is_not_exported() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .log_filter("trace")
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.log_layer().unwrap());
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..3 {
            tracing::info!("mine");
            tracing::error!(target: "reqwest::connect", "noise");
            tracing::error!(target: "hyper_util::client", "noise");
            let _quiet = opentelemetry::Context::enter_telemetry_suppressed_scope();
            tracing::error!("noise");
        }
        assert!(telemetry.flush(LIMIT));
    });
    assert!(telemetry.shutdown().is_complete());
    let logs = collector.logs();
    assert_eq!(logs.len(), 3, "{logs:?}");
}

#[test]
fn a_filter_of_logs_deletes_no_trace() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .build()
        .unwrap();
    let written = Written::default();
    let logs = written.log().filter("off").start().unwrap();
    let subscriber = tracing_subscriber::registry()
        .with(logs.layer().unwrap())
        .with(telemetry.layer());
    tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!("work").in_scope(|| tracing::error!("unheard"));
    });
    assert!(telemetry.shutdown().is_complete());
    assert_eq!(collector.span("work").name, "work");
    drop(logs);
    assert_eq!(written.text(), "");
}

#[test]
fn hostile_texts_are_one_line_each_and_pass_the_redactor_first() {
    let written = Written::default();
    let redacting = written
        .log()
        .redact(|text| text.replace("sk-1", "[key]").into());
    let logs = redacting.start().unwrap();
    let subscriber = tracing_subscriber::registry().with(logs.layer().unwrap());
    // The key would be cut in two.
    let long = format!("{}sk-1{}", "ä".repeat(8 * 1024 - 1), "x".repeat(1 << 20));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(text = "a\n\"b\"\u{0}\u{1b}[31m", number = f64::NAN, "sk-1");
        tracing::info!(long, shown = ?vec!["sk-1"; 1 << 18]);
    });
    assert!(logs.flush(LIMIT));
    assert!(!written.text().contains("sk-1"));
    let lines = written.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["message"], "[key]");
    assert_eq!(
        lines[0]["fields"],
        json!({"text": "a\n\"b\"\u{0}\u{1b}[31m", "number": null})
    );
    assert!(written.text().len() < 64 * 1024);
    let cut = lines[1]["fields"]["long"].as_str().unwrap();
    assert!(cut.ends_with("bytes cut]"), "{}", cut.len());
}

#[test]
fn a_log_that_cannot_begin_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let refused = JsonLogs::file(folder.path()).start().unwrap_err();
    assert_eq!(refused.kind(), crate::TelemetryErrorKind::Start);
    let refused = JsonLogs::stderr()
        .filter("no=such=level")
        .start()
        .unwrap_err();
    assert_eq!(refused.kind(), crate::TelemetryErrorKind::Setting);
}

#[test]
fn a_file_has_the_lines_when_the_log_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let logs = JsonLogs::file(&path).filter("info").start().unwrap();
    let subscriber = tracing_subscriber::registry().with(logs.layer().unwrap());
    tracing::subscriber::with_default(subscriber, || {
        (0..1_000).for_each(|n| tracing::info!(n, "line"));
    });
    drop(logs);
    assert_eq!(
        std::fs::read_to_string(path).unwrap().lines().count(),
        1_000
    );
}
