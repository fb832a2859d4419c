//! A graph of tools: calls run beside each other as far as they depend on each other.
//!
//! Shows a `ToolGraph` without any agent or registry, arguments that refer to what another call gave, the figures of the report, and
//! how mistakes are told before anything runs.

use std::time::Duration;

use agent_sdk::tool::{FnTool, ToolGraph, ToolHandle};
use serde_json::json;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Trip {
    city: String,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Offer {
    rail: String,
    hotel: String,
}

/// A tool that looks something up for a city, in a stand-in for a service.
fn service(name: &str, millis: u64, finds: &'static str) -> ToolHandle {
    let look = move |trip: Trip| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok::<_, String>(json!({"city": trip.city, "found": finds}))
    };
    FnTool::new(name, "Looks something up for a city.", look).into()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The services are stand-ins; the graph is real.\n");
    let offer = FnTool::new("offer", "Writes an offer.", async |offer: Offer| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, String>(format!("By {} to the {}.", offer.rail, offer.hotel))
    });
    let city = json!({"city": "Oslo"});

    let mut graph = ToolGraph::new("trip");
    graph
        .register("map", service("map", 30, "two quarters"), city.clone())
        .register("rail", service("rail", 90, "the night train"), city)
        .register(
            "hotel",
            service("hotel", 40, "house by the fjord"),
            json!({"city": "${steps.map/city}"}),
        )
        .register(
            "offer",
            offer,
            json!({"rail": "${steps.rail/found}", "hotel": "${steps.hotel/found}"}),
        )
        .register(
            "archive",
            service("archive", 10, "kept"),
            json!({"city": "Oslo"}),
        )
        .depend("archive", ["offer"]);
    let report = graph.execute().await?;

    for step in &report.steps {
        let from = step.started.unwrap_or_default().as_millis();
        let to = from + step.duration.as_millis();
        println!(
            "{:>8}  {:<4} {from:>4} to {to:>4} ms",
            step.id,
            step.end.as_str()
        );
    }
    println!(
        "\n{} ms instead of {}: {:.2} times as fast as one after the other, {:.2} at once on average;\nthe longest way through takes {} ms.",
        report.duration.as_millis(),
        report.work().as_millis(),
        report.speedup(),
        report.parallelism(),
        report.critical_path.as_millis()
    );

    graph
        .depend("map", ["archive"])
        .depend("rail", ["hotl", "map"]);
    if let Err(wrong) = graph.plan() {
        println!("\n{wrong}");
    }
    Ok(())
}
