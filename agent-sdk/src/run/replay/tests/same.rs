//! Where nothing changed, a replay is the run again.

use proptest::prelude::*;

use super::*;
use crate::{
    journal::Runs,
    model::{FinishReason, ModelError, ModelErrorKind},
    operation::{FixedClock, Outcome, RunContext},
    session::{NewSession, Sessions},
    store::{LogId, LogKind, Store},
    testing::{CountingTool, EventLog, TraceCapture},
};

const TOOLS: [&str; 6] = ["write", "read", "approved", "asking", "inner", "nobody"];

/// What a random turn calls, and how long its model takes.
type Step = (Vec<(usize, u64)>, u64);

fn step() -> impl Strategy<Value = Step> {
    let times = prop::sample::select(vec![0, 5, 13, 40, 66]);
    (
        prop::collection::vec((0..TOOLS.len(), times), 0..4),
        0u64..50,
    )
}

fn turns(steps: &[Step], ending: u8) -> Vec<Turn> {
    let turn = |(asked, takes): &Step| {
        let asked: Vec<_> = asked
            .iter()
            .map(|(tool, takes)| (TOOLS[*tool], *takes))
            .collect();
        match asked.as_slice() {
            // A turn without calls is an answer; one that was paused goes on.
            [] => Turn::from("more").finish(FinishReason::Paused),
            asked => calls(asked),
        }
        .delay(ms(*takes))
    };
    let mut turns: Vec<Turn> = steps.iter().map(turn).collect();
    turns.push(match ending {
        0 => Turn::from("cut").finish(FinishReason::Length),
        1 => Turn::new()
            .delay(ms(25))
            .fail(ModelError::new(ModelErrorKind::Overloaded, "busy")),
        _ => done(),
    });
    turns
}

fn limited(turns: Vec<Turn>) -> AgentBuilder {
    agent(turns)
        .max_tool_calls(9)
        .max_turns(std::num::NonZeroU32::new(5).unwrap())
}

fn paused_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_run_whose_agent_did_not_change_replays_without_a_difference_and_with_the_same_trace(
        steps in prop::collection::vec(step(), 0..6),
        ending in 0u8..4,
    ) {
        paused_runtime().block_on(async {
            let store = store();
            let trace = TraceCapture::new();
            let original = limited(turns(&steps, ending)).build().unwrap();
            let context = RunContext::builder().observers(trace.observers()).clock(FixedClock::at(1_800_000_000)).build();
            let run = original.run("hi").context(&context).store(store.clone());
            let result = run.approver(decide).await;
            let run = id(&result);

            let traced = TraceCapture::new();
            let replay = limited(Vec::new()).build().unwrap().replay(run.clone(), store.clone());
            let timed = replay.speed(1.0).observers(traced.observers()).await.unwrap();
            assert_eq!(texts(&timed), Vec::<String>::new());
            assert_eq!(traced.timeline(), trace.timeline());
            traced.well_formed().unwrap();

            let report = match &result {
                Ok(report) => report,
                Err(error) => error.report(),
            };
            assert_eq!((&timed.report.text, timed.report.outcome), (&report.text, report.outcome));
            assert_eq!((timed.report.usage, timed.report.cost), (report.usage, report.cost));
            assert_eq!(timed.report.duration, report.duration);
            assert_eq!(timed.report.profile.bottleneck(), report.profile.bottleneck());

            let at_once = replay_of(&run, &store).await;
            assert_eq!(texts(&at_once), Vec::<String>::new());
            assert_eq!(at_once.report.duration, Duration::ZERO);
        });
    }
}

async fn replay_of(run: &RunId, store: &Arc<MemoryStore>) -> Replayed {
    replay(limited(Vec::new()), run, store).await
}

