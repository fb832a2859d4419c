//! One trace over two services: a tool's own HTTP request carries the trace along, and the service that it asks joins it.
//!
//! Whoever sends a request can claim any trace. So a service joins one only where it says that it trusts the caller; of everybody
//! else it begins a trace of its own, with a link to what the caller claimed.

use std::{net::SocketAddr, sync::Arc};

use agent_sdk::{
    agent::Agent,
    operation::{Baggage, Incoming, Outcome, Payload, RunContext, trace_tool},
    testing::{ScriptedModel, Turn},
    tool::ToolContext,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Place {
    city: String,
}

/// The service: answers each request within the caller's trace, or beside it.
async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    // The port of the second connection is not known to be ours, say.
    for is_ours in [true, false] {
        let (mut connection, _) = listener.accept().await?;
        let mut head = vec![0; 4_096];
        let length = connection.read(&mut head).await?;
        let head = String::from_utf8_lossy(head.get(..length).unwrap_or_default()).into_owned();
        let headers = head.lines().filter_map(|line| line.split_once(": "));
        // With the bridge: `telemetry.incoming(headers)`, which counts what is ignored.
        let incoming = Incoming::from_headers(headers);
        let incoming = if is_ours {
            incoming.trusted()
        } else {
            incoming
        };
        let context = RunContext::builder().incoming(&incoming).build();
        let operation = trace_tool(&context, "population").begin();
        let (info, context) = (operation.info(), operation.context());
        let tenant = context.baggage().get("tenant");
        println!("The service is asked; it believes the caller: {is_ours}");
        println!("  trace {}, tenant {tenant:?}", info.trace.trace_id);
        for link in &info.links {
            println!("  linked to trace {}", link.trace_id);
        }
        operation.end(Outcome::Ok, Payload::None);
        connection
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n717710")
            .await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in; the service is in this program.\n");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = tokio::spawn(serve(listener));

    agent_sdk::tool! {
        /// The city's population, as a service knows it.
        async fn population(context: ToolContext, place: Place) -> anyhow::Result<String> {
            let address = context.state::<SocketAddr>().ok_or_else(|| anyhow::anyhow!("no address"))?;
            let mut request = format!("GET /{} HTTP/1.1\r\nhost: {address}\r\n", place.city);
            for (name, value) in context.propagation_headers() {
                request.extend([name, ": ", &value, "\r\n"]);
            }
            request += "\r\n";
            let mut connection = TcpStream::connect(*address).await?;
            connection.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            Ok(answer.lines().last().unwrap_or_default().to_owned())
        }
    }
    for _ in 0..2 {
        let call = Turn::new().tool_call("call-1", "population", r#"{"city":"Oslo"}"#);
        let model = ScriptedModel::new([call, Turn::from("About 718,000 people.")]);
        let agent = Agent::builder("geographer", model)
            .tool(population())
            .state(Arc::new(address))
            .build()?;
        // What shall travel with the trace, to whoever is told of it.
        let baggage = Baggage::read("tenant=acme").0;
        let context = RunContext::builder().baggage(baggage).build();
        let report = agent
            .run("How many people live in Oslo?")
            .context(&context)
            .await?;
        println!(
            "The agent: {}\n  trace {}\n",
            report.text.as_str(),
            report.trace_id
        );
    }
    service.await?
}
