use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use agent_sdk::operation::{
    Kind, MemoryOperation, Observers, Operation, Outcome, Payload, RunContext, TraceContext,
    Traced, trace_agent, trace_chat, trace_embeddings, trace_memory, trace_plan, trace_retrieval,
    trace_step, trace_tool, trace_workflow,
};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

use super::crash::OUTLIVED;
use super::pending::Pending;
use super::*;
use crate::telemetry::Telemetry;
use crate::testing::{Behaviour, Collector};

/// What must be in no file.
const CANARY: &str = "canary-7f3a";

fn open_agent(observers: Observers) -> Operation {
    let context = RunContext::builder()
        .run_id("r1")
        .observers(observers)
        .session("s1")
        .user(CANARY)
        .tag("t", CANARY)
        .build();
    trace_agent(&context, "triage").begin()
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::BoolValue(flag) => flag.to_string(),
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn a_pending_span_hangs_under_the_one_that_follows_and_is_sent_once() {
    let sent: Arc<Mutex<Vec<Span>>> = Arc::default();
    let export: Export = {
        let sent = Arc::clone(&sent);
        Arc::new(move |exported: &Exported<'_>| {
            let span = Span::decode(exported.message).unwrap();
            assert_eq!(exported.trace.to_vec(), span.trace_id);
            sent.lock().unwrap().push(span);
        })
    };
    let live = LiveOperations::new();
    let observers = || Observers::none().with(live.clone());
    let mut pending = Pending::new(Duration::ZERO, export.clone());
    let agent = open_agent(observers());
    let chat = trace_chat(agent.context(), "openai", "gpt-5").begin();
    pending.look(&live);
    pending.look(&live);
    let spans = sent.lock().unwrap().clone();
    assert_eq!(spans.len(), 2);
    let (first, second) = (&spans[0], &spans[1]);
    assert_eq!(
        (first.name.as_str(), second.name.as_str()),
        ("invoke_agent triage", "chat gpt-5")
    );
    let own = agent.info().trace.span_id.0.to_be_bytes().to_vec();
    assert_eq!(first.parent_span_id, own);
    assert!(first.span_id != own && first.span_id != second.span_id);
    assert_eq!(first.start_time_unix_nano, first.end_time_unix_nano);
    assert_eq!(
        attribute(first, "agent_sdk.pending").as_deref(),
        Some("true")
    );
    assert_eq!(attribute(first, "agent_sdk.pending.parent_id"), None);
    let above = agent.info().trace.span_id.to_string();
    assert_eq!(
        attribute(second, "agent_sdk.pending.parent_id"),
        Some(above)
    );
    // Nothing by which a back end would count a second request.
    assert_eq!(attribute(second, "gen_ai.operation.name"), None);

    // Those that are young are not shown, nor those that nobody records.
    let mut later = Pending::new(Duration::from_hours(1), export);
    later.look(&live);
    drop((chat, agent));
    let unsampled = TraceContext::new(
        TraceContext::random_root().trace_id,
        TraceContext::random_root().span_id,
        false,
    );
    let context = RunContext::builder()
        .observers(observers())
        .parent(unsampled)
        .build();
    let hidden = trace_agent(&context, "hidden").begin();
    pending.look(&live);
    assert_eq!(sent.lock().unwrap().len(), 2);
    drop(hidden);
}

#[tokio::test]
async fn pending_spans_are_spans_of_the_account_and_keep_their_trace() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .traces_endpoint(format!("{}/v1/traces", collector.url()))
        .pending_spans(Duration::from_millis(1))
        .tail_sampling(crate::TailSampling::keep_errors())
        .build()
        .unwrap();
    let agent = open_agent(telemetry.observers());
    until(|| telemetry.account().ended == 1);
    assert!(telemetry.flush(Duration::from_secs(10)));
    assert_eq!(
        collector.spans().len(),
        1,
        "it shows before the operation ends"
    );
    agent.end(Outcome::Ok, Payload::None);
    let report = telemetry.shutdown();
    assert!(report.spans.balances());
    assert_eq!(
        (report.spans.ended, report.spans.exported),
        (2, 2),
        "{report}"
    );
}

