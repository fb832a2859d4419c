//! Runs of a session: before, after, and when they never come back.

use super::*;
use crate::{
    agent::Agent,
    journal::{Runs, Verdict},
    message::Conversation,
    model::Usage,
    operation::{RunContext, RunId},
    run::RunErrorKind,
    session::{AutoCompress, Compression, SessionErrorKind, SharedState, StateChange},
    store::Store,
    testing::{CountingTool, ScriptedModel, Turn},
    tool::{FnTool, NoArguments, ToolContext, ToolHandle},
};

#[tokio::test]
async fn a_run_is_kept_in_two_appends_its_prompt_first() {
    let store = FaultyStore::default();
    let sessions = Sessions::new(Arc::new(store.clone()), "ann");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    let model = ScriptedModel::new([
        Turn::new().tool_call("call-1", "measure", "{}"),
        Turn::from("Done."),
    ]);
    let agent = Agent::builder("surveyor", model)
        .tool(CountingTool::new("measure"))
        .build()
        .unwrap();
    let context = RunContext::new();
    let run = context.run_id().clone();
    store.take_counts();
    session
        .begin_run(run.clone(), user("Measure."))
        .await
        .unwrap();
    assert_eq!(session.open_run(), Some(&run));
    assert_eq!(
        sessions.list(1).await.unwrap()[0].open_run,
        Some(run.clone())
    );

    let mut conversation = session.conversation().clone();
    let request = agent.run_with(&mut conversation).context(&context);
    request.await.unwrap();
    let finish = session.finish_run(conversation.clone());
    let finish = finish.changes([StateChange::set("measured", true)]);
    finish.usage(&Usage::new(900, 100)).commit().await.unwrap();
    let StoreCounts {
        appends, entries, ..
    } = store.take_counts();
    assert_eq!((appends, entries), (2, 2));
    assert_eq!(session.conversation(), &conversation);
    assert_eq!(session.open_run(), None);
    assert_eq!(session.view().estimated_tokens(), 1_000);
    assert_eq!(sessions.list(1).await.unwrap()[0].open_run, None);

    let opened = sessions.open(session.id()).await.unwrap();
    assert_eq!(opened.conversation(), &conversation);
    assert_eq!(opened.state()["measured"], true);
    let versions = opened.versions().await.unwrap();
    let runs: Vec<_> = versions
        .iter()
        .map(|it| (it.messages, it.run.clone()))
        .collect();
    assert_eq!(runs, [(0, None), (1, Some(run.clone())), (3, Some(run))]);
}

#[tokio::test]
async fn after_a_crash_the_session_knows_the_run_and_takes_it_up() {
    let sessions = sessions();
    let mut before = sessions.create(NewSession::new()).await.unwrap();
    before
        .begin_run(RunId::from("run-1"), user("Go."))
        .await
        .unwrap();
    let id = before.id().to_owned();
    drop(before);

    let mut session = sessions.open(&id).await.unwrap();
    assert_eq!(session.open_run().unwrap().as_str(), "run-1");
    // What the run would not know of is refused until it is over; shared state is not.
    for error in [
        session.say(user("and?")).await.unwrap_err(),
        session
            .begin_run(RunId::from("run-2"), user("no"))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), SessionErrorKind::Conflict);
        assert!(error.to_string().contains("`run-1`"), "{error}");
    }
    session.set("note", 1).await.unwrap();
    let mut conversation = session.conversation().clone();
    conversation.push(assistant("Gone."));
    session.finish_run(conversation).commit().await.unwrap();
    assert_eq!(session.open_run(), None);
    session.say(user("and?")).await.unwrap();

    session
        .begin_run(RunId::from("run-3"), user("Again."))
        .await
        .unwrap();
    let branch = session.branch(session.version()).await.unwrap();
    assert_eq!(branch.open_run(), None, "the run is the other session's");
    session.abandon_run().await.unwrap();
    assert_eq!(session.open_run(), None);
    let version = session.version();
    assert_eq!(session.abandon_run().await.unwrap(), version);
    assert_eq!(texts(&session).last().unwrap(), "Again.");
}

