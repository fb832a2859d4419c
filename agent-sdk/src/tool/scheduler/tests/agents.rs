//! Agents and runs that share a scheduler.

use super::*;
use crate::{
    agent::Agent,
    message::Part,
    testing::{CountingTool, ScriptedModel, Turn},
};

/// A turn of so many calls of tools, and one that ends.
fn turns<'a>(tools: impl IntoIterator<Item = &'a str>) -> [Turn; 2] {
    let calls = (0..).zip(tools);
    let turn = calls.fold(Turn::new(), |turn, (number, tool)| {
        turn.tool_call(format!("c{number}"), tool, "{}")
    });
    [turn, Turn::from("done")]
}

/// What the model was shown of its calls, in order.
fn shown(model: &ScriptedModel) -> Vec<(String, String)> {
    let requests = model.requests();
    let last = requests.last().unwrap().conversation.messages();
    let parts = last.iter().flat_map(|message| &message.parts);
    let results = parts.filter_map(|part| match part {
        Part::ToolResult(result) => Some((
            result.call_id.as_str().to_owned(),
            result.content.as_str().to_owned(),
        )),
        _ => None,
    });
    results.collect()
}

#[tokio::test(start_paused = true)]
async fn g13_ten_independent_tools_of_50_ms_take_50_ms() {
    let scheduler = ToolScheduler::builder().global(n(16)).build().unwrap();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let model = ScriptedModel::new(turns(names)).recording();
    let tools = names.map(|name| Fake::taking(name, 50 * MS).handle());
    let agent = Agent::builder("a", model.clone())
        .tools(tools)
        .tool_scheduler(scheduler.clone());
    let (agent, start) = (agent.build().unwrap(), Instant::now());
    agent.run("go").await.unwrap();
    assert_eq!(start.elapsed(), 50 * MS);
    assert!((scheduler.stats().parallelism() - 10.0).abs() < 1e-9);
    let order: Vec<_> = shown(&model).into_iter().map(|(id, _)| id).collect();
    assert_eq!(
        order,
        ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"]
    );
}