#[tokio::test]
async fn what_still_runs_at_a_shutdown_is_closed_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("crash");
    let first = Telemetry::builder().crash_reports(&place).build().unwrap();
    let agent = open_agent(first.observers());
    let chat = trace_chat(agent.context(), "openai", "gpt-5").begin();
    let trace = agent.info().trace;
    assert_eq!(
        files(&place, "jsonl").len(),
        0,
        "nothing is written without need"
    );
    let _ = first.shutdown();
    let [file] = &files(&place, "jsonl")[..] else {
        panic!("no file");
    };
    let text = std::fs::read_to_string(file).unwrap();
    assert!(!text.contains(CANARY), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file), mode(&place)), (0o600, 0o700));
    }
    // The owner still lives, and has the last word.
    crash::claim(&place, |_| panic!("it is not ours"));
    drop(first);

    let collector = Collector::start(Behaviour::Accept);
    let second = restarted(&place, &collector);
    let names: Vec<_> = second
        .crashed()
        .iter()
        .map(|each| each.name.as_str())
        .collect();
    assert_eq!(names, ["triage", "gpt-5"]);
    assert_eq!(second.crashed()[0].reason, CrashReason::Shutdown);
    assert_eq!(second.crashed()[1].trace, chat.info().trace);
    assert!(files(&place, "jsonl").is_empty());
    let report = second.shutdown();
    assert_eq!(
        (report.spans.ended, report.spans.exported),
        (2, 2),
        "{report}"
    );
    let span = collector.span("invoke_agent triage");
    assert_eq!(span.trace_id, trace.trace_id.0.to_be_bytes());
    assert_eq!(span.span_id, trace.span_id.0.to_be_bytes());
    assert_eq!(
        attribute(&span, "agent_sdk.outcome").as_deref(),
        Some("cancelled")
    );
    assert_eq!(
        attribute(&span, "agent_sdk.crashed").as_deref(),
        Some("true")
    );
    assert_eq!(
        attribute(&span, "gen_ai.agent.name").as_deref(),
        Some("triage")
    );
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    let inner = collector.span("chat gpt-5");
    assert_eq!(inner.parent_span_id, span.span_id);
    assert_eq!(
        attribute(&inner, "gen_ai.provider.name").as_deref(),
        Some("openai")
    );
    drop(second);
    assert!(restarted(&place, &collector).crashed().is_empty());
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
    drop((chat, agent));
}

#[tokio::test]
async fn pending_and_crashed_spans_have_the_names_and_kinds_of_finished_ones() {
    let folder = tempfile::tempdir().unwrap();
    let sent: Arc<Mutex<Vec<Span>>> = Arc::default();
    let export: Export = {
        let sent = Arc::clone(&sent);
        Arc::new(move |span: &Exported<'_>| {
            sent.lock()
                .unwrap()
                .push(Span::decode(span.message).unwrap());
        })
    };
    let first = Telemetry::builder()
        .crash_reports(folder.path())
        .build()
        .unwrap();
    let context = RunContext::builder().observers(first.observers()).build();
    let open: Vec<_> = [
        trace_workflow(&context, "release"),
        trace_step(&context, "build"),
        trace_plan(&context, "planner"),
        trace_agent(&context, "triage"),
        trace_chat(&context, "openai", "gpt-5"),
        trace_embeddings(&context, "openai", "small"),
        trace_retrieval(&context, "docs"),
        trace_memory(&context, MemoryOperation::Search).store("notes"),
        trace_memory(&context, MemoryOperation::CreateStore),
        trace_tool(&context, "search"),
        trace_tool(&context, ""),
    ]
    .map(Traced::begin)
    .into();
    let mut expected: Vec<_> = open
        .iter()
        .map(|each| each.info().span_name().into_owned())
        .collect();
    expected.sort();
    Pending::new(Duration::ZERO, export).look(first.live().unwrap());
    let mut pending: Vec<_> = sent
        .lock()
        .unwrap()
        .drain(..)
        .map(|span| span.name)
        .collect();
    pending.sort();
    assert_eq!(pending, expected);

    let _ = first.shutdown();
    drop(first);
    let collector = Collector::start(Behaviour::Accept);
    let _ = restarted(folder.path(), &collector).shutdown();
    let spans = collector.spans();
    let mut crashed: Vec<_> = spans.iter().map(|span| span.name.clone()).collect();
    crashed.sort();
    assert_eq!(crashed, expected);
    for each in &open {
        let info = each.info();
        let span = spans.iter().find(|span| span.name == info.span_name());
        let span = span.unwrap();
        assert_eq!(span.kind == SpanKind::Client as i32, info.kind.is_client());
        let called = info.details.operation_name(info.kind);
        assert_eq!(attribute(span, "gen_ai.operation.name").as_deref(), called);
    }
    let docs = collector.span("retrieval docs");
    let source = attribute(&docs, "gen_ai.data_source.id");
    assert_eq!(source.as_deref(), Some("docs"));
}

