//! What is admitted, put aside and charged around a model request.

use super::{committed, ledger, model, usd};
use crate::{
    agent::Agent,
    budget::{Amounts, BudgetErrorKind},
    model::{ChatRequest, ModelError, ModelErrorKind, ModelHandle, Usage},
    operation::{Outcome, RunContext},
    run::RunErrorKind,
    testing::{ScriptedModel, Turn},
};

#[tokio::test(start_paused = true)]
async fn an_answer_is_charged_what_it_used() {
    let ledger = ledger("1");
    let context = RunContext::builder().ledger(&ledger).build();
    let model = model([Turn::from("Hello.").usage(Usage::new(1_000, 500))]);
    model.chat(&context, ChatRequest::new("Hi.")).await.unwrap();
    let amounts = committed(&ledger);
    assert_eq!(amounts.usd, usd("0.0075"));
    assert_eq!((amounts.tokens, amounts.requests), (1_500, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_pass_the_cap_is_not_sent_and_says_why() {
    let ledger = ledger("0.0001");
    let agent = Agent::builder("greeter", model([Turn::from("Hello.")]))
        .ledger(&ledger)
        .build()
        .unwrap();
    let error = agent.run("Hi.").await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Budget);
    assert_eq!(error.report().outcome, Outcome::Budget);
    let refused = error.budget_error().unwrap();
    assert_eq!(refused.kind(), BudgetErrorKind::Exhausted);
    assert_eq!(refused.budget(), Some("all"));
    assert_eq!(committed(&ledger), Amounts::ZERO);
    assert_eq!(ledger.refusals()["all"], 1);
    assert_eq!(ledger.alerts()[&("all".into(), "exhausted")], 1);
}

#[tokio::test(start_paused = true)]
async fn the_answer_s_length_is_set_from_what_is_left() {
    let ledger = ledger("0.005");
    let script = ScriptedModel::new([Turn::from("Hello.").usage(Usage::new(10, 5))])
        .named("openai", "gpt-4o")
        .recording();
    let context = RunContext::builder().ledger(&ledger).build();
    let model = ModelHandle::new(script.clone());
    model.chat(&context, ChatRequest::new("Hi.")).await.unwrap();
    // 64 around it, 16 around the message and the part, 3 bytes: 99 tokens for 2.5 USD a million; 10 USD for the rest.
    let requests = script.requests();
    assert_eq!(requests[0].settings.max_output_tokens, Some(475));
    // That there was no room for a longer one is no refusal.
    assert!(ledger.refusals().is_empty() && ledger.alerts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn b3_without_a_price_nothing_is_sent_under_a_hard_cap() {
    let ledger = ledger("1");
    let context = RunContext::builder().ledger(&ledger).build();
    let model = ModelHandle::new(ScriptedModel::new(["Hello."]).named("nobody", "knows"));
    let error = model
        .chat(&context, ChatRequest::new("Hi."))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Budget);
    assert_eq!(
        error.budget_error().unwrap().kind(),
        BudgetErrorKind::PriceUnknown
    );
}

#[tokio::test(start_paused = true)]
async fn b2_what_breaks_off_is_charged_whole_and_what_is_refused_is_not() {
    let ledger = ledger("1");
    let context = RunContext::builder().ledger(&ledger).build();
    let broken = model([Turn::new().fail(ModelError::truncated("cut"))]);
    broken
        .chat(&context, ChatRequest::new("Hi."))
        .await
        .unwrap_err();
    let whole = committed(&ledger);
    // 99 tokens in, 4,096 out.
    assert_eq!(whole.usd, usd("0.0412075"));
    assert_eq!((whole.tokens, whole.requests), (4_195, 1));

    let refused = ModelError::new(ModelErrorKind::BadRequest, "no");
    let refused = model([Turn::new().fail(refused)]);
    refused
        .chat(&context, ChatRequest::new("Hi."))
        .await
        .unwrap_err();
    let after = committed(&ledger);
    assert_eq!((after.usd, after.requests), (whole.usd, 2));
}
