//! Runs that a budget stops, and what becomes of them.

use std::sync::Arc;

use crate::{
    agent::Agent,
    budget::{Budget, BudgetErrorKind, Ledger},
    cost::{CostTracker, Usd},
    model::{ChatSettings, Usage},
    operation::{Observers, Outcome},
    run::RunErrorKind,
    store::MemoryStore,
    testing::{CountingTool, ScriptedModel, Turn},
};

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_run_that_its_budget_stopped_goes_on_when_there_is_more_and_what_it_spent_still_counts() {
    let store = Arc::new(MemoryStore::new());
    let model = ScriptedModel::new([
        Turn::new()
            .tool_call("c1", "look", "{}")
            .usage(Usage::new(1_000, 500)),
        Turn::from("done").usage(Usage::new(1_000, 100)),
    ])
    .named("openai", "gpt-4o");
    let tool = CountingTool::new("look");
    let agent = |ledger: &Ledger| {
        Agent::builder("a", model.clone())
            .tool(tool.clone())
            .chat_settings(ChatSettings::new().with_max_output_tokens(4_096))
            .ledger(ledger)
            .build()
            .unwrap()
    };
    let small = Budget::per_run("run").max_usd(usd("0.045"));
    let ledger = Ledger::builder().budget(small).build().unwrap();
    let stopped = agent(&ledger).run("hi").store(store.clone()).await;
    let stopped = stopped.unwrap_err();
    assert_eq!(stopped.kind(), RunErrorKind::Budget);
    assert_eq!(stopped.report().outcome, Outcome::Budget);
    assert_eq!((model.asked(), tool.calls()), (1, 1));

    let larger = Budget::per_run("run").max_usd(usd("0.06"));
    let ledger = ledger.with_budget(larger).unwrap();
    let id = stopped.report().run_id.clone();
    let report = agent(&ledger).resume(id.as_str(), store).await.unwrap();
    assert_eq!(report.text, "done");
    assert_eq!((model.asked(), tool.calls()), (2, 1));
    let standings = ledger.standings().await.unwrap();
    assert_eq!(&*standings[0].scope, id.as_str());
    assert_eq!(standings[0].committed.usd, report.cost);
    assert_eq!(report.cost, usd("0.011"));
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_one_run_needs_no_ledger_and_one_that_is_none_is_refused() {
    let model = ScriptedModel::new(["done"]).named("openai", "gpt-4o");
    let tracker = CostTracker::new();
    let observers = Observers::none().with(tracker.clone());
    let agent = Agent::builder("a", model.clone()).observers(observers);
    let agent = agent.build().unwrap();
    let error = agent.run("hi").max_cost(usd("0.0001")).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Budget);
    let refused = error.budget_error().unwrap();
    assert_eq!(
        (refused.kind(), refused.budget()),
        (BudgetErrorKind::Exhausted, Some("run"))
    );

    let error = agent
        .run("hi")
        .budget(Budget::new("empty"))
        .await
        .unwrap_err();
    let refused = error.budget_error().unwrap();
    assert_eq!(refused.kind(), BudgetErrorKind::Invalid);
    assert_eq!(model.asked(), 0);
    assert!(tracker.lines().is_empty(), "what is not sent is no line");
}