#[test]
fn a_panic_that_the_process_outlives_is_forgotten_and_a_signal_is_not() {
    let live = LiveOperations::new();
    let _agent = open_agent(Observers::none().with(live.clone()));
    for (reason, is_kept) in [(CrashReason::Panic, false), (CrashReason::Signal, true)] {
        let folder = tempfile::tempdir().unwrap();
        let file = CrashFile::create(folder.path(), Redactor::new()).unwrap();
        let raised = Instant::now();
        file.alarm(reason, &live).unwrap();
        file.refresh(&live, None, raised + OUTLIVED / 2).unwrap();
        assert_eq!(files(folder.path(), "jsonl").len(), 1, "{reason:?}");
        let later = Instant::now() + OUTLIVED;
        file.refresh(&live, None, later).unwrap();
        assert_eq!(files(folder.path(), "jsonl").len(), usize::from(is_kept));
    }
}

#[tokio::test]
async fn an_orderly_end_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::builder()
        .crash_reports(folder.path())
        .crash_interval(Duration::from_millis(1))
        .build()
        .unwrap();
    let agent = open_agent(telemetry.observers());
    until(|| !files(folder.path(), "jsonl").is_empty());
    telemetry.report_crash().unwrap();
    drop(agent);
    let _ = telemetry.shutdown();
    drop(telemetry);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn damaged_files_are_read_as_far_as_they_go_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    put("a.jsonl", b"");
    put(
        "b.jsonl",
        b"{\"format\":9,\"pid\":1,\"reason\":\"panic\",\"written\":1}\n",
    );
    put("c.jsonl", b"\xff\xfe\n\n{}");
    let head = "{\"format\":1,\"pid\":1,\"reason\":\"panic\",\"written\":1}\n";
    let line = format!(
        "{{\"trace\":\"{}\",\"run_id\":\"r\",\"operation_id\":1,\"kind\":\"agent\",\"name\":\"a\",\"started\":{}}}",
        TraceContext::random_root().traceparent(),
        u64::MAX
    );
    put(
        "d.jsonl",
        format!(
            "{head}{line}\n{{\"trace\":\"00-x\"}}\n{}",
            line.get(..40).unwrap()
        )
        .as_bytes(),
    );
    put("e.lock", b"");
    put("other.txt", b"kept");
    let mut read = Vec::new();
    crash::claim(folder.path(), |operations| read.extend(operations));
    assert_eq!(read.len(), 1);
    let span = Span::decode(spans::crashed(&read[0]).as_slice()).unwrap();
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    let left = std::fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["other.txt"]);
    crash::claim(&folder.path().join("nowhere"), |_| {
        panic!("nothing is there")
    });
}

#[tokio::test]
async fn what_runs_is_served_only_if_asked_for() {
    let body = async |telemetry: &Telemetry| {
        let server = telemetry
            .serve_metrics(([127, 0, 0, 1], 0).into())
            .await
            .unwrap();
        let url = format!("http://{}/operations", server.address());
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        let reply = client.get(url).send().await.unwrap();
        let status = reply.status().as_u16();
        (status, reply.text().await.unwrap())
    };
    let off = Telemetry::builder().build().unwrap();
    assert!(off.live().is_none());
    assert_eq!(body(&off).await.0, 404);
    let on = Telemetry::builder().live(true).build().unwrap();
    let agent = open_agent(on.observers());
    let tool = agent.context().start(Kind::Tool, "a\u{202e}b").begin();
    let (status, text) = body(&on).await;
    assert_eq!(status, 200);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["operations"][0]["name"], "triage");
    assert!(text.contains("\\u202e") && !text.contains(CANARY), "{text}");
    drop((tool, agent));
}

