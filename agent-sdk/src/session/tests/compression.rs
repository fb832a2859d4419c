//! What compression keeps, whom it asks, and what it leaves behind when it fails.

use std::{sync::Mutex, time::Duration};

use futures_util::FutureExt;
use serde_json::json;

use super::*;
use crate::{
    message::Role,
    model::{FinishReason, ModelError, ModelErrorKind, Usage},
    operation::{Kind, Outcome, RunContext},
    session::{AutoCompress, Compression, SessionErrorKind},
    testing::{ScriptedModel, TraceCapture, Turn, drop_at_every_poll},
};

/// Four turns; the second and the fourth call a tool.
async fn four_turns() -> Session {
    let mut session = session().await;
    let mut update = session.update().set("goal", "fjords").set("scratch", 1);
    for turn in 1..=4 {
        update = update.say(user(&format!("question {turn}")));
        if turn % 2 == 0 {
            // Some providers give the same ids in every turn.
            update = update.extend(call("call-1"));
        }
        update = update.say(assistant(&format!("answer {turn}")));
    }
    update.commit().await.unwrap();
    session
}

#[tokio::test]
async fn the_last_turns_stay_whole_and_a_note_counts_what_went() {
    for (turns, kept, left_out) in [(0, 0, 12), (1, 4, 8), (2, 6, 6), (3, 10, 2)] {
        let mut session = four_turns().await;
        let before = session.conversation().messages().to_vec();
        let compression = Compression::keep_last_turns(turns);
        let report = session.compress(&RunContext::new(), &compression).await;
        let report = report.unwrap().unwrap();
        assert_eq!(report.replaced, left_out);
        let messages = session.conversation().messages();
        assert_eq!(messages[1..], before[before.len() - kept..]);
        let note = format!(
            "[The first {left_out} messages of this conversation were left out to save room.]"
        );
        assert_eq!(messages[0], user(&note));
        assert!(report.tokens_after < report.tokens_before || turns == 3);
        assert_eq!(session.state().len(), 2, "all keys stay by default");
        let opened = session.sessions.open(session.id()).await.unwrap();
        assert_eq!(opened.conversation(), session.conversation());
        assert_eq!(
            opened.at(2).await.unwrap().conversation().messages(),
            before
        );
    }
}

#[tokio::test]
async fn with_nothing_to_leave_out_nothing_is_written() {
    let mut session = four_turns().await;
    let context = RunContext::new();
    for turns in [4, 5, usize::MAX] {
        let compression = Compression::keep_last_turns(turns).keep_keys(["goal", "scratch"]);
        let none = session.compress(&context, &compression).await.unwrap();
        assert_eq!(none, None);
    }
    let compression = Compression::keep_last_turns(2);
    session.compress(&context, &compression).await.unwrap();
    let version = session.version();
    let again = session.compress(&context, &compression).await.unwrap();
    assert_eq!((again, session.version()), (None, version));
}

#[tokio::test]
async fn notes_add_up_and_only_the_named_keys_stay() {
    let mut session = four_turns().await;
    let context = RunContext::new();
    let compression = Compression::keep_last_turns(3).keep_keys(["goal", "none"]);
    let report = session.compress(&context, &compression).await.unwrap();
    assert_eq!(report.unwrap().removed_keys, ["scratch".into()]);
    assert_eq!(json!(session.state()), json!({"goal": "fjords"}));
    let compression = Compression::keep_last_turns(1);
    session.compress(&context, &compression).await.unwrap();
    assert!(
        texts(&session)[0].contains("first 8 messages"),
        "{:?}",
        texts(&session)
    );

    // Keys alone can go too; the conversation then stays.
    let before = session.conversation().clone();
    let none: [&str; 0] = [];
    let compression = Compression::keep_last_turns(9).keep_keys(none);
    let report = session.compress(&context, &compression).await.unwrap();
    assert_eq!(report.unwrap().replaced, 0);
    assert_eq!(session.conversation(), &before);
    assert!(session.state().is_empty());
}