#[tokio::test(start_paused = true)]
async fn t11_of_many_calls_one_fails_and_one_is_slow_and_the_others_are_kept_in_order() {
    let scheduler = scheduler("look", ToolPolicy::new().concurrency(n(7)));
    let tool = Fake::new("look", |number, _| async move {
        sleep(if number == 9 { 3_000 * MS } else { 10 * MS }).await;
        match number {
            5 => Err(ToolError::failed("no")),
            _ => Ok(format!("call {number}").into()),
        }
    });
    let model = ScriptedModel::new(turns(["look"; 60])).recording();
    let agent = Agent::builder("a", model.clone())
        .tool(tool)
        .tool_scheduler(scheduler.clone());
    let agent = agent
        .parallel_tools(60.try_into().unwrap())
        .build()
        .unwrap();
    let report = agent.run("go").await.unwrap();
    assert_eq!((report.text.as_str(), report.tool_calls), ("done", 60));
    let expected = (0..60).map(|place| match place {
        4 => ("c4".to_owned(), "tool_error: no".to_owned()),
        _ => (format!("c{place}"), format!("call {}", place + 1)),
    });
    assert_eq!(shown(&model), expected.collect::<Vec<_>>());
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn the_cap_is_over_all_agents_and_the_run_that_matters_more_goes_first() {
    let scheduler = ToolScheduler::builder().global(n(1)).build().unwrap();
    let order: Arc<Mutex<Vec<String>>> = Arc::default();
    let agent = |name: &'static str| {
        let order = order.clone();
        let tool = Fake::new("work", move |_, _| {
            order.lock().unwrap().push(name.to_owned());
            async {
                Ok({
                    sleep(100 * MS).await;
                    "done".into()
                })
            }
        });
        let model = ScriptedModel::new(turns(["work"; 2]));
        let agent = Agent::builder(name, model)
            .tool(tool)
            .tool_scheduler(scheduler.clone());
        agent.build().unwrap()
    };
    let (low, high) = (agent("low"), agent("high"));
    let (first, second) = tokio::join!(low.run("go").priority(Priority::LOW), async {
        sleep(10 * MS).await;
        high.run("go").priority(Priority::HIGH).await
    });
    first.unwrap();
    second.unwrap();
    assert_eq!(*order.lock().unwrap(), ["low", "high", "high", "low"]);
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn an_agent_as_a_tool_holds_no_permit_while_its_own_tools_wait_for_one() {
    let scheduler = ToolScheduler::builder().global(n(1)).build().unwrap();
    let inner = Agent::builder("inner", ScriptedModel::new(turns(["count", "count"])))
        .tool(CountingTool::new("count").taking(10 * MS))
        .tool_scheduler(scheduler.clone())
        .build()
        .unwrap();
    let task = Turn::new().tool_call("c", "inner", r#"{"task":"Count."}"#);
    let outer = Agent::builder("outer", ScriptedModel::new([task, Turn::from("done")]))
        .tool(inner.as_tool())
        .tool_scheduler(scheduler.clone())
        .build()
        .unwrap();
    assert_eq!(outer.run("go").await.unwrap().tool_calls, 3);
    assert_eq!(scheduler.stats().tools["count"].calls, 2);
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_tool_makes_does_not_wait_for_what_the_tool_holds() {
    let builder = ToolScheduler::builder().global(n(1)).pool("db", n(1));
    let policy = || ToolPolicy::new().takes("db", n(1));
    let scheduler = builder
        .tool("outer", policy())
        .tool("inner", policy())
        .build()
        .unwrap();
    let inside = scheduler.clone();
    let kept: Arc<Mutex<Option<RunContext>>> = Arc::default();
    let keeps = kept.clone();
    let outer = Fake::new("outer", move |_, context| {
        let scheduler = inside.clone();
        *keeps.lock().unwrap() = Some(context.run().clone());
        async move {
            let inner = Fake::taking("inner", 10 * MS).handle();
            scheduler.call(context.run(), &inner, "{}").await
        }
    });
    let context = RunContext::new().with_timeout(Duration::from_mins(1));
    assert_eq!(
        said(&scheduler, &context, &outer.handle(), "{}").await,
        "call 1"
    );
    // What the tool left behind holds nothing any more.
    let (left, slow) = (
        kept.lock().unwrap().take().unwrap(),
        Fake::taking("inner", 100 * MS).handle(),
    );
    let start = Instant::now();
    let left = left.detached(None);
    tokio::join!(
        said(&scheduler, &left, &slow, "{}"),
        said(&scheduler, &left, &slow, "{}")
    );
    assert_eq!(start.elapsed(), 200 * MS);
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn a_call_inside_another_shares_no_execution_that_waits_for_what_that_one_holds() {
    let builder = ToolScheduler::builder().pool("db", n(1));
    let policy = || ToolPolicy::new().takes("db", n(1));
    let builder = builder
        .tool("outer", policy())
        .tool("inner", policy().coalesce());
    let scheduler = builder.build().unwrap();
    let inner = Fake::taking("inner", 10 * MS).handle();
    let (inside, called) = (scheduler.clone(), inner.clone());
    let outer = Fake::new("outer", move |_, context| {
        let (scheduler, inner) = (inside.clone(), called.clone());
        async move {
            // Meanwhile somebody else waits with the same call for the pool.
            sleep(10 * MS).await;
            scheduler.call(context.run(), &inner, "{}").await
        }
    });
    let context = RunContext::new().with_timeout(Duration::from_mins(1));
    let (outer, other) = tokio::join!(
        async { said(&scheduler, &context, &outer.handle(), "{}").await },
        async {
            sleep(5 * MS).await;
            said(&scheduler, &context, &inner, "{}").await
        }
    );
    assert_eq!((outer.as_str(), other.as_str()), ("call 1", "call 2"));
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_s_result_is_the_one_result_of_the_call() {
    let scheduler = scheduler(
        "first",
        ToolPolicy::new().fallback(Fake::taking("second", MS)),
    );
    let model = ScriptedModel::new(turns(["first"])).recording();
    let agent = Agent::builder("a", model.clone()).tool(Fake::failing("first", 9));
    let agent = agent.build().unwrap();
    let report = agent.run("go").tool_scheduler(scheduler).await.unwrap();
    assert_eq!(shown(&model), [("c0".to_owned(), "call 1".to_owned())]);
    assert_eq!(report.tool_calls, 2, "two tools were called");
}
