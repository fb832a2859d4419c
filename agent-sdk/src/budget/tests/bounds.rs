//! What has no bound, and what is too large for any.

use proptest::prelude::*;
use serde_json::json;

use super::{committed, ledger, model, nanos, of, usd};
use crate::{
    budget::{Amounts, Budget, BudgetErrorKind, Ledger},
    cost::{PriceBook, Usd},
    message::{Conversation, Media, MediaKind, Message, Part, Reasoning, Role, Signature},
    model::{
        ChatRequest, ChatSettings, ModelError, ModelErrorKind, ModelHandle, ServerTool, Usage,
        WebSearch,
    },
    operation::RunContext,
    testing::{ScriptedModel, Turn},
};

/// A table of one model, `m` of `p`, at these rates for a million tokens.
fn prices(input: &str, output: &str) -> PriceBook {
    let table = json!({"date": "2026-11-21", "providers": [{"id": "p", "models": [{
        "id": "m", "match": {"exact": "m"}, "prices": [{"input": input, "output": output}]
    }]}]});
    PriceBook::from_json(&table.to_string()).unwrap()
}

/// Asks `m` of `p`, at these prices.
async fn ask(
    ledger: &Ledger,
    prices: PriceBook,
    request: ChatRequest,
    usage: Usage,
) -> Result<(), ModelError> {
    let context = RunContext::builder().ledger(ledger).prices(prices).build();
    let script = ScriptedModel::new([Turn::from("Hello.").usage(usage)]).named("p", "m");
    let model = ModelHandle::new(script.clone());
    let answered = model.chat(&context, request).await.map(|_| ());
    let is_refused = |error: &ModelError| error.kind() == ModelErrorKind::Budget;
    assert_eq!(
        script.asked(),
        usize::from(!answered.as_ref().is_err_and(is_refused))
    );
    answered
}

fn kind(answered: Result<(), ModelError>) -> Option<BudgetErrorKind> {
    answered
        .err()?
        .budget_error()
        .map(crate::budget::BudgetError::kind)
}

fn with(settings: impl FnOnce(&mut ChatSettings)) -> ChatRequest {
    let mut changed = ChatSettings::default();
    settings(&mut changed);
    let mut request = ChatRequest::new("Hi.");
    request.settings = changed.into();
    request
}

fn extra(fields: &serde_json::Value) -> ChatRequest {
    with(|settings| settings.extra = fields.as_object().unwrap().clone())
}