#[tokio::test]
async fn a_call_is_never_separated_from_its_result() {
    // Somebody spoke between a call and its result.
    let mut session = session().await;
    let [calls, results] = call("c-1");
    let odd = [
        user("one"),
        assistant("ok"),
        user("two"),
        calls,
        user("hurry"),
        results,
        assistant("done"),
        user("three"),
    ];
    session.extend(odd).await.unwrap();
    for (turns, first_kept) in [(1, "three"), (2, "two"), (3, "two")] {
        let mut session = session.branch(2).await.unwrap();
        let compression = Compression::keep_last_turns(turns);
        session
            .compress(&RunContext::new(), &compression)
            .await
            .unwrap();
        assert_eq!(texts(&session)[1], first_kept, "{turns}");
    }
}

#[tokio::test]
async fn a_model_writes_the_summary_within_its_limit_and_is_charged_and_seen() {
    let mut session = four_turns().await;
    let model = ScriptedModel::new([Turn::from(" Fjords it is.\n").usage(Usage::new(1_000, 10))])
        .named("openai", "gpt-4o-mini")
        .recording();
    let compression = Compression::keep_last_turns(1).summarize(model.clone(), 300);
    let trace = TraceCapture::new();
    let report = session.compress(&trace.context(), &compression).await;
    assert_eq!(report.unwrap().unwrap().replaced, 8);
    let messages = session.conversation().messages();
    assert_eq!(messages[0].role, Role::User);
    assert_eq!(
        messages[0].text(),
        "[Summary of the conversation until here]\nFjords it is."
    );
    assert_eq!(messages.len(), 5);

    let requests = model.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].settings.max_output_tokens, Some(300));
    assert!(
        requests[0]
            .instructions
            .as_ref()
            .unwrap()
            .contains("at most 300 tokens")
    );
    let shown = requests[0].conversation.messages();
    assert_eq!(shown.len(), 1);
    let shown = shown[0].text();
    for said in [
        "user: question 3",
        "assistant calls search: {\"q\":\"fjord\"}",
        "search gave: found it",
    ] {
        assert!(shown.contains(said), "{shown}");
    }
    assert!(!shown.contains("question 4"), "{shown}");

    assert_eq!(trace.tree(), "create_memory\n  chat gpt-4o-mini\n");
    let operation = trace.find("create_memory").unwrap();
    assert_eq!(
        (operation.kind, operation.outcome),
        (Kind::Memory, Some(Outcome::Ok))
    );
    assert_eq!(operation.totals.model_calls, 1);
    assert_eq!(operation.totals.usage.output_tokens, Some(10));
    assert_eq!(operation.totals.cost.to_string(), "0.000156");
    trace.well_formed().unwrap();

    // A second summary is of the first one too.
    let model = ScriptedModel::new(["More."]).recording();
    session
        .extend([user("question 5"), assistant("answer 5")])
        .await
        .unwrap();
    let compression = Compression::keep_last_turns(1).summarize(model.clone(), 300);
    session
        .compress(&trace.context(), &compression)
        .await
        .unwrap()
        .unwrap();
    assert!(
        model.requests()[0].conversation.messages()[0]
            .text()
            .contains("Fjords it is.")
    );
    assert_eq!(session.conversation().len(), 3);
}

#[tokio::test]
async fn a_summary_that_fails_leaves_everything_as_it_was() {
    let failures = [
        Turn::from("Fjo").finish(FinishReason::Length),
        Turn::from(" \n"),
        Turn::from("no").finish(FinishReason::ContentFilter),
        Turn::new().tool_call("c", "search", "{}"),
        Turn::new().fail(ModelError::new(ModelErrorKind::Overloaded, "busy")),
    ];
    for turn in failures {
        let mut session = four_turns().await;
        let (before, version) = (session.conversation().clone(), session.version());
        let trace = TraceCapture::new();
        let compression = Compression::keep_last_turns(1)
            .keep_keys(["goal"])
            .summarize(ScriptedModel::new([turn]), 5);
        let failed = session.compress(&trace.context(), &compression).await;
        let error = failed.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Model);
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(session.conversation(), &before);
        assert_eq!((session.version(), session.state().len()), (version, 2));
        let opened = session.sessions.open(session.id()).await.unwrap();
        assert_eq!(opened.version(), version);
        let operation = trace.find("create_memory").unwrap();
        assert_eq!(operation.outcome, Some(Outcome::Error));
        trace.well_formed().unwrap();
        session.say(user("it goes on")).await.unwrap();
    }
}

