//! Proxies, servers that say nothing, credentials that have expired.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::home::{Home, finish};

/// A proxy that leads every CONNECT to one address; how often it was asked.
fn proxy(target: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || relay(stream, target));
        }
    });
    (address, asked)
}

fn relay(mut client: TcpStream, target: SocketAddr) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"CONNECT engine.test:443 "), "{}", String::from_utf8_lossy(&head));
    let server = TcpStream::connect(target).ok()?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    let (mut from_client, mut to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let there = std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    let (mut from_server, mut to_client) = (server, client);
    std::io::copy(&mut from_server, &mut to_client).ok()?;
    there.join().ok()?.ok()?;
    Some(())
}

#[test]
fn this_machine_is_never_reached_through_a_proxy() {
    let home = Home::new();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = home.command(&["run", "-q", "--export", "NONE", "--", "/bin/echo", "hi"]);
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env(name, format!("http://{dead}"));
    }
    let ended = finish(command);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "hi\n"), "{ended:?}");
}

#[test]
fn a_kubeconfigs_proxy_is_used() {
    let home = Home::new();
    let text = home.ok(&["kubeconfig"]);
    let at = text.find("https://").unwrap();
    let server = text[at..].split_whitespace().next().unwrap().trim_matches('"');
    let address: SocketAddr = server.trim_start_matches("https://").parse().unwrap();
    let (proxy, asked) = proxy(address);
    let there = format!("https://engine.test\n    proxy-url: http://{proxy}\n    tls-server-name: localhost");
    let file = home.write("config", &text.replacen(server, &there, 1));
    let ended = home.windlass(&["run", "-q", "--kubeconfig", file.to_str().unwrap(), "--", "echo", "hi"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "hi\n"), "{ended:?}");
    assert!(asked.load(Ordering::SeqCst) > 0);
}

#[test]
fn expired_credentials_name_the_context_and_the_login() {
    let home = Home::new();
    let text = home.ok(&["kubeconfig"]);
    let plugin = "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token], \
                  interactiveMode: Never}";
    let start = text.find("token:").unwrap();
    let end = start + text[start..].find('\n').unwrap_or(text.len() - start);
    let spoiled = format!("{}{plugin}{}", &text[..start], &text[end..]);
    let file = home.write("config", &spoiled);
    let bin = home.file("bin");
    std::fs::create_dir(&bin).unwrap();
    home.executable("bin/aws", "#!/bin/sh\necho the SSO session has expired >&2; exit 1\n");
    let mut command = home.command(&["list", "--kubeconfig", file.to_str().unwrap()]);
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let ended = finish(command);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
    for words in ["context \"windlass\"", "aws", "the SSO session has expired", "log in again"] {
        assert!(ended.stderr.contains(words), "{words} in {}", ended.stderr);
    }
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let home = Home::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: lab\n\
         clusters: [{{name: c, cluster: {{server: \"https://{}\"}}}}]\n\
         users: [{{name: u, user: {{token: x}}}}]\n\
         contexts: [{{name: lab, context: {{cluster: c, user: u}}}}]\n",
        silent.local_addr().unwrap()
    );
    let file = home.write("config", &text);
    let ended = home.windlass(&["run", "--kubeconfig", file.to_str().unwrap(), "--image", "i", "--", "true"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("lab") && ended.stderr.contains("does not answer"), "{ended:?}");
}
