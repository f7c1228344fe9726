//! TLS: whom the host trusts is spoken to, nobody else.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::peer::{Server, ok};
use super::scene::{Scene, sink, until};

fn openssl(folder: &Path, arguments: &str) {
    let ran = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let ran = ran.unwrap_or_else(|error| panic!("openssl is needed: {error}"));
    assert!(ran.status.success(), "{arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// An authority, in `NAME.pem`.
fn authority(folder: &Path, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name}"),
    );
}

/// A certificate for this name (`DNS:…`, `IP:…`) by the authority `ours`.
fn certificate(folder: &Path, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder, &format!("req {key} -keyout server.key -out server.csr -subj /CN=server"));
    std::fs::write(folder.join("ext"), format!("subjectAltName={name}\n")).unwrap();
    let sign = "x509 -req -in server.csr -CA ours.pem -CAkey ours.key -CAcreateserial";
    openssl(folder, &format!("{sign} -out server.pem -days 2 -extfile ext"));
}

/// TLS in front of a port of this host, with `server.pem`.
fn front(folder: &Path, behind: u16) -> u16 {
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let inside = tokio::net::TcpStream::connect(("127.0.0.1", behind)).await;
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside.unwrap()).await;
                });
            }
        });
    });
    port
}

/// Route a hundred records to a server with a certificate for `name`; what it got, and what was said.
fn deliver(name: &str, host: &str, bundle: &str) -> (Vec<u64>, Option<String>) {
    let server = Server::new(|_, _| ok());
    let mut scene = Scene::new();
    authority(&scene.folder, "ours");
    authority(&scene.folder, "theirs");
    certificate(&scene.folder, name);
    let bundles: Vec<PathBuf> = vec![scene.file("missing.pem"), scene.file(bundle)];
    scene.around.bundles = bundles;
    let port = front(&scene.folder, server.port);
    let routing = scene.route(vec![sink(&format!("https://{host}:{port}/"))]);
    scene.write_numbers(1..=100);
    until("an end", || {
        let failed = |one: &manifest_spec::log::metrics::SinkMetrics| one.last_error.is_some();
        server.seqs().len() == 100 || scene.metrics().sinks.first().is_some_and(failed)
    });
    let metrics = routing.stop();
    (server.seqs(), metrics.sinks[0].last_error.as_ref().map(|error| error.said.clone()))
}

#[test]
fn a_server_with_a_certificate_of_a_known_authority_gets_records() {
    for (name, host) in [("IP:127.0.0.1", "127.0.0.1"), ("DNS:localhost", "localhost")] {
        let (seqs, said) = deliver(name, host, "ours.pem");
        assert_eq!(seqs, (1..=100).collect::<Vec<_>>(), "{said:?}");
        assert_eq!(said, None);
    }
}

#[test]
fn a_server_that_is_not_who_it_should_be_gets_none() {
    for (name, host, bundle, words) in [
        ("IP:127.0.0.1", "127.0.0.1", "theirs.pem", "UnknownIssuer"),
        ("DNS:other.example", "localhost", "ours.pem", "not valid for"),
    ] {
        let (seqs, said) = deliver(name, host, bundle);
        assert!(seqs.is_empty());
        let said = said.unwrap();
        assert!(said.starts_with(&format!("TLS with {host}: ")) && said.contains(words), "{said}");
    }
}

#[test]
fn a_server_that_does_not_speak_tls_is_not_waited_for_for_ever() {
    // It takes the connection and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut scene = Scene::new();
    authority(&scene.folder, "ours");
    scene.around.bundles = vec![scene.file("ours.pem")];
    scene.around.patience.connection = std::time::Duration::from_millis(500);
    let routing = scene.route(vec![sink(&format!("https://127.0.0.1:{port}/"))]);
    scene.write_numbers(1..=1);
    until("words", || scene.metrics().sinks.first().is_some_and(|sink| sink.last_error.is_some()));
    let metrics = routing.stop();
    let said = &metrics.sinks[0].last_error.as_ref().unwrap().said;
    assert_eq!(*said, format!("127.0.0.1:{port} does not answer in TLS"));
}
