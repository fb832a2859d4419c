//! OTLP over HTTP with protobuf bodies.
//!
//! A request is posted on the thread that calls, which is always one of our own exporting threads.
//!
//! Metrics are encoded and exported by `opentelemetry-otlp`; spans are encoded here. That crate
//! logs how many items a collector rejected and does not return the number, and cannot tell a lost
//! reply from a refused connection: the account of spans needs both. For metrics it is enough to
//! watch what it posts, which [`WatchedClient`](crate::metrics) does.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use agent_sdk::model::is_loopback;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use reqwest::Url;
use reqwest::blocking::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::error::TelemetryError;
use crate::pipeline::Delivery;

/// The largest reply that is read; the rest of a longer one is ignored.
const REPLY_CAP: u64 = 64 * 1024;

/// Where one signal is sent, and with what.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header values and the address's user part are secrets.
        f.debug_struct("Target")
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// A client for one signal's endpoint.
#[derive(Debug)]
pub(crate) struct OtlpClient {
    http: Client,
    target: Target,
}

/// The collector's answer to one request.
enum Reply {
    Accepted(Vec<u8>),
    Failed,
    Unknown,
}

impl OtlpClient {
    /// Builds the client on a thread of its own, because a blocking client must not be built
    /// inside an async runtime.
    pub(crate) fn new(target: Target) -> Result<Self, TelemetryError> {
        let host = target.url.host_str().unwrap_or_default();
        let near = target.url.scheme() == "http" && is_loopback(host);
        let build = move || {
            // A redirected POST would arrive as a GET, without its body.
            let client = Client::builder().redirect(reqwest::redirect::Policy::none());
            if near {
                // Neither a proxy nor a certificate has anything to do here; reading the system's
                // certificates takes milliseconds and megabytes.
                return client.no_proxy().tls_certs_only([]).build();
            }
            client.build()
        };
        let http = std::thread::Builder::new()
            .name("agent-sdk-otlp-setup".into())
            .spawn(build)
            .map_err(|error| TelemetryError::start("the export thread").because(error))?
            .join()
            .map_err(|_| TelemetryError::start("the HTTP client"))?
            .map_err(|error| TelemetryError::start("the HTTP client").because(error))?;
        Ok(Self { http, target })
    }

    /// Where requests go.
    pub(crate) fn url(&self) -> &Url {
        &self.target.url
    }

    /// How long a request may take by the settings.
    pub(crate) fn timeout(&self) -> Duration {
        self.target.timeout
    }

    /// Sends one batch of spans.
    pub(crate) fn send_spans(
        &self,
        spans: Vec<SpanData>,
        resource: &ResourceAttributesWithSchema,
        timeout: Duration,
    ) -> Delivery {
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(spans, resource),
        };
        match self.post(request.encode_to_vec(), timeout) {
            Reply::Accepted(body) => {
                // A body that cannot be read says nothing of rejections; the status said success.
                let rejected = ExportTraceServiceResponse::decode(body.as_slice())
                    .ok()
                    .and_then(|reply| reply.partial_success)
                    .map_or(0, |partial| partial.rejected_spans);
                Delivery::Accepted {
                    rejected: u64::try_from(rejected).unwrap_or(0),
                }
            }
            Reply::Failed => Delivery::Failed,
            Reply::Unknown => Delivery::Unknown,
        }
    }

    /// Sends one encoded collection of metrics. The body of the collector's answer is returned
    /// where it accepted.
    pub(crate) fn send_metrics(&self, body: Vec<u8>) -> (Delivery, Option<Vec<u8>>) {
        match self.post(body, self.timeout()) {
            Reply::Accepted(body) => {
                let rejected = ExportMetricsServiceResponse::decode(body.as_slice())
                    .ok()
                    .and_then(|reply| reply.partial_success)
                    .map_or(0, |partial| partial.rejected_data_points);
                let rejected = u64::try_from(rejected).unwrap_or(0);
                (Delivery::Accepted { rejected }, Some(body))
            }
            Reply::Failed => (Delivery::Failed, None),
            Reply::Unknown => (Delivery::Unknown, None),
        }
    }

    fn post(&self, body: Vec<u8>, timeout: Duration) -> Reply {
        let sent = self
            .http
            .post(self.target.url.clone())
            .headers(self.target.headers.clone())
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-protobuf"),
            )
            .timeout(timeout)
            .body(body)
            .send();
        match sent {
            Ok(reply) if reply.status().is_success() => {
                let mut body = Vec::new();
                // The status already said that the batch was taken.
                let _ = reply.take(REPLY_CAP).read_to_end(&mut body);
                Reply::Accepted(body)
            }
            Ok(_) => Reply::Failed,
            Err(error) if error.is_connect() || error.is_builder() => Reply::Failed,
            Err(_) => Reply::Unknown,
        }
    }
}

/// A resource in the form that requests carry.
pub(crate) fn wire_resource(resource: &Resource) -> ResourceAttributesWithSchema {
    ResourceAttributesWithSchema::from(resource)
}
