//! Signatures of AWS, version 4.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http::{HeaderName, HeaderValue, Method};
use reqwest::Url;
use secrecy::ExposeSecret;

use super::AwsCredentials;
use crate::model::{ModelError, http::configuration};

/// What a request is signed with, and for.
pub(super) struct Signing<'a> {
    pub(super) credentials: &'a AwsCredentials,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) time: SystemTime,
}

impl Signing<'_> {
    /// The headers that sign a request: of its own headers, the host alone is signed, for others may be changed on the way.
    pub(super) fn headers(
        &self,
        method: &Method,
        url: &Url,
        body: &[u8],
    ) -> Result<Vec<(HeaderName, HeaderValue)>, ModelError> {
        let failed = || configuration("the request cannot be signed with these credentials");
        let token = self.credentials.session_token.as_ref();
        let identity = Credentials::new(
            &*self.credentials.access_key_id,
            self.credentials.secret_access_key.expose_secret(),
            token.map(|token| token.expose_secret().to_owned()),
            None,
            "agent-sdk",
        )
        .into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.time)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed().with_source(error))?
            .into();
        let body = SignableBody::Bytes(body);
        let request = SignableRequest::new(method.as_str(), url.as_str(), std::iter::empty(), body)
            .map_err(|error| failed().with_source(error))?;
        let signed = sign(request, &parameters).map_err(|error| failed().with_source(error))?;
        let (instructions, _) = signed.into_parts();
        let (headers, _) = instructions.into_parts();
        let headers = headers.into_iter().map(|header| {
            let name = HeaderName::from_static(header.name());
            let mut value = HeaderValue::try_from(header.value()).map_err(|_| failed())?;
            value.set_sensitive(header.sensitive() || name == http::header::AUTHORIZATION);
            Ok((name, value))
        });
        headers.collect()
    }
}

/// A model's name as a part of a path: a signature is only right where everything is encoded that may be.
pub(super) fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                encoded.push('%');
                for half in [byte >> 4, byte & 15] {
                    let digit = char::from_digit(half.into(), 16).unwrap_or('0');
                    encoded.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Clock, FixedClock};

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn signed(
        method: &Method,
        url: &str,
        service: &str,
        token: Option<&str>,
        body: &str,
    ) -> Vec<(String, String)> {
        let mut credentials = AwsCredentials::new("AKIDEXAMPLE", SECRET);
        if let Some(token) = token {
            credentials = credentials.with_session_token(token);
        }
        let signing = Signing {
            credentials: &credentials,
            region: "us-east-1",
            service,
            // 2015-08-30T12:36:00Z.
            time: FixedClock::at(1_440_938_160).now(),
        };
        let url = Url::parse(url).unwrap();
        let headers = signing.headers(method, &url, body.as_bytes()).unwrap();
        let read = |(name, value): (HeaderName, HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        headers.into_iter().map(read).collect()
    }

    fn authorization(headers: &[(String, String)]) -> &str {
        let header = headers.iter().find(|(name, _)| name == "authorization");
        &header.unwrap().1
    }

    #[test]
    fn the_published_vectors_are_met() {
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=";
        for (method, signature) in [
            (
                Method::GET,
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                Method::POST,
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
        ] {
            let headers = signed(
                &method,
                "https://example.amazonaws.com/",
                "service",
                None,
                "",
            );
            assert_eq!(authorization(&headers), format!("{scope}{signature}"));
            assert!(headers.contains(&("x-amz-date".into(), "20150830T123600Z".into())));
        }
    }

    #[test]
    fn a_model_s_name_is_encoded_once_in_the_path_and_once_more_in_what_is_signed() {
        assert_eq!(encoded("amazon.nova-lite-v1:0"), "amazon.nova-lite-v1%3A0");
        assert_eq!(
            encoded("arn:aws:bedrock/x é"),
            "arn%3Aaws%3Abedrock%2Fx%20%C3%A9"
        );
        let url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse";
        let headers = signed(
            &Method::POST,
            url,
            "bedrock",
            Some("token"),
            r#"{"messages":[]}"#,
        );
        let expected = "SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=e5591da5ac783419433fd5ee647f7a0676394214ee16b6669409cfd28796ee25";
        assert!(authorization(&headers).ends_with(expected), "{headers:?}");
        assert!(headers.contains(&("x-amz-security-token".into(), "token".into())));
    }
}
