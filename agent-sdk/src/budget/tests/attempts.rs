//! Each try of a request: broken off, dropped, sent again, given to others, billed above its bound.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;

use super::{Alerts, account, committed, ledger, model, nanos, recorded, standings, usd};
use crate::{
    agent::Agent,
    budget::{Amounts, Budget, BudgetErrorKind, Ledger},
    cost::Usd,
    model::{
        ChatRequest, ChatStream, FinishReason, Hedge, Jitter, Model, ModelError, ModelErrorKind,
        ModelHandle, ModelInfo, Retry, Usage,
    },
    operation::{Outcome, RunContext},
    run::RunErrorKind,
    testing::{ScriptedModel, TraceCapture, Turn, drop_at_every_poll},
    tool::{FnTool, ToolContext, ToolError},
};

const MS: Duration = Duration::from_millis(1);

/// What "Hi." and its longest answer may cost: 99 tokens in, 4,096 out.
const WHOLE: &str = "0.0412075";

fn context(ledger: &Ledger, trace: &TraceCapture) -> RunContext {
    RunContext::builder()
        .ledger(ledger)
        .observers(trace.observers())
        .build()
}

fn retry() -> Retry {
    Retry::default().jitter(Jitter::None)
}

/// The one account and what was recorded agree, and nothing is put aside.
#[track_caller]
fn agree(ledger: &Ledger, trace: &TraceCapture) -> Usd {
    let committed = committed(ledger).usd;
    assert_eq!(committed, recorded(trace));
    committed
}

fn streamed() -> Turn {
    Turn::from("one two three four five six")
        .chunk_words(1)
        .chunk_delay(MS)
        .delay(MS)
        .usage(Usage::new(20, 6))
}

#[test]
fn b2_dropped_at_any_poll_a_request_that_was_sent_is_charged_whole_and_one_that_was_not_costs_nothing()
 {
    for is_streamed in [false, true] {
        let (trace, state) = (TraceCapture::new(), std::sync::Mutex::new(None));
        let mut charged = Vec::new();
        let polls = drop_at_every_poll(
            || async {
                trace.clear();
                let (ledger, script) = (ledger("1"), ScriptedModel::new([streamed()]));
                *state.lock().unwrap() = Some((ledger.clone(), script.clone()));
                let model = ModelHandle::new(script.named("openai", "gpt-4o"));
                let context = context(&ledger, &trace);
                if is_streamed {
                    let mut stream = model
                        .stream(&context, ChatRequest::new("Hi."))
                        .await
                        .unwrap();
                    while stream.next().await.is_some() {}
                } else {
                    model.chat(&context, ChatRequest::new("Hi.")).await.unwrap();
                }
            },
            |n| {
                let Some((ledger, script)) = state.lock().unwrap().take() else {
                    return;
                };
                let spent = agree(&ledger, &trace);
                assert_eq!(spent > Usd::ZERO, script.asked() > 0, "after {n} polls");
                let chat = trace.find("chat gpt-4o");
                let estimate = chat.as_ref().and_then(|chat| chat.facts.estimate.clone());
                assert_eq!(
                    estimate.is_some_and(|cost| cost.estimated),
                    spent == usd(WHOLE),
                    "after {n} polls"
                );
                charged.push(spent);
            },
        );
        assert!(polls.unwrap() > 6);
        // Whole wherever it was given up, and what it used in truth at the end.
        assert_eq!(charged.pop(), Some(usd("0.00011")));
        assert!(
            charged
                .iter()
                .all(|spent| [Usd::ZERO, usd(WHOLE)].contains(spent))
        );
        assert!(charged.contains(&usd(WHOLE)));
    }
}

