//! A server that answers every request with the same bytes, however wrong they are.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// One step of a script.
#[derive(Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Keeps the connection open without a word, until the client goes.
    Hold,
}

/// A server of one script.
pub(super) struct Server {
    pub(super) base_url: String,
    pub(super) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Starts it on a free port; it stops with the test.
    pub(super) async fn start(script: Vec<Step>) -> Self {
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
    pub(super) async fn answering(status: u16, headers: &str, body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        Self::start(vec![Step::Send((head + body).into_bytes())]).await
    }

    /// The requests so far, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The base URL of a server that gives this answer.
pub(super) async fn once(answer: &[u8]) -> String {
    Server::start(vec![Step::Send(answer.to_vec())])
        .await
        .base_url
}

/// The head of an event stream whose end is the connection's.
pub(super) const STREAM: &str =
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