#[tokio::test(start_paused = true)]
async fn b3_a_price_of_nothing_is_a_price_and_no_price_is_none() {
    let ledger = ledger("0.000000001");
    let free = ask(
        &ledger,
        prices("0", "0"),
        ChatRequest::new("Hi."),
        Usage::new(9, 9),
    )
    .await;
    free.unwrap();
    assert_eq!(committed(&ledger).usd, Usd::ZERO);
    assert_eq!(committed(&ledger).tokens, 18);
    let none = PriceBook::from_json(r#"{"date": "", "providers": []}"#).unwrap();
    let refused = ask(
        &ledger,
        none.clone(),
        ChatRequest::new("Hi."),
        Usage::new(9, 9),
    )
    .await;
    assert_eq!(kind(refused), Some(BudgetErrorKind::PriceUnknown));
    // Where no money is capped, or nothing is refused, nobody has to know the price.
    for budget in [
        Budget::new("all").max_tokens(10_000),
        Budget::new("all").max_usd(usd("1")).soft(),
    ] {
        let ledger = of(budget);
        let sent = ask(
            &ledger,
            none.clone(),
            ChatRequest::new("Hi."),
            Usage::new(9, 9),
        )
        .await;
        sent.unwrap();
        assert_eq!(committed(&ledger).tokens, 18);
    }
}

#[tokio::test(start_paused = true)]
async fn b3_a_negative_price_or_one_that_is_no_number_is_no_price() {
    for price in ["-1", "NaN", "inf", "1e-9", ""] {
        let table = json!({"date": "", "providers": [{"id": "p", "models": [{
            "id": "m", "match": {"exact": "m"}, "prices": [{"input": price, "output": "1"}]
        }]}]});
        assert!(PriceBook::from_json(&table.to_string()).is_err(), "{price}");
    }
}

#[tokio::test(start_paused = true)]
async fn b3_a_length_that_is_set_beside_the_settings_is_refused_wherever_it_stands() {
    for fields in [
        json!({"max_tokens": 5}),
        json!({"max_completion_tokens": 100_000}),
        json!({"max_output_tokens": null}),
        json!({"generationConfig": {"maxOutputTokens": 100_000}}),
        json!({"inferenceConfig": {"maxTokens": 100_000}}),
        json!({"options": {"num_predict": -1}}),
        json!({"n": "4"}),
        json!({"n": -4}),
        json!({"generationConfig": {"candidateCount": 2.5}}),
        json!({"tools": [{"type": "web_search"}]}),
        json!({"previous_response_id": "resp_1"}),
        json!({"cachedContent": "cachedContents/1"}),
        json!({"web_search_options": {}}),
    ] {
        for budget in [
            Budget::new("all").max_usd(usd("1")),
            Budget::new("all").max_tokens(1_000_000),
        ] {
            let refused = ask(
                &of(budget),
                prices("1", "2"),
                extra(&fields),
                Usage::new(9, 9),
            )
            .await;
            assert_eq!(kind(refused), Some(BudgetErrorKind::Unbounded), "{fields}");
        }
        let soft = of(Budget::new("all").max_usd(usd("1")).soft());
        ask(&soft, prices("1", "2"), extra(&fields), Usage::new(9, 9))
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn b3_what_is_added_to_the_input_is_admitted_where_somebody_counts_it() {
    let ledger = Ledger::builder()
        .budget(Budget::new("all").max_usd(usd("1")))
        .count_input(|_, _| Some(5_000))
        .build()
        .unwrap();
    let fields = json!({"cachedContent": "cachedContents/1"});
    ask(
        &ledger,
        prices("1", "2"),
        extra(&fields),
        Usage::new(4_900, 9),
    )
    .await
    .unwrap();
    assert_eq!(committed(&ledger).tokens, 4_909);
}

#[tokio::test(start_paused = true)]
async fn b3_several_answers_are_put_aside_as_several() {
    // 99 tokens and what the field takes, and twice or eight times 4,096.
    for (fields, answers) in [
        (json!({"n": 2}), 2),
        (json!({"generationConfig": {"candidateCount": 8}}), 8),
    ] {
        let input = 99 + fields.to_string().len() as u64;
        let bound = input + answers * 4_096;
        let request = || {
            with(|settings| {
                settings.max_output_tokens = Some(4_096);
                settings.extra = fields.as_object().unwrap().clone();
            })
        };
        let enough = of(Budget::new("all").max_tokens(bound));
        ask(&enough, prices("1", "2"), request(), Usage::new(9, 9))
            .await
            .unwrap();
        let short = of(Budget::new("all").max_tokens(bound - 1));
        let refused = ask(&short, prices("1", "2"), request(), Usage::new(9, 9)).await;
        assert_eq!(kind(refused), Some(BudgetErrorKind::Exhausted), "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn b3_a_tool_of_the_provider_needs_a_limit_of_its_uses() {
    let ask = async |tool| {
        let ledger = ledger("10");
        let context = RunContext::builder().ledger(&ledger).build();
        let turn = Turn::from("Hello.").usage(Usage::new(9, 9));
        let script = ScriptedModel::new([turn]).named("anthropic", "claude-sonnet-4-5");
        let request = with(|settings| settings.server_tools = vec![tool]);
        ModelHandle::new(script)
            .chat(&context, request)
            .await
            .map(|_| ())
    };
    let unlimited = ask(ServerTool::WebSearch(WebSearch::new())).await;
    assert_eq!(kind(unlimited), Some(BudgetErrorKind::Unbounded));
    ask(ServerTool::WebSearch(WebSearch::new().with_max_uses(3)))
        .await
        .unwrap();
    let native = json!({"type": "web_search_20250305", "name": "web_search"});
    let unlimited = ask(ServerTool::Native(native)).await;
    assert_eq!(kind(unlimited), Some(BudgetErrorKind::Unbounded));
    let native = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 2});
    ask(ServerTool::Native(native)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn b3_what_a_model_keeps_to_itself_and_what_is_sent_as_a_file_count_as_input() {
    let signed = Reasoning::new("").with_signature(Some(Signature::new("a", "s".repeat(7_000))));
    let kept = Message::new(Role::Assistant, vec![Part::Reasoning(signed)]);
    let media = Media::base64(MediaKind::Image, "image/png", "QUJD".repeat(3_000));
    let seen = Message::new(Role::User, vec![Part::Media(media)]);
    for (message, tokens) in [(kept, 7_000), (seen, 9_000 + 65_536)] {
        let mut conversation = Conversation::from("Hi.");
        conversation.push(message);
        let mut request = ChatRequest::new("Hi.");
        request.conversation = conversation;
        request.settings = ChatSettings {
            max_output_tokens: Some(100),
            ..ChatSettings::default()
        }
        .into();
        let short = of(Budget::new("all").max_tokens(tokens + 100));
        let refused = ask(&short, prices("1", "2"), request.clone(), Usage::new(9, 9)).await;
        assert_eq!(kind(refused), Some(BudgetErrorKind::Exhausted));
        let enough = of(Budget::new("all").max_tokens(tokens + 500));
        ask(&enough, prices("1", "2"), request, Usage::new(9, 9))
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn b6_prices_and_counts_beyond_all_numbers_are_refused_or_saturate_and_never_wrap() {
    let all = u64::MAX;
    // A price at which the bound is beyond all money: nobody can say what it costs.
    let dear = prices("18446744073709551615", "18446744073709551615");
    let refused = ask(
        &of(Budget::new("all").max_usd(nanos(all))),
        dear,
        ChatRequest::new("Hi."),
        Usage::new(9, 9),
    )
    .await;
    assert_eq!(kind(refused), Some(BudgetErrorKind::PriceUnknown));
    // 10^12 tokens that are billed all the same: more than any bound, and all of it is seen.
    let million_millions = 1_000_000_000_000;
    let ledger = of(Budget::new("all").max_usd(nanos(all)).max_tokens(all));
    let usage = Usage::new(million_millions, million_millions);
    ask(&ledger, prices("1", "2"), ChatRequest::new("Hi."), usage)
        .await
        .unwrap();
    let standing = super::account(&ledger, "all", "");
    let billed = standing.committed.plus(&standing.debt);
    assert_eq!(billed.usd, usd("3000000"));
    assert_eq!(billed.tokens, 2 * million_millions);
    // A price so small that 10^12 tokens come to a few nano-dollars, rounded up before and half up behind.
    let ledger = of(Budget::new("all").max_usd(nanos(10)));
    let tiny = || prices("0.000000001", "0.000000001");
    let usage = Usage::new(9, 9);
    ask(&ledger, tiny(), ChatRequest::new("Hi."), usage)
        .await
        .unwrap();
    assert_eq!(committed(&ledger).usd, Usd::ZERO);
    let usage = Usage::new(million_millions, million_millions);
    ask(&ledger, tiny(), ChatRequest::new("Hi."), usage)
        .await
        .unwrap();
    let standing = super::account(&ledger, "all", "");
    let billed = standing.committed.plus(&standing.debt);
    assert_eq!(billed.usd, usd("0.002"));
}

#[tokio::test(start_paused = true)]
async fn b6_an_answer_whose_usage_is_beyond_all_numbers_is_charged_and_blocks() {
    let ledger = of(Budget::new("all").max_usd(usd("1")).max_tokens(1_000_000));
    let usage = Usage::new(u64::MAX, u64::MAX);
    ask(&ledger, prices("1", "2"), ChatRequest::new("Hi."), usage)
        .await
        .unwrap();
    let standing = super::account(&ledger, "all", "");
    assert!(standing.committed.usd > Usd::ZERO);
    assert!(standing.debt.tokens > u64::MAX / 2);
    let refused = ask(&ledger, prices("1", "2"), ChatRequest::new("Hi."), usage).await;
    assert_eq!(kind(refused), Some(BudgetErrorKind::Debt));
}

fn amounts() -> impl Strategy<Value = u64> {
    prop_oneof![0..1_000_u64, any::<u64>(), (u64::MAX - 1_000)..=u64::MAX]
}

proptest! {
    #[test]
    fn b6_amounts_of_any_size_never_pass_a_cap_and_never_wrap(
        cap in amounts(),
        steps in proptest::collection::vec((amounts(), amounts(), 0..4_u8), 1..20),
    ) {
        let ledger = of(Budget::new("all").max_usd(nanos(cap)).max_tokens(cap));
        let context = RunContext::new();
        let both = |amount| Amounts { usd: nanos(amount), tokens: amount, ..Amounts::ZERO };
        let (mut held, mut used_in_all) = (Vec::new(), 0_u128);
        let ask_of = |ask| {
            let reserved = ledger.reserve(&context, both(ask), "work");
            futures_util::FutureExt::now_or_never(reserved).unwrap()
        };
        for (ask, used, what) in steps {
            match what {
                0 | 1 => held.extend(ask_of(ask).ok()),
                2 => {
                    if let Some(reservation) = held.pop() {
                        let reservation: crate::budget::Reservation = reservation;
                        reservation.settle(both(used));
                        used_in_all += u128::from(used);
                    }
                }
                _ => {
                    ledger.charge(&context, both(used));
                    used_in_all += u128::from(used);
                }
            }
            for standing in super::standings(&ledger) {
                for measure in [crate::budget::Measure::Usd, crate::budget::Measure::Tokens] {
                    let committed = u128::from(standing.committed.get(measure));
                    let taken = committed + u128::from(standing.reserved.get(measure));
                    prop_assert!(taken <= u128::from(cap), "{} of {}", taken, cap);
                    let spent = committed + u128::from(standing.debt.get(measure));
                    prop_assert!(spent == used_in_all || standing.debt.get(measure) == u64::MAX);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_no_more_than_is_left_is_admitted_to_the_last_nano_dollar() {
    // 99 tokens for 2.5 USD a million, 64 for 10.
    for (cap, is_admitted) in [("0.0008875", true), ("0.000887499", false)] {
        let ledger = ledger(cap);
        let context = RunContext::builder().ledger(&ledger).build();
        let request = with(|settings| settings.max_output_tokens = Some(64));
        let model = model([Turn::from("Hello.").usage(Usage::new(99, 64))]);
        assert_eq!(model.chat(&context, request).await.is_ok(), is_admitted);
        let spent = if is_admitted { usd(cap) } else { Usd::ZERO };
        assert_eq!(committed(&ledger).usd, spent);
    }
}
