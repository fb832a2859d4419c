//! A request, its redirects, and its answer.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::{Response, Url};

use super::{
    Inner,
    answer::{Answer, Body, Text},
    host::Rule,
    resolve::Unresolved,
};
use crate::{
    redact::Secrets,
    tool::{ToolContext, ToolError, ToolOutput},
};

/// How much more than is shown is read, so that a secret at the cut is found whole.
const BEYOND: usize = 1024;

/// A request that may be sent.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) rule: &'a Rule,
    /// The model's.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<String>,
    /// Whether no redirect has led to another origin.
    pub(super) is_first_origin: bool,
}

/// Sends a request, follows its redirects, and shows the answer.
pub(super) async fn run<'a>(
    tool: &'a Inner,
    context: &ToolContext,
    mut request: Request<'a>,
) -> Result<ToolOutput, ToolError> {
    let mut redirects = 0;
    let mut secrets = Secrets::default();
    loop {
        if request.is_first_origin {
            secrets.0 = request.rule.secrets.clone();
        }
        let response = send(tool, context, &request).await?;
        let location = response.headers().get(header::LOCATION);
        let Some(location) = location.filter(|_| is_redirect(response.status())) else {
            return answer(tool, redirects, response, &secrets).await;
        };
        if tool.max_redirects == 0 {
            return answer(tool, redirects, response, &secrets).await;
        }
        redirects += 1;
        if redirects > tool.max_redirects {
            return Err(ToolError::failed(format!(
                "the server redirects more than {} times",
                tool.max_redirects
            )));
        }
        request = redirected(tool, request, response.status(), location)?;
    }
}

async fn send(
    tool: &Inner,
    context: &ToolContext,
    request: &Request<'_>,
) -> Result<Response, ToolError> {
    let mut headers = request.headers.clone();
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    let host = request.url.host_str().unwrap_or_default();
    for (name, value) in context.run().headers_for(host) {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if request.is_first_origin {
        headers.extend(request.rule.headers.clone());
    }
    let client = tool.client_of(request.rule);
    let mut sent = client
        .request(request.method.clone(), request.url.clone())
        .headers(headers);
    if let Some(body) = &request.body {
        sent = sent.body(body.clone());
    }
    // The client's own error names the URL, which may hold a secret of a redirect.
    sent.send().await.map_err(|error| {
        let why = match Unresolved::of(&error) {
            Some(Unresolved::Unknown) => "has no address: check its name".to_owned(),
            Some(Unresolved::Refused(leads)) => {
                format!("leads to {leads} and may not be asked: use another host")
            }
            None if error.is_timeout() => "cannot be reached in time".to_owned(),
            None if error.is_connect() => {
                "cannot be reached, or has no valid certificate".to_owned()
            }
            None => "broke the connection off".to_owned(),
        };
        ToolError::failed(format!("the host {} {why}", shown_host(&request.url)))
    })
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The request that a redirect asks for, where it may be sent.
pub(super) fn redirected<'a>(
    tool: &'a Inner,
    request: Request<'a>,
    status: StatusCode,
    location: &HeaderValue,
) -> Result<Request<'a>, ToolError> {
    let from = shown_host(&request.url);
    let refused = |why: String| ToolError::failed(format!("the host {from} redirects, and {why}"));
    let url = location.to_str().ok();
    let url = url.and_then(|location| request.url.join(location).ok());
    let mut url = url.ok_or_else(|| refused("not to a URL".to_owned()))?;
    url.set_fragment(None);
    if request.url.scheme() == "https" && url.scheme() == "http" {
        return Err(refused(
            "from https:// to http://, which is not followed".to_owned(),
        ));
    }
    let rule = tool.rule(&url).map_err(refused)?;
    let is_same_origin = url.origin() == request.url.origin();
    let mut next = Request {
        url,
        rule,
        is_first_origin: request.is_first_origin && is_same_origin,
        ..request
    };
    let becomes_get = match status {
        StatusCode::SEE_OTHER => next.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => next.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        next.method = Method::GET;
        next.body = None;
        next.headers.remove(header::CONTENT_TYPE);
    }
    let is_read = matches!(next.method, Method::GET | Method::HEAD);
    if !is_same_origin && !is_read {
        return Err(refused(format!(
            "a {} request is not sent on to another host: ask {} itself",
            next.method,
            shown_host(&next.url)
        )));
    }
    Ok(next)
}

/// A host for people and models: the parser has left letters, digits and punctuation of ASCII.
fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let end = host.floor_char_boundary(100);
    format!("`{}`", host.get(..end).unwrap_or_default())
}

/// Reads as much of an answer as is shown.
async fn answer(
    tool: &Inner,
    redirects: u32,
    mut response: Response,
    secrets: &Secrets,
) -> Result<ToolOutput, ToolError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let url = (redirects > 0).then(|| response.url().clone());
    let length = response.content_length();
    let body = match Text::of(&headers) {
        Text::No(what) => Body::NotShown { what, length },
        text => {
            let most = tool.max_body_bytes.saturating_add(BEYOND);
            let mut bytes = Vec::new();
            let mut is_whole = false;
            while bytes.len() < most {
                let chunk = response.chunk().await;
                let chunk = chunk.map_err(|_| {
                    ToolError::failed("the server broke off in the midst of its answer")
                })?;
                let Some(chunk) = chunk else {
                    is_whole = true;
                    break;
                };
                let room = most - bytes.len();
                bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            }
            Body::read(bytes, text == Text::Perhaps, is_whole, length)
        }
    };
    let answer = Answer {
        status,
        url,
        headers,
        body,
    };
    Ok(answer.show(tool.max_body_bytes, secrets).into())
}
