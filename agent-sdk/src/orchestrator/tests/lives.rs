//! Plans that go on in another life.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{Deeds, echo, ends, orchestrator, plan, registry, wait};
use crate::{
    agent::Agent,
    journal::Verdict,
    operation::RunContext,
    orchestrator::{Orchestrator, PlanRunErrorKind},
    plan::{Plan, Step},
    store::MemoryStore,
    testing::{ScriptedModel, Turn},
    tool::{Effect, FnTool, ToolHandle, ToolOptions},
};

fn context() -> RunContext {
    RunContext::builder().run_id("r").build()
}

#[tokio::test(start_paused = true)]
async fn a_plan_whose_process_is_gone_goes_on_and_runs_no_finished_step_again() {
    let (deeds, store) = (Deeds::default(), Arc::new(MemoryStore::new()));
    let steps = [
        wait("a", 10),
        wait("b", 10).after(["a"]),
        wait("c", 50),
        wait("d", 10).after(["b", "c"]),
    ];
    let run = orchestrator(&deeds)
        .run(&plan(steps))
        .context(&context())
        .store(store.clone());
    // It is dropped while `c` is under way.
    let gone = tokio::time::timeout(Duration::from_millis(35), run.into_future()).await;
    assert!(gone.is_err());
    assert_eq!(
        deeds.take(),
        ["begin a", "begin c", "end a", "begin b", "end b"]
    );

    let doubt = orchestrator(&deeds)
        .resume("r", store.clone())
        .await
        .unwrap_err();
    assert_eq!(doubt.kind(), PlanRunErrorKind::Paused);
    assert_eq!(
        doubt.questions()[0].text.as_str(),
        "step `c` was under way when the run stopped, and it is not known whether `wait` took effect: run it again?"
    );
    let again = orchestrator(&deeds)
        .resume("r", store.clone())
        .approver(async |_| Verdict::allow());
    let report = again.await.unwrap();
    assert_eq!(deeds.take(), ["begin c", "end c", "begin d", "end d"]);
    assert_eq!(
        ends(&report),
        json!({"a": "ok", "b": "ok", "c": "ok", "d": "ok"})
    );
    assert_eq!(report.run.lives, 3);
    // Once more: it is over, and says what it came to.
    let over = orchestrator(&deeds).resume("r", store).await.unwrap();
    assert_eq!((over.output.clone(), deeds.take().len()), (json!(10), 0));
}

