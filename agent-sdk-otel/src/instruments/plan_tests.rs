//! What is counted of plans, in paused time.

use std::time::Duration;

use agent_sdk::operation::{Kind, Outcome, Payload, RunContext};
use agent_sdk::orchestrator::Orchestrator;
use agent_sdk::plan::{Plan, Step, StepBuilder};
use agent_sdk::registry::Registry;

use crate::Telemetry;

fn orchestrator(telemetry: &Telemetry) -> (Orchestrator, RunContext) {
    let registry = Registry::new();
    registry
        .function("wait", async |seconds: u64| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, String>(seconds)
        })
        .unwrap()
        .function("fail", async |seconds: u64| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Err::<u64, _>("it broke".to_owned())
        })
        .unwrap();
    let context = RunContext::builder().observers(telemetry.observers());
    (Orchestrator::new(registry), context.build())
}

fn step(id: &str, function: &str, seconds: u64) -> StepBuilder {
    Step::function(id, function).input(seconds)
}

/// The lines of the page about plans, without the buckets that nothing is in or that say nothing new.
fn lines(telemetry: &Telemetry) -> Vec<String> {
    let page = telemetry.metrics_text().unwrap();
    let mut below = "0".to_owned();
    let mut lines: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("agent_sdk_plan_"))
        .filter(|line| {
            let (name, value) = line.split_once(' ').unwrap();
            let is_bucket = name.contains("_bucket");
            let is_new = !is_bucket || value != below;
            below = if is_bucket && !name.contains("+Inf") {
                value.to_owned()
            } else {
                "0".to_owned()
            };
            is_new
        })
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

#[tokio::test(start_paused = true)]
async fn a_plan_s_speedup_and_critical_path_are_recorded_by_its_name() {
    let telemetry = Telemetry::builder().build().unwrap();
    let (orchestrator, context) = orchestrator(&telemetry);
    let wide = Plan::builder("wide")
        .steps([
            step("a", "wait", 4),
            step("b", "wait", 6),
            step("c", "wait", 2),
            step("end", "wait", 2).after(["a", "b", "c"]),
        ])
        .build()
        .unwrap();
    let inside = Plan::builder("inside").step(step("only", "wait", 3));
    let fails = Plan::builder("fails")
        .step(Step::plan("inner", inside.build().unwrap()))
        .step(step("bad", "fail", 7).after(["inner"]))
        .build()
        .unwrap();
    orchestrator.run(&wide).context(&context).await.unwrap();
    orchestrator
        .run(&fails)
        .context(&context)
        .await
        .unwrap_err();
    // A workflow of other code has steps that nobody knows the edges of.
    let foreign = context.start(Kind::Workflow, "foreign").begin();
    foreign.end(Outcome::Ok, Payload::None);
    assert_eq!(
        lines(&telemetry),
        [
            r#"agent_sdk_plan_critical_path_seconds_bucket{agent_sdk_plan_name="fails",le="10"} 1"#,
            r#"agent_sdk_plan_critical_path_seconds_bucket{agent_sdk_plan_name="inside",le="5"} 1"#,
            r#"agent_sdk_plan_critical_path_seconds_bucket{agent_sdk_plan_name="wide",le="10"} 1"#,
            r#"agent_sdk_plan_critical_path_seconds_count{agent_sdk_plan_name="fails"} 1"#,
            r#"agent_sdk_plan_critical_path_seconds_count{agent_sdk_plan_name="inside"} 1"#,
            r#"agent_sdk_plan_critical_path_seconds_count{agent_sdk_plan_name="wide"} 1"#,
            r#"agent_sdk_plan_critical_path_seconds_sum{agent_sdk_plan_name="fails"} 10"#,
            r#"agent_sdk_plan_critical_path_seconds_sum{agent_sdk_plan_name="inside"} 3"#,
            r#"agent_sdk_plan_critical_path_seconds_sum{agent_sdk_plan_name="wide"} 8"#,
            r#"agent_sdk_plan_speedup_ratio_bucket{agent_sdk_plan_name="fails",le="1"} 1"#,
            r#"agent_sdk_plan_speedup_ratio_bucket{agent_sdk_plan_name="inside",le="1"} 1"#,
            r#"agent_sdk_plan_speedup_ratio_bucket{agent_sdk_plan_name="wide",le="2"} 1"#,
            r#"agent_sdk_plan_speedup_ratio_count{agent_sdk_plan_name="fails"} 1"#,
            r#"agent_sdk_plan_speedup_ratio_count{agent_sdk_plan_name="inside"} 1"#,
            r#"agent_sdk_plan_speedup_ratio_count{agent_sdk_plan_name="wide"} 1"#,
            r#"agent_sdk_plan_speedup_ratio_sum{agent_sdk_plan_name="fails"} 1"#,
            r#"agent_sdk_plan_speedup_ratio_sum{agent_sdk_plan_name="inside"} 1"#,
            r#"agent_sdk_plan_speedup_ratio_sum{agent_sdk_plan_name="wide"} 1.75"#,
        ]
    );
}
