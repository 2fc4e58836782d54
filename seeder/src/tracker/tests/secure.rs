//! TLS, with certificates that the test makes and changes.

use std::sync::Arc;

use rcgen::CertifiedKey;
use rustls::pki_types::CertificateDer;
use tokio_tungstenite::{Connector, connect_async_tls_with_config};

use super::*;

/// A new certificate for `localhost`, in the place of the one there.
fn certify(files: &TlsFiles) -> CertificateDer<'static> {
    let names = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    std::fs::write(&files.certificate, cert.pem()).unwrap();
    cert.der().clone()
}

async fn connect_trusting(url: &str, trusted: &CertificateDer<'static>) -> Result<Socket, Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = Connector::Rustls(Arc::new(config));
    let connecting = connect_async_tls_with_config(url, None, true, Some(connector));
    let connected = timeout(PATIENCE, connecting).await.expect("an end of it");
    Ok(connected?.0)
}

#[tokio::test]
async fn a_certificate_that_changes_is_used_from_then_on() {
    let folder = std::env::temp_dir().join(format!("headwater-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let files = TlsFiles {
        certificate: folder.join("chain.pem"),
        key: folder.join("key.pem"),
    };
    let first = certify(&files);
    let (_handle, url) = tracker(TrackerConfig {
        tls: Some(files.clone()),
        ..TrackerConfig::default()
    })
    .await;
    let url = url.replace("ws://127.0.0.1", "wss://localhost");
    let mut page = connect_trusting(&url, &first).await.unwrap();
    // Longer than one record of TLS.
    say(&mut page, &announce(1, 3, 12 << 10)).await;
    assert!(matches!(
        hear(&mut page).await,
        Some(ServerMessage::Response { .. })
    ));
    let second = certify(&files);
    let changed = async {
        while connect_trusting(&url, &second).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, changed).await.expect("the new one");
    assert!(connect_trusting(&url, &first).await.is_err());
    say(&mut page, &announce(1, 0, 0)).await;
    assert!(hear(&mut page).await.is_some(), "who is connected stays");
    std::fs::remove_dir_all(folder).unwrap();
}
