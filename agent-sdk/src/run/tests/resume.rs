use std::sync::Arc;

use crate::{
    agent::Agent,
    journal::{QuestionKind, Runs, Verdict},
    model::Usage,
    operation::Outcome,
    run::RunErrorKind,
    store::{MemoryStore, StoreErrorKind},
    testing::{CountingTool, ScriptedModel, Turn},
};

fn agent(model: &ScriptedModel, tool: &CountingTool) -> Agent {
    Agent::builder("a", model.clone())
        .tool(tool.clone())
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_approval_goes_on_where_it_was() {
    let store = Arc::new(MemoryStore::new());
    let model = ScriptedModel::new([
        Turn::new()
            .tool_call("c1", "look", "{}")
            .usage(Usage::new(10, 1)),
        Turn::from("done").usage(Usage::new(20, 2)),
    ]);
    let tool = CountingTool::new("look");
    let agent = agent(&model, &tool);
    let run = agent.run("hi").store(store.clone()).ask_before(["look"]);
    let paused = run.await.unwrap_err();
    assert_eq!(paused.kind(), RunErrorKind::Paused);
    assert_eq!(paused.report().outcome, Outcome::Paused);
    let id = paused.report().run_id.clone();
    let [question] = paused.questions() else {
        panic!("{:?}", paused.questions());
    };
    assert_eq!(
        (&*question.path, question.kind),
        ("1/c1", QuestionKind::Approval)
    );
    assert_eq!((model.asked(), tool.calls()), (1, 0));

    let runs = Runs::new(store.clone());
    assert_eq!(&*runs.get(id.as_str()).await.unwrap().status, "paused");
    assert_eq!(
        runs.questions(id.as_str()).await.unwrap(),
        paused.questions()
    );
    // Nobody has answered: it pauses again, with the same question.
    let again = agent.resume(id.as_str(), store.clone()).await.unwrap_err();
    assert_eq!(again.questions(), paused.questions());

    let wrong = runs.answer(id.as_str(), "c9", Verdict::allow()).await;
    let wrong = wrong.unwrap_err();
    assert_eq!(wrong.kind(), StoreErrorKind::NotFound);
    assert!(wrong.to_string().contains("it asks about c1"), "{wrong}");
    runs.answer(id.as_str(), "c1", Verdict::allow())
        .await
        .unwrap();
    let report = agent.resume(id.as_str(), store.clone()).await.unwrap();
    assert_eq!(report.text, "done");
    assert_eq!((model.asked(), tool.calls()), (2, 1));
    assert_eq!(
        (report.model_calls, report.tool_calls, report.lives),
        (2, 1, 3)
    );
    assert_eq!(report.usage, Usage::new(30, 3));
    assert_eq!(report.run_id, id);
    assert_ne!(report.trace_id, paused.report().trace_id);

    // A run that has ended gives its answer again, and asks nobody.
    let once_more = agent.resume(id.as_str(), store).await.unwrap();
    assert_eq!(
        (once_more.text.as_str(), once_more.usage),
        ("done", report.usage)
    );
    assert_eq!(model.asked(), 2);
}
