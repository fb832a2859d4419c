//! TLS: the certificate is that of the tests alone, made for 127.0.0.1 and signed by itself.

use std::path::Path;
use std::process::Command;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::grpc::{GRPC, collector_over, fate, ok};
use super::*;

/// Tells a process of the tests where to send.
const COLLECTOR: &str = "AGENT_SDK_OTEL_TEST_COLLECTOR";

fn file(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/otlp/tests");
    folder.join(name)
}

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file("loopback.pem")).unwrap()
}

/// A collector's side, which may ask who calls.
fn acceptor(asks: bool) -> TlsAcceptor {
    let key = PrivateKeyDer::from_pem_file(file("loopback.key")).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = if asks {
        let mut known = RootCertStore::empty();
        known.add(certificate()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(known.into(), provider);
        config.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        config.with_no_client_auth()
    };
    let mut config = config.with_single_cert(vec![certificate()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config).into()
}

const AUTHORITIES: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";

/// Does nothing unless it is started as a process that trusts what its environment says.
#[test]
fn the_process_that_sends_over_tls() {
    if let Ok(url) = std::env::var(COLLECTOR) {
        let named = [AUTHORITIES, CERTIFICATE, KEY].map(|name| (name, std::env::var(name)));
        let mut variables = vec![GRPC];
        for (name, value) in &named {
            variables.extend(value.as_deref().map(|value| (*name, value)));
        }
        println!("\nFATE {:?}", fate(&export(&variables, &url, 4)));
    }
}

/// What becomes of four spans from a process with such variables, each of which names a file of the tests.
fn sent_to(url: &str, variables: &[(&str, &str)]) -> String {
    let files = variables.iter().map(|(name, value)| (name, file(value)));
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "otlp::tests::tls::the_process_that_sends_over_tls",
            "--nocapture",
        ])
        // No proxy of the machine's, and no other certificates.
        .env_clear()
        .envs(files)
        .env(COLLECTOR, url)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let fate = said.lines().find_map(|line| line.strip_prefix("FATE "));
    fate.unwrap_or_else(|| panic!("{said}")).to_owned()
}

const ARRIVED: &str = "[4, 0, 0, 0]";
const FAILED: &str = "[0, 0, 4, 0]";

#[test]
fn o2_grpc_over_tls_arrives_with_the_right_certificate_and_fails_with_a_wrong_one() {
    let (server, seen) = collector_over(Some(acceptor(false)), vec![ok(), ok()]);
    let port = server.address.port();
    let url = format!("https://127.0.0.1:{port}");
    assert_eq!(sent_to(&url, &[("SSL_CERT_FILE", "loopback.pem")]), ARRIVED);
    assert_eq!(sent_to(&url, &[(AUTHORITIES, "loopback.pem")]), ARRIVED);
    assert_eq!(seen.lock().unwrap().len(), 2);
    // The certificate is of another name.
    let other = format!("https://localhost:{port}");
    assert_eq!(sent_to(&other, &[(AUTHORITIES, "loopback.pem")]), FAILED);
    // Nobody speaks TLS there.
    let (plain, plainly) = collector_over(None, vec![ok()]);
    let plain = format!("https://127.0.0.1:{}", plain.address.port());
    assert_eq!(sent_to(&plain, &[(AUTHORITIES, "loopback.pem")]), FAILED);
    assert_eq!(
        (seen.lock().unwrap().len(), plainly.lock().unwrap().len()),
        (2, 0)
    );
}

#[test]
fn o2_a_collector_that_asks_who_calls_is_shown_a_certificate() {
    let (server, seen) = collector_over(Some(acceptor(true)), vec![ok()]);
    let url = format!("https://127.0.0.1:{}", server.address.port());
    // Without one nobody gets through the handshake.
    let own = [
        (AUTHORITIES, "loopback.pem"),
        (CERTIFICATE, "loopback.pem"),
        (KEY, "loopback.key"),
    ];
    assert_eq!(sent_to(&url, &own), ARRIVED);
    assert_eq!(seen.lock().unwrap().len(), 1);
}