#[tokio::test]
async fn a_run_that_paused_is_resumed_and_finished_by_whoever_opens_the_session() {
    let store = Arc::new(MemoryStore::new());
    let sessions = Sessions::new(store.clone(), "ann");
    let model = ScriptedModel::new([
        Turn::new().tool_call("call-1", "measure", "{}"),
        Turn::from("Done."),
    ]);
    let agent = Agent::builder("surveyor", model)
        .tool(CountingTool::new("measure"))
        .build()
        .unwrap();
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    let context = RunContext::builder().session(session.id()).build();
    let run = context.run_id().clone();
    session.begin_run(run, user("Measure.")).await.unwrap();
    let mut conversation = session.conversation().clone();
    let request = agent.run_with(&mut conversation).context(&context);
    let paused = request.store(store.clone()).ask_before(["measure"]).await;
    assert!(paused.is_err());
    let id = session.id().to_owned();
    drop(session);

    let mut session = sessions.open(&id).await.unwrap();
    let run = session.open_run().unwrap().clone();
    let runs = Runs::new(store.clone());
    runs.answer(run.as_str(), "call-1", Verdict::allow())
        .await
        .unwrap();
    let mut conversation = Conversation::new();
    let resumed = agent.resume(run, store).conversation(&mut conversation);
    resumed.await.unwrap();
    session.finish_run(conversation).commit().await.unwrap();
    assert_eq!(session.open_run(), None);
    assert_eq!(texts(&session), ["Measure.", "", "", "Done."]);
    let results = session.conversation().messages()[2].parts.len();
    assert_eq!(results, 1);
}

#[tokio::test]
async fn a_conversation_that_does_not_go_on_from_the_sessions_is_refused() {
    let mut session = session().await;
    session.extend([user("a"), assistant("b")]).await.unwrap();
    let others = [
        Conversation::new(),
        Conversation::from("a"),
        Conversation::from_iter([user("a"), assistant("x"), user("c")]),
    ];
    for other in others {
        let error = session.finish_run(other).commit().await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Conflict);
    }
    assert_eq!(session.version(), 2);
    let same = session.conversation().clone();
    assert_eq!(session.finish_run(same).commit().await.unwrap(), 2);
}

#[tokio::test]
async fn a_run_after_a_compression_goes_on_from_the_short_conversation() {
    let mut session = session().await;
    for turn in 0..5 {
        let turn = format!("turn {turn}");
        session
            .extend([user(&turn), assistant("ok")])
            .await
            .unwrap();
    }
    let short = crate::session::Compression::keep_last_turns(1);
    let context = RunContext::new();
    session.compress(&context, &short).await.unwrap().unwrap();
    session
        .begin_run(RunId::from("r"), user("next"))
        .await
        .unwrap();
    assert_eq!(session.conversation().len(), 4);
    let mut conversation = session.conversation().clone();
    conversation.push(assistant("done"));
    session.finish_run(conversation).commit().await.unwrap();
    assert_eq!(session.conversation().len(), 5);
    let opened = session.sessions.open(session.id()).await.unwrap();
    assert_eq!(opened.conversation(), session.conversation());
}

/// Counts its calls in the shared state.
fn counter() -> ToolHandle {
    FnTool::new("count", "", async |context: ToolContext, _: NoArguments| {
        let state: Arc<SharedState> = context.state().ok_or("no shared state")?;
        let count = state.get("count").and_then(|it| it.as_u64()).unwrap_or(0) + 1;
        state.set("count", count).map_err(|it| it.to_string())?;
        Ok::<_, String>(count)
    })
    .into()
}

