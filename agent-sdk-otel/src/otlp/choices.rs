//! How requests travel, as the user chooses it.

use crate::builder::TelemetryBuilder;
use crate::error::TelemetryError;

/// How the requests to a collector are compressed.
///
/// gzip makes a request of spans about a quarter as large and costs some 5 µs of processor time a
/// span, on telemetry's own thread: worth it over a network that is slow or billed, and a waste on
/// loopback. A request that is tried again is compressed once. The bound of 4 MiB on a request
/// counts before compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// gzip at its fastest level.
    Gzip,
}

impl Compression {
    /// Its name in the standard variables is `none` or `gzip`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "gzip" => Some(Self::Gzip),
            _ => None,
        }
    }

    /// Its name in the standard variables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
        }
    }
}

/// The form of OTLP in which a collector is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Protobuf over HTTP/1.1, by default to port 4318.
    #[default]
    HttpProtobuf,
    /// gRPC, by default to port 4317; an `http` address is spoken to in HTTP/2 without TLS, and a
    /// path in the address is left out. It needs the cargo feature `grpc` of this crate.
    Grpc,
}

impl Protocol {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "http/protobuf" => Some(Self::HttpProtobuf),
            "grpc" => Some(Self::Grpc),
            _ => None,
        }
    }

    /// Its name in the standard variables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HttpProtobuf => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }

    /// Where a collector listens when OTLP was asked for without an address.
    pub(crate) fn default_endpoint(self) -> &'static str {
        match self {
            Self::HttpProtobuf => "http://localhost:4318",
            Self::Grpc => "http://localhost:4317",
        }
    }

    /// An error where `setting` asks for what this build does not have.
    pub(crate) fn available(self, setting: &str) -> Result<Self, TelemetryError> {
        if self == Self::Grpc && !cfg!(feature = "grpc") {
            return Err(TelemetryError::setting(format!(
                "{setting} is grpc, for which agent-sdk-otel must be built with its feature `grpc`"
            )));
        }
        Ok(self)
    }
}

impl TelemetryBuilder {
    /// How requests are compressed. Default: not at all.
    pub fn compression(self, compression: Compression) -> Self {
        self.change(|settings| settings.compression = compression)
    }

    /// The form of OTLP in which the collector is spoken to. Default: [`Protocol::HttpProtobuf`].
    ///
    /// [`build`](Self::build) fails with [`Protocol::Grpc`] where the crate is built without its
    /// feature `grpc`.
    pub fn protocol(self, protocol: Protocol) -> Self {
        self.change(|settings| settings.protocol = protocol)
    }
}
