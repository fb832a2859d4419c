//! The ways out beside spans and the classic page: logs, what runs now, crash files, spilled batches, costs.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use agent_sdk::cost::{CostQuery, CostTracker, Dimension};
use agent_sdk::operation::{Observers, RunContext};
use agent_sdk_otel::{JsonLogs, SpillSettings, TailSampling, WhenFull};
use futures_util::StreamExt;
use prost::Message;

use super::*;

/// In the id of a session, of a call and of an answer. As keys look.
const SESSION: &str = "sk-proj-canary0session5678";
/// In the name of an agent. As keys look.
const AGENT: &str = "ghp_canaryAgent0123456789ab";

const KEYS: [&str; 8] = [
    KEY, COLLECTOR, WEBHOOK, VARIABLE, TAG, QUERY, SESSION, AGENT,
];

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// A server that repeats what it was sent wherever it may name something.
fn echo(tool: Option<&str>) -> String {
    let call = tool.map(|tool| {
        let arguments = serde_json::json!({"query": ARGUMENT}).to_string();
        serde_json::json!([{
            "id": format!("call {SESSION} {KEY}"), "type": "function",
            "function": {"name": tool, "arguments": arguments},
        }])
    });
    serde_json::json!({
        "id": format!("id {SESSION} {KEY}"), "object": "chat.completion", "created": 1,
        "model": format!("model {VARIABLE} {KEY}"), "system_fingerprint": format!("fp {VARIABLE} {KEY}"),
        "choices": [{
            "index": 0, "finish_reason": format!("because {VARIABLE} {KEY}"),
            "message": {"role": "assistant", "content": ANSWERED, "tool_calls": call},
        }],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    })
    .to_string()
}

/// A stream that begins to answer and then fails in words of what it was sent.
fn broken_stream() -> String {
    let begun = serde_json::json!({
        "id": "c3", "object": "chat.completion.chunk", "created": 3, "model": "gpt-4o",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": ANSWERED}, "finish_reason": null}],
    });
    format!("data: {begun}\n\ndata: {}\n\n", refusal())
}

impl Stage {
    /// What Stage's own runs do not do: everything that is logged, what a server repeats, a stream that breaks, a run that hangs.
    async fn everything_else(&mut self, directory: &Path) {
        let json = JsonLogs::file(directory.join("log.jsonl"))
            .filter("trace")
            .secrets_of(&self.telemetry)
            .start()
            .unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(self.telemetry.layer())
            .with(self.telemetry.log_layer().unwrap())
            .with(json.layer().unwrap());
        let _guard = tracing::subscriber::set_default(subscriber);
        let ok = |body: String| (200, body);
        for tool in ["search", "fail", "panic", NAMED] {
            self.run(&[ok(echo(Some(tool))), ok(echo(None))], None)
                .await;
        }
        self.run(&[(400, refusal())], None).await;
        self.run(&[(401, "<html>".to_owned() + KEY)], None).await;
        self.stream().await;
        careless();
        self.hang(directory).await;
        self.costs().await;
        for accept in ["", OPENMETRICS] {
            let page = self.telemetry.metrics_page(accept).unwrap();
            self.left.add("metrics", page.body);
        }
        assert!(json.flush(Duration::from_secs(10)));
        self.left.add(
            "json logs",
            std::fs::read(directory.join("log.jsonl")).unwrap(),
        );
        self.left
            .add("debug", format!("{:?} {json:?}", self.telemetry));
        let report = self.telemetry.shutdown();
        self.left.add("debug", format!("{report:?}"));
    }

    async fn stream(&mut self) {
        let server = ModelServer::start([(200, &*broken_stream().leak())]);
        let agent = self.agent(&server.url()).build().unwrap();
        let mut events = agent.stream(ASKED);
        while let Some(event) = events.next().await {
            drop(event);
        }
        let error = events.report().await.unwrap_err();
        self.left.error(&error);
    }

