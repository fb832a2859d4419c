//! A collector that answers each request after 0 to 20 ms and counts spans.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};

/// The collector's process.
pub(crate) struct Collector {
    /// None in a process that did not start it.
    child: Option<Child>,
    pub(crate) url: String,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command
            .arg("collector")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        Self {
            child: Some(child),
            url,
        }
    }

    /// The one that another process started.
    pub(crate) fn at(url: &str) -> Self {
        let url = url.to_owned();
        Self { child: None, url }
    }

    /// The spans that it took.
    pub(crate) fn count(&self) -> u64 {
        use std::io::{Read, Write};
        let address = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.rsplit("\r\n").next().unwrap().parse().unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What that process does.
pub(crate) fn collect() {
    let spans = Arc::new(AtomicU64::new(0));
    let app = Router::new()
        .route("/v1/traces", post(take))
        .route(
            "/count",
            get(|State(spans): State<Arc<AtomicU64>>| async move {
                spans.load(Ordering::SeqCst).to_string()
            }),
        )
        .fallback(async |_: Bytes| {})
        .layer(DefaultBodyLimit::max(4 * 1024 * 1024))
        .with_state(spans);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        axum::serve(listener, app).await.unwrap();
    });
}

async fn take(State(spans): State<Arc<AtomicU64>>, body: Bytes) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=20))).await;
    let resources = fields(&body, 1);
    let scopes = resources.flat_map(|resource| fields(resource, 2));
    let taken = scopes.map(|scope| fields(scope, 2).count() as u64).sum();
    spans.fetch_add(taken, Ordering::SeqCst);
}

/// The contents of all fields of a message with this number; all of a request have lengths.
fn fields(mut message: &[u8], number: u8) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        loop {
            let (tag, rest) = message.split_first()?;
            let (mut len, mut shift, mut rest) = (0_usize, 0, rest);
            loop {
                let (byte, more) = rest.split_first()?;
                rest = more;
                len |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let (content, after) = rest.split_at_checked(len)?;
            message = after;
            if tag >> 3 == number {
                return Some(content);
            }
        }
    })
}
