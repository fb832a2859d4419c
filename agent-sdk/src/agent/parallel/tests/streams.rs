//! The merged stream: order, pace, fairness.

use std::{collections::HashMap, time::Duration};

use futures_util::StreamExt;

use super::{super::parallel, all, answers, said, talker, width};
use crate::{
    agent::Agent,
    operation::{EventKind, RunContext},
    testing::{EventLog, ScriptedModel, Turn},
    tool::{FnTool, NoArguments, ToolContext},
};

/// Agents that talk at random, some with tools in between.
fn crowd(random: &mut fastrand::Rng) -> Vec<Agent> {
    (0..random.usize(1..8))
        .map(|number| {
            let (words, calls) = (random.usize(0..200), random.u64(0..3));
            let pause = Duration::from_millis(random.u64(0..3));
            let text: Vec<_> = (0..words).map(|word| format!("{number}.{word}")).collect();
            let text = text.join(" ");
            let model = ScriptedModel::from_fn(move |request, _| {
                let results = request.conversation.messages().len() as u64 / 2;
                let turn = Turn::from(text.clone()).chunk_words(1).chunk_delay(pause);
                if results < calls {
                    turn.tool_call(format!("c{results}"), "look", "{}")
                } else {
                    turn
                }
            });
            let tool = FnTool::new("look", "", move || async move {
                tokio::time::sleep(pause).await;
                Ok::<_, String>("seen")
            });
            let agent = Agent::builder(format!("agent-{number}"), model).tool(tool);
            agent.build().unwrap()
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_runs_events_are_those_of_its_own_stream_in_order_and_none_is_lost_or_doubled() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let agents = crowd(&mut random);
        let mut alone = Vec::new();
        for agent in &agents {
            let events: Vec<_> = agent.stream("hi").collect().await;
            let said: Vec<_> = events.iter().filter_map(|event| said(event)).collect();
            alone.push(said);
        }
        let runs = parallel(agents.iter().map(|agent| agent.run("hi")));
        let mut stream = runs.concurrency(width(random.usize(1..8))).stream();
        let mut together = vec![Vec::new(); agents.len()];
        let mut last = HashMap::new();
        while let Some(item) = stream.next().await {
            assert_eq!(&*item.agent, agents[item.index].name());
            assert_eq!(item.event.batch_id.as_ref(), Some(&item.batch_id));
            let before = last.insert(item.index, item.event.seq);
            assert!(before.is_none_or(|before| before < item.event.seq));
            together[item.index].extend(said(&item.event));
            if random.u8(0..20) == 0 {
                tokio::time::sleep(Duration::from_millis(random.u64(0..5))).await;
            }
        }
        for (together, alone) in together.iter().zip(&alone) {
            let differs = together
                .iter()
                .zip(alone)
                .position(|(one, other)| one != other);
            assert_eq!(differs, None, "seed {seed}");
            assert_eq!(together.len(), alone.len(), "seed {seed}");
        }
        let report = stream.report().await;
        assert!(report.runs.iter().all(Result::is_ok));
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_goes_over_the_wire_as_its_event_with_agent_and_index() {
    let mut stream =
        parallel([answers("a", 1), answers("b", 1)].map(|agent| agent.run("hi"))).stream();
    let items = all(&mut stream).await;
    let report = stream.report().await;
    let item = items.iter().find(|item| item.index == 1).unwrap();
    let json = serde_json::to_value(item).unwrap();
    assert_eq!(json["type"], "agent_initialized");
    assert_eq!((&json["agent"], &json["index"]), (&"b".into(), &1.into()));
    assert_eq!(json["agent_id"], "b");
    assert_eq!(json["batch_id"], *report.batch_id);
    assert_eq!(json["trace_id"], report.trace_id.to_string());
}

#[tokio::test(start_paused = true)]
async fn runs_wait_for_a_slow_reader_and_go_on_from_there() {
    let log = EventLog::new();
    let context = RunContext::builder().observers(log.observers()).build();
    let agents: Vec<_> = (0..3)
        .map(|n| {
            talker(&format!("t{n}"), 1_000, Duration::ZERO)
                .build()
                .unwrap()
        })
        .collect();
    let runs = parallel(agents.iter().map(|agent| agent.run("hi")));
    let mut stream = runs.context(&context).stream();
    assert_eq!(log.events().len(), 0, "nothing happens before it is polled");
    assert!(stream.next().await.is_some());
    tokio::time::sleep(Duration::from_mins(1)).await;
    // A run is at most 64 events ahead, and the workflow says that it began.
    let bound = |taken: usize| taken + 3 * 64 + 1;
    assert!(log.events().len() <= bound(1), "{}", log.events().len());
    for taken in 2..=600 {
        assert!(stream.next().await.is_some());
        let events = log.events().len();
        assert!(events <= bound(taken), "{events} after {taken}");
    }
    let rest = all(&mut stream).await;
    // Start and end of the agent and of the request, and the words.
    assert_eq!(600 + rest.len(), 3 * (4 + 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_run_starts_only_when_those_before_it_have_been_read() {
    let asked = ScriptedModel::from_fn(|_, _| Turn::from("short"));
    let agent = Agent::builder("a", asked.clone()).build().unwrap();
    let runs = parallel((0..100).map(|_| agent.run("hi")));
    let mut stream = runs.concurrency(width(4)).stream();
    let mut read = 0;
    while let Some(item) = stream.next().await {
        read += usize::from(matches!(item.event.kind, EventKind::AgentCompleted(_)));
        assert!(
            asked.asked() <= read + 4,
            "{} asked, {read} read",
            asked.asked()
        );
    }
    assert_eq!((read, asked.asked()), (100, 100));
}

#[tokio::test(start_paused = true)]
async fn no_run_keeps_another_from_being_heard() {
    let mut agents = vec![talker("chatty", 5_000, Duration::ZERO).build().unwrap()];
    for n in 0..5 {
        agents.push(
            talker(&format!("quiet-{n}"), 40, Duration::ZERO)
                .build()
                .unwrap(),
        );
    }
    let mut stream = parallel(agents.iter().map(|agent| agent.run("hi"))).stream();
    let items = all(&mut stream).await;
    for (index, agent) in agents.iter().enumerate() {
        let places = items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.index == index);
        let places: Vec<_> = places.map(|(place, _)| place).collect();
        let gap = places.windows(2).map(|pair| pair[1] - pair[0]).max();
        // All of them have something to say all the time, until they are done: each other one is heard at most once between.
        assert!(gap.unwrap() <= agents.len(), "{}: {gap:?}", agent.name());
        assert!(places[0] < agents.len());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_task_says_from_elsewhere_wakes_the_reader() {
    let tool = FnTool::new("works", "", async |context: ToolContext, _: NoArguments| {
        let inside = context.clone();
        context.spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            inside.progress(Some(0.5), "half");
        });
        tokio::time::sleep(Duration::from_secs(10)).await;
        Ok::<_, String>("ok")
    });
    let model = ScriptedModel::new([Turn::new().tool_call("1", "works", "{}"), Turn::from("ok")]);
    let agent = Agent::builder("a", model).tool(tool).build().unwrap();
    let start = tokio::time::Instant::now();
    let mut stream = parallel([agent.run("hi")]).stream();
    loop {
        let item = stream.next().await.unwrap();
        if matches!(item.event.kind, EventKind::ToolProgress { .. }) {
            break;
        }
    }
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}
