//! What several runs share with what is around them, and what each has for itself.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{super::parallel, all, answers, talker, width};
use crate::{
    agent::Agent,
    budget::{Budget, BudgetErrorKind, Ledger},
    cost::Usd,
    model::{ChatSettings, Usage},
    operation::{EventKind, Outcome, RunContext},
    run::RunErrorKind,
    store::MemoryStore,
    testing::{ScriptedModel, TraceCapture, Turn},
    tool::{FnTool, NoArguments, ToolContext},
};

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// An agent whose request costs 0.0100025 USD, and is thought to cost a little more before.
fn costly(name: &str) -> crate::agent::AgentBuilder {
    let model = ScriptedModel::from_fn(|_, _| {
        Turn::from("done")
            .usage(Usage::new(1, 1_000))
            .delay(Duration::from_millis(5))
    });
    let settings = ChatSettings::new().with_max_output_tokens(1_000);
    Agent::builder(name, model.named("openai", "gpt-4o")).chat_settings(settings)
}

#[tokio::test(start_paused = true)]
async fn a_cap_on_all_of_them_holds_however_many_ask_at_once() {
    let agents: Vec<_> = (0..20)
        .map(|n| costly(&format!("a{n}")).build().unwrap())
        .collect();
    let cap = usd("0.055");
    let report = parallel(agents.iter().map(|agent| agent.run("hi")))
        .max_cost(cap)
        .await;
    assert!(report.cost <= cap, "{}", report.cost);
    let answered = report.answers().count();
    assert!((1..=5).contains(&answered), "{answered}");
    for (_, error) in report.errors() {
        assert_eq!(error.kind(), RunErrorKind::Budget);
        let refused = error.budget_error().unwrap();
        assert_eq!(refused.budget(), Some("parallel"));
    }
    assert_eq!(report.outcome, Outcome::Budget);

    let report = parallel(agents.iter().map(|agent| agent.run("hi"))).budget(Budget::new("none"));
    let report = report.await;
    let errors: Vec<_> = report.errors().collect();
    assert_eq!(errors.len(), 20);
    let kind = errors[7].1.budget_error().unwrap().kind();
    assert_eq!((kind, report.model_calls), (BudgetErrorKind::Invalid, 0));
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_one_run_is_its_own_and_those_around_hold_too() {
    let agents = [costly("a").build().unwrap(), costly("b").build().unwrap()];
    let around = Budget::per_run("run").max_usd(usd("0.03"));
    let ledger = Ledger::builder().budget(around).build().unwrap();
    let context = RunContext::builder().ledger(&ledger).build();
    // Each may spend enough for one request, so both answer; together they may do so once.
    let runs = || {
        agents
            .iter()
            .map(|agent| agent.run("hi").max_cost(usd("0.014")))
    };
    let report = parallel(runs()).context(&context).await;
    assert_eq!(report.answers().count(), 2);
    let report = parallel(runs()).context(&context).await;
    assert_eq!(report.answers().count(), 0);
    let (_, error) = report.errors().next().unwrap();
    assert_eq!(error.budget_error().unwrap().budget(), Some("run"));

    let small = parallel([
        agents[0].run("hi").max_cost(usd("0.001")),
        agents[1].run("hi"),
    ]);
    let report = small.await;
    let (index, error) = report.errors().next().unwrap();
    let name = error.budget_error().unwrap().budget().unwrap();
    assert_eq!((index, report.answers().count()), (0, 1));
    assert_eq!(name, format!("run[{}/0]", report.batch_id));
}

#[tokio::test(start_paused = true)]
async fn without_a_context_the_agents_own_ledgers_hold() {
    let ledger = |cap| {
        let budget = Budget::new("own").max_usd(usd(cap));
        Ledger::builder().budget(budget).build().unwrap()
    };
    let (rich, poor) = (ledger("1"), ledger("0.001"));
    let agents = [costly("a").ledger(&rich), costly("b").ledger(&poor)];
    let agents = agents.map(|agent| agent.build().unwrap());
    let report = parallel(agents.iter().map(|agent| agent.run("hi"))).await;
    assert!(report.runs[0].is_ok());
    assert_eq!(
        report.errors().next().unwrap().1.kind(),
        RunErrorKind::Budget
    );
}

#[tokio::test(start_paused = true)]
async fn callbacks_hear_of_their_own_run_only() {
    let agents = [
        talker("a", 3, Duration::ZERO),
        talker("b", 4, Duration::ZERO),
    ];
    let agents = agents.map(|agent| agent.build().unwrap());
    let heard = Arc::new(Mutex::new([Vec::new(), Vec::new()]));
    let runs = agents.iter().enumerate().map(|(index, agent)| {
        let heard = heard.clone();
        agent.run("hi").on_progress(move |event| {
            let agent = event.agent_id.clone();
            heard.lock().unwrap()[index].push(agent.map(|it| it.to_string()));
        })
    });
    parallel(runs).await;
    let [a, b] = heard.lock().unwrap().clone();
    assert!(!a.is_empty() && a.iter().all(|agent| agent.as_deref() == Some("a")));
    assert!(!b.is_empty() && b.iter().all(|agent| agent.as_deref() == Some("b")));
}

#[tokio::test(start_paused = true)]
async fn inside_a_tool_they_hang_under_the_call_and_what_is_around_sums_them_up() {
    let fan_out = FnTool::new(
        "fan-out",
        "",
        async |context: ToolContext, _: NoArguments| {
            let agents = [answers("x", 10), answers("y", 20)];
            let runs = parallel(agents.iter().map(|agent| agent.run("hi")));
            let report = runs.name("inner").context(context.run()).await;
            Ok::<_, String>(report.answers().count())
        },
    );
    let model = ScriptedModel::from_fn(|request, _| {
        if request.conversation.messages().len() == 1 {
            Turn::new()
                .tool_call("1", "fan-out", "{}")
                .usage(Usage::new(1, 1))
        } else {
            Turn::from("ok").usage(Usage::new(1, 1))
        }
    });
    let outer = Agent::builder("outer", model)
        .tool(fan_out)
        .build()
        .unwrap();
    let trace = TraceCapture::new();
    let runs = parallel([outer.run("hi"), answers("other", 1).run("hi")]);
    let mut stream = runs.context(&trace.context()).stream();
    let items = all(&mut stream).await;
    let report = stream.report().await;
    assert_eq!(
        trace.tree(),
        "\
invoke_workflow parallel
  invoke_agent outer
    chat scripted-1
    execute_tool fan-out
      invoke_workflow inner
        invoke_agent x
          chat gpt-4o
        invoke_agent y
          chat gpt-4o
    chat scripted-1
  invoke_agent other
    chat gpt-4o
"
    );
    trace.well_formed().unwrap();
    assert_eq!(report.runs[0].as_ref().unwrap().usage, Usage::new(22, 12));
    let inner = trace
        .find("invoke_workflow inner")
        .unwrap()
        .trace
        .span_id
        .to_string();
    let of_x: Vec<_> = items
        .iter()
        .filter(|item| item.event.agent_id.as_deref() == Some("x"))
        .collect();
    assert!(!of_x.is_empty());
    for item in of_x {
        // Its own batch is the inner one; the outer stream hears it as a part of the run around it.
        assert_eq!((&*item.agent, item.index), ("outer", 0));
        assert_eq!(*item.batch_id, *report.batch_id);
        assert_eq!(item.event.batch_id.as_deref(), Some(&*inner));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_with_a_store_has_an_id_of_its_own_in_the_same_trace_and_can_be_found_again() {
    let store = Arc::new(MemoryStore::new());
    let agents = [
        answers("kept", 10),
        answers("also", 10),
        answers("free", 10),
    ];
    let trace = TraceCapture::new();
    let runs = parallel([
        agents[0].run("hi").store(store.clone()),
        agents[1].run("hi").store(store.clone()),
        agents[2].run("hi"),
    ]);
    let mut stream = runs.context(&trace.context()).stream();
    let items = all(&mut stream).await;
    let report = stream.report().await;
    assert_eq!(report.outcome, Outcome::Ok);
    assert_eq!((report.model_calls, report.usage), (3, Usage::new(30, 15)));
    let ids: Vec<_> = report
        .runs
        .iter()
        .map(|run| run.as_ref().unwrap().run_id.clone())
        .collect();
    assert!(ids[0] != ids[1] && ids[2] == report.run_id);
    for run in &report.runs {
        assert_eq!(run.as_ref().unwrap().trace_id, report.trace_id);
    }
    let kept = trace.find("invoke_agent kept").unwrap();
    let around = kept.parent_trace.unwrap();
    assert_eq!(around.span_id.to_string(), *report.batch_id);
    trace.well_formed().unwrap();
    let mut of_kept = items.iter().filter(|item| item.index == 0);
    let last = of_kept.next_back().unwrap();
    assert!(matches!(last.event.kind, EventKind::RunReport(_)));

    let again = agents[0].resume(ids[0].clone(), store).await.unwrap();
    assert_eq!(again.text, "done");
    assert_eq!(again.model_calls, 1, "what was kept is not done again");
}

#[tokio::test(start_paused = true)]
async fn a_runs_own_settings_hold_among_the_others() {
    let token = tokio_util::sync::CancellationToken::new();
    token.cancel();
    let agents = [answers("a", 50), answers("b", 50), answers("c", 50)];
    let report = parallel([agents[0].run("hi").cancellation(token)])
        .run(agents[1].run("hi").timeout(Duration::from_millis(20)))
        .run(agents[2].run("hi"))
        .concurrency(width(3))
        .await;
    let ends: Vec<_> = report
        .runs
        .iter()
        .map(|run| run.as_ref().err().map(crate::run::RunError::kind))
        .collect();
    let expected = [
        Some(RunErrorKind::Cancelled),
        Some(RunErrorKind::Timeout),
        None,
    ];
    assert_eq!(ends, expected);
}
