//! Certificates of nodes: what a small system needs of an authority. A node's certificate says in its subject
//! alternative names which node on which chassis it is and which roles it has; links believe nothing else.
//!
//! `tandem:node/3`, `tandem:chassis/2`, `tandem:name/b1`, `tandem:role/proxy` as URIs, and `node-3.tandem` as DNS name,
//! by which the dialling side names whom it wants to reach.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fabric::NodeId;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;

use super::roles::Roles;

/// What is written on a node's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub node: NodeId,
    pub chassis: u16,
    pub name: String,
    pub roles: Roles,
    /// Seconds since 1970.
    pub not_before_s: i64,
    pub not_after_s: i64,
}

/// Any certificate, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    Authority { name: String, not_after_s: i64 },
    Node(Facts),
}

/// Why a certificate cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateError(String);

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CertificateError {}

/// What a new node certificate is to say.
#[derive(Clone, Debug)]
pub struct Order {
    pub node: NodeId,
    /// A DNS label: letters, digits and hyphens, at most 63.
    pub name: String,
    pub chassis: u16,
    pub roles: Roles,
    /// How long it is good for.
    pub days: u32,
}

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// Makes an authority: its key signs the certificates of all nodes of one cluster and of nobody else.
pub fn authority(name: &str, days: u32, now: SystemTime) -> Result<Pair, CertificateError> {
    let key = KeyPair::generate().map_err(|e| failed("cannot make a key", e))?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, days, now);
    let certificate = params.self_signed(&key).map_err(|e| failed("cannot sign the authority", e))?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Makes a node's certificate, signed by `authority`. Errors: a name that is no DNS label, an authority that is none.
pub fn node(authority: &Pair, order: &Order, now: SystemTime) -> Result<Pair, CertificateError> {
    if !is_label(&order.name) {
        let name = &order.name;
        return Err(CertificateError(format!("`{name}` is no node name: 1 to 63 letters, digits and hyphens")));
    }
    if order.roles.is_empty() {
        return Err(CertificateError(format!("a node needs a role: {}", Roles::all())));
    }
    let signer = KeyPair::from_pem(&authority.key).map_err(|e| failed("the authority's key cannot be read", e))?;
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, signer)
        .map_err(|e| failed("the authority's certificate cannot be read", e))?;
    let key = KeyPair::generate().map_err(|e| failed("cannot make a key", e))?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, order.name.as_str());
    params.subject_alt_names =
        vec![san(SanType::DnsName, &host_name(order.node))?, san(SanType::DnsName, &order.name)?];
    let uris =
        [format!("{NODE}{}", order.node.0), format!("{CHASSIS}{}", order.chassis), format!("{NAME}{}", order.name)];
    for uri in uris.into_iter().chain(order.roles.iter().map(|role| format!("{ROLE}{role}"))) {
        params.subject_alt_names.push(san(SanType::URI, &uri)?);
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, order.days, now);
    let certificate = params.signed_by(&key, &issuer).map_err(|e| failed("cannot sign the certificate", e))?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Reads what a certificate says; it is not checked who signed it. Errors: no node's certificate, or one that
/// contradicts itself.
pub fn read(der: &CertificateDer<'_>) -> Result<Facts, CertificateError> {
    match show(der)? {
        Shown::Node(facts) => Ok(facts),
        Shown::Authority { .. } => Err(CertificateError("this is an authority, not a node".to_owned())),
    }
}

/// The same for a PEM file that holds any certificate of ours.
pub fn show_file(path: &Path) -> Result<Shown, CertificateError> {
    let text = std::fs::read(path).map_err(|e| failed(&format!("cannot read {}", path.display()), e))?;
    let der = CertificateDer::from_pem_slice(&text)
        .map_err(|_| CertificateError(format!("{} holds no certificate (PEM)", path.display())))?;
    show(&der).map_err(|e| CertificateError(format!("{}: {e}", path.display())))
}

