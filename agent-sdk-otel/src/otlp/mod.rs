//! OTLP with protobuf bodies, over HTTP or, with the feature `grpc`, over gRPC.
//!
//! Requests are sent on [telemetry's own thread](ExportThread), encoded by whoever calls. For
//! metrics that is `opentelemetry-otlp`, whose own client logs how many items a collector rejected
//! and does not return the number, and cannot tell a lost reply from a refused connection: the
//! account needs both.

mod answer;
mod choices;
#[cfg(feature = "grpc")]
mod grpc;
mod request;
#[cfg(test)]
mod tests;
mod thread;
mod trust;

use std::fmt;
use std::time::Duration;

use agent_sdk::model::is_loopback;
use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Client, Url};
use tokio::sync::oneshot;

use crate::error::TelemetryError;
use crate::pipeline::{Delivery, Transport};

pub(crate) use answer::Answer;
pub use choices::{Compression, Protocol};
pub(crate) use thread::ExportThread;
pub(crate) use trust::{PemFile, Trust};

/// Where one signal is sent, and with what.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    pub(crate) compression: Compression,
    pub(crate) protocol: Protocol,
    pub(crate) trust: Trust,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header values and the address's user part are secrets.
        f.debug_struct("Target")
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .field("protocol", &self.protocol)
            .field("trust", &self.trust)
            .finish()
    }
}

/// Sends requests to a target, on the runtime of whoever calls.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    http: Client,
    target: Target,
}

impl Channel {
    pub(crate) fn new(mut target: Target) -> Result<Self, TelemetryError> {
        let host = target.url.host_str().unwrap_or_default();
        // A redirected POST would arrive as a GET, without its body.
        let mut client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(target.timeout)
            // Shorter than the whole, so that an address that nobody answers on is told from a
            // collector that does not reply.
            .connect_timeout(target.timeout / 2);
        if target.url.scheme() == "http" && is_loopback(host) {
            // Neither a proxy nor a certificate has anything to do here; reading the system's
            // certificates takes milliseconds and megabytes.
            client = client.no_proxy().tls_certs_only([]);
        } else {
            client = target.trust.given_to(client)?;
        }
        client = match target.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => client.http2_prior_knowledge(),
            // Also where HTTP/2 is built in.
            _ => client.http1_only(),
        };
        let http = client
            .build()
            .map_err(|error| TelemetryError::start("the HTTP client").because(error))?;
        request::describe(&mut target);
        Ok(Self { http, target })
    }

    /// The body that carries an encoded message; `None` where it cannot be carried.
    pub(crate) fn body(&self, message: &Bytes) -> Option<Bytes> {
        request::body(&self.target, message)
    }

    /// Sends a [body](Self::body). The message of the answer is returned where it accepts.
    pub(crate) async fn post(&self, body: Bytes) -> (Answer, Vec<u8>) {
        let request = self.http.post(self.target.url.clone());
        let request = request.headers(self.target.headers.clone()).body(body);
        match request.send().await {
            #[cfg(feature = "grpc")]
            Ok(reply) if self.target.protocol == Protocol::Grpc => grpc::of_reply(reply).await,
            Ok(reply) => answer::of_reply(reply).await,
            Err(error) => (answer::of_error(&error), Vec::new()),
        }
    }
}

/// A client for one signal's endpoint.
#[derive(Clone, Debug)]
pub(crate) struct OtlpClient {
    channel: Channel,
    thread: ExportThread,
}

impl OtlpClient {
    pub(crate) fn new(target: Target, thread: ExportThread) -> Result<Self, TelemetryError> {
        let channel = Channel::new(target)?;
        Ok(Self { channel, thread })
    }

    /// Where requests go.
    pub(crate) fn url(&self) -> &Url {
        &self.channel.target.url
    }

    /// How long a request may take by the settings.
    pub(crate) fn timeout(&self) -> Duration {
        self.channel.target.timeout
    }

    /// Sends one encoded collection of metrics, and waits for the answer from any thread and any
    /// executor. The message of the collector's answer is returned where it accepted.
    pub(crate) async fn send_metrics(&self, message: Vec<u8>) -> (Delivery, Option<Vec<u8>>) {
        let (done, waiting) = oneshot::channel();
        let channel = self.channel.clone();
        self.thread.spawn(async move {
            let answer = match channel.body(&message.into()) {
                Some(body) => channel.post(body).await,
                None => (Answer::Refused, Vec::new()),
            };
            // Nobody may be waiting any more, after a shutdown whose time was up.
            let _ = done.send(answer);
        });
        // The thread is gone with the last handle, and this one is still here.
        match waiting.await.unwrap_or((Answer::Late, Vec::new())) {
            (Answer::Accepted { rejected }, body) => (Delivery::Accepted { rejected }, Some(body)),
            (Answer::Late | Answer::Lost, _) => (Delivery::Unknown, None),
            _ => (Delivery::Failed, None),
        }
    }
}

impl Transport for OtlpClient {
    fn body(&self, message: &Bytes) -> Option<Bytes> {
        self.channel.body(message)
    }

    async fn send(&self, body: Bytes) -> Answer {
        self.channel.post(body).await.0
    }
}
