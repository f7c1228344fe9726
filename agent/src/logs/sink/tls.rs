//! TLS towards peers, trusting whom the host trusts.
//!
//! Invariant: no certificate goes unchecked, and nothing but the host's own list of authorities is
//! trusted.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where distributions keep the list: Debian, Fedora, openSUSE, Alpine and others.
pub const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What a client needs, from the first of these lists that exists.
///
/// # Errors
/// When there is none, or nothing in it can be used, in words.
pub fn trusting(bundles: &[PathBuf]) -> Result<Arc<ClientConfig>, String> {
    let Some(path) = bundles.iter().find(|path| path.exists()) else {
        return Err("this host has no list of certificate authorities: install the package \
                    ca-certificates"
            .to_owned());
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    // One that can't be read is one authority less.
    roots.add_parsable_certificates(certificates.flatten());
    if roots.is_empty() {
        return Err(format!("{} has no certificate that can be used", path.display()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Speak TLS on a connection to this host.
///
/// # Errors
/// Why not, in words.
pub async fn over(
    stream: TcpStream,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("{host} is no name a certificate can have"))?;
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|error| format!("TLS with {host}: {error}"))
}
