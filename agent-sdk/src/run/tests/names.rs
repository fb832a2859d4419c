//! What a provider calls things: names that go where content does not.

use std::sync::Arc;

use crate::{
    agent::Agent,
    journal::Runs,
    model::FinishReason,
    operation::RunContext,
    store::MemoryStore,
    testing::{ScriptedModel, TraceCapture, Turn},
};

const KEY: &str = "sk-proj-4f9a8b7c6d5e4f3a2b1c";

#[tokio::test(start_paused = true)]
async fn a_key_that_a_provider_gives_for_a_name_is_in_no_journal_and_no_record() {
    let turn = || {
        Turn::from("fine")
            .model(format!("m for {KEY}"))
            .id(format!("id-{KEY}"))
            .finish(FinishReason::Other(format!("because {KEY}")))
    };
    for streamed in [false, true] {
        let (store, trace) = (Arc::new(MemoryStore::new()), TraceCapture::new());
        let context = RunContext::builder()
            .run_id("r")
            .observers(trace.observers())
            .build();
        let agent = Agent::builder("a", ScriptedModel::new([turn()]));
        let agent = agent.build().unwrap();
        let run = agent.run("hi").context(&context).store(store.clone());
        if streamed {
            let _ = run.stream().report().await;
        } else {
            let _ = run.await;
        }
        let kept = Runs::new(store).export("r").await.unwrap().to_string();
        assert!(kept.contains("m for [redacted:key]"), "{kept}");
        assert!(!kept.contains(KEY), "{kept}");
        let facts = trace.find("chat scripted-1").unwrap().facts;
        assert_eq!(
            facts.response_model.as_deref(),
            Some("m for [redacted:key]")
        );
        assert!(!format!("{facts:?}").contains(KEY));
    }
}
