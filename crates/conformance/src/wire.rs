//! Requests as bytes and answers as values: no types, so that nothing is lost or repaired on the way.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// The longest that any one answer, event or state may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// The largest answer that is read.
const LARGEST: usize = 16 << 20;

/// A request, ready to be sent.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Bytes>,
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Ask {
        Ask { method: Method::GET, path: path.into(), headers: Vec::new(), body: None }
    }

    fn request(self) -> Result<Request<Body>> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        let named = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if self.body.is_some() && !named("content-type") {
            request = request.header("content-type", "application/json");
        }
        if !named("accept") {
            request = request.header("accept", "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = self.body.map_or_else(Body::empty, Body::from);
        request.body(body).with_context(|| format!("the request for {}", self.path))
    }
}

/// Sends a request and reads the whole answer: code, content type, warnings and body.
pub(crate) async fn send(client: &Client, ask: Ask) -> Result<Value> {
    let path = ask.path.clone();
    let work = async {
        let response = client.send(ask.request()?).await?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok::<Value, anyhow::Error>(answer(parts.status.as_u16(), &parts.headers, &bytes))
    };
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(answer) => answer.with_context(|| path),
        Err(_) => bail!("{path}: no answer within {PATIENCE:?}"),
    }
}

fn answer(code: u16, headers: &HeaderMap, bytes: &Bytes) -> Value {
    let mut answer = head(code, headers);
    if !bytes.is_empty() {
        let text = || Value::String(String::from_utf8_lossy(bytes).into_owned());
        let yaml = answer["type"] == "application/yaml";
        let value =
            if yaml { serde_saphyr::from_slice(bytes).ok() } else { serde_json::from_slice(bytes).ok() };
        answer["body"] = value.unwrap_or_else(text);
    }
    answer
}

fn head(code: u16, headers: &HeaderMap) -> Value {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let mut head = json!({"code": code});
    if headers.contains_key("content-type") {
        head["type"] = text("content-type").into();
    }
    let warnings: Vec<&str> = headers.get_all("warning").iter().filter_map(|v| v.to_str().ok()).collect();
    if !warnings.is_empty() {
        head["warnings"] = json!(warnings);
    }
    head
}

/// A watch that is open, or what was said instead.
pub(crate) struct Watch {
    /// Code and content type; with the body if it is no stream.
    pub(crate) head: Value,
    body: Option<Body>,
    read: BytesMut,
}

impl Watch {
    pub(crate) async fn open(client: &Client, ask: Ask) -> Result<Watch> {
        let path = ask.path.clone();
        let sent = tokio::time::timeout(PATIENCE, client.send(ask.request()?)).await;
        let (parts, body) = sent.with_context(|| format!("{path}: no answer"))??.into_parts();
        if parts.status.is_success() {
            let head = head(parts.status.as_u16(), &parts.headers);
            return Ok(Watch { head, body: Some(body), read: BytesMut::new() });
        }
        let bytes = body.collect().await?.to_bytes();
        let head = answer(parts.status.as_u16(), &parts.headers, &bytes);
        Ok(Watch { head, body: None, read: BytesMut::new() })
    }

    /// The next event; none when the server has ended the watch.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>> {
        match tokio::time::timeout(PATIENCE, self.line()).await {
            Ok(line) => line,
            Err(_) => bail!("no event and no end within {PATIENCE:?}"),
        }
    }

    async fn line(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end + 1);
                return Ok(Some(serde_json::from_slice(&line).context("an event that is no JSON")?));
            }
            if self.read.len() > LARGEST {
                bail!("an event of more than {LARGEST} bytes");
            }
            let Some(body) = &mut self.body else { return Ok(None) };
            match body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.read.extend_from_slice(&data);
                    }
                }
                None => self.body = None,
            }
        }
    }
}
