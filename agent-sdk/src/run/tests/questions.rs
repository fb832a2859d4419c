//! Questions to people: of several agents at once, answered now or after a pause, each by its own answer.

use std::{sync::Arc, time::Duration};

use futures_util::future::join;
use tokio_util::sync::CancellationToken;

use super::world::{Act, World, acting, allow, boss, crash_after, never_again};
use crate::{
    agent::Agent,
    journal::{Question, QuestionKind, Runs, Verdict},
    message::Part,
    model::ToolSpec,
    operation::RunContext,
    run::{RunErrorKind, RunReport},
    store::MemoryStore,
    testing::Turn,
    tool::{Effect, Tool, ToolContext, ToolError, ToolOutput},
};

const TOOLS: [&str; 3] = ["read", "put", "write"];

async fn undisturbed() -> RunReport {
    boss(&World::default()).run("go").await.unwrap()
}

fn same(report: &RunReport, whole: &RunReport) {
    assert_eq!(report.text, whole.text);
    assert_eq!((report.usage, report.cost), (whole.usage, whole.cost));
    assert_eq!(report.model_calls, whole.model_calls);
    assert_eq!(report.tool_calls, whole.tool_calls);
}

fn paths(questions: &[Question]) -> Vec<&str> {
    questions.iter().map(|question| &*question.path).collect()
}

