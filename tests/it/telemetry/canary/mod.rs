//! Secrets and content are planted wherever they may come from; whatever leaves is searched for them, in every form.

mod sinks;

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use agent_sdk::budget::{Budget, Ledger, WebhookAlerts};
use agent_sdk::operation::{Event, Interests, Observer};
use agent_sdk::store::SqliteStore;
use agent_sdk_otel::{ContentCapture, ContentFiles};
use tracing_subscriber::prelude::*;

use super::*;

/// In the header of every request. No pattern knows it.
const KEY: &str = "canary-key-0f1e2d3c4b";
/// In the header of every export.
const COLLECTOR: &str = "canary-collector-77aa66bb";
/// That alerts are signed with.
const WEBHOOK: &str = "canary-webhook-3c4d5e6f";
/// In an environment's variable, which a tool prints; and in a tag that somebody set. As keys look.
const VARIABLE: &str = "sk-proj-canary0variable1234";
const TAG: &str = "ghp_canaryTag0123456789abcd";
/// In the query of a URL that a tool's error names.
const QUERY: &str = "canary-query-5a6b7c8d";

const ASKED: &str = "canary-prompt-9a8b7c6d";
const INSTRUCTED: &str = "canary-instruction-1c2d";
const ARGUMENT: &str = "canary-argument-2d3e4f";
const GIVEN: &str = "canary-result-4f5a6b7c";
const ANSWERED: &str = "canary-answer-6b7c8d9e";
const PANICKED: &str = "canary-panic-8d9eaf0b1c";
const REFUSED: &str = "canary-refused-af0b1c2d";
const NAMED: &str = "canary name of a tool 1";
const REASON: &str = "jo.canary@example.com";

const SECRETS: [&str; 6] = [KEY, COLLECTOR, WEBHOOK, VARIABLE, TAG, QUERY];
const CONTENT: [&str; 9] = [
    ASKED, INSTRUCTED, ARGUMENT, GIVEN, ANSWERED, PANICKED, NAMED, REASON, REFUSED,
];

/// As it is, in base64 at any alignment, percent-encoded, in hex.
fn occurs(bytes: &[u8], secret: &str) -> bool {
    let small = super::render::hex(secret.as_bytes());
    let mut address = String::new();
    for byte in secret.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                address.push(char::from(byte));
            }
            byte => write!(address, "%{byte:02X}").unwrap(),
        }
    }
    let forms = [
        secret,
        &small,
        &small.to_uppercase(),
        &address,
        &address.to_lowercase(),
    ];
    forms.iter().any(|form| super::render::occurs(bytes, form))
}

/// Everything that left, by where.
#[derive(Default)]
struct Left(Vec<(String, Vec<u8>)>);

impl Left {
    fn add(&mut self, sink: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((sink.to_owned(), bytes.into()));
    }

    fn error(&mut self, error: &(dyn StdError + 'static)) {
        let (mut text, mut next) = (String::new(), Some(error));
        while let Some(error) = next {
            writeln!(text, "{error} {error:?}").unwrap();
            next = error.source();
        }
        self.add("error", text);
    }

    fn has(&self, canary: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(_, bytes)| occurs(bytes, canary));
        found.map(|(sink, _)| sink.as_str()).collect()
    }
}

#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Wire(Mutex<Vec<u8>>);

impl Observer for Wire {
    fn interests(&self) -> Interests {
        Interests::EVENTS
    }

    fn event(&self, event: &Arc<Event>) {
        let line = serde_json::to_vec(&**event).unwrap();
        self.0.lock().unwrap().extend(line);
    }
}

/// A turn that calls a tool; `name` may be whatever a model makes up.
fn call(name: &str) -> String {
    let arguments = serde_json::json!({"query": ARGUMENT}).to_string();
    serde_json::json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": null,
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}],
        }}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    })
    .to_string()
}

