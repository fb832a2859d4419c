//! Runs that did not end well, and what a replay makes of them.

use super::*;
use crate::{
    journal::{QuestionKind, Runs},
    operation::Outcome,
    run::CancellationToken,
    store::StoreErrorKind,
};

#[tokio::test(start_paused = true)]
async fn s1_a_run_that_was_killed_at_any_moment_replays_to_where_its_recording_ends() {
    let turns = || {
        vec![
            calls(&[("write", 30), ("inner", 0), ("approved", 10)]),
            calls(&[("read", 10)]),
            done(),
        ]
    };
    for at in 0..13 {
        let store = store();
        let agent = agent(turns()).build().unwrap();
        let run = RunId::from(format!("killed-{at}"));
        let context = crate::operation::RunContext::builder()
            .run_id(run.clone())
            .build();
        let going = agent
            .run("hi")
            .context(&context)
            .store(store.clone())
            .approver(decide);
        let finished = tokio::select! {
            biased;
            () = tokio::time::sleep(ms(at * 10)) => false,
            _ = going => true,
        };
        if Runs::new(store.clone())
            .records(run.as_str())
            .await
            .is_err()
        {
            continue;
        }
        for speed in [0.0, 1.0] {
            let replay = super::again()
                .build()
                .unwrap()
                .replay(run.clone(), store.clone());
            let replayed = replay.speed(speed).await.unwrap();
            if finished {
                assert_eq!(texts(&replayed), Vec::<String>::new(), "{at}");
            } else {
                assert_eq!(
                    kinds(&replayed),
                    [DifferenceKind::RecordingEnds],
                    "{at}: {:?}",
                    texts(&replayed)
                );
                assert_eq!(replayed.report.outcome, Outcome::Cancelled, "{at}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s1_a_call_that_was_in_doubt_has_the_result_that_it_was_given() {
    for verdict in [Verdict::allow(), Verdict::deny("leave it")] {
        let store = store();
        let turns = || vec![calls(&[("write", 30)]), done()];
        let context = crate::operation::RunContext::new();
        let run = context.run_id().clone();
        let killed = agent(turns()).build().unwrap();
        tokio::select! {
            biased;
            () = tokio::time::sleep(ms(25)) => {}
            _ = killed.run("hi").context(&context).store(store.clone()) => panic!("it was to be killed"),
        }
        let agent = agent(vec![done()]).build().unwrap();
        let doubtful = agent.resume(run.clone(), store.clone()).await.unwrap_err();
        assert_eq!(doubtful.questions()[0].kind, QuestionKind::InDoubt);
        Runs::new(store.clone())
            .answer(run.as_str(), "c1", verdict)
            .await
            .unwrap();
        agent.resume(run.clone(), store.clone()).await.unwrap();
        let replayed = replay(again(), &run, &store).await;
        assert_eq!(texts(&replayed), Vec::<String>::new());
        assert_eq!(replayed.report.text, "all done");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_cancelled_or_out_of_time_ends_where_it_did() {
    let turns = || vec![calls(&[("read", 10)]), done().delay(ms(500))];
    let store = store();
    let token = CancellationToken::new();
    let cancelled = agent(turns()).build().unwrap();
    let run = cancelled
        .run("hi")
        .store(store.clone())
        .cancellation(token.clone());
    let (result, ()) = tokio::join!(run, async {
        tokio::time::sleep(ms(50)).await;
        token.cancel();
    });
    let replayed = replay(again(), &id(&result), &store).await;
    assert_eq!(texts(&replayed), Vec::<String>::new());
    assert_eq!(replayed.report.outcome, Outcome::Cancelled);

    let late = agent(turns()).timeout(ms(100)).build().unwrap();
    let run = id(&late.run("hi").store(store.clone()).await);
    let timed = late
        .replay(run.clone(), store.clone())
        .speed(1.0)
        .await
        .unwrap();
    assert_eq!(texts(&timed), Vec::<String>::new());
    assert_eq!(
        (timed.report.outcome, timed.report.duration),
        (Outcome::Timeout, ms(100))
    );
    assert_eq!(
        texts(&late.replay(run, store).await.unwrap()),
        Vec::<String>::new()
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_inside_a_call_whose_time_was_up_gives_the_call_its_result() {
    let slow = || {
        let model = ScriptedModel::new([calls(&[("read", 10)]), done().delay(ms(500))]);
        let tool = waiting("read", ToolOptions::default());
        let inner = Agent::builder("slow", model)
            .tool(tool)
            .timeout(ms(100))
            .build()
            .unwrap();
        let turns = [call(Turn::new(), "c1", "inner", 0), done()];
        let task = Turn::new().tool_call("c1", "slow", r#"{"task":"hurry"}"#);
        let [_, done] = turns;
        Agent::builder("outer", ScriptedModel::new([task, done])).tool(inner.as_tool())
    };
    let store = store();
    let run = record(slow(), &store).await;
    let request = slow().build().unwrap().replay(run.clone(), store.clone());
    for replayed in [
        request.speed(1.0).await.unwrap(),
        replay(slow(), &run, &store).await,
    ] {
        assert_eq!(texts(&replayed), Vec::<String>::new());
        assert_eq!(replayed.report.text, "all done");
    }
}

#[tokio::test]
async fn a_run_that_is_not_there_and_one_that_never_began_are_errors_of_the_store() {
    let store = store();
    let agent = again().build().unwrap();
    let missing = agent.replay("nobody", store.clone()).await.unwrap_err();
    assert_eq!(missing.kind(), StoreErrorKind::NotFound);
    let log = crate::store::LogId::new(crate::store::LogKind::Run, "empty").unwrap();
    let new = crate::store::NewLog::new(log);
    crate::store::Store::create(&*store, new).await.unwrap();
    let empty = agent.replay("empty", store).await.unwrap_err();
    assert!(empty.to_string().contains("nothing to replay"), "{empty}");
}