    /// A run whose server never answers, looked at while it waits.
    async fn hang(&mut self, directory: &Path) {
        let server = ModelServer::start([]);
        let agent = self.agent_named(&format!("triage {AGENT}"), &server.url());
        let agent = agent.build().unwrap();
        let context = RunContext::builder()
            .observers(self.telemetry.observers())
            .session(format!("{SESSION} {KEY}"))
            .conversation(format!("{SESSION} {KEY}"))
            .user(format!("{SESSION} {KEY}"))
            .build();
        let run = agent.run(ASKED).context(&context).into_future();
        let Self {
            telemetry, left, ..
        } = self;
        let look = async {
            // The attempt is the innermost of what runs, below the agent and the request.
            while telemetry.live().unwrap().len() < 3 {
                tokio::task::yield_now().await;
            }
            let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let server = telemetry.serve_metrics(local).await.unwrap();
            for (sink, path) in [("operations", "operations"), ("metrics", "metrics")] {
                let url = format!("http://{}/{path}", server.address());
                let asked = reqwest::Client::new()
                    .get(url)
                    .header("accept", OPENMETRICS);
                let page = asked.send().await.unwrap().bytes().await.unwrap();
                left.add(sink, page);
            }
            telemetry.report_crash().unwrap();
            let crashed = files(&directory.join("crash"));
            let (_, bytes) = crashed
                .iter()
                .find(|(name, _)| name.strip_suffix(".jsonl").is_some())
                .unwrap();
            left.add("crash file", bytes.clone());
            // A file of a process that is gone, as the next one finds it.
            let folder = directory.join("gone");
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("1-1.jsonl"), bytes).unwrap();
        };
        let waited = Duration::from_secs(20);
        tokio::select! {
            ended = run => panic!("{:?}", ended.map(|report| report.text)),
            looked = tokio::time::timeout(waited, look) => looked.unwrap(),
        }
        let crash = Telemetry::builder()
            .endpoint(self.collector.url())
            .crash_reports(directory.join("gone"))
            .secret(KEY)
            .build()
            .unwrap();
        assert!(!crash.crashed().is_empty());
        self.left.add("debug", format!("{:?}", crash.crashed()));
        assert!(crash.shutdown().is_complete());
    }

    /// Who spent what, by everything that a model or a server may have named.
    async fn costs(&mut self) {
        let replies = [echo(Some("search")), echo(None)];
        let server = ModelServer::start(replies.map(|body| (200, &*body.leak())));
        let tracker = CostTracker::new();
        let agent = self
            .agent(&server.url())
            .observers(Observers::none().with(tracker.clone()));
        agent.build().unwrap().run(ASKED).await.unwrap();
        let query = CostQuery::by([Dimension::Agent, Dimension::Model, Dimension::Tool]);
        let report = tracker.report(&query);
        let json = serde_json::to_string(&report).unwrap();
        let all = format!("{report} {} {json} {report:?}", report.csv());
        self.left.add("costs", all);
    }

    fn received(&mut self) {
        for body in self.collector.raw() {
            self.left.add("otlp", body.to_vec());
        }
    }
}

/// A program that logs what it should not.
fn careless() {
    let span = tracing::info_span!("user", words = %format!("with {VARIABLE} {KEY}"));
    let _in = span.enter();
    tracing::info!(target: "user", held = KEY, "said {KEY} {VARIABLE}");
    tracing::error!(target: "user", url = %format!("https://h/?key={QUERY}"), list = ?[KEY, VARIABLE]);
}

fn all_on(builder: TelemetryBuilder, directory: &Path) -> TelemetryBuilder {
    builder
        .secret(KEY)
        .log_filter("trace")
        .emit_events(true)
        .live(true)
        .pending_spans(Duration::from_millis(1))
        .crash_reports(directory.join("crash"))
        .tail_sampling(TailSampling::keep_nothing().share(1.0))
}

/// Where each sink says that something is there to be found.
fn none_is_empty(left: &Left) {
    for (sink, word) in [
        ("otlp", "gen_ai.client.inference.operation.details"),
        ("otlp", "agent_sdk.pending"),
        ("otlp", "agent_sdk.crashed"),
        ("otlp", "tool search: "),
        ("json logs", "tool search: "),
        ("json logs", "[redacted:key]"),
        ("metrics", "# EOF"),
        ("operations", "invoke_agent triage"),
        ("crash file", "invoke_agent triage"),
        ("costs", "gpt-4o"),
        ("error", "cannot read"),
    ] {
        let word = word
            .strip_prefix("invoke_agent ")
            .filter(|_| sink == "crash file")
            .unwrap_or(word);
        assert!(left.has(word).contains(&sink), "{word} is in no {sink}");
    }
}