fn answer(reason: &str) -> String {
    serde_json::json!({
        "id": "c2", "object": "chat.completion", "created": 2, "model": "gpt-4o",
        "choices": [{"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": format!("{ANSWERED} {REASON}")}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    })
    .to_string()
}

/// A refusal that repeats what it was sent.
fn refusal() -> String {
    serde_json::json!({"error": {
        "message": format!("cannot read '{ASKED}' nor '{INSTRUCTED}' with {KEY} of https://h/?key={QUERY}"),
        "type": format!("type {KEY}"),
        "code": format!("code {VARIABLE}"),
    }})
    .to_string()
}

async fn search(_: ToolContext, query: Query) -> Result<String, Infallible> {
    assert_eq!(query.query, ARGUMENT);
    Ok(format!("{GIVEN} {VARIABLE}"))
}

async fn fail(_: ToolContext, _: Query) -> Result<String, String> {
    Err(format!("{REFUSED}: GET https://h/?key={QUERY} failed"))
}

async fn panic(_: ToolContext, _: Query) -> Result<String, Infallible> {
    panic!("{PANICKED}")
}

/// One agent through everything that may happen to it, with every sink on.
struct Stage {
    collector: Collector,
    telemetry: Telemetry,
    logs: Logs,
    wire: Arc<Wire>,
    store: Arc<SqliteStore>,
    left: Left,
}

impl Stage {
    fn new(directory: &Path, build: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> Self {
        let collector = Collector::start();
        let builder = Telemetry::builder()
            .endpoint(collector.url())
            .header("x-token", COLLECTOR);
        let telemetry = build(builder).build().unwrap();
        Self {
            collector,
            telemetry,
            logs: Logs::default(),
            wire: Arc::default(),
            store: Arc::new(SqliteStore::open(directory.join("store.db")).unwrap()),
            left: Left::default(),
        }
    }

    fn agent(&self, url: &str) -> AgentBuilder {
        self.agent_named("triage", url)
    }

    fn agent_named(&self, name: &str, url: &str) -> AgentBuilder {
        let model = OpenAi::builder("gpt-4o")
            .base_url(format!("{url}/v1"))
            .api_key(KEY)
            .build()
            .unwrap();
        let model = ModelHandle::builder(model).retry(Retry::none()).build();
        let observers = self.telemetry.observers().with_shared(self.wire.clone());
        Agent::builder(name, model)
            .instructions(INSTRUCTED)
            .tag("deploy", TAG)
            .tool(FnTool::new("search", "Searches.", search))
            .tool(FnTool::new("fail", "Fails.", fail))
            .tool(FnTool::new("panic", "Panics.", panic))
            .observers(observers)
    }

    /// One run against a server with these replies; what comes of it is added to what left.
    async fn run(&mut self, replies: &[(u16, String)], ledger: Option<&Ledger>) {
        let replies = replies
            .iter()
            .map(|(status, body)| (*status, &*body.clone().leak()));
        let server = ModelServer::start(replies);
        let mut agent = self.agent(&server.url());
        if let Some(ledger) = ledger {
            agent = agent.ledger(ledger);
        }
        let agent = agent.build().unwrap();
        let run = agent.run(ASKED).store(self.store.clone());
        let ended = tokio::select! {
            ended = run.into_future() => ended,
            // The run is dropped.
            () = server.hangs() => return,
        };
        match ended {
            Ok(report) => self.left.add("report", format!("{report:?}")),
            Err(error) => {
                self.left.error(&error);
                let report = format!("{:?}", error.report());
                self.left.add("report", report);
            }
        }
    }

    async fn everything(&mut self) {
        let subscriber = tracing_subscriber::registry()
            .with(self.telemetry.layer())
            .with(self.log_layer());
        let _guard = tracing::subscriber::set_default(subscriber);
        let ok = |body: String| (200, body);
        self.run(&[ok(call("search")), ok(answer("stop"))], None)
            .await;
        self.run(&[(400, refusal())], None).await;
        self.run(&[(401, "<html>".to_owned() + KEY)], None).await;
        self.run(&[ok(call("fail")), ok(answer("stop"))], None)
            .await;
        self.run(&[ok(call("panic")), ok(answer("stop"))], None)
            .await;
        self.run(&[ok(call(NAMED)), ok(answer("stop"))], None).await;
        self.run(&[ok(answer("length"))], None).await;
        self.run(&[ok("{\"no\": \"".to_owned() + ASKED)], None)
            .await;
        self.run(&[], None).await;
        let gone = format!("http://127.0.0.1:9/{WEBHOOK}");
        let webhook = WebhookAlerts::builder(gone)
            .secret(WEBHOOK)
            .build()
            .unwrap();
        self.left.add("debug", format!("{webhook:?}"));
        let budget = Budget::new("trial").max_usd("0.000001".parse().unwrap());
        let ledger = Ledger::builder().budget(budget).build().unwrap();
        self.telemetry.watch(&ledger);
        self.run(&[], Some(&ledger)).await;
        // A span of the user's, and one of foreign code, are careless.
        let span = tracing::info_span!("user", words = %format!("with {VARIABLE}"), plain = 1);
        span.in_scope(|| {});
        self.left.add("debug", format!("{:?}", self.telemetry));
        self.left
            .add("metrics", self.telemetry.metrics_text().unwrap());
        let report = self.telemetry.shutdown();
        assert!(report.is_complete(), "{report}");
        for body in self.collector.raw() {
            self.left.add("otlp", body.to_vec());
        }
        let logs = self.logs.0.lock().unwrap().clone();
        self.left.add("logs", logs);
    }

    fn log_layer<S>(&self) -> impl tracing_subscriber::Layer<S>
    where
        S: tracing::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
    {
        let logs = self.logs.clone();
        let ours =
            tracing_subscriber::filter::filter_fn(|meta| meta.target().starts_with("agent_sdk"));
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(move || logs.clone())
            .with_filter(ours)
    }
}

/// The bytes of every file beneath.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.push((name, std::fs::read(&path).unwrap()));
        }
    }
    found
}

