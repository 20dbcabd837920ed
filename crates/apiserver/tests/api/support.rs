//! An API server over a store in memory, with a clock and randomness of the test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;
use windlass_apiserver::error::ApiError;
use windlass_apiserver::http::{Config, Limits, Server, start};
use windlass_apiserver::kind::Kind;
use windlass_apiserver::kinds;
use windlass_apiserver::logs::{LogRequest, LogSource};
use windlass_apiserver::registry::{Registry, indexed_tags};
use windlass_apiserver::rights::Accounts;
use windlass_apiserver::world::World;
use windlass_store::{Bounds, Options, Revision, Store};

pub(crate) const TOKEN: &str = "the-administrators-token";
pub(crate) const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A clock that the test sets and randomness that repeats.
pub(crate) struct TestWorld {
    pub(crate) seconds: AtomicI64,
    seed: AtomicU64,
}

impl World for TestWorld {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.seconds.load(Ordering::SeqCst)).unwrap()
    }
    fn random(&self, buffer: &mut [u8]) {
        for byte in buffer {
            // splitmix64
            let mut z = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z ^ (z >> 31)) as u8;
        }
    }
}

/// Logs that say what was asked. Those that are followed go on, but that of the pod `over`.
struct Echo;

impl LogSource for Echo {
    fn open(
        &self,
        pod: Value,
        request: LogRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, std::io::Result<Bytes>>, ApiError>> {
        Box::pin(async move {
            let text = format!("{} {:?} {:?}\n", pod["metadata"]["name"], request.tail_lines, request.stream);
            let first = stream::iter([Ok(Bytes::from(text))]);
            let is_over = pod["metadata"]["name"] == "over";
            Ok(if request.follow && !is_over {
                first.chain(stream::pending()).boxed()
            } else {
                first.boxed()
            })
        })
    }
}

/// A server and what stands behind it.
pub(crate) struct Api {
    pub(crate) server: Server,
    pub(crate) registry: Registry,
    pub(crate) world: Arc<TestWorld>,
    pub(crate) certificate: rustls::pki_types::CertificateDer<'static>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{e}: {:?}", self.bytes))
    }
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.headers.get_all("warning").iter().map(|w| w.to_str().unwrap().to_owned()).collect()
    }
}

impl Api {
    pub(crate) async fn new() -> Api {
        Api::with(Limits::default(), Bounds::default()).await
    }

    pub(crate) async fn with(limits: Limits, bounds: Bounds) -> Api {
        let world = Arc::new(TestWorld { seconds: AtomicI64::new(1_800_000_000), seed: AtomicU64::new(1) });
        let options = Options {
            bounds,
            now_ms: Arc::new(|| 1_800_000_000_000),
            first_revision: Revision(1000),
            new_id: "test".to_owned(),
            indexed: indexed_tags(),
        };
        let registry = Registry::new(Store::memory(options), world.clone());
        let namespaces = kind("v1", "Namespace");
        let default = json!({"metadata": {"name": "default"}});
        registry.create(namespaces, None, default, false).await.unwrap();
        let (tls, certificate) = certificate();
        let config = Config {
            listener: std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
            tls,
            admin_token: TOKEN.to_owned(),
            accounts: Accounts::new(registry.clone(), &[7; 32]),
            images_on_host: false,
            clock: None,
            logs: Arc::new(Echo),
            attacher: Arc::new(crate::attach::Cat),
            git_version: "v1.36.0+windlass-0.1.0".to_owned(),
            limits,
        };
        let server = start(registry.clone(), config).unwrap();
        Api { server, registry, world, certificate }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> http::Response<Body> {
        self.server.service().oneshot(request).await.unwrap()
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        read(self.send(request).await).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.ask(Request::get(path).header("accept", accept).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, "application/json", body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, "application/json", body.to_string()).await
    }

    pub(crate) async fn merge(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, "application/merge-patch+json", body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, "application/json", String::new()).await
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", media);
        self.ask(request.body(body.into()).unwrap()).await
    }

    /// Creates what must succeed.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.code, 201, "{answer:?}");
        answer.json()
    }

    /// Opens a watch that must be accepted.
    pub(crate) async fn watch(&self, path: &str) -> Lines {
        let response = self.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        Lines { body: response.into_body(), rest: Vec::new() }
    }
}

/// Reads an answer to its end.
pub(crate) async fn read(response: http::Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer { code: parts.status.as_u16(), headers: parts.headers, bytes }
}

/// The lines of a stream, one JSON object each.
pub(crate) struct Lines {
    body: Body,
    rest: Vec<u8>,
}

impl Lines {
    /// The next event; none when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(at) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=at).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.unwrap();
            if let Ok(data) = frame.into_data() {
                self.rest.extend_from_slice(&data);
            }
        }
    }

    /// The next event as its type and the object's name.
    pub(crate) async fn seen(&mut self) -> (String, String) {
        let event = self.next().await.expect("the watch has ended");
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        (event["type"].as_str().unwrap().to_owned(), name)
    }
}

pub(crate) fn kind(api_version: &str, name: &str) -> &'static Kind {
    kinds::by_kind(api_version, name).unwrap()
}

pub(crate) fn job(name: &str) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "c", "image": "busybox", "command": ["true"]}],
        }}},
    })
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "busybox"}]},
    })
}

pub(crate) fn config_map(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"a": "b"}})
}

fn certificate() -> (Arc<rustls::ServerConfig>, rustls::pki_types::CertificateDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], private)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (Arc::new(tls), certificate)
}
