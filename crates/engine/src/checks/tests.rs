//! Requests and connections to servers of the tests' own.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use windlass_runner::kubelet::HttpGet;

use super::*;

/// As long as a test may take.
const LONG: Option<Duration> = Some(Duration::from_secs(60));

/// A server that gives each connection the next answer (the last one from then on) and keeps what it was asked.
async fn server(answers: &[&str]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, answers) =
        (Arc::default(), answers.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    let seen: Arc<Mutex<Vec<String>>> = Arc::clone(&asked);
    tokio::spawn(async move {
        for turn in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut chunk) = (Vec::new(), vec![0; 16 << 10]);
            // The begin of TLS has no such end.
            while !request.ends_with(b"\r\n\r\n") && request.first() != Some(&0x16) {
                match stream.read(&mut chunk).await.unwrap_or(0) {
                    0 => break,
                    count => request.extend_from_slice(&chunk[..count]),
                }
            }
            seen.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            let answer = &answers[turn.min(answers.len() - 1)];
            // Who has gone meanwhile wants no answer; who has not is waited for, so that it gets all of it.
            let _ = stream.write_all(answer.replace("PORT", &address.port().to_string()).as_bytes()).await;
            let _ = stream.shutdown().await;
            while stream.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
        }
    });
    (address, asked)
}

fn get(address: SocketAddr, path: &str) -> HttpGet {
    let headers = vec![("X-Probe".to_owned(), "yes".to_owned())];
    let host = address.ip().to_string();
    HttpGet { is_https: false, host, port: address.port(), path: path.to_owned(), headers }
}

/// A port of this machine that is taken, and where nobody listens.
fn closed() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn status_below_400_is_a_yes() {
    for (answer, expected) in [
        (OK, Answer::Success),
        ("HTTP/1.1 204 No Content\r\n\r\n", Answer::Success),
        (
            "HTTP/1.1 404 Not Found\r\n\r\n",
            Answer::Failure("HTTP probe failed with statuscode: 404".to_owned()),
        ),
        ("HTTP/1.0 500 No\r\n\r\nx", Answer::Failure("HTTP probe failed with statuscode: 500".to_owned())),
    ] {
        let (address, asked) = server(&[answer]).await;
        assert_eq!(http::probe(&get(address, "/up?x=1"), LONG).await, expected);
        let asked = asked.lock().unwrap().concat().to_lowercase();
        assert!(asked.starts_with("get /up?x=1 http/1.1\r\n"), "{asked}");
        for header in [format!("host: {address}"), "x-probe: yes".to_owned(), "connection: close".to_owned()]
        {
            assert!(asked.contains(&format!("{header}\r\n")), "{asked}");
        }
    }
}

#[tokio::test]
async fn redirect_is_followed_on_its_host_and_told_of_another() {
    let moved = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 4\r\n\r\nbody");
    let (address, asked) = server(&[&moved("other"), &moved("http://127.0.0.1:PORT/third"), OK]).await;
    assert_eq!(http::probe(&get(address, "/a/first?x"), LONG).await, Answer::Success);
    let paths: Vec<String> = asked.lock().unwrap().iter().map(|request| request[..14].to_owned()).collect();
    assert_eq!(paths, ["GET /a/first?x", "GET /a/other H", "GET /third HTT"]);
    let (address, asked) = server(&[&moved("http://example.invalid/")]).await;
    let told = Answer::Warning("Probe terminated redirects, Response body: body".to_owned());
    assert_eq!(http::probe(&get(address, "/"), LONG).await, told);
    assert_eq!(asked.lock().unwrap().len(), 1);
    let (address, asked) = server(&[&moved("/")]).await;
    let round = format!("Get \"http://{address}/\": stopped after 10 redirects");
    assert_eq!(http::probe(&get(address, "/"), LONG).await, Answer::Failure(round));
    assert_eq!(asked.lock().unwrap().len(), 11);
}

#[tokio::test]
async fn server_that_is_not_there_or_says_nothing_is_a_no() {
    let (_held, address) = closed();
    let refused = format!("dial tcp {address}: connect: connection refused");
    assert_eq!(open("127.0.0.1", address.port(), LONG).await, Answer::Failure(refused.clone()));
    let why = format!("Get \"http://{address}/\": {refused}");
    assert_eq!(http::probe(&get(address, "/"), LONG).await, Answer::Failure(why.clone()));
    assert_eq!(http::hook(&get(address, "/")).await, Answer::Failure(why));
    let (address, _) = server(&[""]).await;
    let Answer::Failure(why) = http::probe(&get(address, "/"), LONG).await else { panic!("a no") };
    assert!(why.starts_with(&format!("Get \"http://{address}/\": ")), "{why}");
    assert_eq!(open("127.0.0.1", address.port(), LONG).await, Answer::Success);
}

