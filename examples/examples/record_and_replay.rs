//! Recording real exchanges, and replaying them with neither a network nor a key: for tests, and to look at what went wrong.
//!
//! The server is one of this example's own, on this machine, which gives every caller the same answer. Keys are never written; what was
//! said is.

use agent_sdk::{
    agent::Agent,
    model::{Recorder, Replay, provider::OpenAi},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers one request as an API would, and is gone.
async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let (mut socket, _) = listener.accept().await?;
    let mut request = Vec::new();
    // The request is whole once its JSON is.
    while !request.ends_with(b"}") && socket.read_buf(&mut request).await? > 0 {}
    let body = r#"{"id": "1", "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Three bells."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 14, "completion_tokens": 4}}"#;
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}");
    socket
        .write_all(format!("{head}\r\n\r\n{body}").as_bytes())
        .await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::temp_dir().join(format!("record-and-replay-{}.jsonl", std::process::id()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(serve(listener));

    let recorder = Recorder::open(&file)?;
    let live = OpenAi::builder("gpt-4o-mini")
        .base_url(format!("http://{address}/v1"))
        .api_key("a-secret-key")
        .recorder(recorder.clone())
        .build()?;
    let agent = Agent::builder("bosun", live).build()?;
    let report = agent.run("How many bells is it?").await?;
    server.await??;
    let written = std::fs::read_to_string(&file)?;
    println!(
        "From the server: {} ({} USD)",
        report.text.as_str(),
        report.cost
    );
    println!(
        "{} exchange was written, {} bytes; the key is {} them.\n",
        recorder.written(),
        written.len(),
        if written.contains("a-secret-key") {
            "among"
        } else {
            "not among"
        }
    );

    // The server is gone. The same client, and no key.
    let replay = Replay::open(&file)?;
    let offline = OpenAi::builder("gpt-4o-mini")
        .replay(replay.clone())
        .build()?;
    let agent = Agent::builder("bosun", offline).build()?;
    let report = agent.run("How many bells is it?").await?;
    println!(
        "From the file: {} ({} USD)",
        report.text.as_str(),
        report.cost
    );
    println!("{} exchanges were not served yet.\n", replay.unserved());

    // What was not recorded is an error that says where it differs, without repeating what was said.
    let again = OpenAi::builder("gpt-4o-mini")
        .replay(Replay::open(&file)?)
        .build()?;
    let agent = Agent::builder("bosun", again).build()?;
    if let Err(error) = agent.run("How deep is it here?").await {
        println!("Another question: {error}");
        let cause = error.model_error().map(ToString::to_string);
        println!("  {}", cause.unwrap_or_default());
    }
    Ok(std::fs::remove_file(&file)?)
}