#[tokio::test]
async fn o7_nothing_that_was_planted_leaves_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(directory.path(), |builder| builder);
    stage.everything().await;
    let Stage {
        left, wire, store, ..
    } = stage;
    for canary in SECRETS.iter().chain(&CONTENT) {
        // A report has the answer: it is the caller's. Nobody prints it, for its text is content.
        assert_eq!(left.has(canary), [""; 0], "{canary} left");
    }
    let sinks: std::collections::BTreeSet<_> =
        left.0.iter().map(|(sink, _)| sink.as_str()).collect();
    let all = ["debug", "error", "logs", "metrics", "otlp", "report"];
    assert_eq!(sinks.into_iter().collect::<Vec<_>>(), all);
    // The caller's own stream and the journal have content, and no key of the SDK's.
    drop(store);
    let mut own = Left::default();
    own.add("events", wire.0.lock().unwrap().clone());
    for (name, bytes) in files(directory.path()) {
        own.add(&name, bytes);
    }
    assert!(!own.has(ASKED).is_empty() && !own.has(ANSWERED).is_empty());
    for secret in [KEY, COLLECTOR, WEBHOOK] {
        assert_eq!(own.has(secret), [""; 0], "{secret} was kept");
    }
}

#[tokio::test]
async fn o7_content_that_was_switched_on_leaves_without_keys_and_personal_data() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("content");
    let mut stage = Stage::new(directory.path(), |builder| {
        builder
            .content(ContentCapture::Spans)
            .content_files(ContentFiles::new(&kept).queue(1_000.try_into().unwrap()))
            .secret(KEY)
    });
    stage.everything().await;
    let mut left = stage.left;
    for (name, bytes) in files(&kept) {
        left.add(&format!("file {name}"), bytes);
    }
    for secret in SECRETS {
        assert_eq!(left.has(secret), [""; 0], "{secret} left");
    }
    assert_eq!(left.has(REASON), [""; 0], "an address left");
    for content in [ASKED, INSTRUCTED, ARGUMENT, GIVEN, ANSWERED, REFUSED] {
        let sinks = left.has(content);
        assert!(sinks.contains(&"otlp"), "{content} is on no span");
        assert!(
            sinks.iter().any(|sink| sink.starts_with("file ")),
            "{content} is in no file"
        );
        let else_where = ["metrics", "logs", "error", "report", "debug"];
        assert!(
            !sinks.iter().any(|sink| else_where.contains(sink)),
            "{content} is in {sinks:?}"
        );
    }
    assert_eq!(left.has(PANICKED), [""; 0], "the text of a panic left");
}
