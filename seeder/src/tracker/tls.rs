//! TLS by files: read when the tracker starts, and again when they have changed.

use std::fs;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tracing::{info, warn};

use super::config::TlsFiles;

/// What new connections are served with.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    /// What it was read from, and what it came to.
    read: RwLock<(Option<SystemTime>, Arc<ServerConfig>)>,
}

impl Tls {
    /// Read the files.
    pub(super) fn new(files: TlsFiles) -> Result<Self, String> {
        let read = RwLock::new((changed(&files), Arc::new(read(&files)?)));
        Ok(Self { files, read })
    }

    /// A new connection's end.
    pub(super) fn session(&self) -> Option<rustls::ServerConnection> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        rustls::ServerConnection::new(Arc::clone(&read.1)).ok()
    }

    /// Read the files again if they have changed; what cannot be read changes nothing.
    pub(super) fn reload(&self) {
        let now = changed(&self.files);
        let before = self.read.read().unwrap_or_else(PoisonError::into_inner).0;
        if now == before {
            return;
        }
        let certificate = self.files.certificate.display();
        let mut present = self.read.write().unwrap_or_else(PoisonError::into_inner);
        present.0 = now;
        match read(&self.files) {
            Ok(config) => {
                present.1 = Arc::new(config);
                info!("{certificate} has changed and is used from now on");
            }
            Err(e) => warn!("{certificate} has changed, but the old one stays: {e}"),
        }
    }
}

/// When the younger of both was last changed.
fn changed(files: &TlsFiles) -> Option<SystemTime> {
    let time = |path| fs::metadata(path).and_then(|data| data.modified()).ok();
    time(&files.certificate).max(time(&files.key))
}

fn read(files: &TlsFiles) -> Result<ServerConfig, String> {
    let what = |path: &std::path::Path| {
        let path = path.display().to_string();
        move |e: rustls::pki_types::pem::Error| format!("{path}: {e}")
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(what(&files.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(what(&files.key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        })
        .map_err(|e| format!("{}: {e}", files.certificate.display()))
}
