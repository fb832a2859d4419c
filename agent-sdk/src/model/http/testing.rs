//! For tests of clients: a server that answers every request with the same bytes, however wrong they are, and replies in memory.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(in crate::model) use super::Body;
use super::{
    Api, Client,
    attempt::{Attempt, Deadlines},
    exchange::{Exchange, Head},
    reply::Reply,
};
use crate::{
    model::{ChatEvent, ChatResponse, ChatStream, ModelError},
    operation::RunContext,
};

/// A streamed reply whose body is these chunks, and then its end.
pub(in crate::model) fn reply<A: Api, C: Into<Vec<u8>>>(
    client: &Client<A>,
    chunks: impl IntoIterator<Item = C>,
) -> ChatStream {
    let chunks: Vec<_> = chunks
        .into_iter()
        .map(|chunk| Ok(chunk.into().into()))
        .collect();
    reply_of(client, &RunContext::new(), stream::iter(chunks).boxed())
}

/// A streamed reply of this body.
pub(in crate::model) fn reply_of<A: Api>(
    client: &Client<A>,
    context: &RunContext,
    body: Body,
) -> ChatStream {
    let http = client.http().clone();
    let mut attempt = Attempt::start(context, http.info.clone());
    attempt.status(200);
    ChatStream::new(Reply::<A::Decode>::new(Exchange {
        deadlines: Deadlines::start(&http.timeouts, context, true),
        head: Head {
            status: 200,
            content_type: Some("text/event-stream".into()),
            ..Head::default()
        },
        attempt,
        http,
        body,
    }))
}

/// All events of a reply, and how it ended.
pub(in crate::model) async fn drain(
    mut reply: ChatStream,
) -> (Vec<ChatEvent>, Result<ChatResponse, ModelError>) {
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
pub(in crate::model) fn text_of(events: &[ChatEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        ChatEvent::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// A stream of these data, each an event of its own.
pub(in crate::model) fn sse(data: &[&str]) -> String {
    data.iter()
        .flat_map(|data| ["data: ", data, "\n\n"])
        .collect()
}

/// One step of a script.
#[derive(Clone)]
pub(in crate::model) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Keeps the connection open without a word, until the client goes.
    Hold,
}

/// A server of one script.
pub(in crate::model) struct Server {
    pub(in crate::model) base_url: String,
    pub(in crate::model) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Starts it on a free port; it stops with the test.
    pub(in crate::model) async fn start(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, connections) = (
            Arc::<Mutex<Vec<_>>>::default(),
            Arc::<AtomicUsize>::default(),
        );
        let (seen, counted) = (requests.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(socket, script.clone(), seen.clone()));
            }
        });
        let base_url = format!("http://127.0.0.1:{port}/v1");
        Self {
            base_url,
            port,
            requests,
            connections,
        }
    }

    /// Starts it with an answer of this head and this body, whose length is told.
    pub(in crate::model) async fn answering(status: u16, headers: &str, body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        Self::start(vec![Step::Send((head + body).into_bytes())]).await
    }

    /// Starts it with this whole answer, head and body.
    pub(in crate::model) async fn giving(answer: &[u8]) -> Self {
        Self::start(vec![Step::Send(answer.to_vec())]).await
    }

    /// The requests so far, head and body.
    pub(in crate::model) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(in crate::model) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The head of an event stream whose end is the connection's.
pub(in crate::model) const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

async fn serve(mut socket: TcpStream, script: Vec<Step>, seen: Arc<Mutex<Vec<String>>>) {
    let keep = script.len() == 1
        && !matches!(&script[0], Step::Send(bytes) if bytes.starts_with(STREAM.as_bytes()));
    loop {
        let Some(request) = read_request(&mut socket).await else {
            return;
        };
        seen.lock().unwrap().push(request);
        for step in &script {
            match step {
                Step::Send(bytes) => {
                    if socket.write_all(bytes).await.is_err() {
                        return;
                    }
                }
                Step::Wait(time) => tokio::time::sleep(*time).await,
                Step::Hold => {
                    let _ = socket.read(&mut [0; 1]).await;
                    return;
                }
            }
        }
        if !keep {
            return;
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = socket
            .read(&mut buffer)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        if body.len() >= length {
            return Some(text.into_owned());
        }
    }
}
