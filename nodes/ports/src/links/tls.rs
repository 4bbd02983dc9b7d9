//! Mutual TLS 1.3 between nodes: whoever cannot show a certificate of the cluster's authority gets no further, and the
//! certificate has to name the node and chassis that the configuration expects.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fabric::NodeId;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::{info, warn};

use super::certificate::{self, Facts};
use super::{Identity, Settings};
use crate::StartError;

/// The node's certificate and what it makes: renewed files are taken at the next hand-shake, without a restart.
pub(super) struct Keyring {
    files: [PathBuf; 3],
    identity: Identity,
    state: Mutex<State>,
}

struct State {
    looked: Instant,
    stamp: [Option<SystemTime>; 3],
    keys: Keys,
}

#[derive(Clone)]
pub(super) struct Keys {
    pub acceptor: TlsAcceptor,
    pub connector: TlsConnector,
    /// When the own certificate ends, seconds since 1970.
    pub not_after_s: i64,
}

impl Keyring {
    /// Reads the files; errors when they are missing, do not fit each other, or name another node than this one.
    pub fn load(settings: &Settings, identity: &Identity) -> Result<Keyring, StartError> {
        let files = [settings.certificate.clone(), settings.key.clone(), settings.authority.clone()];
        let stamp = stamp(&files);
        let keys = read(&files, identity).map_err(|e| StartError::new("cannot use the node's certificate", e))?;
        let state = State { looked: Instant::now(), stamp, keys };
        Ok(Keyring { files, identity: identity.clone(), state: Mutex::new(state) })
    }

    /// The keys of now; looks at the files once a second at most, and keeps the old ones when the new are no good.
    pub fn keys(&self) -> Keys {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            let stamp = stamp(&self.files);
            if stamp != state.stamp {
                state.stamp = stamp;
                match read(&self.files, &self.identity) {
                    Ok(keys) => {
                        info!(file = %self.files[0].display(), "the links use the renewed certificate");
                        state.keys = keys;
                    }
                    Err(error) => warn!(%error, "the renewed certificate is no good; the links keep the old one"),
                }
            }
        }
        state.keys.clone()
    }
}

/// The name by which a node is asked for.
pub(super) fn server_name(node: NodeId) -> ServerName<'static> {
    ServerName::try_from(certificate::host_name(node)).expect("node-N.tandem is a host name")
}

/// What the peer's certificate, which the hand-shake has checked, says.
pub(super) fn facts(certificates: Option<&[CertificateDer<'_>]>) -> Result<Facts, String> {
    let first = certificates.and_then(<[_]>::first).ok_or("no certificate")?;
    certificate::read(first).map_err(|error| error.to_string())
}

fn read(files: &[PathBuf; 3], identity: &Identity) -> Result<Keys, String> {
    let [certificate, key, authority] = files;
    let bytes = |path: &PathBuf| std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|e| format!("{} holds no certificate (PEM): {e:?}", certificate.display()))?;
    let facts = facts(Some(&chain)).map_err(|e| format!("{}: {e}", certificate.display()))?;
    check_own(&facts, identity).map_err(|e| format!("{}: {e}", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_slice(&bytes(key)?)
        .map_err(|e| format!("{} holds no private key (PEM): {e:?}", key.display()))?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&bytes(authority)?) {
        let root = root.map_err(|e| format!("{} holds no certificate (PEM): {e:?}", authority.display()))?;
        roots.add(root).map_err(|e| format!("{} is no authority: {e}", authority.display()))?;
    }
    if roots.is_empty() {
        return Err(format!("{} holds no certificate (PEM)", authority.display()));
    }
    let roots = Arc::new(roots);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let text = |error: &dyn std::fmt::Display| format!("cannot use {}: {error}", certificate.display());

    let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
        .build()
        .map_err(|e| text(&e))?;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| text(&e))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain.clone(), private.clone_key())
        .map_err(|e| text(&e))?;
    // Every connection shows its certificate again: an expired one must not live on in a ticket.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    server.max_early_data_size = 0;

    let servers =
        WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build().map_err(|e| text(&e))?;
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| text(&e))?
        .with_webpki_verifier(servers)
        .with_client_auth_cert(chain, private)
        .map_err(|e| text(&e))?;
    client.resumption = Resumption::disabled();

    Ok(Keys {
        acceptor: TlsAcceptor::from(Arc::new(server)),
        connector: TlsConnector::from(Arc::new(client)),
        not_after_s: facts.not_after_s,
    })
}

fn check_own(facts: &Facts, identity: &Identity) -> Result<(), String> {
    if facts.node != identity.node || facts.chassis != identity.chassis {
        return Err(format!(
            "made for node {} on chassis {}, but this is node {} on chassis {}",
            facts.node.0, facts.chassis, identity.node.0, identity.chassis
        ));
    }
    if !facts.roles.covers(identity.roles) {
        return Err(format!("made for the roles {}, but this node has {}", facts.roles, identity.roles));
    }
    Ok(())
}

fn stamp(files: &[PathBuf; 3]) -> [Option<SystemTime>; 3] {
    files.each_ref().map(|file| std::fs::metadata(file).and_then(|meta| meta.modified()).ok())
}

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);
