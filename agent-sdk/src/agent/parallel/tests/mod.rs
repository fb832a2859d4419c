mod ends;
mod inside;
mod streams;

use std::{num::NonZeroUsize, time::Duration};

use futures_util::StreamExt;

use super::{ParallelEvent, ParallelStream};
use crate::{
    agent::{Agent, AgentBuilder},
    model::Usage,
    operation::{Event, EventKind},
    testing::{ScriptedModel, Turn},
};

fn width(width: usize) -> NonZeroUsize {
    NonZeroUsize::new(width).unwrap()
}

/// An agent that says so many words, each in a piece of its own, as often as it is asked.
fn talker(name: &str, words: usize, pause: Duration) -> AgentBuilder {
    let text = vec!["word"; words].join(" ");
    let model = ScriptedModel::from_fn(move |_, _| {
        Turn::from(text.clone())
            .usage(Usage::new(10, 5))
            .chunk_words(1)
            .chunk_delay(pause)
    });
    Agent::builder(name, model.named("openai", "gpt-4o"))
}

/// An agent that answers after a while.
fn answers(name: &str, after: u64) -> Agent {
    let after = Duration::from_millis(after);
    let model = ScriptedModel::from_fn(move |_, _| {
        Turn::from("done").usage(Usage::new(10, 5)).delay(after)
    });
    let model = model.named("openai", "gpt-4o");
    Agent::builder(name, model).build().unwrap()
}

async fn all(stream: &mut ParallelStream<'_>) -> Vec<ParallelEvent> {
    stream.collect().await
}

/// What an event says, without its numbers and times; `None` for what a run says only where it is alone.
fn said(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::RunStarted { .. } | EventKind::RunReport(_) => None,
        kind => {
            let mut json = serde_json::to_value(kind).unwrap();
            json.as_object_mut().unwrap().remove("duration_ms");
            json.as_object_mut()
                .unwrap()
                .remove("time_to_first_chunk_ms");
            Some(json.to_string())
        }
    }
}
