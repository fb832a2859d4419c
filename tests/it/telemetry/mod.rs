//! What leaves the process when agents run, read back with the schema of OTLP.

mod budget;
mod canary;
mod collector;
mod content;
mod endings;
mod found;
mod loopback;
mod metrics;
mod nesting;
mod render;
mod trace;

use std::convert::Infallible;

use agent_sdk::agent::{Agent, AgentBuilder};
use agent_sdk::model::{ModelHandle, Retry, provider::OpenAi};
use agent_sdk::tool::{FnTool, ToolContext};
use agent_sdk_otel::{Telemetry, TelemetryBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

use collector::Collector;
use loopback::ModelServer;

/// Content that must not leave unless it was switched on, each of its own kind.
const CANARIES: [&str; 7] = [
    "canary-prompt-7f3a",
    "canary-instructions-52c1",
    "canary-answer-91be",
    "canary-argument-c0de",
    "canary-result-4d5e",
    "canary-key-ab12",
    "canary-header-77aa",
];

/// The first turn's body: a call of `search`.
const CALL: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"search","arguments":"{\"query\":\"canary-argument-c0de\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1000,"completion_tokens":20,"total_tokens":1020,"prompt_tokens_details":{"cached_tokens":400},"completion_tokens_details":{"reasoning_tokens":0}}}"#;

/// The second turn's body: the answer.
const ANSWER: &str = r#"{"id":"chatcmpl-2","object":"chat.completion","created":2,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"canary-answer-91be"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1100,"completion_tokens":30,"total_tokens":1130}}"#;

/// The second turn's body as a stream, in three pieces.
const STREAMED: &str = "data: {\"id\":\"chatcmpl-3\",\"object\":\"chat.completion.chunk\",\"created\":3,\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"canary-\"},\"finish_reason\":null}]}\n\n\
data: {\"id\":\"chatcmpl-3\",\"object\":\"chat.completion.chunk\",\"created\":3,\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"answer-\"},\"finish_reason\":null}]}\n\n\
data: {\"id\":\"chatcmpl-3\",\"object\":\"chat.completion.chunk\",\"created\":3,\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"91be\"},\"finish_reason\":null}]}\n\n\
data: {\"id\":\"chatcmpl-3\",\"object\":\"chat.completion.chunk\",\"created\":3,\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
data: {\"id\":\"chatcmpl-3\",\"object\":\"chat.completion.chunk\",\"created\":3,\"model\":\"gpt-4o-2024-08-06\",\"choices\":[],\"usage\":{\"prompt_tokens\":1100,\"completion_tokens\":30,\"total_tokens\":1130,\"completion_tokens_details\":{\"reasoning_tokens\":8}}}\n\n\
data: [DONE]\n\n";

const PROMPT: &str = "canary-prompt-7f3a";

#[derive(Deserialize, JsonSchema)]
struct Query {
    query: String,
}

async fn search(_: ToolContext, query: Query) -> Result<String, Infallible> {
    assert_eq!(query.query, "canary-argument-c0de");
    Ok("canary-result-4d5e".to_owned())
}

fn telemetry_to(collector: &Collector) -> TelemetryBuilder {
    Telemetry::builder()
        .service_name("triage")
        .endpoint(collector.url())
        .header("x-token", "canary-header-77aa")
}

fn agent(server: &ModelServer, telemetry: &Telemetry) -> AgentBuilder {
    let model = OpenAi::builder("gpt-4o")
        .base_url(format!("{}/v1", server.url()))
        .api_key("canary-key-ab12")
        .build()
        .unwrap();
    // The server has an answer for each request that a test expects, and none for another try.
    let model = ModelHandle::builder(model).retry(Retry::none()).build();
    Agent::builder("triage", model)
        .description("Sorts questions.")
        .instructions("canary-instructions-52c1")
        .observers(telemetry.observers())
}

fn with_search(builder: AgentBuilder) -> Agent {
    let tool = FnTool::new("search", "Searches the archive.", search);
    builder.tool(tool).build().unwrap()
}
