//! Budgets around whole runs: whose they are, what ends at them, and what goes around them.

use std::{num::NonZeroUsize, time::Duration};

use super::{account, committed, ledger, model, of, recorded, standings, usd};
use crate::{
    agent::Agent,
    budget::{Amounts, Budget, Dimension, Ledger, Scope},
    cost::Usd,
    message::{Conversation, Part},
    model::{
        ChatRequest, ChatSettings, FinishReason, ModelError, ModelErrorKind, ModelHandle,
        ModelInfo, ResponseCache, Usage,
        embedding::{EmbeddingHandle, EmbeddingModel, EmbeddingRequest, EmbeddingResponse},
    },
    operation::{Outcome, RunContext},
    run::RunErrorKind,
    testing::{CountingTool, ScriptedModel, TraceCapture, Turn},
};

/// Costs 0.0075 USD.
fn answer() -> Turn {
    Turn::from("Hello.").usage(Usage::new(1_000, 500))
}

fn of_length(tokens: u32) -> ChatSettings {
    ChatSettings {
        max_output_tokens: Some(tokens),
        ..ChatSettings::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_that_the_user_set_is_cut_to_what_is_left_only_where_he_allows_it() {
    for may_cut in [false, true] {
        let builder = Ledger::builder().budget(Budget::new("all").max_usd(usd("0.005")));
        let ledger = if may_cut {
            builder.clamp_output()
        } else {
            builder
        };
        let context = RunContext::builder()
            .ledger(&ledger.build().unwrap())
            .build();
        let script = ScriptedModel::new([answer()])
            .named("openai", "gpt-4o")
            .recording();
        let model = ModelHandle::new(script.clone());
        let request = ChatRequest::new("Hi.").with_settings(of_length(2_000));
        let answered = model.chat(&context, request).await;
        if may_cut {
            answered.unwrap();
            assert_eq!(script.requests()[0].settings.max_output_tokens, Some(475));
        } else {
            assert_eq!(answered.unwrap_err().kind(), ModelErrorKind::Budget);
            assert_eq!(script.asked(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_at_a_length_the_budget_set_is_charged_and_says_who_set_it() {
    let (ledger, trace) = (ledger("0.005"), TraceCapture::new());
    let cut = Turn::from("Hel")
        .finish(FinishReason::Length)
        .usage(Usage::new(90, 475));
    let agent = Agent::builder("greeter", model([cut]))
        .ledger(&ledger)
        .observers(trace.observers())
        .build()
        .unwrap();
    agent.run("Hi.").await.unwrap_err();
    let chat = trace.find("chat gpt-4o").unwrap();
    assert_eq!(chat.facts.budget_max_tokens, Some(475));
    assert_eq!(chat.finish_reasons, [FinishReason::Length]);
    assert_eq!(committed(&ledger).usd, usd("0.004975"));
    assert_eq!(recorded(&trace), usd("0.004975"));
}

#[tokio::test(start_paused = true)]
async fn from_a_part_of_the_cap_on_a_cheaper_model_is_asked_in_the_midst_of_a_run_too() {
    let cheap = ScriptedModel::from_fn(|_, _| answer()).named("openai", "gpt-4o-mini");
    let ledger = Ledger::builder()
        .budget(Budget::new("all").max_usd(usd("0.1")))
        .degrade("all", 10, ModelHandle::new(cheap.clone()))
        .build()
        .unwrap();
    let dear = ScriptedModel::from_fn(|_, turn| match turn {
        1 => Turn::new()
            .tool_call("c1", "look", "{}")
            .usage(Usage::new(1_000, 1_000)),
        _ => answer(),
    });
    let dear = dear.named("openai", "gpt-4o");
    let trace = TraceCapture::new();
    let agent = Agent::builder("thrifty", dear.clone())
        .tool(CountingTool::new("look"))
        .ledger(&ledger)
        .observers(trace.observers())
        .build()
        .unwrap();
    // 0.0125 of 0.1 with the first request: the second goes to the other model.
    let report = agent.run("Hi.").await.unwrap();
    assert_eq!((dear.asked(), cheap.asked()), (1, 1));
    let chat = trace.find("chat gpt-4o-mini").unwrap();
    assert_eq!(chat.facts.fallback_for.as_deref(), Some("gpt-4o"));
    assert_eq!(chat.facts.fallback_reason, Some("budget"));
    assert_eq!(report.cost, committed(&ledger).usd);
    // And so does what comes after it, until the period ends.
    agent.run("Hi.").await.unwrap();
    assert_eq!((dear.asked(), cheap.asked()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn at_the_cap_of_tool_calls_what_is_under_way_is_finished_and_kept_and_nothing_more_begins() {
    let ledger = of(Budget::new("all").max_tool_calls(2));
    let calls = (1..=4).fold(Turn::new(), |turn, n| {
        turn.tool_call(format!("c{n}"), "look", "{}")
    });
    let tool = CountingTool::new("look").taking(Duration::from_millis(5));
    let agent = Agent::builder("eager", model([calls, Turn::from("never")]))
        .tool(tool.clone())
        .ledger(&ledger)
        .build()
        .unwrap();
    let mut talk = Conversation::from("Hi.");
    let error = agent.run_with(&mut talk).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Budget);
    assert_eq!(error.report().outcome, Outcome::Budget);
    assert_eq!(error.budget_error().unwrap().budget(), Some("all"));
    assert_eq!(tool.calls(), 2);
    assert_eq!(committed(&ledger).tool_calls, 2);
    let results: Vec<_> = talk
        .messages()
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| match part {
            Part::ToolResult(result) => Some(result.content.as_str().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(results.len(), 4, "each call has one result");
    assert!(
        results
            .iter()
            .filter(|result| result.starts_with("call "))
            .count()
            == 2
    );
}

#[tokio::test(start_paused = true)]
async fn b8_what_an_agent_inside_an_agent_spends_is_in_the_accounts_of_both() {
    let each = Budget::new("each")
        .scope(Scope::each(Dimension::Agent))
        .max_usd(usd("1"));
    let ledger = of(each);
    let inner = Agent::builder("inner", model([answer()]))
        .description("Inner.")
        .build()
        .unwrap();
    let calls = Turn::new()
        .tool_call("c1", "inner", r#"{"task":"t"}"#)
        .usage(Usage::new(1_000, 100));
    let outer = Agent::builder("outer", model([calls, answer()]))
        .tool(inner.as_tool())
        .ledger(&ledger)
        .build()
        .unwrap();
    let report = outer.run("Hi.").await.unwrap();
    assert_eq!(
        account(&ledger, "each", "inner").committed.usd,
        usd("0.0075")
    );
    assert_eq!(account(&ledger, "each", "outer").committed.usd, report.cost);
    assert_eq!(report.cost, usd("0.0185"));
}

#[tokio::test(start_paused = true)]
async fn b8_where_one_account_has_no_room_none_takes_anything() {
    let ledger = Ledger::builder()
        .budget(Budget::new("global").max_usd(usd("10")))
        .budget(
            Budget::new("session")
                .scope(Scope::each(Dimension::Session))
                .max_usd(usd("5")),
        )
        .budget(
            Budget::new("alice")
                .scope(Scope::one(Dimension::User, "alice"))
                .max_usd(usd("1")),
        )
        .budget(
            Budget::new("team")
                .scope("tag:team".parse().unwrap())
                .max_requests(2),
        )
        .build()
        .unwrap();
    let context = |user: &str, session: &str, team: &str| {
        let context = RunContext::builder().user(user).session(session);
        context.tag("team", team).ledger(&ledger).build()
    };
    let request = Amounts {
        usd: usd("0.9"),
        requests: 1,
        ..Amounts::ZERO
    };
    let reserve = async |context: &RunContext| ledger.reserve(context, request, "x").await;
    let first = reserve(&context("alice", "s1", "a")).await.unwrap();
    // Alice has no room for another, in whichever session and team.
    let refused = reserve(&context("alice", "s2", "b")).await.unwrap_err();
    assert_eq!(
        (refused.budget(), refused.scope()),
        (Some("alice"), Some("alice"))
    );
    assert_eq!(account(&ledger, "session", "s2").reserved, Amounts::ZERO);
    assert_eq!(account(&ledger, "global", "").reserved, request);
    // Others have, until their team has made its requests.
    let second = reserve(&context("bob", "s1", "a")).await.unwrap();
    let refused = reserve(&context("carol", "s3", "a")).await.unwrap_err();
    assert_eq!(
        (refused.budget(), refused.scope()),
        (Some("team"), Some("a"))
    );
    assert_eq!(account(&ledger, "session", "s1").reserved.usd, usd("1.8"));
    drop((first, second));
    assert!(
        standings(&ledger)
            .iter()
            .all(|standing| standing.reserved.is_zero())
    );
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_one_run_is_that_run_s_alone() {
    let agent = Agent::builder(
        "greeter",
        ScriptedModel::from_fn(|_, _| answer()).named("openai", "gpt-4o"),
    )
    .build()
    .unwrap();
    for _ in 0..2 {
        agent.run("Hi.").max_cost(usd("0.01")).await.unwrap();
    }
    let refused = agent
        .run(&*"x".repeat(10_000))
        .max_cost(usd("0.01"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), RunErrorKind::Budget);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_the_cache_takes_nothing() {
    let ledger = of(Budget::new("all").max_usd(usd("1")).max_requests(1));
    let context = RunContext::builder().ledger(&ledger).build();
    let script = ScriptedModel::new([answer()]).named("openai", "gpt-4o");
    let cache = ResponseCache::new(NonZeroUsize::MIN);
    let model = ModelHandle::builder(script.clone()).cache(cache).build();
    for _ in 0..3 {
        model.chat(&context, ChatRequest::new("Hi.")).await.unwrap();
    }
    assert_eq!(script.asked(), 1);
    assert_eq!(committed(&ledger).usd, usd("0.0075"));
    assert_eq!(ledger.refusals().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tokenizer_of_the_user_s_counts_what_a_byte_each_would_overrate() {
    let text = "word ".repeat(400);
    for counts in [false, true] {
        let builder = Ledger::builder().budget(Budget::new("all").max_tokens(1_000));
        let builder = if counts {
            builder.count_input(|_, request| Some(100 * request.conversation.len() as u64 + 400))
        } else {
            builder
        };
        let context = RunContext::builder()
            .ledger(&builder.build().unwrap())
            .build();
        let model = model([Turn::from("Hello.").usage(Usage::new(410, 30))]);
        let answered = model.chat(&context, ChatRequest::new(text.as_str())).await;
        assert_eq!(answered.is_ok(), counts);
    }
}

#[derive(Debug)]
struct Vectors(fn() -> Result<Usage, ModelError>);

impl EmbeddingModel for Vectors {
    fn info(&self) -> std::sync::Arc<ModelInfo> {
        std::sync::Arc::new(ModelInfo::new("openai", "text-embedding-3-small"))
    }

    async fn embed(
        &self,
        _: &RunContext,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ModelError> {
        let vectors = request.inputs.iter().map(|_| vec![1.0]).collect();
        Ok(EmbeddingResponse::new(vectors).with_usage((self.0)()?))
    }
}

#[tokio::test(start_paused = true)]
async fn requests_for_vectors_are_admitted_and_charged_as_others_are() {
    // 2 texts of 50 bytes and what is around them, for 0.02 USD a million tokens, rounded up.
    let bound = usd("0.00000264");
    let fails = || Err(ModelError::new(ModelErrorKind::Timeout, "late"));
    let used = || {
        Ok(Usage {
            input_tokens: Some(40),
            ..Usage::unknown()
        })
    };
    for (answers, spent) in [
        (used as fn() -> _, usd("0.0000008")),
        (|| Ok(Usage::unknown()), bound),
        (fails, bound),
    ] {
        let (ledger, trace) = (of(Budget::new("all").max_usd(bound)), TraceCapture::new());
        let context = RunContext::builder()
            .ledger(&ledger)
            .observers(trace.observers())
            .build();
        let model = EmbeddingHandle::new(Vectors(answers));
        let request = EmbeddingRequest::new(["x".repeat(50), "y".repeat(50)]);
        model.embed(&context, request.clone()).await.ok();
        assert_eq!(committed(&ledger).usd, spent);
        assert_eq!(recorded(&trace), spent);
        let refused = model.embed(&context, request).await.unwrap_err();
        assert_eq!(refused.kind(), ModelErrorKind::Budget);
        assert!(committed(&ledger).usd > Usd::ZERO);
    }
}
