//! Alerts of a budget: to a webhook, and to code.
//!
//! The webhook's receiver is in this example, on loopback; for Slack, give its URL and say `.slack()`. Each threshold is told once
//! a day, the first refusal as well, and the signature says who it is from.

use std::sync::{Arc, Mutex};

use agent_sdk::{
    agent::Agent,
    budget::{Budget, Ledger, WebhookAlerts, Window},
    model::Usage,
    run::RunErrorKind,
    testing::{ScriptedModel, Turn},
};
use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/alerts", listener.local_addr()?);
    let arrived = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(receive(listener, arrived.clone()));

    let webhook = WebhookAlerts::builder(url)
        .secret("shared with the receiver")
        .build()?;
    let day = Budget::new("day")
        .window(Window::day())
        .max_usd("0.02".parse()?);
    let ledger = Ledger::builder()
        .budget(day)
        .output_tokens(500)
        .alert(webhook)
        .on_alert(|alert| println!("In code: {}", alert.kind.as_str()))
        .build()?;

    println!("The model is a scripted stand-in.\n");
    let turns = (0..9).map(|_| Turn::from("Done.").usage(Usage::new(1_000, 500)));
    let model = ScriptedModel::new(turns).named("openai", "gpt-4o");
    let agent = Agent::builder("worker", model).ledger(&ledger).build()?;
    loop {
        match agent.run("Do the next piece of work.").await {
            Ok(report) => println!("A run cost ${}.", report.cost),
            Err(error) if error.kind() == RunErrorKind::Budget => {
                println!("A run was refused.");
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }

    // What still waits would be lost with the process.
    ledger.flush().await;
    println!("\nThe webhook got:");
    let arrived = arrived.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
    for request in arrived.iter() {
        let (head, body) = request.split_once("\r\n\r\n").context("no body")?;
        let body: serde_json::Value = serde_json::from_str(body)?;
        let is_signed = head.contains("x-agent-sdk-signature: v1=");
        let message = body.get("message").context("no message")?;
        println!("- {message} (signed: {is_signed})");
    }
    Ok(())
}

/// Takes each request and says that it is well.
async fn receive(listener: TcpListener, arrived: Arc<Mutex<Vec<String>>>) -> anyhow::Result<()> {
    loop {
        let (mut socket, _) = listener.accept().await?;
        let request = read(&mut socket).await?;
        if let Ok(mut arrived) = arrived.lock() {
            arrived.push(request);
        }
        let answer = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        socket.write_all(answer.as_bytes()).await?;
    }
}

/// A request, head and body.
async fn read(socket: &mut TcpStream) -> anyhow::Result<String> {
    let mut text = Vec::new();
    while !(text.ends_with(b"}") && text.windows(4).any(|bytes| bytes == b"\r\n\r\n")) {
        if socket.read_buf(&mut text).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8(text)?)
}