#[test]
fn variables_switch_it_on_and_mistakes_are_refused() {
    let read = |name: &'static str, value: &'static str| {
        LiveSettings::read(move |asked: &str| (asked == name).then(|| value.to_owned()))
    };
    let settings = read("AGENT_SDK_OTEL_PENDING_SPANS", "2.5").unwrap();
    assert_eq!(settings.pending_after, Some(Duration::from_millis(2_500)));
    assert!(settings.needs_registry() && !settings.on);
    assert!(read("AGENT_SDK_OTEL_LIVE", "TRUE").unwrap().on);
    assert!(!read("OTHER", "x").unwrap().needs_registry());
    for (name, value) in [
        ("AGENT_SDK_OTEL_LIVE", "yes"),
        ("AGENT_SDK_OTEL_PENDING_SPANS", "0"),
        ("AGENT_SDK_OTEL_PENDING_SPANS", "NaN"),
        ("AGENT_SDK_OTEL_PENDING_SPANS", "1e300"),
        ("AGENT_SDK_OTEL_CRASH_INTERVAL", "-1"),
    ] {
        let error = read(name, value).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

fn restarted(folder: &Path, collector: &Collector) -> Telemetry {
    Telemetry::builder()
        .traces_endpoint(format!("{}/v1/traces", collector.url()))
        .crash_reports(folder)
        .build()
        .unwrap()
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|own| own == end))
        .collect()
}

/// Waits for another thread to get somewhere.
fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "it never was");
        std::thread::yield_now();
    }
}

const FOLDER: &str = "AGENT_SDK_OTEL_TEST_FOLDER";
const END: &str = "AGENT_SDK_OTEL_TEST_END";

/// Does nothing unless it is started as the process that ends badly.
#[tokio::test]
async fn the_process_that_ends_badly() {
    let (Ok(folder), Ok(end)) = (std::env::var(FOLDER), std::env::var(END)) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let builder = Telemetry::builder().crash_reports(&folder);
    let builder = match end.as_str() {
        "kill" => builder.crash_interval(Duration::from_millis(5)),
        _ => builder,
    };
    let telemetry = builder.build().unwrap();
    let agent = open_agent(telemetry.observers());
    let ready = || println!("\nREADY {}", agent.info().trace.traceparent());
    match end.as_str() {
        "kill" => {
            until(|| !files(&folder, "jsonl").is_empty());
            ready();
            loop {
                std::thread::park();
            }
        }
        "panic" => {
            // The hook before: it ends the process while the file is fresh.
            let ready = agent.info().trace.traceparent();
            std::panic::set_hook(Box::new(move |_| {
                println!("\nREADY {ready}");
                std::process::abort();
            }));
            telemetry.install_crash_hook();
            telemetry.install_crash_hook();
            let _ = std::thread::spawn(|| panic!("{CANARY}")).join();
        }
        _ => {
            let mut waiting = std::pin::pin!(telemetry.shutdown_on_signal());
            // The first poll is what listens.
            tokio::select! {
                biased;
                _ = &mut waiting => {}
                () = async { ready() } => {}
            }
            let (signal, _) = waiting.await.unwrap();
            assert_eq!(signal, Signal::Terminate);
            std::process::abort();
        }
    }
}

/// Starts a process and answers once it says where its operation stands.
fn spawn(folder: &Path, end: &str) -> (Child, TraceContext) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "live::tests::the_process_that_ends_badly",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(END, end)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = lines.map(|line| line.unwrap());
    let trace = said.find_map(|line| Some(line.strip_prefix("READY ")?.parse().unwrap()));
    (child, trace.expect("the process said where it stands"))
}

#[cfg(unix)]
#[test]
fn o3_what_ran_in_a_process_that_was_ended_is_reported_by_the_next() {
    for (end, reason) in [
        ("term", CrashReason::Signal),
        ("kill", CrashReason::Interval),
        ("panic", CrashReason::Panic),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, trace) = spawn(folder.path(), end);
        match end {
            "term" => {
                let pid = child.id().to_string();
                let mut kill = Command::new("kill");
                assert!(kill.args(["-s", "TERM", &pid]).status().unwrap().success());
            }
            "kill" => child.kill().unwrap(),
            _ => {}
        }
        assert!(!child.wait().unwrap().success());
        let collector = Collector::start(Behaviour::Accept);
        let telemetry = restarted(folder.path(), &collector);
        let [crashed] = telemetry.crashed() else {
            panic!("{end}: {:?}", telemetry.crashed());
        };
        assert_eq!((crashed.reason, crashed.pid), (reason, child.id()), "{end}");
        assert_eq!(crashed.trace.span_id, trace.span_id);
        assert!(telemetry.shutdown().is_complete());
        let span = collector.span("invoke_agent triage");
        assert_eq!(span.trace_id, trace.trace_id.0.to_be_bytes());
        assert_eq!(
            attribute(&span, "agent_sdk.crash.reason").as_deref(),
            Some(reason.as_str())
        );
        drop(telemetry);
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            0,
            "{end}"
        );
    }
}