#[tokio::test(start_paused = true)]
async fn nothing_outside_is_touched_neither_model_nor_tool_nor_file_nor_the_stored_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answer.md");
    let model = ScriptedModel::new([
        Turn::new().tool_call("c1", "look", "{}"),
        Turn::from("done"),
    ]);
    let tool = CountingTool::new("look");
    let agent = Agent::builder("a", model.clone())
        .tool(tool.clone())
        .output_file(&path)
        .build()
        .unwrap();
    let store = store();
    let run = agent.run("hi").store(store.clone()).await.unwrap().run_id;
    std::fs::remove_file(&path).unwrap();
    let log = LogId::new(LogKind::Run, run.as_str()).unwrap();
    // Somebody else has it.
    store.lease(&log, "another", ms(10_000)).await.unwrap();
    let (head, kept) = (
        store.head(&log).await.unwrap(),
        store.read(&log, 0, 99).await.unwrap(),
    );

    let replayed = agent.replay(run.clone(), store.clone()).await.unwrap();
    assert_eq!(texts(&replayed), Vec::<String>::new());
    assert_eq!(
        (replayed.report.text.as_str(), replayed.report.outcome),
        ("done", Outcome::Ok)
    );
    assert_ne!(replayed.report.run_id, run);
    assert_eq!((model.asked(), tool.calls(), path.exists()), (2, 1, false));
    assert_eq!(store.head(&log).await.unwrap(), head);
    assert_eq!(store.read(&log, 0, 99).await.unwrap(), kept);
    assert_eq!(Runs::new(store).list(None, 9).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn twice_as_fast_takes_half_the_time() {
    let store = store();
    let run = record(agent(vec![calls(&[("read", 40)]), done()]), &store).await;
    let request = again().build().unwrap().replay(run, store);
    let fast = request.speed(2.0).await.unwrap();
    assert_eq!(fast.report.duration, ms((20 + 40 + 10) / 2));
    assert_eq!(texts(&fast), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_id_each_have_their_own_result() {
    let store = store();
    let both = call(call(Turn::new(), "c", "read", 5), "c", "read", 7);
    let run = record(agent(vec![both, done()]), &store).await;
    let replayed = replay(again(), &run, &store).await;
    assert_eq!(texts(&replayed), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_run_of_several_lives_is_played_as_one() {
    let store = store();
    let turns = || {
        vec![
            calls(&[("approved", 5), ("read", 5), ("asking", 5)]),
            done(),
        ]
    };
    let original = agent(turns()).build().unwrap();
    let paused = original.run("hi").store(store.clone()).await.unwrap_err();
    let run = paused.report().run_id.clone();
    let replayed = replay(again(), &run, &store).await;
    assert_eq!(texts(&replayed), Vec::<String>::new(), "while it waits");
    assert_eq!(replayed.report.outcome, Outcome::Paused);
    assert_eq!(replayed.report.questions, paused.questions());

    let runs = Runs::new(store.clone());
    runs.answer(run.as_str(), "c1", Verdict::allow())
        .await
        .unwrap();
    runs.answer(run.as_str(), "c3", Verdict::deny("no"))
        .await
        .unwrap();
    original.resume(run.clone(), store.clone()).await.unwrap();
    let replayed = replay(again(), &run, &store).await;
    assert_eq!(texts(&replayed), Vec::<String>::new(), "when it is over");
    assert_eq!(
        (replayed.report.text.as_str(), replayed.report.lives),
        ("all done", 1)
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_about_for_the_runs_sake_is_asked_about_again() {
    let store = store();
    let original = agent(vec![calls(&[("read", 5)]), done()]).build().unwrap();
    let run = original.run("hi").store(store.clone()).ask_before(["read"]);
    let run = run.approver(decide).await.unwrap().run_id;
    let replayed = replay(again(), &run, &store).await;
    assert_eq!(texts(&replayed), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_turn_of_a_session_is_replayed_from_what_the_session_had() {
    let store = store();
    let sessions = Sessions::new(store.clone(), "ann");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    let agent = agent(vec![done(), calls(&[("read", 5)]), done()])
        .build()
        .unwrap();
    agent.run("first").session(&mut session).await.unwrap();
    let run = agent
        .run("second")
        .session(&mut session)
        .await
        .unwrap()
        .run_id;
    let versions = session.version();
    let trace = TraceCapture::new();
    let events = EventLog::new();
    let request = again().build().unwrap().replay(run, store);
    let replayed = request
        .observers(trace.observers().with(events.clone()))
        .await
        .unwrap();
    assert_eq!(texts(&replayed), Vec::<String>::new());
    let lines = events.json_lines().unwrap();
    assert!(
        lines.lines().next().unwrap().contains(r#""goal":"second""#),
        "{lines}"
    );
    assert_eq!(session.version(), versions);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_was_cut_is_not_cut_again() {
    let long = |_: Takes| async { Ok::<_, String>("long ".repeat(100_000)) };
    let talker = |turns: Vec<Turn>| {
        let model = ScriptedModel::new(turns);
        Agent::builder("talker", model).tool(FnTool::new("read", "Reads.", long))
    };
    let store = store();
    let run = record(talker(vec![calls(&[("read", 5)]), done()]), &store).await;
    let replayed = replay(talker(Vec::new()), &run, &store).await;
    assert_eq!(texts(&replayed), Vec::<String>::new());
}
