use std::{sync::Arc, time::Duration};

use super::*;
use crate::operation::{Operation, RunContext, trace_agent, trace_chat, trace_tool};

fn ok(operation: Operation) {
    operation.end(Outcome::Ok, Payload::None);
}

async fn advance(ms: u64) {
    tokio::time::advance(Duration::from_millis(ms)).await;
}

/// Two tools at once, each with something inside, one of which fails.
async fn run(context: &RunContext) {
    let agent = trace_agent(context, "triage").tag("team", "search").begin();
    let chat = trace_chat(agent.context(), "openai", "gpt-4o").begin();
    advance(20).await;
    chat.handle().record_usage(Usage::new(1_000, 500));
    let first = chat.info().trace;
    ok(chat);
    let search = trace_tool(agent.context(), "search").link(first).begin();
    let read = trace_tool(agent.context(), "read").begin();
    let inner = trace_agent(search.context(), "inner").begin();
    advance(5).await;
    read.fail("tool_error", "no such page");
    ok(inner);
    ok(search);
    agent.end(Outcome::Limit, Payload::None);
}

#[tokio::test(start_paused = true)]
async fn a_tree_shows_what_hangs_under_what_in_the_order_of_the_starts() {
    let trace = TraceCapture::new();
    run(&trace.context()).await;
    assert_eq!(
        trace.tree(),
        "\
invoke_agent triage  outcome=limit
  chat gpt-4o
  execute_tool search
    invoke_agent inner
  execute_tool read  error=tool_error
"
    );
    trace.well_formed().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_timeline_adds_exact_times_usage_and_cost() {
    let trace = TraceCapture::new();
    run(&trace.context()).await;
    assert_eq!(
        trace.timeline(),
        "\
invoke_agent triage  0..25 ms  outcome=limit
  chat gpt-4o  0..20 ms  in=1000 out=500  $0.0075
  execute_tool search  20..25 ms
    invoke_agent inner  20..25 ms
  execute_tool read  20..25 ms  error=tool_error
"
    );
    let kinds = trace.tree_with(|op| op.kind.as_str().to_owned());
    assert_eq!(kinds, "agent\n  chat\n  tool\n    agent\n  tool\n");
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_of_an_operation_can_be_asked_for() {
    let trace = TraceCapture::new();
    run(&trace.context()).await;
    let search = trace.find("execute_tool search").unwrap();
    let chat = trace.find("chat gpt-4o").unwrap();
    assert_eq!(search.links, [chat.trace]);
    assert_eq!(
        search.parent_trace.unwrap().span_id,
        trace.operations()[0].trace.span_id
    );
    assert_eq!(&*search.tags[0].1, "search");
    assert_eq!((search.started_as, search.ended_as), (3, Some(8)));
    assert_eq!(search.duration(), Some(Duration::from_millis(5)));
    assert_eq!(trace.operations()[0].totals.tool_calls, 2);
    assert!(trace.find("execute_tool other").is_none());
    trace.clear();
    assert_eq!(trace.tree(), "");
}

#[tokio::test(start_paused = true)]
async fn runs_that_are_watched_together_keep_their_own_trees() {
    let trace = TraceCapture::new();
    let (one, two) = (trace.context(), trace.context());
    let (a, b) = (
        trace_agent(&one, "a").begin(),
        trace_agent(&two, "b").begin(),
    );
    ok(trace_tool(b.context(), "of b").begin());
    ok(trace_tool(a.context(), "of a").begin());
    ok(a);
    ok(b);
    assert_eq!(
        trace.tree(),
        "invoke_agent a\n  execute_tool of a\ninvoke_agent b\n  execute_tool of b\n"
    );
    trace.well_formed().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_left_open_is_shown_and_is_not_well_formed() {
    let trace = TraceCapture::new();
    let agent = trace_agent(&trace.context(), "a").begin();
    ok(trace_tool(agent.context(), "t").begin());
    assert_eq!(trace.tree(), "invoke_agent a  open\n  execute_tool t\n");
    assert_eq!(trace.open(), 1);
    let problems = trace.well_formed().unwrap_err();
    assert!(
        problems.starts_with("`invoke_agent a` has not ended\n\n"),
        "{problems}"
    );
    drop(agent);
    trace.well_formed().unwrap();
    assert_eq!(
        trace.tree(),
        "invoke_agent a  outcome=cancelled\n  execute_tool t\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_missed_the_start_is_not_well_formed() {
    let trace = TraceCapture::new();
    let context = RunContext::new();
    let agent = trace_agent(&context, "a").begin();
    context.subscribe(Arc::new(trace.clone()));
    ok(trace_tool(agent.context(), "t").begin());
    ok(agent);
    let problems = trace.well_formed().unwrap_err();
    assert_eq!(
        problems.lines().take(2).collect::<Vec<_>>(),
        [
            "`execute_tool t` started under an operation that never started",
            "`invoke_agent a` ended without having started"
        ]
    );
}

/// Hands on some calls twice or not in order, as a broken run would.
#[derive(Default)]
struct Broken {
    trace: TraceCapture,
}

impl Observer for Broken {
    fn started(&self, info: &OperationInfo, payload: Payload<'_>) {
        self.trace.started(info, payload);
        if &*info.name == "twice" {
            self.trace.started(info, payload);
        }
    }

    fn ended(&self, record: &OperationRecord<'_>, payload: Payload<'_>) {
        self.trace.ended(record, payload);
        if &*record.info.name == "twice" {
            self.trace.ended(record, payload);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_rule_of_a_trace_is_checked() {
    let broken = Arc::new(Broken::default());
    let observers = Observers::none().with_shared(broken.clone());
    let context = RunContext::builder().observers(observers).build();
    let agent = trace_agent(&context, "a").begin();
    advance(1).await;
    ok(trace_tool(agent.context(), "twice").begin());
    ok(trace_tool(agent.context(), "late").begin());
    ok(agent);
    let mut log = broken.trace.lock();
    assert_eq!(
        log.problems(),
        [
            "`execute_tool twice` started twice",
            "`execute_tool twice` ended twice",
            "`execute_tool twice` has not ended"
        ]
    );
    log.problems.clear();
    log.operations.retain(|op| &*op.name != "twice");
    log.places = log
        .operations
        .iter()
        .enumerate()
        .map(|(place, op)| ((op.run_id.clone(), op.id), place))
        .collect();
    assert!(log.problems().is_empty());
    let late = log.operations.last_mut().unwrap();
    late.end = Some(Duration::from_secs(1));
    late.ended_as = Some(99);
    log.operations[0].start = Duration::from_millis(2);
    assert_eq!(
        log.problems(),
        [
            "`execute_tool late` ended after `invoke_agent a` around it",
            "`execute_tool late` starts earlier than `invoke_agent a` around it",
            "`execute_tool late` reaches beyond the end of `invoke_agent a` around it"
        ]
    );
    let mut child = log.operations[1].clone();
    child.id = log.operations[0].id;
    child.parent = Some(log.operations[0].id);
    log.check_start(&child);
    assert_eq!(
        log.problems,
        [
            "`execute_tool late` started twice",
            "`execute_tool late` started after the end of `invoke_agent a` around it"
        ]
    );
}
