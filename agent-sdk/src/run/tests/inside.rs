//! Agents inside calls: as tools they are kept, begun by a tool's own code they begin anew.

use std::{collections::BTreeSet, sync::Arc};

use tokio::runtime::Builder;

use super::world::{TASK, World, acting, crash_after, never_again};
use crate::{
    agent::Agent,
    journal::{QuestionKind, Runs, Verdict},
    operation::RunContext,
    run::RunErrorKind,
    store::{MemoryStore, Store},
    testing::Turn,
    tool::{Effect, FnTool, ToolContext, ToolOptions},
};

fn writer(world: &World) -> Agent {
    let agent = acting("writer", world, |said| match said {
        0 => Turn::new().tool_call("c1", "put", "{}"),
        _ => Turn::from("written"),
    });
    agent.build().unwrap()
}

/// An agent with a tool whose own code runs an agent, twice.
fn outer(world: &World) -> Agent {
    let inside = writer(world);
    let tool = FnTool::new(
        "twice",
        "",
        move |context: ToolContext, _: serde_json::Value| {
            let inside = inside.clone();
            async move {
                let run = async |task: &str| {
                    let report = inside.run(task).context(context.run()).await;
                    report.map_err(|error| error.to_string())
                };
                let (first, second) = (run("one").await?, run("two").await?);
                Ok::<_, String>(format!("{} {}", &*first.text, &*second.text))
            }
        },
    );
    let tool = tool.options(ToolOptions::default().with_effect(Effect::Idempotent));
    let agent = acting("outer", world, |said| match said {
        0 => Turn::new()
            .tool_call("c1", "put", "{}")
            .tool_call("c2", "twice", "{}"),
        _ => Turn::from("over"),
    });
    agent.tool(tool).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_a_tool_s_own_code_runs_is_not_in_the_journal_and_shares_no_key() {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let report = outer(&world).run("go").store(store.clone()).await.unwrap();
    assert_eq!(
        (report.text.as_str(), report.model_calls, report.tool_calls),
        ("over", 6, 4)
    );
    let records = Runs::new(store)
        .records(report.run_id.as_str())
        .await
        .unwrap();
    assert!(
        records.iter().all(|record| record.path.is_empty()),
        "{records:?}"
    );
    assert_eq!(records.last().unwrap().totals.model_calls, 6);
    let done = world.take().done;
    let unlike: BTreeSet<_> = done.iter().collect();
    assert_eq!((done.len(), unlike.len()), (3, 3), "{done:?}");
    // Nothing is kept and nobody steers it: the keys are unlike all the same.
    outer(&world).run("go").await.unwrap();
    let done: BTreeSet<_> = world.take().done.into_iter().collect();
    assert_eq!(done.len(), 3, "{done:?}");
}

#[test]
fn s1_a_run_with_an_agent_inside_a_tool_s_own_code_resumes_at_every_point() {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    for n in 0.. {
        let over = builder.build().unwrap().block_on(async {
            let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
            let context = RunContext::builder().run_id("r").build();
            let agent = outer(&world);
            let run = agent.run("go").context(&context).store(store.clone());
            if crash_after(n, async { run.await }).await.is_some() {
                return true;
            }
            if store
                .head(&crate::store::LogId::new(crate::store::LogKind::Run, "r").unwrap())
                .await
                .unwrap()
                .is_some()
            {
                let report = outer(&world).resume("r", store).await.unwrap();
                let sums = (report.text.as_str(), report.model_calls, report.tool_calls);
                assert_eq!(sums, ("over", 6, 4), "dropped after {n} polls");
            }
            false
        });
        if over {
            assert!(n > 10);
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s1_an_agent_as_a_tool_is_never_in_doubt_itself() {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let build = || {
        // Options that say nothing of its effect.
        let inside = writer(&world)
            .as_tool()
            .options(ToolOptions::default().with_approval());
        let agent = acting("outer", &world, |said| match said {
            0 => Turn::new().tool_call("b", "writer", TASK),
            _ => Turn::from("over"),
        });
        agent.tool(inside).build().unwrap()
    };
    let context = RunContext::builder().run_id("r").build();
    let run = build()
        .run("go")
        .context(&context)
        .store(store.clone())
        .ask_before(["put"]);
    run.await.unwrap_err();
    let runs = Runs::new(store.clone());
    for expected in ["1/b", "1/b/1/c1"] {
        let [question] = &runs.questions("r").await.unwrap()[..] else {
            panic!("one question is open");
        };
        assert_eq!(
            (&*question.path, question.kind),
            (expected, QuestionKind::Approval)
        );
        runs.answer("r", expected, Verdict::allow()).await.unwrap();
        let resumed = build().resume("r", store.clone()).ask_before(["put"]).await;
        if let Err(error) = resumed {
            assert_eq!(error.kind(), RunErrorKind::Paused);
        }
    }
    let report = build()
        .resume("r", store)
        .approver(world.person(never_again))
        .await
        .unwrap();
    assert_eq!(
        (report.text.as_str(), report.model_calls, report.tool_calls),
        ("over", 4, 2)
    );
}