#[tokio::test]
async fn a_run_is_a_turn_of_its_session_and_what_its_tools_changed_survives_a_pause() {
    let store: Arc<dyn Store> = Arc::new(FaultyStore::default());
    let sessions = Sessions::new(store.clone(), "ann");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    let inner = Agent::builder(
        "inner",
        ScriptedModel::new([
            Turn::new().tool_call("c", "count", "{}"),
            Turn::from("counted"),
        ]),
    )
    .tool(counter())
    .build()
    .unwrap();
    let model = ScriptedModel::new([
        Turn::new().tool_call("c", "count", "{}"),
        Turn::new().tool_call("c", "inner", r#"{"task":"t"}"#),
        Turn::new().tool_call("c", "look", "{}"),
        Turn::new().tool_call("c", "count", "{}"),
        Turn::from("three"),
        Turn::from("again"),
    ])
    .recording();
    let agent = Agent::builder("a", model.clone())
        .tool(counter())
        .tool(inner.as_tool())
        .tool(CountingTool::new("look"))
        .build()
        .unwrap();
    let run = agent.run("count").ask_before(["look"]);
    let paused = run.session(&mut session).await.unwrap_err();
    assert_eq!(paused.kind(), RunErrorKind::Paused);
    assert_eq!(
        session.state().get("count"),
        None,
        "not before it has answered"
    );

    // Another process.
    let mut session = sessions.open(session.id()).await.unwrap();
    let busy = agent.run("more").session(&mut session).await.unwrap_err();
    assert_eq!(busy.kind(), RunErrorKind::Session);
    let run = session.open_run().unwrap().clone();
    assert_eq!(run, paused.report().run_id);
    let runs = Runs::new(store.clone());
    let kept = runs.get(run.as_str()).await.unwrap();
    assert_eq!(kept.summary.session.as_deref(), Some(session.id()));
    assert_eq!(kept.summary.user.as_deref(), Some("ann"));
    runs.answer(run.as_str(), "c", Verdict::allow())
        .await
        .unwrap();
    let resumed = agent.resume(run, store.clone()).session(&mut session);
    assert_eq!(resumed.await.unwrap().text, "three");
    assert_eq!(session.state()["count"], 3);
    assert_eq!(session.open_run(), None);
    assert_eq!(texts(&session).first().unwrap(), "count");
    assert_eq!(texts(&session).last().unwrap(), "three");

    let report = agent.run("more").session(&mut session).await.unwrap();
    assert_eq!(report.text, "again");
    let reopened = sessions.open(session.id()).await.unwrap();
    assert_eq!(reopened.conversation(), session.conversation());
    assert_eq!(reopened.conversation().len(), 12);
    let requests = model.requests();
    let asked = &requests.last().unwrap().conversation;
    assert_eq!(asked.len(), 11, "all that was said before, and the prompt");
}

#[tokio::test]
async fn s8_the_journal_of_a_turn_does_not_repeat_what_the_session_has() {
    let store = FaultyStore::default();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let sessions = Sessions::new(shared.clone(), "ann");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    let agent = Agent::builder("a", ScriptedModel::new(["one", "two"]))
        .build()
        .unwrap();
    let long = "x".repeat(100_000);
    session.say(user(&long)).await.unwrap();
    let report = agent.run("hi").session(&mut session).await.unwrap();
    let kept = Runs::new(shared.clone())
        .get(report.run_id.as_str())
        .await
        .unwrap();
    assert!(kept.bytes < 5_000, "{}", kept.bytes);
    // It can be gone on with all the same.
    let mut conversation = Conversation::new();
    let again = agent
        .resume(report.run_id, shared)
        .conversation(&mut conversation);
    assert_eq!(again.await.unwrap().text, "one");
    assert_eq!(&conversation, session.conversation());
}

#[tokio::test]
async fn a_turn_that_would_overflow_the_window_begins_with_a_short_context() {
    let mut session = session().await;
    for turn in 0..5 {
        let long = format!("{turn} {}", "x".repeat(4_000));
        session
            .extend([user(&long), assistant("ok")])
            .await
            .unwrap();
    }
    session
        .update()
        .set("kept", 1)
        .set("gone", 2)
        .commit()
        .await
        .unwrap();
    let model = ScriptedModel::new(["small", "big"]).recording();
    let agent = Agent::builder("a", model.clone()).build().unwrap();
    let short = Compression::keep_last_turns(1).keep_keys(["kept"]);
    let wide = AutoCompress::new(1_000_000, short.clone());
    let narrow = AutoCompress::new(1_000, short);
    for policy in [wide, narrow] {
        let run = agent.run("next").session(&mut session);
        run.auto_compress(policy).await.unwrap();
    }
    let asked: Vec<usize> = model
        .requests()
        .iter()
        .map(|it| it.conversation.len())
        .collect();
    assert_eq!(asked, [11, 4], "a note, the last turn, and the prompt");
    assert_eq!(
        (session.state().get("gone"), &session.state()["kept"]),
        (None, &1.into())
    );
    assert_eq!(session.conversation().last().unwrap().text(), "big");
}
