//! Who the engine is and who may speak to it: its own certificate authority, its certificate, the
//! administrator's token, and the kubeconfig that carries them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_apiserver::world::World;

use crate::home::{Home, HomeError};
use crate::world::hex;

/// Bytes of the seed of the key that signs tokens.
const SEED: usize = 32;

/// What the engine keeps in `credentials.json` (mode 0600). The authority's key is not kept: it signs once.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The authority's certificate, PEM.
    ca: String,
    /// The server's certificate, PEM.
    certificate: String,
    /// The server's key, PEM.
    key: String,
    /// The administrator's bearer token.
    pub(crate) token: String,
    /// The port it listened on last, so that kubeconfigs stay good.
    pub(crate) port: Option<u16>,
    /// What the key that signs service accounts' tokens is made from: 32 bytes, in hexadecimal. Homes from before there
    /// were such tokens have none yet.
    #[serde(default)]
    tokens: String,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The file does not hold what it should.
    #[error("{place}: {cause}; move it away to get new credentials (clients then need the new kubeconfig)")]
    Unreadable {
        /// The file.
        place: String,
        /// What is wrong.
        cause: String,
    },
    /// A certificate could not be made.
    #[error("making the engine's certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS could not be set up.
    #[error("setting up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl Identity {
    /// Reads the home's identity, or makes one.
    pub(crate) fn load_or_make(home: &Home, world: &dyn World) -> Result<Identity, IdentityError> {
        let place = home.credentials();
        match std::fs::read(&place) {
            Ok(bytes) => {
                let read = serde_json::from_slice(&bytes);
                let mut identity: Identity = read.map_err(|cause| IdentityError::Unreadable {
                    place: place.display().to_string(),
                    cause: cause.to_string(),
                })?;
                if identity.tokens.is_empty() {
                    identity.tokens = hex(world, SEED);
                    identity.save(home)?;
                }
                Ok(identity)
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                let identity = Identity::make(world)?;
                identity.save(home)?;
                Ok(identity)
            }
            Err(cause) => Err(HomeError::Io { place, cause }.into()),
        }
    }

    pub(crate) fn save(&self, home: &Home) -> Result<(), HomeError> {
        // A struct of strings always has a JSON form.
        let bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        home.write_private(&home.credentials(), &bytes)
    }

    fn make(world: &dyn World) -> Result<Identity, IdentityError> {
        let authority_key = KeyPair::generate()?;
        let authority = authority_params(&hex(world, 4));
        let ca = authority.self_signed(&authority_key)?;
        let key = KeyPair::generate()?;
        let certificate = server_params()?.signed_by(&key, &Issuer::new(authority, authority_key))?;
        Ok(Identity {
            ca: ca.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            token: hex(world, 32),
            port: None,
            tokens: hex(world, SEED),
        })
    }

    /// What the key that signs service accounts' tokens is made from.
    pub(crate) fn seed(&self, home: &Home) -> Result<[u8; SEED], IdentityError> {
        let mut seed = [0; SEED];
        let digits = self.tokens.as_bytes();
        let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let bytes: Option<Vec<u8>> = pairs.collect();
        match bytes.filter(|bytes| bytes.len() == SEED) {
            Some(bytes) => seed.copy_from_slice(&bytes),
            None => {
                return Err(IdentityError::Unreadable {
                    place: home.credentials().display().to_string(),
                    cause: format!("\"tokens\" is not {SEED} bytes in hexadecimal"),
                });
            }
        }
        Ok(seed)
    }

    /// The server's side of TLS.
    pub(crate) fn tls(&self, home: &Home) -> Result<Arc<rustls::ServerConfig>, IdentityError> {
        let unreadable = |cause: rustls::pki_types::pem::Error| IdentityError::Unreadable {
            place: home.credentials().display().to_string(),
            cause: cause.to_string(),
        };
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(unreadable)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(unreadable)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// The authority's certificate, PEM.
    pub(crate) fn authority(&self) -> String {
        self.ca.clone()
    }

    /// The administrator's kubeconfig, as YAML.
    pub(crate) fn kubeconfig(&self, address: SocketAddr) -> String {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca);
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "windlass", "cluster": {
                "server": format!("https://{address}"), "certificate-authority-data": ca,
            }}],
            "users": [{"name": "windlass-admin", "user": {"token": self.token}}],
            "contexts": [{"name": "windlass", "context": {
                "cluster": "windlass", "user": "windlass-admin", "namespace": "default",
            }}],
            "current-context": "windlass",
        });
        // JSON is YAML too, should the writer of YAML ever refuse it.
        serde_saphyr::to_string(&config).unwrap_or_else(|_| config.to_string())
    }
}

fn authority_params(tag: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("windlass-ca-{tag}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2056, 1, 1);
    params
}

fn server_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(vec![
        "localhost".to_owned(),
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
    ])?;
    for address in [IpAddr::from([127, 0, 0, 1]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)] {
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    params.distinguished_name.push(DnType::CommonName, "windlass");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2056, 1, 1);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
