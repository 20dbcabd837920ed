//! Something that answers over HTTP and TCP, for probes and hooks to ask: on a cluster a container's own server, on the
//! engine, whose host may have none, a listener of the suite's own, which the probes name as their host.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::pods::{condition, pod};
use super::stage::{POD, Stage};

/// The port of a container's own server.
const PORT: u16 = 8080;
/// The longest request that is read, in bytes.
const REQUEST: usize = 16 << 10;
/// Requests that are remembered until somebody asks for them.
const REMEMBERED: usize = 1000;

/// Who answers.
pub(super) struct Server {
    place: Place,
}

enum Place {
    /// A listener of this process.
    Here {
        address: SocketAddr,
        is_well: Arc<AtomicBool>,
        heard: mpsc::Receiver<String>,
        serving: JoinHandle<()>,
    },
    /// The container that is asked.
    Container,
    /// Another pod, by its name and its address.
    Pod { name: String, address: String },
}

impl Server {
    /// Who answers a container's probes.
    pub(super) async fn for_probes(stage: &Stage) -> Result<Server> {
        if stage.has_images() { Ok(Server { place: Place::Container }) } else { Server::here().await }
    }

    /// Who remembers what it was asked.
    pub(super) async fn for_hooks(stage: &Stage) -> Result<Server> {
        if !stage.has_images() {
            return Server::here().await;
        }
        let script = format!(
            "mkdir -p /tmp/www/cgi-bin; printf '%s\\n' '#!/bin/sh' 'echo \"heard $QUERY_STRING\" > /proc/1/fd/1' \
             'echo Content-Type: text/plain; echo; echo ok' > /tmp/www/cgi-bin/echo; chmod +x /tmp/www/cgi-bin/echo; \
             exec httpd -f -p {PORT} -h /tmp/www"
        );
        let mut wish = pod("handler", &script);
        wish["spec"]["containers"][0]["readinessProbe"] =
            json!({"tcpSocket": {"port": PORT}, "periodSeconds": 1, "failureThreshold": 1});
        stage.create(wish).await?;
        let ready = |pod: &DynamicObject| condition(pod, "Ready")["status"] == "True";
        let handler = stage.pod_until("handler", "the handler is ready", ready).await?;
        let address = handler.data["status"]["podIP"].as_str().context("a handler without an address")?;
        Ok(Server { place: Place::Pod { name: "handler".to_owned(), address: address.to_owned() } })
    }

    async fn here() -> Result<Server> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let is_well = Arc::new(AtomicBool::new(true));
        let (tell, heard) = mpsc::channel(REMEMBERED);
        let well = Arc::clone(&is_well);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&well), tell.clone()));
            }
        });
        Ok(Server { place: Place::Here { address, is_well, heard, serving } })
    }

    /// What the probed container runs: it serves, if nobody does it for it, and stays.
    pub(super) fn script(&self, then: &str) -> String {
        let stay = "trap 'exit 0' TERM; sleep 1000000 & wait";
        match self.place {
            Place::Container => format!(
                "mkdir -p /tmp/www; echo ok > /tmp/www/healthz; httpd -p {PORT} -h /tmp/www; {then}; {stay}"
            ),
            Place::Here { .. } | Place::Pod { .. } => stay.to_owned(),
        }
    }

    /// `httpGet` or `tcpSocket` of a probe or a hook.
    pub(super) fn asked(&self, how: &str, path: &str) -> Value {
        let mut action = match &self.place {
            Place::Here { address, .. } => json!({"host": address.ip().to_string(), "port": address.port()}),
            Place::Container => json!({"port": PORT}),
            Place::Pod { address, .. } => json!({"host": address, "port": PORT}),
        };
        if how == "httpGet" {
            action["path"] = path.into();
        }
        json!({how: action})
    }

    /// From now on it refuses what it is asked; a container's own server has been told by its script.
    pub(super) fn falls_ill(&self) {
        if let Place::Here { is_well, .. } = &self.place {
            is_well.store(false, Ordering::SeqCst);
        }
    }

    /// Whether it was asked by now with these words in the query.
    pub(super) async fn ensure_heard(&mut self, stage: &Stage, words: &str) -> Result<()> {
        match &mut self.place {
            Place::Here { heard, .. } => {
                let all: String = std::iter::from_fn(|| heard.try_recv().ok()).collect();
                ensure!(all.contains(words), "the server has not heard {words:?}, but {all:?}");
                Ok(())
            }
            // What a container has said may be on its way to its log.
            Place::Pod { name, .. } => stage.log_until(name, "c", words).await,
            Place::Container => bail!("a container's own server remembers nothing"),
        }
    }

    /// It goes, with its pod.
    pub(super) async fn close(self, stage: &Stage) -> Result<()> {
        match &self.place {
            Place::Pod { name, .. } => stage.delete(POD, name).await,
            Place::Here { .. } | Place::Container => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Place::Here { serving, .. } = &self.place {
            serving.abort();
        }
    }
}

/// Answers one request: 200, or 500 once it is ill. What it was asked is told before the answer is.
async fn answer(mut stream: TcpStream, is_well: Arc<AtomicBool>, tell: mpsc::Sender<String>) {
    let (mut request, mut chunk) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST {
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => request.extend_from_slice(&chunk[..count]),
            // A probe over TCP asks nothing.
            _ => return,
        }
    }
    let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
    // Beyond what is remembered nobody looks.
    let _ = tell.try_send(format!("{line}\n"));
    let status = if is_well.load(Ordering::SeqCst) { "200 OK" } else { "500 Internal Server Error" };
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    // Who asks may have gone.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
