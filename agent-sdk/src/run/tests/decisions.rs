//! What a run says of what it decided: the whole list, each with its fields.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

use super::world::{World, acting, allow};
use crate::{
    agent::{Agent, AgentBuilder},
    budget::{Budget, Ledger},
    cost::Usd,
    journal::{Runs, Verdict},
    message::Message,
    model::{FinishReason, ModelHandle, Usage},
    operation::{RunContext, decision},
    session::{Compression, NewSession, Sessions},
    store::MemoryStore,
    testing::{CountingTool, ScriptedModel, Turn},
};

/// What was decided on this thread, in order.
#[derive(Clone, Default)]
struct Decisions(Arc<Mutex<Vec<String>>>);

impl Decisions {
    /// Listens until the guard is dropped.
    fn heard() -> (Self, DefaultGuard) {
        let decisions = Self::default();
        let subscriber = tracing_subscriber::registry().with(decisions.clone());
        (decisions, subscriber.set_default())
    }

    /// What was decided since the last time.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Decisions {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        if about.target() != decision::TARGET {
            return;
        }
        assert!(decision::ALL.contains(&about.name()), "{about:?}");
        let name = about.name().strip_prefix("agent_sdk.").unwrap();
        let mut line = Line(name.to_owned());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

/// An event's name and its fields, but for the words.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "message" {
            let name = field.name().trim_start_matches("agent_sdk.");
            write!(self.0, " {name}={value:?}").unwrap();
        }
    }
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn agent(turns: impl IntoIterator<Item = impl Into<Turn>>) -> AgentBuilder {
    Agent::builder("a", ScriptedModel::new(turns).named("openai", "gpt-4o"))
}

fn looks(calls: usize) -> Turn {
    (1..=calls).fold(Turn::new(), |turn, n| {
        turn.tool_call(format!("c{n}"), "look", "{}")
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_budget_refuses_is_said_with_its_name() {
    let (decisions, _heard) = Decisions::heard();
    let poor = agent(["never"]).build().unwrap();
    poor.run("hi").max_cost(usd("0.0001")).await.unwrap_err();
    assert_eq!(
        decisions.take(),
        [r#"budget.refused budget.name="run" budget.refused="the model request""#]
    );

    let calls = Budget::new("calls").max_tool_calls(1);
    let ledger = Ledger::builder().budget(calls).build().unwrap();
    let eager = agent([looks(2), Turn::from("never")])
        .tool(CountingTool::new("look"))
        .ledger(&ledger);
    eager.build().unwrap().run("hi").await.unwrap_err();
    assert_eq!(
        decisions.take(),
        [
            r#"tool.chosen gen_ai.tool.name="look" gen_ai.tool.call.id="c1" turn=1"#,
            r#"tool.chosen gen_ai.tool.name="look" gen_ai.tool.call.id="c2" turn=1"#,
            r#"budget.refused budget.name="calls" budget.refused="the tool call""#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_budget_cuts_and_whom_it_asks_instead_is_said() {
    let (decisions, _heard) = Decisions::heard();
    let budget = || Budget::new("all").max_usd(usd("0.005"));
    let ledger = Ledger::builder().budget(budget()).build().unwrap();
    let cut = Turn::from("Hel")
        .finish(FinishReason::Length)
        .usage(Usage::new(90, 475));
    let short = agent([cut]).ledger(&ledger).build().unwrap();
    short.run("Hi.").await.unwrap_err();
    assert_eq!(
        decisions.take(),
        [
            "budget.clamped gen_ai.request.max_tokens=475",
            r#"answer.refused error.type="truncated""#,
        ]
    );

    let cheap = ScriptedModel::new(["done"]).named("openai", "gpt-4o-mini");
    let ledger = Ledger::builder()
        .budget(Budget::new("all").max_usd(usd("0.1")))
        .degrade("all", 10, ModelHandle::new(cheap))
        .build()
        .unwrap();
    let thrifty = agent([looks(1).usage(Usage::new(1_000, 1_000))])
        .tool(CountingTool::new("look"))
        .ledger(&ledger);
    thrifty.build().unwrap().run("Hi.").await.unwrap();
    assert_eq!(
        decisions.take(),
        [
            "budget.clamped gen_ai.request.max_tokens=4096",
            r#"tool.chosen gen_ai.tool.name="look" gen_ai.tool.call.id="c1" turn=1"#,
            r#"budget.degraded gen_ai.request.model="gpt-4o-mini" chat.fallback_for="gpt-4o""#,
            "budget.clamped gen_ai.request.max_tokens=4096",
        ]
    );
}

/// One call of a tool that asks first.
fn careful(world: &World) -> Agent {
    let agent = acting("a", world, |said| match said {
        0 => Turn::new().tool_call("c1", "write", "{}"),
        _ => Turn::from("over"),
    });
    agent.build().unwrap()
}

const CHOSEN: &str = r#"tool.chosen gen_ai.tool.name="write" gen_ai.tool.call.id="c1" turn=1"#;
const REQUESTED: &str = r#"approval.requested gen_ai.tool.name="write" gen_ai.tool.call.id="c1""#;

fn given(allowed: bool) -> String {
    format!(
        r#"approval.given gen_ai.tool.name="write" gen_ai.tool.call.id="c1" approval.allowed={allowed}"#
    )
}

#[tokio::test(start_paused = true)]
async fn what_a_person_is_asked_and_says_is_said() {
    let (decisions, _heard) = Decisions::heard();
    let world = World::default();
    let run = careful(&world).run("go").ask_before(["write"]);
    run.approver(world.person(allow)).await.unwrap();
    assert_eq!(
        decisions.take(),
        [CHOSEN.to_owned(), REQUESTED.to_owned(), given(true)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_pauses_and_goes_on_says_so() {
    let (decisions, _heard) = Decisions::heard();
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let context = RunContext::builder().run_id("r").build();
    let run = careful(&world).run("go").context(&context);
    let run = run.store(store.clone()).ask_before(["write"]);
    run.await.unwrap_err();
    assert_eq!(
        decisions.take(),
        [CHOSEN, REQUESTED, "run.paused run.questions=1"]
    );

    let runs = Runs::new(store.clone());
    let no = Verdict::deny("not now");
    runs.answer("r", "c1", no).await.unwrap();
    careful(&world).resume("r", store).await.unwrap();
    assert_eq!(
        decisions.take(),
        ["run.resumed run.records=4".to_owned(), given(false)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_made_short_is_said_with_its_lengths() {
    let (decisions, _heard) = Decisions::heard();
    let sessions = Sessions::new(Arc::new(MemoryStore::new()), "u");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    for n in 1..=3 {
        let text = format!("{n} {}", "word ".repeat(100));
        session.say(Message::user(&*text)).await.unwrap();
        session.say(Message::assistant(&*text)).await.unwrap();
    }
    let last = Compression::keep_last_turns(1);
    let report = session.compress(&RunContext::new(), &last).await;
    let report = report.unwrap().unwrap();
    assert!(report.tokens_after < report.tokens_before);
    assert_eq!(
        decisions.take(),
        [format!(
            "conversation.compacted conversation.replaced_messages=4 conversation.tokens_before={} conversation.tokens_after={}",
            report.tokens_before, report.tokens_after
        )]
    );
    let nothing = session.compress(&RunContext::new(), &last).await.unwrap();
    assert_eq!((nothing, decisions.take()), (None, vec![]));
}
