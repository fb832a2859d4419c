//! The client as a whole: against a server of scripts, in memory with a clock that stands still, and on recorded traffic.

mod calls;
mod fixtures;
mod requests;
mod server;
mod streams;
mod wire;

use futures_util::{StreamExt, stream};

use super::{
    attempt::{Attempt, Deadlines},
    exchange::{Exchange, Head},
    stream::Reply,
    *,
};
use crate::model::ChatEvent;

/// A client of a server that is not there.
fn offline() -> OpenAiBuilder {
    OpenAi::builder("m")
        .base_url("http://127.0.0.1:9/v1")
        .without_key()
}

/// A reply whose body is these chunks, and then its end.
fn reply<C: Into<Vec<u8>>>(client: &OpenAi, chunks: impl IntoIterator<Item = C>) -> Reply {
    let chunks: Vec<_> = chunks
        .into_iter()
        .map(|chunk| Ok(chunk.into().into()))
        .collect();
    reply_of(client, &RunContext::new(), stream::iter(chunks).boxed())
}

fn reply_of(client: &OpenAi, context: &RunContext, body: exchange::Body) -> Reply {
    let client = client.client.clone();
    let mut attempt = Attempt::start(context, client.info.clone());
    attempt.status(200);
    Reply::new(Exchange {
        deadlines: Deadlines::start(&client.timeouts, context, true),
        head: Head {
            status: 200,
            content_type: Some("text/event-stream".into()),
            request_id: None,
        },
        attempt,
        client,
        body,
    })
}

/// All events of a reply, and how it ended.
async fn drain(mut reply: Reply) -> (Vec<ChatEvent>, Result<ChatResponse, ModelError>) {
    let mut events = Vec::new();
    while let Some(event) = reply.next().await {
        match event {
            Ok(ChatEvent::Done(response)) => {
                assert!(reply.next().await.is_none(), "nothing follows the end");
                return (events, Ok(*response));
            }
            Ok(event) => events.push(event),
            Err(error) => {
                assert!(reply.next().await.is_none(), "nothing follows an error");
                return (events, Err(error));
            }
        }
    }
    panic!("a stream ended without an end");
}

/// The text that the events carry.
fn text_of(events: &[ChatEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        ChatEvent::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// A stream of these data, each an event of its own.
fn sse(data: &[&str]) -> String {
    data.iter()
        .flat_map(|data| ["data: ", data, "\n\n"])
        .collect()
}
