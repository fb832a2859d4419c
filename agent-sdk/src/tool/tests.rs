use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::{
    agent::Agent,
    testing::{ScriptedModel, Turn},
};

#[derive(Deserialize, schemars::JsonSchema)]
struct Place {
    /// The city's name.
    city: String,
    /// `C` or `F`.
    unit: Option<String>,
}

crate::tool! {
    /// The weather in a city.
    ///
    /// Only of today.
    async fn weather(place: Place) -> Result<String, std::io::Error> {
        Ok(format!("Rain in {}, {:?}.", place.city, place.unit))
    }

    /// What time it is.
    async fn time() -> Result<u32, std::io::Error> {
        Ok(12)
    }
}

#[test]
fn a_function_s_name_doc_comment_and_argument_make_its_spec() {
    let spec = weather().spec();
    assert_eq!(&*spec.name, "weather");
    assert_eq!(
        &*spec.description,
        "The weather in a city.\n\nOnly of today."
    );
    let schema: serde_json::Value = serde_json::from_str(spec.parameters.get()).unwrap();
    assert_eq!(
        schema,
        serde_json::json!({
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city's name."},
                "unit": {"type": ["string", "null"], "description": "`C` or `F`."},
            },
            "required": ["city"],
        })
    );
    let none: serde_json::Value = serde_json::from_str(time().spec().parameters.get()).unwrap();
    assert_eq!(none["type"], "object");
}

/// What the model is shown of one call.
async fn result_of(tool: impl Into<ToolHandle>, name: &str, arguments: &str) -> String {
    let turns = [
        Turn::new().tool_call("c", name, arguments),
        Turn::from("ok"),
    ];
    let model = ScriptedModel::new(turns).recording();
    let agent = Agent::builder("a", model.clone())
        .tool(tool)
        .build()
        .unwrap();
    agent.run("go").await.unwrap();
    let last = model.requests()[1].conversation.last().unwrap().clone();
    match &last.parts[0] {
        crate::message::Part::ToolResult(result) => result.content.as_str().to_owned(),
        other => panic!("not a result: {other:?}"),
    }
}

