//! What stands around the items of a request.
//!
//! `ExportTraceServiceRequest` and `ExportLogsServiceRequest` differ in names alone: the numbers of
//! their fields are the same at every level, and so are those of their replies. One envelope
//! therefore serves both.

use opentelemetry_proto::tonic::resource::v1::Resource as WireResource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::queue::Chunk;
use super::scope::Scope;

/// The field in which a request has its resources, a resource its scopes, and a scope its items.
const RESOURCES: u32 = 1;
const SCOPES: u32 = 2;
pub(super) const ITEMS: u32 = 2;

/// The most that a tag and a length add to a message.
pub(super) const FRAME: usize = 6;

/// Appends a field that holds `bytes`.
pub(super) fn field(number: u32, bytes: &[u8], to: &mut Vec<u8>) {
    open(number, bytes.len(), to);
    to.extend_from_slice(bytes);
}

/// As [`field`], where an empty text is left out.
pub(super) fn text_field(number: u32, text: &str, to: &mut Vec<u8>) {
    if !text.is_empty() {
        field(number, text.as_bytes(), to);
    }
}

/// Appends what stands before the bytes of a field.
fn open(number: u32, len: usize, to: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, to);
    encode_varint(len as u64, to);
}

/// The length of a field whose content has `len` bytes. The numbers here all fit a tag of one byte.
fn framed(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

/// The resource of every request, encoded once.
#[derive(Debug)]
pub(crate) struct Envelope {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Envelope {
    pub(crate) fn new(resource: &Resource) -> Self {
        let resource = ResourceAttributesWithSchema::from(resource);
        let message = WireResource {
            attributes: resource.attributes.0,
            ..WireResource::default()
        };
        let (mut before, mut after) = (Vec::new(), Vec::new());
        field(1, &message.encode_to_vec(), &mut before);
        text_field(
            3,
            resource.schema_url.as_deref().unwrap_or_default(),
            &mut after,
        );
        Self { before, after }
    }

    /// Bytes that the resource adds to a request.
    pub(super) fn len(&self) -> usize {
        self.before.len() + self.after.len() + 2 * FRAME
    }

    /// One request with the items of these chunks. Items of one scope stand together.
    pub(super) fn wrap(&self, chunks: &[Chunk]) -> Vec<u8> {
        let mut scopes: Vec<(&Scope, Vec<&[u8]>, usize)> = Vec::new();
        for chunk in chunks {
            let known = scopes
                .iter_mut()
                .find(|(scope, ..)| *scope == chunk.scope());
            if let Some((_, parts, len)) = known {
                parts.push(chunk.bytes());
                *len += chunk.bytes().len();
            } else {
                let scope = chunk.scope();
                let len = scope.len() + chunk.bytes().len();
                scopes.push((scope, vec![chunk.bytes()], len));
            }
        }
        let inner: usize = scopes.iter().map(|(_, _, len)| framed(*len)).sum();
        let inner = self.before.len() + inner + self.after.len();
        let mut body = Vec::with_capacity(framed(inner));
        open(RESOURCES, inner, &mut body);
        body.extend_from_slice(&self.before);
        for (scope, parts, len) in scopes {
            open(SCOPES, len, &mut body);
            body.extend_from_slice(scope.before());
            for part in parts {
                body.extend_from_slice(part);
            }
            body.extend_from_slice(scope.after());
        }
        body.extend_from_slice(&self.after);
        body
    }
}
