//! Requests of probes and hooks: HTTP/1.1, whoever the server says that it is, redirects followed on the same host.
//!
//! Source: pkg/probe/http/http.go, pkg/kubelet/lifecycle/handlers.go; errors read as Go's client writes them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, LOCATION};
use hyper::{Request, Response, Uri, body::Incoming};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use windlass_runner::kubelet::{Answer, HttpGet};

use super::{address, dial, within};

/// As Go's client.
const MOST_REDIRECTS: usize = 10;
/// What is read of a body (upstream: `maxRespBodyLength`).
const MOST_BODY: usize = 10 << 10;

/// What came of a request in the end.
enum Got {
    Status(u16),
    /// It leads elsewhere; the body that it came with.
    Elsewhere(String),
}

/// Why nothing came of it.
enum Fault {
    /// The server does not speak TLS.
    Plain(String),
    Other(String),
}

/// Asks: what is less than 400 is a yes.
pub(super) async fn probe(get: &HttpGet, timeout: Option<Duration>) -> Answer {
    match within(timeout, follow(get)).await {
        Some(Ok(Got::Status(status @ (..200 | 400..)))) => {
            Answer::Failure(format!("HTTP probe failed with statuscode: {status}"))
        }
        Some(Ok(Got::Status(_))) => Answer::Success,
        Some(Ok(Got::Elsewhere(body))) => {
            Answer::Warning(format!("Probe terminated redirects, Response body: {body}"))
        }
        Some(Err(Fault::Plain(why) | Fault::Other(why))) => Answer::Failure(why),
        None => Answer::Failure(format!(
            "Get \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
            url(get)
        )),
    }
}

/// Tells a server; whatever it answers is well.
pub(super) async fn hook(get: &HttpGet) -> Answer {
    match follow(get).await {
        Ok(_) => Answer::Success,
        Err(Fault::Other(why)) => Answer::Failure(why),
        Err(Fault::Plain(why)) => {
            let mut plain = HttpGet { is_https: false, ..get.clone() };
            plain.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Authorization"));
            match follow(&plain).await {
                Ok(_) => Answer::Warning(format!(
                    "request to HTTPS lifecycle hook {} got HTTP response, retry with HTTP succeeded",
                    address(&get.host, get.port)
                )),
                Err(_) => Answer::Failure(why),
            }
        }
    }
}

async fn follow(get: &HttpGet) -> Result<Got, Fault> {
    let mut next = get.clone();
    for _ in 0..=MOST_REDIRECTS {
        let response = send(&next).await?;
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        match (status, location) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => match lead(&next, location) {
                Some(led) if led.host == get.host => next = led,
                Some(_) => return Ok(Got::Elsewhere(body(response).await)),
                None => {
                    let why = format!("failed to parse Location header {location:?}");
                    return Err(Fault::Other(format!("Get \"{}\": {why}", url(&next))));
                }
            },
            (300..400, _) => return Ok(Got::Elsewhere(body(response).await)),
            _ => return Ok(Got::Status(status)),
        }
    }
    Err(Fault::Other(format!("Get \"{}\": stopped after {MOST_REDIRECTS} redirects", url(&next))))
}

/// The request that a redirect asks for.
fn lead(from: &HttpGet, location: &str) -> Option<HttpGet> {
    let location = location.split('#').next().unwrap_or_default();
    let absolute = if location.starts_with("//") {
        let scheme = if from.is_https { "https:" } else { "http:" };
        format!("{scheme}{location}")
    } else if location.contains("://") {
        location.to_owned()
    } else {
        let path = if location.starts_with('/') {
            location.to_owned()
        } else {
            let path = from.path.split('?').next().unwrap_or_default();
            let folder = if location.starts_with('?') {
                path
            } else {
                path.rfind('/').map_or("/", |end| &path[..=end])
            };
            format!("{folder}{location}")
        };
        return Some(HttpGet { path, ..from.clone() });
    };
    let uri: Uri = absolute.parse().ok()?;
    let is_https = match uri.scheme_str()? {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Some(HttpGet { is_https, host: uri.host()?.to_owned(), port, path, headers: from.headers.clone() })
}

async fn send(get: &HttpGet) -> Result<Response<Incoming>, Fault> {
    let fault = |why: String| Fault::Other(format!("Get \"{}\": {why}", url(get)));
    let request = request(get).map_err(fault)?;
    let stream = dial(&get.host, get.port).await.map_err(fault)?;
    if !get.is_https {
        return exchange(stream, request).await.map_err(fault);
    }
    let bare = get.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare).map_err(|cause| fault(cause.to_string()))?;
    let stream = TlsConnector::from(trusting()).connect(name, stream).await.map_err(|cause| {
        let tls = cause.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
        match tls {
            Some(Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
                Fault::Plain(format!("Get \"{}\": http: server gave HTTP response to HTTPS client", url(get)))
            }
            _ => fault(format!("tls: {cause}")),
        }
    })?;
    exchange(stream, request).await.map_err(fault)
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|cause| said(&cause))?;
    // It ends with the response, or when that is dropped.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|cause| said(&cause))
}

fn said(cause: &hyper::Error) -> String {
    let system = std::error::Error::source(cause).and_then(|source| source.downcast_ref::<std::io::Error>());
    match system {
        _ if cause.is_incomplete_message() => "EOF".to_owned(),
        Some(system) => format!("read: {}", super::words(system)),
        None => cause.to_string(),
    }
}

fn request(get: &HttpGet) -> Result<Request<Empty<Bytes>>, String> {
    let path: Uri = target(&get.path).parse().map_err(|cause| format!("parse {:?}: {cause}", get.path))?;
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = path;
    let headers = request.headers_mut();
    for (name, value) in &get.headers {
        let name: HeaderName =
            name.parse().map_err(|_| format!("net/http: invalid header field name {name:?}"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("net/http: invalid header field value for {:?}", name.as_str()))?;
        headers.append(name, value);
    }
    if !headers.contains_key(HOST) {
        let host = HeaderValue::from_str(&address(&get.host, get.port)).map_err(|cause| cause.to_string())?;
        headers.insert(HOST, host);
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

/// What of a path and query goes over the wire: what may not stand there is escaped, a fragment stays here.
fn target(path: &str) -> String {
    /// All but what RFC 3986 has in paths and queries.
    const ESCAPED: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'\\')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    let path = path.split('#').next().unwrap_or_default();
    let mut written = String::with_capacity(path.len());
    for (number, part) in path.split('%').enumerate() {
        if number > 0 {
            let is_escape = part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
            written.push_str(if is_escape { "%" } else { "%25" });
        }
        written.extend(utf8_percent_encode(part, ESCAPED));
    }
    if written.starts_with('/') { written } else { format!("/{written}") }
}

/// The begin of a body; what comes of it before it fails.
async fn body(response: Response<Incoming>) -> String {
    let (mut body, mut bytes) = (response.into_body(), Vec::new());
    while bytes.len() < MOST_BODY
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
    }
    bytes.truncate(MOST_BODY);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn url(get: &HttpGet) -> String {
    let scheme = if get.is_https { "https" } else { "http" };
    format!("{scheme}://{}{}", address(&get.host, get.port), get.path)
}

/// A client that takes any certificate.
fn trusting() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the versions that rustls takes for safe");
        let verifier = Arc::new(Anybody(provider));
        Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    };
    Arc::clone(CONFIG.get_or_init(make))
}

/// A probe asks whether a server answers, not who it is.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