#[test]
fn given_up_at_any_point_it_is_kept_whole_or_not_at_all() {
    let trace = TraceCapture::new();
    let opened: Mutex<Option<Sessions>> = Mutex::default();
    let compress = || async {
        let sessions = Sessions::new(Arc::new(FaultyStore::default()), "ann");
        let mut session = sessions.create(NewSession::new().id("s")).await.unwrap();
        let turns = [user("one"), assistant("1"), user("two"), assistant("2")];
        session.extend(turns).await.unwrap();
        *opened.lock().unwrap() = Some(sessions);
        let turn = Turn::from("Notes.").delay(Duration::from_secs(1));
        let compression = Compression::keep_last_turns(1).summarize(ScriptedModel::new([turn]), 9);
        session.compress(&trace.context(), &compression).await
    };
    let mut seen = Vec::new();
    let polls = drop_at_every_poll(compress, |_| {
        trace.well_formed().unwrap();
        let Some(sessions) = opened.lock().unwrap().take() else {
            return;
        };
        let session = sessions.open("s").now_or_never().unwrap().unwrap();
        let first = texts(&session).remove(0);
        match session.version() {
            2 => assert_eq!((session.conversation().len(), &*first), (4, "one")),
            3 => assert!(session.conversation().len() == 3 && first.ends_with("Notes.")),
            version => panic!("version {version}"),
        }
        seen.push(session.version());
    });
    assert!(polls.unwrap() >= 6);
    seen.dedup();
    assert_eq!(seen, [2, 3]);
}

#[tokio::test]
async fn while_a_run_is_under_way_its_context_stays() {
    let mut session = four_turns().await;
    session.begin_run("r".into(), user("go")).await.unwrap();
    let compression = Compression::keep_last_turns(1);
    let error = session.compress(&RunContext::new(), &compression).await;
    assert_eq!(error.unwrap_err().kind(), SessionErrorKind::Conflict);
}

#[tokio::test]
async fn the_context_is_compressed_before_the_window_is_full() {
    let context = RunContext::new();
    let auto = AutoCompress::new(1_000, Compression::keep_last_turns(1));
    let mut session = session().await;
    session
        .extend([user(&"x".repeat(3_000)), assistant("ok")])
        .await
        .unwrap();
    assert_eq!(session.view().estimated_tokens(), 751);
    assert_eq!(
        session.compress_if_needed(&context, &auto).await.unwrap(),
        None
    );
    session.extend([user(&"y".repeat(200))]).await.unwrap();
    let report = session
        .compress_if_needed(&context, &auto)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(report.tokens_before, 801);
    assert!(report.tokens_after < 100, "{report:?}");
    assert_eq!(session.conversation().len(), 2);

    // What an answer's usage says counts for all that was said until then.
    let update = session
        .update()
        .say(assistant("ok"))
        .usage(&Usage::new(780, 19));
    update.commit().await.unwrap();
    assert_eq!(session.view().estimated_tokens(), 799);
    assert_eq!(
        session.compress_if_needed(&context, &auto).await.unwrap(),
        None
    );
    session.say(user("next")).await.unwrap();
    assert_eq!(session.view().estimated_tokens(), 800);
    assert!(
        session
            .compress_if_needed(&context, &auto)
            .await
            .unwrap()
            .is_some()
    );
    assert!(session.view().estimated_tokens() < 100);
    let early = auto.at(0.0);
    let none = session.compress_if_needed(&context, &early).await.unwrap();
    assert_eq!(
        none, None,
        "the last turn stays, however full the window is"
    );
}