#[tokio::test]
async fn probe_that_takes_too_long_is_a_no() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let Answer::Failure(why) = http::probe(&get(address, "/"), Some(Duration::from_millis(1))).await else {
        panic!("a no")
    };
    assert!(
        why.ends_with("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
        "{why}"
    );
}

#[tokio::test]
async fn hook_takes_any_answer_and_falls_back_to_plain_http() {
    let (address, _) = server(&["HTTP/1.1 500 No\r\n\r\n"]).await;
    assert_eq!(http::hook(&get(address, "/")).await, Answer::Success);
    let (address, asked) = server(&["HTTP/1.1 400 Bad Request\r\n\r\n", OK]).await;
    let mut https = HttpGet { is_https: true, ..get(address, "/") };
    https.headers.push(("Authorization".to_owned(), "secret".to_owned()));
    let told =
        format!("request to HTTPS lifecycle hook {address} got HTTP response, retry with HTTP succeeded");
    assert_eq!(http::hook(&https).await, Answer::Warning(told));
    assert!(!asked.lock().unwrap()[1].to_lowercase().contains("secret"));
}

#[tokio::test]
async fn server_over_tls_needs_no_known_certificate() {
    let made = rcgen::generate_simple_self_signed(vec!["nobody.test".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(OK.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let https = HttpGet { is_https: true, ..get(address, "/") };
    assert_eq!(http::probe(&https, LONG).await, Answer::Success);
}

#[tokio::test]
async fn request_that_cannot_be_written_is_a_no() {
    let address: SocketAddr = ([127, 0, 0, 1], 9).into();
    let mut get = get(address, "/");
    get.headers = vec![("no name".to_owned(), "x".to_owned())];
    let Answer::Failure(why) = http::probe(&get, LONG).await else { panic!("a no") };
    assert!(why.contains("invalid header field name \"no name\""), "{why}");
}

#[tokio::test]
async fn path_is_escaped_where_it_must_be() {
    for (path, line) in [
        ("/two words?q=a b", "GET /two%20words?q=a%20b HTTP/1.1"),
        ("/%41%zz%", "GET /%41%25zz%25 HTTP/1.1"),
        ("/grün#here", "GET /gr%C3%BCn HTTP/1.1"),
        ("up", "GET /up HTTP/1.1"),
        ("", "GET / HTTP/1.1"),
    ] {
        let (address, asked) = server(&[OK]).await;
        assert_eq!(http::probe(&get(address, path), LONG).await, Answer::Success, "{path}");
        assert_eq!(asked.lock().unwrap()[0].lines().next(), Some(line));
    }
}

#[tokio::test]
async fn query_of_a_redirect_is_asked_of_the_same_path() {
    let moved = "HTTP/1.1 302 Found\r\nLocation: ?again\r\nContent-Length: 0\r\n\r\n";
    let (address, asked) = server(&[moved, OK]).await;
    assert_eq!(http::probe(&get(address, "/a/b?x"), LONG).await, Answer::Success);
    assert!(asked.lock().unwrap()[1].starts_with("GET /a/b?again HTTP/1.1\r\n"));
}

#[tokio::test]
async fn slow_probes_leave_their_turns_to_others_while_there_is_room_for_slow_ones() {
    let turns = Turns::new(1, 1);
    let (release, held) = tokio::sync::watch::channel(false);
    let slow = || {
        let (turns, mut held) = (turns.clone(), held.clone());
        let work = || async move { held.wait_for(|over| *over).await.map(drop) };
        tokio::spawn(async move { turns.take(Duration::ZERO, work).await })
    };
    let first = slow();
    // It waits until the first one has taken as long as a quick one may.
    assert_eq!(turns.take(Duration::MAX, || async { 1 }).await, 1);
    let second = slow();
    while turns.quick.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    // Two that are slow are as many as may be.
    let mut third = pin!(turns.take(Duration::MAX, || async { 3 }));
    assert!(futures::poll!(third.as_mut()).is_pending());
    release.send(true).unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(third.await, 3);
}

#[test]
fn address_of_the_new_kind_is_written_in_brackets() {
    assert_eq!(address("::1", 80), "[::1]:80");
    assert_eq!(address("[::1]", 80), "[::1]:80");
    assert_eq!(address("host", 80), "host:80");
}
