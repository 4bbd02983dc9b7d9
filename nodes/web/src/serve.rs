//! HTTP listeners: bound before anything is promised, capped in connections and in patience.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::middleware::AddExtension;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tower_layer::Layer;

/// A listener that serves; dropping it does not end it, `stop` does.
pub struct Serving {
    /// The bound address, with the port that the system chose where 0 was asked for.
    pub address: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<()>,
}

/// Limits of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time, count.
    pub connections_max: usize,
    /// Longest wait for a TLS handshake and for the head of a request.
    pub header_timeout: Duration,
}

/// Binds and serves; with TLS when there is a configuration.
pub fn serve(address: SocketAddr, tls: Option<RustlsConfig>, limits: Limits, router: Router) -> io::Result<Serving> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let handle = Handle::new();
    let door = Door { seats: Arc::new(Semaphore::new(limits.connections_max)) };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let plain = axum_server::from_tcp(listener)?.handle(handle.clone());
    let task = match tls {
        Some(tls) => {
            let acceptor = RustlsAcceptor::new(tls).handshake_timeout(limits.header_timeout).acceptor(door);
            let mut server = plain.acceptor(acceptor).http1_only();
            patient(server.http_builder(), limits.header_timeout);
            tokio::spawn(async move { ended(address, server.serve(service).await) })
        }
        None => {
            let mut server = plain.acceptor(door).http1_only();
            patient(server.http_builder(), limits.header_timeout);
            tokio::spawn(async move { ended(address, server.serve(service).await) })
        }
    };
    Ok(Serving { address, handle, task })
}

impl Serving {
    /// Takes no more connections and waits at most `patience` for the open ones.
    pub async fn stop(self, patience: Duration) {
        self.handle.graceful_shutdown(Some(patience));
        let _ = tokio::time::timeout(patience + Duration::from_secs(1), self.task).await;
    }
}

fn patient(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>, timeout: Duration) {
    builder.http1().timer(TokioTimer::new()).header_read_timeout(timeout);
}

fn ended(address: SocketAddr, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%address, %error, "http listener ended");
    }
}

/// Admits a connection when a seat is free, and closes it at once otherwise.
#[derive(Clone)]
struct Door {
    seats: Arc<Semaphore>,
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = TcpStream;
    // The permit rides with the connection's service and comes free with it.
    type Service = AddExtension<S, Arc<OwnedSemaphorePermit>>;
    type Future = std::future::Ready<io::Result<(TcpStream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(match self.seats.clone().try_acquire_owned() {
            Ok(seat) => stream.set_nodelay(true).map(|()| (stream, Extension(Arc::new(seat)).layer(service))),
            Err(_) => Err(io::Error::other("too many connections")),
        })
    }
}

/// TLS configuration from the PEM files; makes a self-signed pair there when both are absent.
///
/// Errors: a text that names the file.
pub fn tls(listen: SocketAddr, certificate: &Path, key: &Path) -> Result<RustlsConfig, String> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if !certificate.exists() && !key.exists() {
        make_certificate(listen, certificate, key)?;
        tracing::info!(certificate = %certificate.display(), "made a self-signed certificate for the API");
    }
    let fail = |error: &dyn std::fmt::Display| {
        format!("cannot load {} with {}: {error}", certificate.display(), key.display())
    };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(|error| fail(&error))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| fail(&error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| fail(&error))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.map_err(|error| fail(&error))?;
    // HTTP/2 is not spoken, so it is not offered.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

fn make_certificate(listen: SocketAddr, certificate: &Path, key: &Path) -> Result<(), String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        names.push(host.trim().to_owned());
    }
    let own = listen.ip().to_string();
    if !listen.ip().is_unspecified() && !names.contains(&own) {
        names.push(own);
    }
    let made =
        rcgen::generate_simple_self_signed(names).map_err(|error| format!("cannot make a certificate: {error}"))?;
    write(key, &made.signing_key.serialize_pem(), 0o600)?;
    write(certificate, &made.cert.pem(), 0o644)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
