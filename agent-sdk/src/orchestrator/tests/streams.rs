//! The run of a plan as a stream of its events.

use std::sync::{Weak, mpsc};

use futures_util::StreamExt;

use super::*;
use crate::{
    agent::Agent,
    operation::{Event, EventKind, Interests, Observer},
    orchestrator::PlanRunErrorKind,
    testing::{self, ScriptedModel, TraceCapture, Turn},
    tool::{BlockingTool, NoArguments, ToolContext},
};

fn type_of(event: &Event) -> String {
    let json = serde_json::to_value(event).unwrap();
    json["type"].as_str().unwrap().to_owned()
}

/// Two agents, one after the other; the first one writes word by word.
fn writers(text: &str) -> (Orchestrator, Plan) {
    let registry = Registry::new();
    let first = Turn::from(text)
        .chunk_words(1)
        .chunk_delay(Duration::from_millis(3));
    let first = Agent::builder("first", ScriptedModel::new([first]));
    registry.agent(first.build().unwrap()).unwrap();
    let last = Agent::builder("last", ScriptedModel::new(["Done."]));
    registry.agent(last.build().unwrap()).unwrap();
    let plan = plan([
        Step::agent("write", "first").action("Write."),
        Step::agent("check", "last").input("${steps.write}"),
    ]);
    (Orchestrator::new(registry), plan)
}

#[tokio::test(start_paused = true)]
async fn it_shows_the_plan_as_it_happens_with_what_its_agents_write_and_loses_nothing() {
    let text = "one two three four ".repeat(100);
    let (orchestrator, plan) = writers(&text);
    let mut stream = orchestrator.run(&plan).stream();
    let (mut types, mut written, mut seq) = (Vec::new(), String::new(), 0);
    while let Some(event) = stream.next().await {
        seq += 1;
        assert_eq!(event.seq, seq);
        if let EventKind::TextChunk { content } = &event.kind
            && event.step_id.as_deref() == Some("write")
        {
            written.push_str(content);
        }
        types.push(type_of(&event));
    }
    assert_eq!(written, text);
    types.dedup();
    let step = [
        "step_started",
        "agent_initialized",
        "chat_started",
        "text_chunk",
        "chat_completed",
        "agent_completed",
        "step_completed",
    ];
    let (begin, end) = (
        ["run_started", "workflow_started"],
        ["workflow_completed", "run_report"],
    );
    assert_eq!(types, [&begin[..], &step, &step, &end].concat());
    assert_eq!(stream.report().await.unwrap().output, "Done.");
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_unless_it_is_read_and_no_step_begins_while_64_events_wait() {
    let deeds = Deeds::default();
    let many = plan((0..1_000).map(|n| echo(&format!("s{n}"), json!(n))));
    let mut stream = orchestrator(&deeds).run(&many).stream();
    assert_eq!(deeds.take(), Vec::<String>::new());
    stream.next().await.unwrap();
    let (mut read, mut most) = (1, deeds.take().len());
    while stream.next().await.is_some() {
        read += 1;
        most = most.max(deeds.take().len());
    }
    assert!(most <= 64, "{most} steps were called between two events");
    assert_eq!(read, 1 + 1 + 2 * 1_000 + 1 + 1);
    assert_eq!(stream.report().await.unwrap().steps.len(), 1_000);
}

#[test]
fn dropped_at_any_point_the_plan_is_cancelled_and_every_operation_ends_once() {
    let trace = TraceCapture::new();
    let polls = testing::drop_at_every_poll(
        || async {
            trace.clear();
            let (orchestrator, plan) = writers("one two three four five six seven eight");
            let run = orchestrator.run(&plan).context(&trace.context());
            run.stream().report().await.map(drop)
        },
        |n| {
            let formed = trace.well_formed();
            formed.unwrap_or_else(|why| panic!("dropped after {n} polls: {why}"));
            assert_eq!(trace.open(), 0, "dropped after {n} polls");
        },
    );
    assert!(polls.unwrap() > 4, "the plan waits at several points");
}

#[tokio::test]
async fn a_plan_with_mistakes_is_a_stream_without_events_and_an_error() {
    let deeds = Deeds::default();
    let wrong = Plan::builder("p").step(Step::function("a", "nobody"));
    let wrong = wrong.build().unwrap();
    let mut stream = orchestrator(&deeds).run(&wrong).stream();
    assert!(stream.next().await.is_none());
    let error = stream.report().await.unwrap_err();
    assert_eq!(error.kind(), PlanRunErrorKind::Invalid);
}

#[tokio::test]
async fn what_another_thread_tells_is_read_when_it_is_told() {
    let (read, was_read) = mpsc::channel();
    let was_read = Mutex::new(was_read);
    // It goes on when its progress was read, or fails after a while.
    let slow = BlockingTool::new("slow", "", move |context: ToolContext, _: NoArguments| {
        context.progress(None, "half of it");
        let was_read = was_read.lock().unwrap();
        let read = was_read.recv_timeout(Duration::from_secs(20));
        read.map_err(|_| "nobody read it")
    });
    let registry = Registry::new();
    registry.tool(slow).unwrap();
    let plan = plan([Step::tool("a", "slow")]);
    let mut stream = Orchestrator::new(registry).run(&plan).stream();
    while let Some(event) = stream.next().await {
        if let EventKind::ToolProgress { .. } = event.kind {
            read.send(()).unwrap();
        }
    }
    stream.report().await.unwrap();
}

#[tokio::test]
async fn one_that_has_ended_hears_nothing_of_what_else_happens_in_its_run() {
    let (deeds, context) = (Deeds::default(), RunContext::new());
    let one = plan([echo("a", json!(1))]);
    let orchestrator = orchestrator(&deeds);
    let mut stream = orchestrator.run(&one).context(&context).stream();
    while stream.next().await.is_some() {}
    let again = orchestrator.run(&one).context(&context);
    again.await.unwrap();
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn one_that_is_dropped_keeps_no_event_of_its_run() {
    let (deeds, context) = (Deeds::default(), RunContext::new());
    let heard = Arc::new(Heard::default());
    context.subscribe(heard.clone());
    let many = plan((0..100).map(|n| echo(&format!("s{n}"), json!(n))));
    let orchestrator = orchestrator(&deeds);
    let mut stream = orchestrator.run(&many).context(&context).stream();
    for _ in 0..10 {
        stream.next().await.unwrap();
    }
    let waiting = heard.alive();
    assert!(waiting > 10, "{waiting} events wait for the reader");
    drop(stream);
    orchestrator.run(&many).context(&context).await.unwrap();
    assert_eq!(heard.alive(), 0);
}

/// The events of a run, without keeping them.
#[derive(Default)]
struct Heard(Mutex<Vec<Weak<Event>>>);

impl Heard {
    fn alive(&self) -> usize {
        let events = self.0.lock().unwrap();
        events.iter().filter(|it| it.strong_count() > 0).count()
    }
}

impl Observer for Heard {
    fn interests(&self) -> Interests {
        Interests::EVENTS
    }

    fn event(&self, event: &Arc<Event>) {
        self.0.lock().unwrap().push(Arc::downgrade(event));
    }
}
