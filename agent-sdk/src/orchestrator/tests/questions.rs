//! Questions about steps and about their tries: what they cover, how long they last, and what of them is kept.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;

use super::{Deeds, echo, ends, plan, registry, wait};
use crate::{
    journal::{Question, QuestionKind, Runs, Verdict},
    operation::RunContext,
    orchestrator::{Orchestrator, PlanRunErrorKind},
    plan::{Change, Map, Plan, Step, Work},
    store::MemoryStore,
    testing::FaultyStore,
    tool::{Effect, FnTool, ToolContext, ToolError, ToolOptions},
};

/// Tools that ask before each call (`cut`, `look`) or by themselves (`send`), and take 20 ms.
fn orchestrator(deeds: &Deeds) -> Orchestrator {
    let registry = registry(deeds);
    let asking = ToolOptions::default().with_approval();
    for (name, options) in [
        ("cut", asking),
        ("look", asking.with_effect(Effect::ReadOnly)),
    ] {
        let deeds = deeds.clone();
        let tool = FnTool::new(name, "Does it.", move || {
            let deeds = deeds.clone();
            async move {
                deeds.note(name);
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok::<_, String>("done")
            }
        });
        registry.tool(tool.options(options)).unwrap();
    }
    let noted = deeds.clone();
    let send = FnTool::new(
        "send",
        "Sends it.",
        move |context: ToolContext, _: crate::tool::NoArguments| {
            let deeds = noted.clone();
            async move {
                if !context.is_approved() {
                    return Err(ToolError::needs_approval("shall it be sent?"));
                }
                deeds.note("send");
                Ok("sent")
            }
        },
    );
    registry.tool(send).unwrap();
    Orchestrator::new(registry)
}

fn context() -> RunContext {
    RunContext::builder().run_id("r").build()
}

/// What was asked, in order.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Says this to everything.
    fn saying(&self, verdict: Verdict) -> impl Fn(Question) -> std::future::Ready<Verdict> + use<> {
        let asked = self.0.clone();
        move |question: Question| {
            asked.lock().unwrap().push(question.text.to_string());
            std::future::ready(verdict.clone())
        }
    }
}

