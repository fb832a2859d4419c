//! Many agents at a time under one cap.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agent_sdk::{
    agent::Agent,
    budget::{Amounts, Budget, Ledger},
    cost::Usd,
    model::ModelHandle,
    operation::Outcome,
    run::{RunErrorKind, RunReport},
    testing::CountingTool,
};

use super::provider::Provider;

const AGENTS: usize = 96;

/// An agent with an agent inside it and two tools, which the provider calls all at once.
fn agent(model: &ModelHandle, ledger: &Ledger) -> Agent {
    let inner = Agent::builder("inner", model.clone())
        .description("Looks into it.")
        .tool(CountingTool::new("search"))
        .build()
        .unwrap();
    Agent::builder("outer", model.clone())
        .instructions("Use every tool that you have, and then answer.")
        .tool(inner.as_tool())
        .tool(CountingTool::new("look"))
        .tool(CountingTool::new("read"))
        .ledger(ledger)
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn b1_of_many_agents_with_agents_inside_the_provider_s_bill_never_passes_the_cap() {
    let provider = Arc::new(Provider::start().await);
    let model = provider.model(Duration::from_secs(30));
    let cap: Usd = "0.6".parse().unwrap();
    let ledger = Ledger::builder()
        .budget(Budget::new("all").max_usd(cap))
        .output_tokens(500)
        .build()
        .unwrap();
    let agent = agent(&model, &ledger);
    let is_over = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn(watch(
        provider.clone(),
        ledger.clone(),
        cap,
        is_over.clone(),
    ));
    let runs: Vec<_> = (0..AGENTS)
        .map(|number| {
            let agent = agent.clone();
            tokio::spawn(async move {
                let task = format!("Look into {}.", "matters ".repeat(number % 40));
                let run = agent.run(task.as_str());
                if number % 2 == 0 {
                    run.await
                } else {
                    run.stream().report().await
                }
            })
        })
        .collect();
    let (mut done, mut refused, mut reported) = (0, 0, Usd::ZERO);
    for run in runs {
        let report: RunReport = match run.await.unwrap() {
            Ok(report) => {
                done += 1;
                report
            }
            Err(error) => {
                // Refused, or cut to what there was room for.
                if error.kind() == RunErrorKind::Budget {
                    assert_eq!(error.report().outcome, Outcome::Budget);
                    refused += 1;
                }
                error.report().clone()
            }
        };
        reported = reported.saturating_add(report.cost);
    }
    is_over.store(true, Ordering::SeqCst);
    watcher.await.unwrap();
    assert!(done > 0 && refused > 0, "{done} done, {refused} refused");
    let standing = ledger.standings().await.unwrap().remove(0);
    assert_eq!(standing.reserved, Amounts::ZERO);
    assert_eq!(standing.debt, Amounts::ZERO);
    assert_eq!(standing.committed.usd, reported, "to the nano-dollar");
    assert!(provider.bill() <= standing.committed.usd.nanos());
    assert_eq!(standing.committed.requests, provider.requests());
    // The cap was worth something: most of it was used.
    assert!(standing.committed.usd.nanos() > cap.nanos() / 2);
}

/// The bill and the account, again and again.
async fn watch(provider: Arc<Provider>, ledger: Ledger, cap: Usd, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::SeqCst) {
        // The bill before: what is on it was put aside earlier.
        let bill = provider.bill();
        assert!(bill <= cap.nanos(), "{bill} of {cap}");
        for standing in ledger.standings().await.unwrap() {
            let taken = standing.committed.plus(&standing.reserved).usd;
            assert!(taken <= cap, "{taken} of {cap}");
            assert!(
                bill <= taken.nanos(),
                "{bill} is billed and {taken} is known"
            );
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
