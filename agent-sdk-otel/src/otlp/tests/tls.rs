//! gRPC over TLS: the certificate is that of the tests alone, made for 127.0.0.1 and signed by itself.

use std::path::Path;
use std::process::Command;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::grpc::{GRPC, collector_over, fate, ok};
use super::*;

/// Tells a process of the tests where to send.
const COLLECTOR: &str = "AGENT_SDK_OTEL_TEST_COLLECTOR";

fn file(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/otlp/tests");
    folder.join(name)
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(file("loopback.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("loopback.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config).into()
}

/// Does nothing unless it is started as a process that trusts what its environment says.
#[test]
fn the_process_that_sends_over_tls() {
    if let Ok(url) = std::env::var(COLLECTOR) {
        println!("\nFATE {:?}", fate(&export(&[GRPC], &url, 4)));
    }
}

/// What becomes of four spans from a process that trusts the certificate.
fn sent_to(url: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "otlp::tests::tls::the_process_that_sends_over_tls",
            "--nocapture",
        ])
        // No proxy of the machine's, and no other certificates.
        .env_clear()
        .env("SSL_CERT_FILE", file("loopback.pem"))
        .env(COLLECTOR, url)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let fate = said.lines().find_map(|line| line.strip_prefix("FATE "));
    fate.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn o2_grpc_over_tls_arrives_with_the_right_certificate_and_fails_with_a_wrong_one() {
    let (server, seen) = collector_over(Some(acceptor()), vec![ok()]);
    let port = server.address.port();
    assert_eq!(
        sent_to(&format!("https://127.0.0.1:{port}")),
        "[4, 0, 0, 0]"
    );
    assert_eq!(seen.lock().unwrap().len(), 1);
    // The certificate is of another name.
    assert_eq!(
        sent_to(&format!("https://localhost:{port}")),
        "[0, 0, 4, 0]"
    );
    // Nobody speaks TLS there.
    let (plain, plainly) = collector_over(None, vec![ok()]);
    let plain = plain.address.port();
    assert_eq!(
        sent_to(&format!("https://127.0.0.1:{plain}")),
        "[0, 0, 4, 0]"
    );
    assert_eq!(
        (seen.lock().unwrap().len(), plainly.lock().unwrap().len()),
        (1, 0)
    );
}
