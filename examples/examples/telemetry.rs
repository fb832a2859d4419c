//! Telemetry: the run's spans go to a collector over OTLP, its metrics are served at `/metrics` for Prometheus.
//!
//! The collector is a stand-in inside this program that prints the names of the spans it gets. In an application
//! `Telemetry::from_env()` reads the standard `OTEL_*` variables instead, and exports nothing where none is set.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use agent_sdk::testing::{CountingTool, ScriptedModel, Turn};
use agent_sdk::{agent::Agent, model::Usage};
use agent_sdk_otel::Telemetry;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tracing_subscriber::prelude::*;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in, and so is the collector.\n");
    let telemetry = Telemetry::builder()
        .service_name("telemetry-example")
        .endpoint(format!("http://{}", collector()?))
        .build()?;
    // With the layer, the application's own `tracing` spans are in the same traces.
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    subscriber.try_init()?;
    let metrics = telemetry.serve_metrics("127.0.0.1:0".parse()?).await?;

    let look = Turn::new().tool_call("call-1", "look", "{}");
    let answer = Turn::from("All is well.").usage(Usage::new(150, 4));
    let model = ScriptedModel::new([look.usage(Usage::new(120, 9)), answer]);
    let agent = Agent::builder("watchman", model.named("openai", "gpt-4o-mini"))
        .tool(CountingTool::new("look"))
        .observers(telemetry.observers())
        .build()?;
    let report = agent.run("How are things?").await?;
    println!("trace {}, {} USD", report.trace_id, report.cost);

    println!("\nFrom http://{}/metrics:", metrics.address());
    let page = scrape(metrics.address())?;
    let wanted = |line: &&str| {
        let names = [
            "cost_total{",
            "output_tokens_total{",
            "tool_duration_seconds_count{",
        ];
        names.iter().any(|name| line.contains(name))
    };
    for line in page.lines().filter(wanted) {
        println!("  {line}");
    }
    metrics.shutdown().await;

    println!();
    let account = telemetry.shutdown();
    println!("At the end: {account}.");
    anyhow::ensure!(account.is_complete(), "telemetry was lost");
    Ok(())
}

/// Stands in for a collector, on a thread of its own.
fn collector() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || listener.incoming().flatten().try_for_each(receive));
    Ok(address)
}

/// Takes one request, and prints the spans in it.
fn receive(mut connection: TcpStream) -> anyhow::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    while reader.read_line(&mut head)? > 2 {
        let line = head.lines().last().unwrap_or_default().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if head.starts_with("POST /v1/traces") {
        let request = ExportTraceServiceRequest::decode(&*body)?.resource_spans;
        let scopes = request.iter().flat_map(|all| &all.scope_spans);
        for span in scopes.flat_map(|scope| &scope.spans) {
            println!("The collector got `{}`, {:?}.", span.name, span.kind());
        }
    }
    connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(())
}

fn scrape(address: SocketAddr) -> anyhow::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    Ok(std::io::read_to_string(connection)?)
}