/// Runs a plan for so long, and drops it.
async fn drop_after(ms: u64, run: crate::orchestrator::PlanRequest) {
    let gone = tokio::time::timeout(Duration::from_millis(ms), run.into_future()).await;
    assert!(gone.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_skipped_while_it_is_asked_about_takes_its_question_back() {
    let store = Arc::new(MemoryStore::new());
    let whole = plan([
        echo("publish", json!(1)).approval("May it be published?"),
        echo("archive", json!(1)).approval("May it be archived?"),
        Step::tool("cut", "cut"),
        wait("long", 50),
    ]);
    let mut run = orchestrator(&Deeds::default())
        .run(&whole)
        .context(&context())
        .store(store.clone());
    let handle = run.handle();
    let skipping = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        handle.skip("publish").await.unwrap();
        handle.skip("cut").await.unwrap();
    };
    let (paused, ()) = tokio::join!(run.into_future(), skipping);
    let paused = paused.unwrap_err();
    let paths = |questions: &[Question]| -> Vec<String> {
        let paths = questions.iter().map(|question| question.path.to_string());
        paths.collect()
    };
    assert_eq!(paths(paused.questions()), ["archive"]);
    let stored = Runs::new(store).questions("r").await.unwrap();
    assert_eq!(paths(&stored), ["archive"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_allowed_before_the_process_died_is_not_asked_about_again() {
    let (store, deeds, asked) = (
        Arc::new(MemoryStore::new()),
        Deeds::default(),
        Asked::default(),
    );
    let list = Map::over(json!([1, 2]));
    let whole = plan([
        Step::tool("look", "look")
            .map(list)
            .input(json!({"at": "${item}"})),
        Step::tool("cut", "cut"),
    ]);
    let run = orchestrator(&deeds)
        .run(&whole)
        .context(&context())
        .store(store.clone())
        .approver(asked.saying(Verdict::allow()));
    drop_after(10, run).await;
    assert_eq!(
        asked.take(),
        [
            "may `look` be called in step `look`?",
            "may `look` be called in step `look`?",
            "may `cut` be called in step `cut`?"
        ]
    );
    assert_eq!(deeds.take().len(), 3);

    // What writes is in doubt, which is another question; what reads is read again.
    let again = orchestrator(&deeds).resume("r", store.clone());
    drop_after(10, again.approver(asked.saying(Verdict::allow()))).await;
    let doubt = "step `cut` was under way when the run stopped, and it is not known whether `cut` took effect: run it again?";
    assert_eq!(asked.take(), [doubt]);
    // Nobody knows whether the second time took effect either.
    let again = orchestrator(&deeds).resume("r", store);
    let report = again
        .approver(asked.saying(Verdict::allow()))
        .await
        .unwrap();
    assert_eq!(asked.take(), [doubt]);
    assert_eq!(ends(&report), json!({"look": "ok", "cut": "ok"}));
}

#[tokio::test(start_paused = true)]
async fn what_was_denied_before_the_process_died_stays_denied() {
    let (store, deeds, asked) = (
        Arc::new(MemoryStore::new()),
        Deeds::default(),
        Asked::default(),
    );
    let run = orchestrator(&deeds)
        .run(&plan([Step::tool("cut", "cut"), wait("long", 50)]))
        .context(&context())
        .store(store.clone())
        .approver(asked.saying(Verdict::deny("too dear")));
    drop_after(10, run).await;
    assert_eq!(asked.take().len(), 1);
    let again = orchestrator(&deeds)
        .resume("r", store)
        .approver(asked.saying(Verdict::allow()));
    let failed = again.await.unwrap_err();
    assert_eq!(asked.take().len(), 1, "about `long`, which is in doubt");
    assert_eq!(deeds.take(), ["begin long", "begin long", "end long"]);
    let failures = failed.report().unwrap().failures()[0].1.to_string();
    assert_eq!(
        failures,
        "try 1: rejected: a person did not allow it: too dear"
    );
}

#[tokio::test]
async fn a_step_s_approval_does_not_cover_what_stands_in_for_it() {
    let (deeds, asked) = (Deeds::default(), Asked::default());
    let bad = Step::function("s", "fail").approval("May it be tried?");
    let whole = plan([
        bad.fallback(Work::tool("cut")),
        Step::tool("own", "cut").approval("May it be cut?"),
    ]);
    let run = orchestrator(&deeds)
        .run(&whole)
        .approver(asked.saying(Verdict::allow()));
    run.await.unwrap();
    let mut asked = asked.take();
    asked.sort();
    assert_eq!(
        asked,
        [
            "May it be cut?",
            "May it be tried?",
            "may `cut` be called in step `s`?"
        ]
    );
}

#[tokio::test]
async fn an_answer_about_an_earlier_version_of_a_step_does_not_count() {
    let (store, deeds) = (Arc::new(MemoryStore::new()), Deeds::default());
    let publish = |what: &str| echo("publish", json!(what)).approval("May it be published?");
    let run = orchestrator(&deeds)
        .run(&plan([publish("a draft")]))
        .context(&context());
    run.store(store.clone()).await.unwrap_err();
    let runs = Runs::new(store.clone());
    runs.answer("r", "publish", Verdict::allow()).await.unwrap();
    let other = Change::Modify {
        step: Box::new(publish("a secret").into()),
    };
    let paused = orchestrator(&deeds)
        .resume("r", store.clone())
        .change(other)
        .await
        .unwrap_err();
    assert_eq!(paused.kind(), PlanRunErrorKind::Paused);
    assert_eq!(&*paused.questions()[0].path, "publish+1");
    runs.answer("r", "publish", Verdict::allow()).await.unwrap();
    let report = orchestrator(&deeds).resume("r", store).await.unwrap();
    assert_eq!(report.output, "a secret");
}

#[tokio::test]
async fn a_tool_that_asks_by_itself_is_heard_and_begun_again_once_it_may() {
    let (store, deeds) = (Arc::new(MemoryStore::new()), Deeds::default());
    let whole: Plan = plan([Step::tool("mail", "send")]);
    let denied = orchestrator(&deeds).run(&whole).await.unwrap_err();
    assert!(
        denied.to_string().contains("nobody can be asked"),
        "{denied}"
    );
    let paused = orchestrator(&deeds)
        .run(&whole)
        .context(&context())
        .store(store.clone())
        .await
        .unwrap_err();
    let question = &paused.questions()[0];
    assert_eq!(
        (question.text.as_str(), question.kind),
        ("shall it be sent?", QuestionKind::Approval)
    );
    // Another life asks the same without calling the tool.
    let paused = orchestrator(&deeds)
        .resume("r", store.clone())
        .await
        .unwrap_err();
    assert_eq!(paused.questions().len(), 1);
    let runs = Runs::new(store.clone());
    runs.answer("r", "mail", Verdict::allow()).await.unwrap();
    let report = orchestrator(&deeds).resume("r", store).await.unwrap();
    assert_eq!(
        (report.output.clone(), deeds.take()),
        (json!("sent"), vec!["send".to_owned()])
    );
}

#[tokio::test]
async fn a_tool_that_was_allowed_what_it_asked_and_not_begun_again_is_not_in_doubt() {
    // Room for: the plan began, the tool did, it asks, it is allowed.
    let (store, deeds) = (FaultyStore::with_room(4), Deeds::default());
    let asked = Asked::default();
    let run = orchestrator(&deeds)
        .run(&plan([Step::tool("mail", "send")]))
        .context(&context())
        .store(Arc::new(store.clone()))
        .approver(asked.saying(Verdict::allow()));
    let stopped = run.await.unwrap_err();
    assert_eq!(stopped.kind(), PlanRunErrorKind::Journal);
    assert_eq!((asked.take().len(), deeds.take().len()), (1, 0));
    store.make_room();
    let again = orchestrator(&deeds).resume("r", Arc::new(store));
    assert_eq!(again.await.unwrap().output, "sent");
    assert_eq!(deeds.take(), ["send"]);
}