fn show(der: &CertificateDer<'_>) -> Result<Shown, CertificateError> {
    let (rest, certificate) =
        x509_parser::parse_x509_certificate(der).map_err(|_| CertificateError("not a certificate".to_owned()))?;
    if !rest.is_empty() {
        return Err(CertificateError("something follows the certificate".to_owned()));
    }
    let not_before_s = certificate.validity().not_before.timestamp();
    let not_after_s = certificate.validity().not_after.timestamp();
    if certificate.is_ca() {
        let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        return Ok(Shown::Authority { name: name.unwrap_or("authority").to_owned(), not_after_s });
    }
    let names = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .ok_or_else(|| CertificateError("no node's certificate: it has no alternative names".to_owned()))?;
    let uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let (mut node, mut chassis, mut name) = (None, None, None);
    let mut roles = Roles::default();
    for uri in uris {
        if let Some(number) = uri.strip_prefix(NODE) {
            once(&mut node, number.parse::<u16>().ok(), "node number")?;
        } else if let Some(number) = uri.strip_prefix(CHASSIS) {
            once(&mut chassis, number.parse::<u16>().ok(), "chassis")?;
        } else if let Some(text) = uri.strip_prefix(NAME) {
            once(&mut name, Some(text.to_owned()), "name")?;
        } else if let Some(role) = uri.strip_prefix(ROLE).and_then(|role| role.parse().ok()) {
            // A role that this build does not know allows nothing here.
            roles.insert(role);
        }
    }
    let missing = |what: &str| CertificateError(format!("no node's certificate: it names no {what}"));
    Ok(Shown::Node(Facts {
        node: NodeId(node.ok_or_else(|| missing("node number"))?),
        chassis: chassis.ok_or_else(|| missing("chassis"))?,
        name: name.unwrap_or_default(),
        roles,
        not_before_s,
        not_after_s,
    }))
}

/// Reads a certificate and its key from files.
pub fn load(certificate: &Path, key: &Path) -> Result<Pair, CertificateError> {
    let text =
        |path: &Path| std::fs::read_to_string(path).map_err(|e| failed(&format!("cannot read {}", path.display()), e));
    Ok(Pair { certificate: text(certificate)?, key: text(key)? })
}

impl Pair {
    /// Writes `NAME.pem` and `NAME.key` (mode 0600) into a directory, which is made when it is not there. Errors: a file
    /// exists already; nothing is replaced.
    pub fn write(&self, directory: &Path, name: &str) -> Result<(PathBuf, PathBuf), CertificateError> {
        std::fs::create_dir_all(directory)
            .map_err(|e| failed(&format!("cannot make the directory {}", directory.display()), e))?;
        let key = directory.join(format!("{name}.key"));
        let certificate = directory.join(format!("{name}.pem"));
        if certificate.exists() {
            let path = certificate.display();
            return Err(CertificateError(format!("{path} exists already; remove it if it is to be replaced")));
        }
        write_new(&key, &self.key, 0o600)?;
        write_new(&certificate, &self.certificate, 0o644)?;
        Ok((certificate, key))
    }
}

/// Writes a file that must not be there yet.
pub fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            CertificateError(format!("{} exists already; remove it if it is to be replaced", path.display()))
        }
        _ => failed(&format!("cannot write {}", path.display()), error),
    })
}

/// The name by which a node is dialled.
pub(super) fn host_name(node: NodeId) -> String {
    format!("node-{}.tandem", node.0)
}

fn set_validity(params: &mut CertificateParams, days: u32, now: SystemTime) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // Clocks of nodes differ; a certificate is good on all of them at once.
    params.not_before = epoch + since.saturating_sub(CLOCK_SLACK);
    params.not_after = epoch + since + Duration::from_secs(u64::from(days.clamp(1, DAYS_MAX)) * 86_400);
}

fn san<T>(kind: impl FnOnce(T) -> SanType, text: &str) -> Result<SanType, CertificateError>
where
    T: for<'a> TryFrom<&'a str>,
{
    T::try_from(text).map(kind).map_err(|_| CertificateError(format!("`{text}` cannot stand in a certificate")))
}

fn once<T>(slot: &mut Option<T>, value: Option<T>, what: &str) -> Result<(), CertificateError> {
    match (slot.is_none(), value) {
        (true, Some(value)) => {
            *slot = Some(value);
            Ok(())
        }
        (true, None) => Err(CertificateError(format!("its {what} is no number"))),
        (false, _) => Err(CertificateError(format!("it names more than one {what}"))),
    }
}

fn is_label(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(good) && !name.starts_with('-') && !name.ends_with('-')
}

fn failed(what: &str, cause: impl fmt::Display) -> CertificateError {
    CertificateError(format!("{what}: {cause}"))
}

const NODE: &str = "tandem:node/";
const CHASSIS: &str = "tandem:chassis/";
const NAME: &str = "tandem:name/";
const ROLE: &str = "tandem:role/";

/// How far clocks of nodes may be apart when a certificate is new.
const CLOCK_SLACK: Duration = Duration::from_secs(3_600);

/// Longest life of a certificate, days: 100 years.
const DAYS_MAX: u32 = 36_500;

#[cfg(test)]
mod tests;