#[tokio::test(start_paused = true)]
async fn an_agent_inside_goes_on_where_it_was() {
    let store = Arc::new(MemoryStore::new());
    let deeds = Deeds::default();
    let orchestrator = || {
        let registry = registry(&deeds);
        let model = ScriptedModel::from_fn(|request, _| match request.conversation.len() {
            1 => Turn::new().tool_call("1", "look", "{}"),
            _ => Turn::from("seen").delay(Duration::from_millis(100)),
        });
        let noted = deeds.clone();
        let look = FnTool::new("look", "Looks.", move |_: crate::tool::NoArguments| {
            let deeds = noted.clone();
            async move {
                deeds.note("look");
                Ok::<_, String>("a thing".to_owned())
            }
        });
        let options = ToolOptions::default().with_effect(Effect::ReadOnly);
        let look = ToolHandle::from(look).with_options(options);
        let agent = Agent::builder("looker", model).tool(look).build().unwrap();
        registry.agent(agent).unwrap();
        Orchestrator::new(registry)
    };
    let whole = plan([
        Step::agent("s", "looker").input("Look."),
        echo("end", json!("${steps.s}!")),
    ]);
    let run = orchestrator()
        .run(&whole)
        .context(&context())
        .store(store.clone());
    let gone = tokio::time::timeout(Duration::from_millis(50), run.into_future()).await;
    assert!(gone.is_err());
    assert_eq!(deeds.take(), ["look"]);
    let report = orchestrator().resume("r", store.clone()).await.unwrap();
    assert_eq!(report.output, "seen!");
    assert_eq!(
        deeds.take(),
        ["echo end"],
        "what was looked at is not looked at again"
    );
    assert_eq!((report.run.model_calls, report.run.tool_calls), (2, 1));
    // What the agent kept inside is not counted once more with its step.
    let over = orchestrator().resume("r", store).await.unwrap();
    assert_eq!((over.run.model_calls, over.run.tool_calls), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_time_was_up_is_not_begun_again_in_the_next_life() {
    let (deeds, store) = (Deeds::default(), Arc::new(MemoryStore::new()));
    let whole = plan([
        wait("slow", 100).timeout(Duration::from_millis(20)),
        wait("long", 200),
    ]);
    let run = orchestrator(&deeds)
        .run(&whole)
        .context(&context())
        .store(store.clone());
    let gone = tokio::time::timeout(Duration::from_millis(50), run.into_future()).await;
    assert!(gone.is_err());
    deeds.take();
    let failed = orchestrator(&deeds)
        .resume("r", store)
        .approver(async |_| Verdict::allow())
        .await
        .unwrap_err();
    assert_eq!(deeds.take(), ["begin long", "end long"]);
    assert_eq!(
        ends(failed.report().unwrap()),
        json!({"slow": "timed_out", "long": "ok"})
    );
}

#[tokio::test]
async fn a_plan_is_run_again_from_a_step_of_the_caller_s_choice_and_keeps_its_changes() {
    let (deeds, store) = (Deeds::default(), Arc::new(MemoryStore::new()));
    let whole = plan([
        echo("a", json!(1)),
        echo("b", json!("${steps.a}")),
        echo("c", json!("${steps.b}")),
        wait("d", 2),
    ]);
    let mut run = orchestrator(&deeds)
        .run(&whole)
        .context(&context())
        .store(store.clone());
    let handle = run.handle();
    let adding = async { handle.add(echo("e", json!("${steps.d}"))).await };
    let (report, added) = tokio::join!(run.into_future(), adding);
    added.unwrap();
    assert_eq!(report.unwrap().steps.len(), 5);
    deeds.take();
    let report = orchestrator(&deeds)
        .resume("r", store)
        .from_step("b")
        .await
        .unwrap();
    assert_eq!(deeds.take(), ["echo b", "echo c"]);
    assert_eq!(report.output, json!({"c": 1, "e": 2}));
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_paused_with_a_token_and_goes_on() {
    let (deeds, store) = (Deeds::default(), Arc::new(MemoryStore::new()));
    let pause = tokio_util::sync::CancellationToken::new();
    let whole = plan([wait("a", 10), wait("b", 10).after(["a"])]);
    let run = orchestrator(&deeds)
        .run(&whole)
        .context(&context())
        .store(store.clone())
        .pause(pause.clone());
    let pausing = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        pause.cancel();
    };
    let (paused, ()) = tokio::join!(run.into_future(), pausing);
    assert_eq!(paused.unwrap_err().kind(), PlanRunErrorKind::Paused);
    assert_eq!(deeds.take(), ["begin a", "end a"], "what runs is finished");
    let report = orchestrator(&deeds).resume("r", store).await.unwrap();
    assert_eq!(report.output, 10);
    assert_eq!(deeds.take(), ["begin b", "end b"]);
}

#[tokio::test]
async fn a_plan_inside_a_plan_and_a_fallback_go_on_too() {
    let (deeds, store) = (Deeds::default(), Arc::new(MemoryStore::new()));
    let inner = plan([
        echo("x", json!(1)),
        echo("y", json!("${steps.x}")).approval("go on?"),
    ]);
    let other = Plan::builder("other")
        .step(echo("z", json!(3)).approval("instead?"))
        .build()
        .unwrap();
    let whole = Plan::builder("outer")
        .step(Step::plan("in", inner))
        .step(Step::function("bad", "fail").after(["in"]))
        .fallback(other)
        .build()
        .unwrap();
    let run = orchestrator(&deeds)
        .run(&whole)
        .context(&context())
        .store(store.clone());
    assert_eq!(run.await.unwrap_err().questions()[0].path.as_ref(), "in/y");
    assert_eq!(deeds.take(), ["echo x"]);
    let runs = crate::journal::Runs::new(store.clone());
    runs.answer("r", "in/y", Verdict::allow()).await.unwrap();
    let paused = orchestrator(&deeds)
        .resume("r", store.clone())
        .await
        .unwrap_err();
    assert_eq!(paused.questions()[0].path.as_ref(), "~fallback/z");
    assert_eq!(deeds.take(), ["echo y", "fail bad"]);
    runs.answer("r", "~fallback/z", Verdict::allow())
        .await
        .unwrap();
    let report = orchestrator(&deeds).resume("r", store).await.unwrap();
    assert_eq!(report.output, 3);
    assert_eq!(deeds.take(), ["echo z"]);
    let _: Value = serde_json::to_value(&report).unwrap();
}