#[tokio::test(start_paused = true)]
async fn b2_a_stream_that_is_cut_or_falls_silent_after_any_piece_is_charged_whole() {
    for pieces in 0..=6 {
        for is_cut in [true, false] {
            let (ledger, trace) = (ledger("1"), TraceCapture::new());
            let context = context(&ledger, &trace);
            let turn = if is_cut {
                streamed().cut_after(pieces)
            } else {
                streamed().hang_after(pieces)
            };
            let model = model([turn]);
            let chat = model.stream(&context, ChatRequest::new("Hi."));
            let read = async { chat.await?.collect().await };
            let given_up = tokio::time::timeout(1_000 * MS, read).await;
            assert_eq!(given_up.is_err(), !is_cut);
            assert_eq!(agree(&ledger, &trace), usd(WHOLE), "after {pieces} pieces");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b2_of_a_broken_answer_the_usage_that_was_seen_is_charged_where_it_is_more_than_the_estimate()
 {
    for (output, expected) in [(100, usd(WHOLE)), (10_000, usd("0.10025"))] {
        let (ledger, trace) = (ledger("1"), TraceCapture::new());
        let context = context(&ledger, &trace);
        let mut seen = crate::model::ChatResponse::new(
            Vec::new(),
            FinishReason::Stop,
            Usage::new(100, output),
        );
        seen.model = Some("gpt-4o".to_owned());
        let broken = ModelError::truncated("cut").with_partial(seen);
        let model = model([Turn::new().fail(broken)]);
        model
            .chat(&context, ChatRequest::new("Hi."))
            .await
            .unwrap_err();
        let standing = account(&ledger, "all", "");
        let spent = standing.committed.plus(&standing.debt);
        assert_eq!(spent.usd, expected);
        assert_eq!(recorded(&trace), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn b2_where_only_one_side_of_the_usage_is_told_the_other_is_taken_at_its_most() {
    let budget = Budget::new("all").max_usd(usd("1")).max_tokens(100_000);
    let ledger = super::of(budget);
    let context = RunContext::builder().ledger(&ledger).build();
    let usage = Usage {
        input_tokens: Some(50),
        ..Usage::unknown()
    };
    let model = model([Turn::from("Hello.").usage(usage)]);
    model.chat(&context, ChatRequest::new("Hi.")).await.unwrap();
    let amounts = committed(&ledger);
    assert_eq!(amounts.usd, usd(WHOLE));
    assert_eq!(amounts.tokens, 50 + 4_096);
}

#[tokio::test(start_paused = true)]
async fn b4_each_try_is_charged_by_itself_and_all_of_them_are_the_total() {
    let (ledger, trace) = (ledger("1"), TraceCapture::new());
    let script = ScriptedModel::new([
        Turn::new().fail(ModelError::new(ModelErrorKind::Timeout, "late")),
        Turn::new().fail(ModelError::new(ModelErrorKind::Overloaded, "busy")),
        Turn::from("Hello.").usage(Usage::new(1_000, 500)),
    ]);
    let script = script.named("openai", "gpt-4o");
    let model = ModelHandle::builder(script).retry(retry()).build();
    let agent = Agent::builder("greeter", model)
        .ledger(&ledger)
        .observers(trace.observers())
        .build()
        .unwrap();
    let report = agent.run("Hi.").await.unwrap();
    let chat = trace.find("chat gpt-4o").unwrap();
    let tries: Vec<_> = chat
        .facts
        .tries
        .iter()
        .map(|earlier| {
            let cost = earlier.cost.as_ref();
            (
                cost.map(|cost| cost.total),
                cost.is_some_and(|cost| cost.estimated),
            )
        })
        .collect();
    // Of the first nobody knows what it used; the second was refused.
    let expected = [
        (Some(usd(WHOLE)), true),
        (None, false),
        (Some(usd("0.0075")), false),
    ];
    assert_eq!(tries, expected);
    let spent = agree(&ledger, &trace);
    assert_eq!(spent, usd(WHOLE).saturating_add(usd("0.0075")));
    assert_eq!(report.cost, spent);
    assert_eq!(committed(&ledger).requests, 3);
}

#[tokio::test(start_paused = true)]
async fn b4_fallbacks_hedges_sub_agents_and_paid_tools_are_in_the_ledger_as_in_the_report() {
    let (ledger, trace) = (ledger("5"), TraceCapture::new());
    let priced = |name: &str, turns: Vec<Turn>| ScriptedModel::new(turns).named("openai", name);
    // The first model breaks off, its fallback is slow, and the hedge of that answers.
    let slow = priced("gpt-4o-mini", vec![Turn::from("late").delay(1_000 * MS)]);
    let quick = priced(
        "gpt-4.1-mini",
        vec![Turn::from("Granite.").usage(Usage::new(1_001, 77))],
    );
    let slow = ModelHandle::builder(slow)
        .hedge(Hedge::after(10 * MS, ModelHandle::new(quick)))
        .build();
    let broken = priced("gpt-4.1", vec![Turn::from("Gra").cut_after(1)]);
    let inner = ModelHandle::builder(broken).fallback(slow).build();
    let inner = Agent::builder("geology", inner)
        .description("Knows rocks.")
        .build()
        .unwrap();
    let outer = priced(
        "gpt-4o",
        vec![
            Turn::new()
                .tool_call("c1", "geology", r#"{"task":"Which rock?"}"#)
                .tool_call("c2", "lookup", r#"{"word":"rock"}"#)
                .usage(Usage::new(333, 41)),
            Turn::from("Granite.").usage(Usage::new(400, 7)),
        ],
    );
    let agent = Agent::builder("editor", outer)
        .tool(inner.as_tool())
        .tool(lookup())
        .ledger(&ledger)
        .observers(trace.observers())
        .build()
        .unwrap();
    let report = agent.run("Which rock is it?").await.unwrap();
    let spent = agree(&ledger, &trace);
    assert_eq!(report.cost, spent);
    assert_eq!(report.unpriced_calls, 0);
    let estimated = trace.operations().into_iter().filter(|op| {
        let cost = op.facts.estimate.as_ref();
        cost.is_some_and(|cost| cost.estimated)
    });
    let names: Vec<_> = estimated.map(|op| op.name.to_string()).collect();
    assert_eq!(
        names,
        ["gpt-4.1", "gpt-4o-mini"],
        "what broke off and what was given up"
    );
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Word {
    word: String,
}

/// A tool that pays before it is asked, after it is asked, and forgets to say what once.
fn lookup() -> impl crate::tool::Tool {
    FnTool::new(
        "lookup",
        "Looks a word up.",
        |context: ToolContext, word: Word| async move {
            context.record_cost(nanos(1_000_001), "dictionary");
            let expense = context.reserve_cost(usd("0.01"), "search").await?;
            expense.settle(nanos(7_777_777));
            drop(context.reserve_cost(nanos(5_000), "forgotten").await?);
            context
                .reserve_cost(usd("0.5"), "not needed")
                .await?
                .release();
            Ok::<_, ToolError>(word.word)
        },
    )
}

#[test]
fn b5_wherever_a_run_is_dropped_nothing_stays_put_aside_and_all_that_was_spent_is_charged() {
    let (trace, kept) = (TraceCapture::new(), std::sync::Mutex::new(None));
    let polls = drop_at_every_poll(
        || async {
            trace.clear();
            let ledger = Ledger::builder()
                .budget(Budget::new("all").max_usd(usd("5")).max_tool_calls(10))
                .build()
                .unwrap();
            *kept.lock().unwrap() = Some(ledger.clone());
            let inner = model([streamed()]);
            let inner = Agent::builder("inner", inner)
                .description("Inner.")
                .build()
                .unwrap();
            let calls = Turn::new()
                .tool_call("c1", "inner", r#"{"task":"t"}"#)
                .tool_call("c2", "lookup", r#"{"word":"w"}"#)
                .delay(MS)
                .usage(Usage::new(30, 10));
            let agent = Agent::builder("outer", model([calls, streamed()]))
                .tool(inner.as_tool())
                .tool(lookup())
                .ledger(&ledger)
                .observers(trace.observers())
                .build()
                .unwrap();
            agent.run("Hi.").await.unwrap();
        },
        |_| {
            if let Some(ledger) = kept.lock().unwrap().take() {
                agree(&ledger, &trace);
            }
        },
    );
    assert!(polls.unwrap() > 8);
}

/// A model that panics when it is asked, or in the midst of its answer.
#[derive(Debug)]
struct Panicking {
    in_stream: bool,
}

impl Model for Panicking {
    fn info(&self) -> Arc<ModelInfo> {
        Arc::new(ModelInfo::new("openai", "gpt-4o"))
    }

    async fn stream(&self, _: &RunContext, _: ChatRequest) -> Result<ChatStream, ModelError> {
        assert!(self.in_stream, "when it is asked");
        let pieces = futures_util::stream::iter([Ok(crate::model::ChatEvent::Text("a".into()))]);
        let panics = futures_util::stream::poll_fn(|_| panic!("in the midst"));
        Ok(ChatStream::new(pieces.chain(panics)))
    }
}

#[tokio::test(start_paused = true)]
async fn b5_a_model_or_a_tool_that_panics_leaves_nothing_put_aside() {
    for in_stream in [false, true] {
        let (ledger, trace) = (ledger("1"), TraceCapture::new());
        let context = context(&ledger, &trace);
        let model = ModelHandle::new(Panicking { in_stream });
        let asked = tokio::spawn(async move {
            let stream = model.stream(&context, ChatRequest::new("Hi.")).await?;
            stream.collect().await
        });
        assert!(asked.await.unwrap_err().is_panic());
        assert_eq!(agree(&ledger, &trace), usd(WHOLE));
    }

    let (ledger, trace) = (ledger("1"), TraceCapture::new());
    let tool = FnTool::new("pay", "Pays.", |context: ToolContext, _: Word| async move {
        let _expense = context.reserve_cost(usd("0.25"), "fee").await?;
        assert_ne!(context.call_id().as_str(), "c1", "while it pays");
        Ok::<_, ToolError>(String::new())
    });
    let calls = Turn::new()
        .tool_call("c1", "pay", r#"{"word":""}"#)
        .usage(Usage::new(10, 10));
    let agent = Agent::builder("payer", model([calls, streamed()]))
        .tool(tool)
        .ledger(&ledger)
        .observers(trace.observers())
        .build()
        .unwrap();
    let report = agent.run("Pay.").await.unwrap();
    let spent = agree(&ledger, &trace);
    assert!(
        spent >= usd("0.25"),
        "the fee was paid for all that is known"
    );
    assert_eq!(report.cost, spent);
}

#[tokio::test(start_paused = true)]
async fn b5_a_run_that_is_cancelled_or_out_of_time_leaves_nothing_put_aside() {
    for is_cancelled in [true, false] {
        let (ledger, trace) = (ledger("1"), TraceCapture::new());
        let agent = Agent::builder("slow", model([Turn::new().hang()]))
            .ledger(&ledger)
            .observers(trace.observers())
            .build()
            .unwrap();
        let token = tokio_util::sync::CancellationToken::new();
        let run = agent.run("Hi.");
        let run = if is_cancelled {
            run.cancellation(token.clone())
        } else {
            run.timeout(10 * MS)
        };
        let cancel = async {
            tokio::time::sleep(5 * MS).await;
            token.cancel();
        };
        let (ended, ()) = tokio::join!(std::future::IntoFuture::into_future(run), cancel);
        let error = ended.unwrap_err();
        assert_eq!(agree(&ledger, &trace), usd(WHOLE));
        assert_eq!(error.report().cost, usd(WHOLE));
    }
}

#[tokio::test(start_paused = true)]
async fn b9_what_a_provider_bills_above_the_bound_is_owed_told_and_blocks_until_it_is_accepted() {
    let alerts = Alerts::default();
    let ledger = Ledger::builder()
        .budget(Budget::new("all").max_usd(usd("1")).alerts([]))
        .alert(alerts.clone())
        .build()
        .unwrap();
    let trace = TraceCapture::new();
    let context = context(&ledger, &trace);
    // An answer ten times as long as was allowed.
    let liar = Turn::from("Hello.").usage(Usage::new(99, 40_960));
    let model = model([liar, Turn::from("Again.").usage(Usage::new(1, 1))]);
    model.chat(&context, ChatRequest::new("Hi.")).await.unwrap();
    let standing = account(&ledger, "all", "");
    assert_eq!(standing.committed.usd, usd(WHOLE));
    assert_eq!(standing.debt.usd, usd("0.36864"));
    let billed = standing.committed.plus(&standing.debt).usd;
    assert_eq!(billed, recorded(&trace), "none of it is hidden");

    let refused = model
        .chat(&context, ChatRequest::new("Hi."))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ModelErrorKind::Budget);
    assert_eq!(
        refused.budget_error().unwrap().kind(),
        BudgetErrorKind::Debt
    );
    ledger.flush().await;
    assert_eq!(alerts.kinds(), ["debt", "exhausted"]);

    assert_eq!(ledger.accept_debt("all", None).await.unwrap(), 1);
    model.chat(&context, ChatRequest::new("Hi.")).await.unwrap();
    let standing = account(&ledger, "all", "");
    assert_eq!(standing.debt, Amounts::ZERO);
    assert_eq!(standing.committed.usd, recorded(&trace));
}

#[tokio::test(start_paused = true)]
async fn b9_a_run_that_is_refused_for_a_debt_ends_as_of_the_budget() {
    let ledger = ledger("1");
    ledger.charge(&RunContext::new(), Amounts::usd(usd("1.5")));
    let standing = account(&ledger, "all", "");
    assert_eq!(
        (standing.committed.usd, standing.debt.usd),
        (usd("1"), usd("0.5"))
    );
    let agent = Agent::builder("late", model([streamed()]))
        .ledger(&ledger)
        .build()
        .unwrap();
    let error = agent.run("Hi.").await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Budget);
    assert_eq!(error.report().outcome, Outcome::Budget);
    assert_eq!(error.budget_error().unwrap().kind(), BudgetErrorKind::Debt);
    assert_eq!(standings(&ledger)[0], standing, "a refusal takes nothing");
}
