//! A collector that does what a script says, over plain sockets.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;

/// What the collector does with one request.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Keeps all but so many spans, and answers with these bytes.
    Keep(u64, Vec<u8>),
    /// Keeps nothing, and answers with these bytes.
    Refuse(Vec<u8>),
    /// Keeps everything, answers with these bytes and closes the connection.
    KeepAndClose(Vec<u8>),
    /// Keeps nothing, answers with these bytes and closes the connection.
    Close(Vec<u8>),
    /// Closes the connection without having read anything.
    CloseUnread,
    /// Never reads.
    HangUnread,
    /// Reads, keeps everything and never answers.
    Hang,
    /// Keeps everything, answers with the first bytes and then with one byte a second.
    Drip(Vec<u8>, Vec<u8>),
}

/// An answer with a status, more headers and a body.
pub(super) fn reply(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// The body of a partial success.
pub(super) fn partial(rejected: i64) -> Vec<u8> {
    let reply = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: rejected,
            error_message: "too old".into(),
        }),
    };
    reply.encode_to_vec()
}

/// The names of the spans that it kept and of those that it said it rejected.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) kept: HashSet<String>,
    pub(super) rejected: HashSet<String>,
    pub(super) requests: usize,
}

struct Shared {
    script: Vec<Step>,
    counted: Mutex<Counted>,
    stop: AtomicBool,
}

pub(super) struct Liar {
    shared: Arc<Shared>,
    pub(super) address: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Liar {
    /// Goes through the script again and again, one step a request.
    pub(super) fn start(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script,
            counted: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let all = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if all.stop.load(Ordering::Relaxed) {
                    break;
                }
                let all = Arc::clone(&all);
                // A connection ends with its peer, whose end the test waits for.
                std::thread::spawn(move || drop(all.serve(stream.unwrap())));
            }
        });
        Self {
            shared,
            address,
            thread: Some(thread),
        }
    }

    pub(super) fn counted(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.shared.counted.lock().unwrap()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            // The first byte of a request, so that an idle connection takes no step.
            if stream.peek(&mut [0])? == 0 {
                return Ok(());
            }
            let step = {
                let mut counted = self.counted.lock().unwrap();
                counted.requests += 1;
                self.script[(counted.requests - 1) % self.script.len()].clone()
            };
            match &step {
                Step::CloseUnread => return Ok(()),
                Step::HangUnread => return hang(&mut stream),
                _ => {}
            }
            let Some(names) = request(&mut stream)? else {
                if let Step::Close(bytes) = &step {
                    stream.write_all(bytes)?;
                }
                return hang(&mut stream);
            };
            self.count(&step, names);
            match step {
                Step::Keep(_, bytes) | Step::Refuse(bytes) => stream.write_all(&bytes)?,
                Step::KeepAndClose(bytes) | Step::Close(bytes) => return stream.write_all(&bytes),
                Step::Hang => return hang(&mut stream),
                Step::Drip(first, rest) => {
                    stream.write_all(&first)?;
                    for byte in rest {
                        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                        // Waits a second, or until the peer gives up.
                        if matches!(stream.read(&mut [0]), Ok(0)) {
                            return Ok(());
                        }
                        stream.write_all(&[byte])?;
                    }
                }
                Step::CloseUnread | Step::HangUnread => {}
            }
        }
    }

    fn count(&self, step: &Step, names: Vec<String>) {
        let mut counted = self.counted.lock().unwrap();
        match step {
            Step::Keep(rejected, _) => {
                for (place, name) in names.into_iter().enumerate() {
                    if (place as u64) < *rejected {
                        counted.rejected.insert(name);
                    } else {
                        counted.kept.insert(name);
                    }
                }
            }
            Step::KeepAndClose(_) | Step::Hang | Step::Drip(..) => counted.kept.extend(names),
            _ => {}
        }
    }
}

/// Until the peer closes.
fn hang(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 4096];
    while stream.read(&mut rest)? > 0 {}
    Ok(())
}

/// Reads a request and names its spans; `None` when it is none, such as a TLS greeting.
fn request(stream: &mut TcpStream) -> std::io::Result<Option<Vec<String>>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 || byte[0] > 127 || head.len() > 8_192 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(
        head.contains("content-type: application/x-protobuf"),
        "{head}"
    );
    let length = head.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|all| all.scope_spans);
    let spans = scopes.flat_map(|scope| scope.spans);
    Ok(Some(spans.map(|span| span.name).collect()))
}