#[tokio::test]
async fn o7_logs_and_what_runs_have_no_content_and_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(directory.path(), |builder| {
        all_on(builder, directory.path())
    });
    stage.everything_else(directory.path()).await;
    stage.received();
    none_is_empty(&stage.left);
    // A model's words in an error are the caller's: see `content`.
    stage.left.0.retain(|(sink, _)| sink != "report");
    let leaks = leaks(&stage.left, KEYS.iter().chain(&CONTENT));
    assert!(leaks.is_empty(), "{leaks}");
}

#[tokio::test]
async fn o7_content_in_events_has_no_key_and_no_personal_data() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(directory.path(), |builder| {
        all_on(builder, directory.path()).content(ContentCapture::SpansAndEvents)
    });
    stage.everything_else(directory.path()).await;
    stage.received();
    none_is_empty(&stage.left);
    for content in [ASKED, INSTRUCTED, ARGUMENT, GIVEN, ANSWERED] {
        assert!(stage.left.has(content).contains(&"otlp"), "{content}");
    }
    let details = stage.collector.logs().into_iter().filter(|record| {
        record.event_name == "gen_ai.client.inference.operation.details"
            && occurs(&record.encode_to_vec(), ASKED)
    });
    assert!(details.count() > 0, "no event has what was asked");
    stage.left.0.retain(|(sink, _)| sink != "report");
    let secret = KEYS.iter().chain([&REASON, &PANICKED]);
    let leaks = leaks(&stage.left, secret);
    assert!(leaks.is_empty(), "{leaks}");
    stage.left.0.retain(|(sink, _)| sink != "otlp");
    let leaks = self::leaks(&stage.left, &CONTENT);
    assert!(leaks.is_empty(), "{leaks}");
}

#[tokio::test]
async fn o7_what_waits_on_disk_for_a_collector_has_no_content_and_no_key() {
    for capture in [ContentCapture::Off, ContentCapture::SpansAndEvents] {
        let directory = tempfile::tempdir().unwrap();
        let spilled = directory.path().join("spill");
        let mut stage = Stage::new(directory.path(), |builder| {
            // Nobody listens there.
            all_on(builder, directory.path())
                .endpoint("http://127.0.0.1:9")
                .content(capture)
                .shutdown_limit(Duration::from_secs(2))
                .when_full(WhenFull::Spill(SpillSettings::new(&spilled)))
        });
        stage.everything_else(directory.path()).await;
        let mut left = Left::default();
        for (_, bytes) in files(&spilled) {
            left.add("spilled", bytes);
        }
        for word in ["invoke_agent triage", "tool search: ", "agent_sdk.pending"] {
            assert!(!left.has(word).is_empty(), "{word} was not spilled");
        }
        let has_content = !left.has(ASKED).is_empty();
        assert_eq!(has_content, capture != ContentCapture::Off);
        let content = CONTENT.iter().filter(|_| !has_content);
        let leaks = leaks(&left, KEYS.iter().chain([&REASON]).chain(content));
        assert!(leaks.is_empty(), "{leaks}");
    }
}

/// Which canary is where, and what stands before it.
fn leaks<'c>(left: &Left, canaries: impl IntoIterator<Item = &'c &'static str>) -> String {
    let mut found = String::new();
    for canary in canaries {
        for (sink, bytes) in &left.0 {
            if !occurs(bytes, canary) {
                continue;
            }
            let at = bytes
                .windows(canary.len())
                .position(|part| part == canary.as_bytes());
            let before = at.map(|at| &bytes[at.saturating_sub(100)..at + canary.len()]);
            let before = before.map(String::from_utf8_lossy);
            writeln!(found, "{canary} is in {sink}: {before:?}").unwrap();
        }
    }
    found
}
