//! Steps that a person is asked about.

use std::sync::Arc;

use serde_json::json;

use super::{Deeds, echo, ends, orchestrator, plan};
use crate::{
    journal::{Question, Record, Runs, Verdict},
    operation::RunContext,
    orchestrator::PlanRunErrorKind,
    store::MemoryStore,
};

fn asking() -> crate::plan::Plan {
    plan([
        echo("draft", json!("a text")),
        echo("publish", json!("${steps.draft}")).approval("May it be published?"),
        echo("archive", json!("${steps.draft}")).approval("May it be archived?"),
    ])
}

#[tokio::test]
async fn somebody_who_is_there_decides_about_each_step() {
    let deeds = Deeds::default();
    let run = orchestrator(&deeds)
        .run(&asking())
        .approver(|question: Question| async move {
            match question.text.as_str() {
                "May it be published?" => Verdict::allow(),
                _ => Verdict::deny("keep it"),
            }
        });
    let failed = run.await.unwrap_err();
    let report = failed.report().unwrap();
    assert_eq!(
        ends(report),
        json!({"draft": "ok", "publish": "ok", "archive": "failed"})
    );
    let causes: Vec<_> = report
        .failures()
        .iter()
        .map(|(_, fault)| fault.to_string())
        .collect();
    assert_eq!(
        causes,
        ["try 1: rejected: a person did not allow this step: keep it"]
    );
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_step_fails_and_says_so() {
    let failed = orchestrator(&Deeds::default())
        .run(&asking())
        .await
        .unwrap_err();
    let text = failed.to_string();
    assert!(
        text.contains("this step needs a person's approval, and nobody can be asked here"),
        "{text}"
    );
}

#[tokio::test]
async fn a_kept_plan_pauses_with_its_questions_and_goes_on_with_the_answers() {
    let (deeds, store) = (Deeds::default(), Arc::new(MemoryStore::new()));
    let context = RunContext::builder().run_id("r").build();
    let paused = orchestrator(&deeds)
        .run(&asking())
        .context(&context)
        .store(store.clone())
        .await
        .unwrap_err();
    assert_eq!(paused.kind(), PlanRunErrorKind::Paused);
    let asked: Vec<_> = paused
        .questions()
        .iter()
        .map(|question| &*question.path)
        .collect();
    assert_eq!(asked, ["publish", "archive"]);
    assert_eq!(deeds.take(), ["echo draft"]);

    let runs = Runs::new(store.clone());
    assert_eq!(runs.questions("r").await.unwrap().len(), 2);
    runs.answer("r", "publish", Verdict::allow()).await.unwrap();
    let paused = orchestrator(&deeds)
        .resume("r", store.clone())
        .await
        .unwrap_err();
    assert_eq!(paused.kind(), PlanRunErrorKind::Paused);
    assert_eq!(deeds.take(), ["echo publish"]);
    let records = runs.records("r").await.unwrap();
    let asked = records
        .iter()
        .filter(|it| matches!(it.record, Record::StepAsked { .. }));
    assert_eq!(asked.count(), 2, "what is asked again is kept once");
    runs.answer("r", "archive", Verdict::allow()).await.unwrap();
    let report = orchestrator(&deeds).resume("r", store).await.unwrap();
    assert_eq!(
        report.output,
        json!({"publish": "a text", "archive": "a text"})
    );
    assert_eq!(deeds.take(), ["echo archive"]);
    assert_eq!(report.run.lives, 3);
}
