use std::time::Duration;

use futures_util::{FutureExt, future::join_all};

use crate::{
    message::ToolCall,
    testing::{
        BarrierTool, CountingTool, TraceCapture, failing_tool, hanging_tool, panicking_tool,
    },
    tool::{Admitted, Batch, Finished, Returned, State, ToolHandle, ToolSet, Turn},
};

/// Calls tools as an agent does, and returns the tree and the results in call order.
async fn call(width: usize, tools: Vec<ToolHandle>, names: &[&str]) -> (String, Vec<String>) {
    let (trace, state) = (TraceCapture::new(), State::default());
    let (context, tools) = (trace.context(), ToolSet::new(tools).unwrap());
    let calls: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, name)| ToolCall::new(format!("c{n}"), *name, "{}"))
        .collect();
    let places = (0..calls.len()).map(|place| Admitted {
        place,
        is_approved: false,
    });
    let mut batch = Batch::new(
        Turn {
            context: &context,
            tools: &tools,
            state: &state,
            width,
            number: 1,
            calls: &calls,
            scheduler: None,
        },
        places,
    );
    let mut results = vec![String::new(); calls.len()];
    while let Some((place, returned)) = batch.next().await {
        let Returned::Result(Finished { result, .. }) = returned else {
            panic!("no result: {returned:?}");
        };
        results[place] = result.content.into_string();
    }
    trace.well_formed().unwrap();
    (trace.timeline(), results)
}

#[tokio::test(start_paused = true)]
async fn a_barrier_opens_only_for_calls_that_run_at_the_same_time() {
    let barrier = BarrierTool::new("meet", 3);
    let (tree, _) = call(3, vec![barrier.clone().into()], &["meet"; 6]).await;
    assert_eq!(tree, "execute_tool meet  0..0 ms\n".repeat(6));
    assert_eq!((barrier.opened(), barrier.waiting()), (2, 0));

    let lonely = BarrierTool::new("meet", 3);
    let (tree, _) = call(2, vec![lonely.clone().into()], &["meet"; 2]).await;
    let line = "execute_tool meet  0..120000 ms  outcome=timeout  error=timeout\n";
    assert_eq!(tree, line.repeat(2));
    assert_eq!((lonely.opened(), lonely.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn counting_shows_how_many_calls_ran_beside_each_other() {
    let count = CountingTool::new("work").taking(Duration::from_millis(10));
    let (tree, results) = call(2, vec![count.clone().into()], &["work"; 3]).await;
    assert_eq!((count.calls(), count.inside(), count.peak()), (3, 0, 2));
    assert_eq!(results, ["call 1", "call 2", "call 3"]);
    assert!(tree.ends_with("execute_tool work  10..20 ms\n"), "{tree}");
}

#[tokio::test(start_paused = true)]
async fn bad_tools_are_bad_in_their_own_way() {
    let tools = vec![
        failing_tool("fails", "no such page").into(),
        panicking_tool("panics").into(),
        hanging_tool("hangs").into(),
    ];
    let (tree, results) = call(3, tools, &["fails", "panics", "hangs"]).await;
    assert_eq!(
        tree,
        "execute_tool fails  0..0 ms  error=tool_error\n\
         execute_tool panics  0..0 ms  error=panic\n\
         execute_tool hangs  0..120000 ms  outcome=timeout  error=timeout\n"
    );
    assert_eq!(results[0], "tool_error: no such page");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_leaves_the_barrier_and_the_count() {
    let (barrier, count) = (
        BarrierTool::new("meet", 2),
        CountingTool::new("work").taking(Duration::from_secs(1)),
    );
    let tools: Vec<ToolHandle> = vec![barrier.clone().into(), count.clone().into()];
    let dropped = call(2, tools.clone(), &["meet", "work"]);
    assert!(dropped.now_or_never().is_none());
    assert_eq!(
        (barrier.waiting(), count.inside(), count.calls()),
        (0, 0, 1)
    );
    let both = [call(1, tools.clone(), &["meet"]), call(1, tools, &["meet"])];
    join_all(both).await;
    assert_eq!(barrier.opened(), 1);
}
