//! The built-in tools `http_request` and `run_command`: what they may reach is named by whoever makes them, not by the model.
//!
//! The model is a scripted stand-in and the page is served by this program, so this runs offline. Some of its calls go too far.

use agent_sdk::{
    agent::Agent,
    message::{Conversation, Part},
    testing::{ScriptedModel, Turn},
    tool::builtin::{AllowedHost, HttpRequest, Program, RunCommand},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers every request with the same page.
async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (mut socket, _) = listener.accept().await?;
        let _ = socket.read(&mut [0; 4096]).await?;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close";
        let page = format!("{head}\r\n\r\nRain in Bern, 12 °C.\n");
        socket.write_all(page.as_bytes()).await?;
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in; the requests and programs are real.\n");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let page = listener.local_addr()?;
    let server = tokio::spawn(serve(listener));

    // This machine is no public address, and its page is not served over https: both have to be said.
    let here = AllowedHost::new(page.to_string()).over_http();
    let http = HttpRequest::builder()
        .allow_host(here.at_private_addresses())
        .allow_host("*.wikipedia.org")
        .build()?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("notes.txt"), "buy an umbrella\n")?;
    let command = RunCommand::builder()
        .allow_program("cat")
        .allow_program("env")
        .allow_program(Program::new("ls").first_arguments(["-1"]))
        .directory(folder.path())
        // A program would ask; here nobody is there to be asked.
        .without_approval()
        .build()?;

    let get = |url: &str| json!({ "url": url }).to_string();
    let run = |argv: &[&str]| json!({ "argv": argv }).to_string();
    let calls = Turn::new()
        .tool_call("1", "http_request", get(&format!("http://{page}/bern")))
        .tool_call("2", "http_request", get("http://169.254.169.254/latest/"))
        .tool_call(
            "3",
            "http_request",
            get("https://wikipedia.org.evil.example/"),
        )
        .tool_call("4", "run_command", run(&["cat", "notes.txt"]))
        .tool_call("5", "run_command", run(&["cat", "$(id)", "; rm -r ~"]))
        .tool_call("6", "run_command", run(&["env"]))
        .tool_call("7", "run_command", run(&["sh", "-c", "env"]));
    let model = ScriptedModel::new([calls, Turn::from("Take an umbrella.")]);
    let agent = Agent::builder("planner", model)
        .tool(http)
        .tool(command)
        .build()?;

    let mut conversation = Conversation::from("What do I need today?");
    let report = agent.run_with(&mut conversation).await?;
    for message in conversation.messages() {
        for part in &message.parts {
            match part {
                Part::ToolCall(call) => {
                    println!("{} {} {}", call.id, call.name, call.arguments.as_str());
                }
                Part::ToolResult(result) => {
                    println!("\n{}: {}", result.call_id, result.content.as_str());
                }
                _ => {}
            }
        }
    }
    println!("\n{}", report.text.as_str());
    server.abort();
    Ok(())
}