#[tokio::test(start_paused = true)]
async fn s1_questions_of_agents_in_agents_are_open_at_once_and_answered_in_any_order() {
    let whole = undisturbed().await;
    for (backwards, one_at_a_time) in [(false, false), (true, false), (false, true), (true, true)] {
        let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
        let runs = Runs::new(store.clone());
        let run = boss(&world)
            .run("go")
            .store(store.clone())
            .ask_before(TOOLS);
        let mut ended = run.await;
        let mut open = Vec::new();
        let report = loop {
            let error = match ended {
                Ok(report) => break report,
                Err(error) => error,
            };
            assert_eq!(error.kind(), RunErrorKind::Paused, "{error:?}");
            let id = error.report().run_id.clone();
            let mut questions = runs.questions(id.as_str()).await.unwrap();
            assert_eq!(paths(&questions).len(), paths(error.questions()).len());
            open.push(questions.len());
            if backwards {
                questions.reverse();
            }
            if one_at_a_time {
                questions.truncate(1);
            }
            for question in questions {
                let answer = runs.answer(id.as_str(), &question.path, Verdict::allow());
                assert_eq!(answer.await.unwrap(), question);
            }
            let resumed = boss(&world).resume(id, store.clone()).ask_before(TOOLS);
            ended = resumed.await;
        };
        same(&report, &whole);
        if !one_at_a_time {
            // Those of the outermost agent and of the one inside; the innermost asks once it is begun; then the second turn.
            assert_eq!(open, [6, 2], "backwards: {backwards}");
        }
        let notes = world.take();
        assert_eq!(
            (notes.asked.len(), notes.begun.len(), notes.done.len()),
            (8, 8, 8)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s1_an_approver_answers_all_of_them_while_the_run_goes_on() {
    let whole = undisturbed().await;
    let world = World::default();
    let run = boss(&world)
        .run("go")
        .ask_before(TOOLS)
        .approver(world.person(allow));
    same(&run.await.unwrap(), &whole);
    let mut questions = world.take().questions;
    questions.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        "1/b1",
        "1/b2",
        "1/b3",
        "1/b4/1/m1",
        "1/b4/1/m2/1/i1",
        "1/b4/1/m2/1/i2",
        "2/b5",
        "2/b6",
    ];
    assert_eq!(
        questions,
        expected.map(|path| (path.to_owned(), QuestionKind::Approval))
    );
}

/// One call of a tool that writes and asks first.
fn careful(world: &World) -> Agent {
    let agent = acting("a", world, |said| match said {
        0 => Turn::new().tool_call("c1", "write", "{}"),
        _ => Turn::from("over"),
    });
    agent.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn s1_an_answer_counts_for_its_own_question_only() {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let runs = Runs::new(store.clone());
    let context = RunContext::builder().run_id("r").build();
    let run = careful(&world)
        .run("go")
        .context(&context)
        .store(store.clone());
    run.ask_before(["write"]).await.unwrap_err();
    runs.answer("r", "c1", Verdict::allow()).await.unwrap();

    // Allowed, begun, and lost twice in the midst of it: nobody said that it may be made again.
    for life in 1..=2_u32 {
        let mut polls = 1;
        while world.notes().begun.len() < life as usize {
            let resumed = careful(&world).resume("r", store.clone());
            let resumed = crash_after(polls, async { resumed.await });
            assert!(resumed.await.is_none(), "the call ended");
            polls += 1;
        }
        let paused = careful(&world)
            .resume("r", store.clone())
            .await
            .unwrap_err();
        let [question] = paused.questions() else {
            panic!("{:?}", paused.questions());
        };
        assert_eq!(
            (question.kind, question.number),
            (QuestionKind::InDoubt, life + 1)
        );
        assert_eq!(runs.questions("r").await.unwrap(), paused.questions());
        if life == 1 {
            runs.answer("r", "c1", Verdict::allow()).await.unwrap();
        }
    }
    assert_eq!(world.notes().done.len(), 0);
    runs.answer("r", "c1", Verdict::deny("enough"))
        .await
        .unwrap();
    let report = careful(&world).resume("r", store).await.unwrap();
    assert_eq!(report.text, "over");
    let notes = world.take();
    assert_eq!(notes.begun.len(), 2);
    let Some(Part::ToolResult(result)) = notes.shown[1].last().unwrap().parts.first() else {
        panic!("{:?}", notes.shown);
    };
    assert!(result.content.starts_with("interrupted: "), "{result:?}");
    assert!(
        result.content.ends_with("it is not made again: enough"),
        "{result:?}"
    );
}

/// A tool that asks by itself, a while after it was called.
struct Asking(Act);

impl Tool for Asking {
    fn spec(&self) -> ToolSpec {
        self.0.spec()
    }

    async fn call(&self, context: ToolContext, _: &str) -> Result<ToolOutput, ToolError> {
        tokio::time::sleep(self.0.takes).await;
        if !context.is_approved() {
            return Err(ToolError::needs_approval("really?"));
        }
        self.0.world.notes().done.push(context.idempotency_key());
        Ok(ToolOutput::from("done"))
    }
}

fn asking(world: &World, name: &'static str, takes: Duration) -> Asking {
    Asking(Act {
        takes,
        ..Act::new(world, name, Effect::Write)
    })
}

fn asks_itself(world: &World) -> Agent {
    let agent = acting("a", world, |said| match said {
        0 => Turn::new()
            .tool_call("c1", "pay", "{}")
            .tool_call("c2", "read", "{}"),
        _ => Turn::from("over"),
    });
    agent
        .tool(asking(world, "pay", Duration::ZERO))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn s1_a_tool_that_asks_by_itself_is_called_again_when_it_may() {
    for answer in [Verdict::allow(), Verdict::deny("no")] {
        let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
        let runs = Runs::new(store.clone());
        let paused = asks_itself(&world)
            .run("go")
            .store(store.clone())
            .await
            .unwrap_err();
        let id = paused.report().run_id.clone();
        let [question] = paused.questions() else {
            panic!("{:?}", paused.questions());
        };
        assert_eq!(
            (question.text.as_str(), question.kind),
            ("really?", QuestionKind::Approval)
        );
        assert_eq!(
            paused.report().tool_calls,
            1,
            "what only asked was not made"
        );
        runs.answer(id.as_str(), "c1", answer.clone())
            .await
            .unwrap();
        let report = asks_itself(&world).resume(id, store).await.unwrap();
        let notes = world.take();
        let paid = notes.done.iter().filter(|key| key.ends_with("c1")).count();
        assert_eq!(paid, usize::from(answer.allowed));
        assert_eq!(report.tool_calls, 1 + u32::from(answer.allowed));
        assert_eq!(notes.begun.len(), 1, "the other call is not made again");
        let shown = format!("{:?}", notes.shown[1].last().unwrap().parts.first());
        assert!(answer.allowed || !shown.is_empty());
    }
    let world = World::default();
    let run = asks_itself(&world).run("go").approver(world.person(allow));
    assert_eq!(run.await.unwrap().tool_calls, 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_taken_at_once_while_other_calls_are_under_way() {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let runs = Runs::new(store.clone());
    let agent = acting("a", &world, |said| match said {
        0 => Turn::new()
            .tool_call("c1", "write", "{}")
            .tool_call("c2", "slow", "{}"),
        _ => Turn::from("over"),
    });
    let slow = Act {
        takes: Duration::from_secs(5),
        ..Act::new(&world, "slow", Effect::ReadOnly)
    };
    let agent = agent.tool(slow).build().unwrap();
    let context = RunContext::builder().run_id("r").build();
    let run = agent
        .run("go")
        .context(&context)
        .store(store.clone())
        .ask_before(["write"]);
    let answer = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        runs.answer("r", "c1", Verdict::allow()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.notes().done.clone()
    };
    let (report, done) = join(async { run.await }, answer).await;
    assert_eq!(report.unwrap().text, "over");
    assert_eq!(done, ["r/1/c1"], "before the slow call was over");
}

#[tokio::test(start_paused = true)]
async fn a_pause_waits_for_no_person_also_where_a_call_asks_after_it() {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let agent = acting("a", &world, |said| match said {
        0 => Turn::new()
            .tool_call("c1", "write", "{}")
            .tool_call("c2", "late", "{}"),
        _ => Turn::from("over"),
    });
    let late = asking(&world, "late", Duration::from_secs(5));
    let agent = agent.tool(late).build().unwrap();
    let token = CancellationToken::new();
    let run = agent
        .run("go")
        .store(store.clone())
        .ask_before(["write"])
        .approver(|_: Question| std::future::pending())
        .pause(token.clone());
    let pause = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        token.cancel();
    };
    let (paused, ()) = join(async { run.await }, pause).await;
    let paused = paused.unwrap_err();
    assert_eq!(paused.kind(), RunErrorKind::Paused);
    assert_eq!(paused.report().duration, Duration::from_millis(5_001));
    assert_eq!(paused.questions().len(), 2);
    assert!(world.notes().begun.is_empty());
    let id = paused.report().run_id.clone();
    let resumed = agent.resume(id, store).approver(world.person(never_again));
    let report = resumed.await.unwrap();
    assert_eq!((report.tool_calls, world.take().done.len()), (2, 2));
}
