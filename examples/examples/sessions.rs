//! Sessions: conversation, shared state and files that outlive the process, with versions, branches and a context that stays short.
//!
//! `MemoryStore` is gone with the process; a session asks nothing else of its store than any store can do.

use std::sync::Arc;

use agent_sdk::{
    agent::Agent,
    message::Message,
    operation::RunContext,
    session::{AutoCompress, Compression, FileLimits, NewSession, Session, Sessions},
    store::MemoryStore,
    testing::{ScriptedModel, Turn},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The models are scripted stand-ins.\n");
    let store = Arc::new(MemoryStore::new());
    let sessions = Sessions::new(store.clone(), "ann");
    let mut session = sessions.create(NewSession::titled("A trip")).await?;
    let model = ScriptedModel::from_fn(|request, _| {
        let seen = request.conversation.len();
        Turn::from(format!("I was shown {seen} messages."))
    });
    let agent = Agent::builder("guide", model).build()?;

    ask(&agent, &mut session, "Where are the fjords?").await?;
    session.set("city", "Bergen").await?;
    let files = [("plan.md", "Day 1: Bergen")];
    session
        .keep_files(Some("first plan"), files, FileLimits::default())
        .await?;
    ask(&agent, &mut session, "And by boat?").await?;
    session.set("city", "Flåm").await?;
    println!("{}", session.diff("first plan", session.version()).await?);

    // The same beginning, another way on. Both are kept.
    let mut branch = session.branch("first plan").await?;
    ask(&agent, &mut branch, "And by train?").await?;
    let plan = branch.file("plan.md", branch.version()).await?;
    println!(
        "The branch has city {} and the plan {:?}.",
        branch.state()["city"],
        String::from_utf8_lossy(&plan)
    );

    // Before the window is full, what is old gives way to a summary by a model.
    let summarizer = ScriptedModel::new(["Ann asked for fjords, then for a boat."]);
    let compression = Compression::keep_last_turns(1).summarize(summarizer, 200);
    let auto = AutoCompress::new(20, compression);
    let report = session
        .compress_if_needed(&RunContext::new(), &auto)
        .await?;
    let replaced = report.map_or(0, |report| report.replaced);
    println!("\n{replaced} messages gave way to a summary:");
    for message in session.conversation().messages() {
        println!("{:>9}: {}", message.role.as_str(), message.text());
    }

    // Another process, later: the same store and the id are enough.
    let opened = sessions.open(session.id()).await?;
    println!("\nOpened again at version {}:", opened.version());
    for version in opened.versions().await? {
        println!(
            "{:>3} {:<10} {:>2} messages {}",
            version.version,
            version.what,
            version.messages,
            version.name.as_deref().unwrap_or_default()
        );
    }
    let bob = Sessions::new(store, "bob");
    if let Err(error) = bob.open(session.id()).await {
        println!("\nTo somebody else: {error}");
    }
    let copy = bob.import(opened.export().await?).await?;
    println!("As a document it is bob's too, as {}.", copy.id());
    Ok(())
}

/// A run of the session: what it is asked is kept before, what came of it after. A crash in between leaves `session.open_run()`.
async fn ask(agent: &Agent, session: &mut Session, question: &str) -> anyhow::Result<()> {
    let context = RunContext::builder().session(session.id()).build();
    let run = context.run_id().clone();
    session.begin_run(run, Message::user(question)).await?;
    let mut conversation = session.conversation().clone();
    let report = agent.run_with(&mut conversation).context(&context).await;
    // A run that failed said something too.
    session.finish_run(conversation).commit().await?;
    report?;
    Ok(())
}
