//! The tool against servers on loopback, which have to be allowed for that.

mod addresses;
mod answers;
mod redirects;
mod settings;

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{AllowedHost, HttpRequest, HttpRequestBuilder, Resolver};
use crate::tool::{ToolError, builtin::testing::call};

/// Answers each request as it is told, and keeps what it was sent. It stops with the test.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let requests = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let request = request(&mut socket).await;
                let answer = answer(&request);
                requests.lock().unwrap().push(request);
                // Whoever has heard enough goes.
                let _ = socket.write_all(&answer).await;
                let _ = socket.shutdown().await;
            }
        });
        Self { port, seen }
    }

    /// A server of one answer.
    async fn of(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_| answer.clone()).await
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }

    /// The server under a name.
    fn host(&self, name: &str) -> AllowedHost {
        AllowedHost::new(format!("{name}:{}", self.port)).over_http()
    }
}

async fn request(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4_096];
    loop {
        let read = socket.read(&mut buffer).await.unwrap_or(0);
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        if read == 0 {
            return text;
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

fn ok(content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

/// Says of every name what it is told to, in turn and the last for ever, and counts how often it was asked.
#[derive(Clone)]
struct Says {
    answers: Arc<Vec<Vec<IpAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Says {
    fn new(answers: &[&[&str]]) -> Self {
        let read = |address: &&str| address.parse().unwrap();
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(read).collect());
        Self {
            answers: Arc::new(answers.collect()),
            asked: Arc::default(),
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Says {
    fn addresses<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let nth = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.get(nth).or(self.answers.last());
        let answer = answer.cloned().unwrap_or_default();
        Box::pin(async move { Ok(answer) })
    }
}

/// Every name is this machine, and it may be asked.
fn here() -> HttpRequestBuilder {
    HttpRequest::builder()
        .resolver(Says::new(&[&["127.0.0.1"]]))
        .allow_network("127.0.0.1")
}

async fn get(tool: &HttpRequest, url: &str) -> Result<String, ToolError> {
    call(tool, json!({ "url": url })).await
}
