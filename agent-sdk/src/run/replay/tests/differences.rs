//! Each kind of difference, by a change that makes it.

use std::num::NonZeroU32;

use DifferenceKind as Kind;

use super::*;
use crate::{cost::PriceBook, journal::Runs, operation::Outcome};

fn turns() -> Vec<Turn> {
    vec![calls(&[("read", 40), ("write", 5)]), done()]
}

/// The agent of `turns`, with other tools.
fn with(tools: impl IntoIterator<Item = ToolHandle>) -> AgentBuilder {
    let model = ScriptedModel::new(Vec::<Turn>::new()).named("openai", "gpt-4o-mini");
    Agent::builder("outer", model).tools(tools)
}

#[tokio::test(start_paused = true)]
async fn another_definition_is_told_part_by_part() {
    let store = store();
    let run = record(agent(turns()), &store).await;
    let replayed = replay(again().instructions("Be brief."), &run, &store).await;
    assert_eq!(texts(&replayed), ["record 2: the instructions changed"]);
    assert_eq!(replayed.report.text, "all done");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_gone_gives_an_error_where_it_gave_a_result() {
    let store = store();
    let run = record(agent(turns()), &store).await;
    let left = tools()
        .into_iter()
        .filter(|tool| &*tool.spec().name != "read");
    let replayed = replay(with(left), &run, &store).await;
    assert_eq!(kinds(&replayed), [Kind::Definition, Kind::ToolResult]);
    assert_eq!(
        texts(&replayed)[1],
        "record 6 at 1/c1: `read` gave a result of 9 bytes, and now failed with `unknown_tool`"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tool_whose_schema_refuses_the_recorded_arguments_now_says_so_without_quoting_them() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Strict {
        #[schemars(range(max = 20))]
        #[allow(dead_code, reason = "only its schema matters")]
        ms: u64,
    }
    let store = store();
    let run = record(agent(turns()), &store).await;
    let strict = |_: Strict| async { Ok::<_, String>("never called") };
    let others = tools()
        .into_iter()
        .filter(|tool| &*tool.spec().name != "read");
    let read = FnTool::new("read", "Waits.", strict)
        .options(ToolOptions::default().with_effect(Effect::ReadOnly));
    let replayed = replay(with(others).tool(read), &run, &store).await;
    assert_eq!(kinds(&replayed), [Kind::Definition, Kind::ToolResult]);
    assert!(
        texts(&replayed)[1].ends_with("and now failed with `invalid_arguments`"),
        "{:?}",
        texts(&replayed)
    );
    assert!(
        !texts(&replayed).concat().contains("40"),
        "arguments are content"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_has_less_time_now_runs_out_of_it() {
    let store = store();
    let run = record(agent(turns()), &store).await;
    let hurried = |tool: ToolHandle| {
        let options = tool.options().with_timeout(ms(20));
        tool.with_options(options)
    };
    let request = with(tools().into_iter().map(hurried)).build().unwrap();
    let replayed = request.replay(run, store).speed(1.0).await.unwrap();
    assert_eq!(kinds(&replayed), [Kind::ToolResult]);
    assert!(
        texts(&replayed)[0].ends_with("failed with `timeout`"),
        "{:?}",
        texts(&replayed)
    );
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Height {
    #[allow(dead_code, reason = "only its schema matters")]
    metres: u32,
}

#[tokio::test(start_paused = true)]
async fn a_check_of_the_output_that_decides_otherwise_is_found_in_both_directions() {
    let store = store();
    let plain = record(agent(vec![Turn::from("8849 metres")]), &store).await;
    let checked = replay(again().output_type::<Height>(), &plain, &store).await;
    assert_eq!(
        kinds(&checked),
        [Kind::Definition, Kind::OutputCheck, Kind::RecordingEnds]
    );

    let turns = vec![Turn::from("8849 metres"), Turn::from(r#"{"metres":8849}"#)];
    let checked = record(agent(turns).output_type::<Height>(), &store).await;
    let same = replay(again().output_type::<Height>(), &checked, &store).await;
    assert_eq!(texts(&same), Vec::<String>::new());
    let plain = replay(again(), &checked, &store).await;
    assert_eq!(
        kinds(&plain),
        [
            Kind::Definition,
            Kind::OutputCheck,
            Kind::LeftOver,
            Kind::Answer
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn limits_that_stop_the_run_earlier_or_later_are_found() {
    let one = NonZeroU32::MIN;
    let store = store();
    let whole = record(agent(turns()), &store).await;
    let stopped = replay(again().max_turns(one), &whole, &store).await;
    assert_eq!(kinds(&stopped), [Kind::LeftOver, Kind::Ending, Kind::Usage]);
    assert_eq!(
        texts(&stopped)[1],
        "record 8: the run ended well, and now ended with `limit` (limit_exceeded)"
    );
    let stopped = replay(again().max_tool_calls(1), &whole, &store).await;
    assert_eq!(
        kinds(&stopped),
        [
            Kind::LeftOver,
            Kind::LeftOver,
            Kind::LeftOver,
            Kind::Ending,
            Kind::Usage
        ]
    );

    let cut = record(agent(turns()).max_turns(one), &store).await;
    let longer = replay(again(), &cut, &store).await;
    assert_eq!(kinds(&longer), [Kind::RecordingEnds]);
    assert!(
        texts(&longer)[0].contains("and now goes on: the recording ends here"),
        "{:?}",
        texts(&longer)
    );
    let as_it_was = again().build().unwrap().replay(cut, store);
    let limits = crate::run::Limits {
        max_turns: one,
        ..Default::default()
    };
    assert_eq!(
        texts(&as_it_was.limits(limits).await.unwrap()),
        Vec::<String>::new()
    );
}

#[tokio::test(start_paused = true)]
async fn less_time_stops_the_run_where_it_would_have_been_up() {
    let store = store();
    let run = record(agent(turns()), &store).await;
    let hurried = again().timeout(ms(65)).build().unwrap();
    let replayed = hurried.replay(run, store).speed(1.0).await.unwrap();
    assert_eq!(
        (replayed.report.outcome, replayed.report.duration),
        (Outcome::Timeout, ms(65))
    );
    assert_eq!(
        kinds(&replayed),
        [Kind::LeftOver, Kind::Ending, Kind::Usage]
    );
}

#[tokio::test(start_paused = true)]
async fn questions_that_are_asked_or_not_asked_now_are_found() {
    let store = store();
    let freely = record(agent(vec![calls(&[("read", 5)]), done()]), &store).await;
    let careful = |tool: ToolHandle| {
        let options = tool.options().with_approval();
        tool.with_options(options)
    };
    let asked = replay(with(tools().into_iter().map(careful)), &freely, &store).await;
    assert_eq!(
        texts(&asked),
        ["record 4 at 1/c1: a person is asked about `read`, and was not"]
    );
    assert_eq!(
        asked.report.text, "all done",
        "it goes on with the recorded result"
    );

    let carefully = record(agent(vec![calls(&[("approved", 5)]), done()]), &store).await;
    let careless = |tool: ToolHandle| {
        let mut options = *tool.options();
        options.needs_approval = false;
        tool.with_options(options)
    };
    let not_asked = replay(with(tools().into_iter().map(careless)), &carefully, &store).await;
    assert_eq!(
        texts(&not_asked),
        ["record 7 at 1/c1: a person was asked about `approved`, and is not now"]
    );
}

#[tokio::test(start_paused = true)]
async fn other_prices_are_told_with_what_it_cost_and_would_cost() {
    let prices = |input: &str| {
        let text = format!(
            r#"{{"date":"2026-11-20","providers":[{{"id":"openai","match":{{"contains":"openai"}},"models":[{{"id":"gpt-4o-mini","match":{{"prefix":"gpt-4o-mini"}},"prices":[{{"input":"{input}","output":"1"}}]}}]}}]}}"#
        );
        PriceBook::from_json(&text).unwrap()
    };
    let store = store();
    let run = record(agent(turns()).prices(prices("1")), &store).await;
    let same = replay(again().prices(prices("1")), &run, &store).await;
    assert_eq!(texts(&same), Vec::<String>::new());
    let dearer = replay(again().prices(prices("3")), &run, &store).await;
    assert_eq!(
        texts(&dearer),
        ["the answers cost $0.00028, and now $0.00078"]
    );
    let free = again().build().unwrap().replay(run, store);
    let unknown = PriceBook::from_json(r#"{"date":"2026-11-20","providers":[]}"#).unwrap();
    assert_eq!(
        texts(&free.prices(unknown).await.unwrap()),
        ["the answers cost $0.00028, and now $0 and 2 of unknown price"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_inside_a_call_has_differences_of_its_own() {
    let store = store();
    let run = record(agent(vec![calls(&[("inner", 0)]), done()]), &store).await;
    let others = || {
        tools()
            .into_iter()
            .filter(|tool| &*tool.spec().name != "inner")
    };
    let changed = inner()
        .instructions("Look twice.")
        .build()
        .unwrap()
        .as_tool();
    let replayed = replay(with(others()).tool(changed), &run, &store).await;
    assert_eq!(
        texts(&replayed),
        ["record 4 at 1/c1: the instructions changed"]
    );

    let shallow = replay(again().max_depth(1), &run, &store).await;
    assert_eq!(shallow.report.text, "all done");
    let path = Runs::new(store.clone())
        .records(run.as_str())
        .await
        .unwrap()[3]
        .path
        .clone();
    assert_eq!(&*path, "1/c1");

    let gone = replay(with(others()), &run, &store).await;
    assert_eq!(
        kinds(&gone),
        [
            Kind::Definition,
            Kind::LeftOver,
            Kind::ToolResult,
            Kind::Usage
        ]
    );
}
