//! Steps that a person is asked about.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Deeds, echo, ends, orchestrator, plan, wait};
use crate::{
    journal::{Question, Record, Runs, Verdict},
    operation::RunContext,
    orchestrator::PlanRunErrorKind,
    plan::{Join, Map, Work},
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

/// What a person is shown of each step that is asked about, in order.
async fn shown(whole: &crate::plan::Plan) -> (Vec<Value>, Value) {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = shown.clone();
    let approver = move |question: Question| {
        let arguments = serde_json::from_str(question.arguments.as_str()).unwrap();
        seen.lock().unwrap().push(arguments);
        async {
            // Time for others to end.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            Verdict::allow()
        }
    };
    let run = orchestrator(&Deeds::default()).run(whole);
    let report = run.approver(approver).await.unwrap();
    let shown = std::mem::take(&mut *shown.lock().unwrap());
    (shown, report.output.clone())
}

#[tokio::test(start_paused = true)]
async fn a_person_is_shown_what_the_step_will_be_given() {
    let whole = plan([
        echo("draft", json!({"text": "a text", "words": [1, 2]})),
        echo(
            "publish",
            json!({"now": "${steps.draft/text}", "costs": "$${1}"}),
        )
        .approval("May ${steps.draft} be published?"),
        echo(
            "each",
            json!({"word": "${item}", "line": "${index}: ${steps.draft/text}"}),
        )
        .map(Map::over("${steps.draft/words}"))
        .approval("And each of these?"),
    ]);
    let (shown, output) = shown(&whole).await;
    let given = json!({"now": "a text", "costs": "${1}"});
    assert_eq!(
        shown,
        [
            given.clone(),
            json!({"over": [1, 2], "input": {"word": "${item}", "line": "${index}: a text"}})
        ]
    );
    assert_eq!(output["publish"], given);
    assert_eq!(output["each"][1], json!({"word": 2, "line": "1: a text"}));
}

#[tokio::test(start_paused = true)]
async fn what_a_step_is_given_is_what_the_person_was_shown_whatever_ends_meanwhile() {
    let whole = plan([
        wait("soon", 1),
        wait("late", 20),
        echo("use", json!(["${steps.soon}", "${steps.late}"]))
            .join(Join::Any)
            .approval("May it?"),
    ]);
    let (shown, output) = shown(&whole).await;
    assert_eq!(shown, [json!([1, null])]);
    assert_eq!(output, json!([1, null]));
}

#[tokio::test(start_paused = true)]
async fn where_a_part_of_the_input_is_not_there_the_person_sees_what_is_written() {
    let whole = plan([
        echo("draft", json!("a text")),
        echo("publish", json!("${steps.draft/title}"))
            .fallback_with(Work::function("echo"), "untitled")
            .approval("May it?"),
    ]);
    let (shown, output) = shown(&whole).await;
    assert_eq!(shown, [json!("${steps.draft/title}")]);
    assert_eq!(output, "untitled");
}

#[tokio::test]
async fn a_step_that_a_person_refused_has_failed_and_nothing_stands_in_for_it() {
    let deeds = Deeds::default();
    let whole = plan([
        echo("publish", json!(1))
            .fallback(Work::function("echo"))
            .approval("May it?"),
        echo("announce", json!("${steps.publish}")),
    ]);
    let run = orchestrator(&deeds).run(&whole);
    let failed = run
        .approver(|_: Question| async { Verdict::deny("not today") })
        .await
        .unwrap_err();
    let report = failed.report().unwrap();
    assert_eq!(
        ends(report),
        json!({"publish": "failed", "announce": "skipped"})
    );
    let fault = report.failures()[0].1;
    assert_eq!(&*fault.class, "rejected");
    assert!(fault.message.ends_with(": not today"), "{fault}");
    assert!(deeds.take().is_empty());
}