#[tokio::test]
async fn results_are_shown_as_text_or_json() {
    assert_eq!(
        result_of(weather(), "weather", r#"{"city":"Bern"}"#).await,
        "Rain in Bern, None."
    );
    assert_eq!(result_of(time(), "time", "").await, "12");
    let object = FnTool::new("o", "", async || {
        Ok::<_, String>(serde_json::json!({"a": 1}))
    });
    assert_eq!(result_of(object, "o", "{}").await, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_blocking_tool_runs_beside_the_runtime_and_may_panic() {
    let sum = BlockingTool::new("sum", "", |context: ToolContext, numbers: Vec<u32>| {
        assert!(!context.cancellation().is_cancelled());
        Ok::<_, String>(numbers.iter().sum::<u32>())
    });
    assert_eq!(result_of(sum, "sum", "[1, 2, 3]").await, "6");
    let bad = BlockingTool::new("bad", "", |_, _: NoArguments| -> Result<u32, String> {
        panic!("on purpose")
    });
    assert_eq!(
        result_of(bad, "bad", "{}").await,
        "panic: the tool panicked"
    );
}

#[tokio::test]
async fn a_result_that_is_too_long_loses_its_middle() {
    let long = FnTool::new("long", "", async || Ok::<_, String>("é".repeat(300_000)));
    let shown = result_of(long, "long", "{}").await;
    assert!(shown.len() < perform::MAX_OUTPUT_BYTES + 100);
    assert!(shown.contains("bytes cut") && shown.starts_with('é') && shown.ends_with('é'));
}

#[tokio::test]
async fn a_tool_sees_the_application_s_state_and_its_call() {
    let tool = FnTool::new("t", "", async |context: ToolContext, _: NoArguments| {
        context.record_cost(crate::cost::Usd::from_nanos(5), "search");
        let state: Option<std::sync::Arc<String>> = context.state();
        let key = context.idempotency_key();
        Ok::<_, String>(format!("{:?} {}", state, key.ends_with("/c")))
    });
    let turns = [Turn::new().tool_call("c", "t", "{}"), Turn::from("ok")];
    let model = ScriptedModel::new(turns).recording();
    let agent = Agent::builder("a", model.clone())
        .tool(tool)
        .state(std::sync::Arc::new("shared".to_owned()))
        .build()
        .unwrap();
    let report = agent.run("go").await.unwrap();
    assert_eq!(report.cost.nanos(), 5);
    let last = model.requests()[1].conversation.last().unwrap().clone();
    let crate::message::Part::ToolResult(result) = &last.parts[0] else {
        panic!("not a result");
    };
    assert_eq!(result.content, "Some(\"shared\") true");
    let printed = format!("{last:?}");
    assert!(
        !printed.contains("shared"),
        "content prints redacted: {printed}"
    );
}

#[tokio::test]
async fn a_function_s_own_tool_error_keeps_its_class() {
    let tool = FnTool::new("send", "", async |context: ToolContext, _: NoArguments| {
        if context.is_approved() {
            Ok("sent")
        } else {
            Err(ToolError::needs_approval("to three people?"))
        }
    });
    let turns = [Turn::new().tool_call("c", "send", "{}"), Turn::from("ok")];
    let agent = Agent::builder("a", ScriptedModel::new(turns))
        .tool(tool)
        .build()
        .unwrap();
    let run = agent
        .run("go")
        .approver(|question: crate::journal::Question| async move {
            assert_eq!(question.text, "to three people?");
            crate::journal::Verdict::allow()
        });
    let report = run.await.unwrap();
    assert_eq!((report.text.as_str(), report.tool_calls), ("ok", 1));
}

#[tokio::test]
async fn t2_a_tool_that_blocks_its_thread_is_given_up_in_time_while_the_runtime_goes_on() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    // It looks at nothing, and ends when the test does.
    let stuck = BlockingTool::new("stuck", "", move |_, _: NoArguments| {
        let _ = held.lock().unwrap().recv_timeout(Duration::from_secs(20));
        Ok::<_, String>("late")
    });
    let stuck = stuck.options(ToolOptions::default().with_timeout(Duration::from_millis(200)));
    let order = Mutex::new(Vec::new());
    // All on one thread.
    let told = async {
        let told = result_of(stuck, "stuck", "{}").await;
        order.lock().unwrap().push("the call ended");
        told
    };
    let others = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        order.lock().unwrap().push("others went on");
    };
    let (told, ()) = tokio::join!(told, others);
    assert!(
        told.starts_with("timeout: the tool did not answer within "),
        "{told}"
    );
    assert_eq!(*order.lock().unwrap(), ["others went on", "the call ended"]);
    drop(release);
}

/// A tool that is written by hand, and quotes what it was given.
struct Quoting;

impl Tool for Quoting {
    fn spec(&self) -> crate::model::ToolSpec {
        weather().spec()
    }

    async fn call(&self, _: ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        Err(ToolError::invalid_arguments(format!(
            "{arguments} is no place"
        )))
    }
}

#[tokio::test]
async fn t4_what_a_tool_says_of_arguments_that_do_not_fit_is_told_within_two_kilobytes() {
    // A character of two bytes stands wherever it is cut.
    for quoted in ["é".repeat(500_000), format!("x{}", "é".repeat(500_000))] {
        let arguments = json!(quoted).to_string();
        let told = result_of(Quoting, "weather", &arguments).await;
        assert!(told.len() <= 2_048, "{} bytes", told.len());
        assert!(told.starts_with("invalid_arguments: \""), "{told}");
        assert!(told.contains("é\n[… 99") && told.contains(" bytes cut …]\né"));
        assert!(told.ends_with("\" is no place"), "{told}");
    }
    let short = json!("é".repeat(900)).to_string();
    let told = result_of(Quoting, "weather", &short).await;
    assert_eq!(told, format!("invalid_arguments: {short} is no place"));
}

#[tokio::test]
async fn other_errors_of_a_tool_are_told_as_far_as_results_are() {
    let long = FnTool::new("long", "", async || Err::<(), _>("e".repeat(10_000)));
    let told = result_of(long, "long", "{}").await;
    assert_eq!(told, format!("tool_error: {}", "e".repeat(10_000)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn t4_arguments_that_do_not_fit_are_told_within_two_kilobytes(
        text in ".{0,64}",
        times in 1_usize..3_000,
        form in 0..4,
    ) {
        let long = text.repeat(times);
        let arguments = match form {
            0 => json!(long).to_string(),
            1 => json!({"city": [long]}).to_string(),
            2 => json!({"city": 7, long: 1}).to_string(),
            _ => json!({"city": {long: 1}}).to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let told = runtime.unwrap().block_on(result_of(weather(), "weather", &arguments));
        prop_assert!(told.starts_with("invalid_arguments: the arguments do not fit the schema: "), "{}", told);
        prop_assert!(told.len() <= 2_048, "{}", told.len());
    }
}
