//! `submit` of many jobs: one process, the file's order, each fault with its place, and how to go on.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use nix::sys::signal::Signal;

use crate::home::{Home, Running};

/// Suspended jobs, three lines each, after a line of the file's own.
fn many(count: usize) -> String {
    let mut text = "windlass: v1\njobs:\n".to_owned();
    for number in 0..count {
        write!(text, "- name: sleeper-{number}\n  command: [\"true\"]\n  image: none\n").unwrap();
    }
    text
}

/// Two namespaces, of which one is not there.
fn scattered(home: &Home) -> std::path::PathBuf {
    let document = |name: &str, namespace: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  suspend: true\n  \
             template: {{spec: {{restartPolicy: Never, containers: [{{name: main, image: i}}]}}}}\n"
        )
    };
    let places = [("a", "default"), ("b", "nowhere"), ("c", "default"), ("d", "nowhere"), ("e", "default")];
    let documents: Vec<String> = places.iter().map(|(name, namespace)| document(name, namespace)).collect();
    home.write("jobs.yaml", &documents.join("---\n"))
}

#[test]
fn names_come_in_the_files_order_and_the_same_id_again_submits_nothing_twice() {
    let home = Home::new();
    let file = home.write("many.yaml", &many(60));
    let file = file.to_str().unwrap();
    let first = home.windlass(&["submit", "--id", "nightly", "-f", file]);
    let names: String = (0..60).map(|number| format!("sleeper-{number}\n")).collect();
    assert_eq!((first.code, &first.stdout), (Some(0), &names), "{}", first.stderr);
    assert!(first.stderr.contains("60 of 60 jobs submitted"), "{}", first.stderr);
    assert_eq!(home.ok(&["list", "-l", "windlass.dev/submission=nightly-60", "-o", "name"]), "sleeper-59\n");
    home.ok(&["delete", "sleeper-7"]);
    let again = home.windlass(&["submit", "--id", "nightly", "-f", file]);
    assert_eq!((again.code, &again.stdout), (Some(0), &names), "{}", again.stderr);
    assert!(again.stderr.contains("60 of 60 jobs submitted (59 of them before)"), "{}", again.stderr);
    let checked = home.windlass(&["submit", "--dry-run", "-f", file]);
    assert_eq!(checked.code, Some(125), "{checked:?}");
    assert!(checked.stderr.contains("many.yaml:3: job sleeper-0: exists already"), "{}", checked.stderr);
}

#[test]
fn a_job_that_is_refused_is_named_with_its_line_and_does_not_stop_the_others() {
    let home = Home::new();
    let file = scattered(&home);
    let ended = home.windlass(&["submit", "--id", "x", "-f", file.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), "a\nc\ne\n"), "{}", ended.stderr);
    for part in [
        "jobs.yaml:8: job b: there is no namespace \"nowhere\"",
        "jobs.yaml:22: job d: there is no namespace \"nowhere\"",
        "3 of 5 jobs submitted (2 refused)",
        "the same command again submits only what is missing",
    ] {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
    home.script("KUBECONFIG=$(\"$windlass\" kubeconfig --path) kubectl create namespace nowhere");
    if home.script("command -v kubectl").code == Some(0) {
        let again = home.ok(&["submit", "--id", "x", "-f", file.to_str().unwrap()]);
        assert_eq!(again, "a\nb\nc\nd\ne\n");
    }
}

/// Lets so many bytes of requests through to a server, and the others when it is opened.
struct Gate {
    left: Mutex<usize>,
    opened: Condvar,
}

impl Gate {
    fn new(bytes: usize) -> Gate {
        Gate { left: Mutex::new(bytes), opened: Condvar::new() }
    }

    /// The address to go to instead of the server's.
    fn before(self: &Arc<Gate>, server: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Arc::clone(self);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let (to_client, from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let gate = Arc::clone(&gate);
                std::thread::spawn(move || gate.pass(client, server));
                std::thread::spawn(move || std::io::copy(&mut { from_server }, &mut { to_client }));
            }
        });
        address
    }

    fn pass(&self, mut client: TcpStream, mut server: TcpStream) {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = client.read(&mut chunk) {
            let mut left = self.left.lock().unwrap();
            while *left < count {
                left = self.opened.wait(left).unwrap();
            }
            *left -= count;
            drop(left);
            if server.write_all(&chunk[..count]).is_err() {
                return;
            }
        }
        _ = server.shutdown(Shutdown::Write);
    }

    fn open(&self) {
        *self.left.lock().unwrap() = usize::MAX;
        self.opened.notify_all();
    }
}

#[test]
fn an_interrupt_says_how_many_were_submitted_and_how_to_go_on() {
    let home = Home::new();
    let count = 1000;
    let file = home.write("many.yaml", &many(count));
    let file = file.to_str().unwrap();
    let config = home.ok(&["kubeconfig"]);
    let at = config.find("https://").unwrap() + "https://".len();
    let engine = config[at..].split_whitespace().next().unwrap().trim_matches('"');
    // Not all of the jobs get through before the signal comes, however late that is.
    let gate = Arc::new(Gate::new(200 << 10));
    let through = gate.before(engine.parse().unwrap());
    let config = home.write("config", &config.replace(engine, &through.to_string()));
    let line = ["submit", "--kubeconfig", config.to_str().unwrap(), "-f", file];
    let mut running = Running::start(home.command(&line));
    running.stdout_has("sleeper-");
    running.signal(Signal::SIGINT);
    running.stderr_has("interrupted: what is on its way");
    gate.open();
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let there = ended.stdout.lines().count();
    assert!((1..count).contains(&there), "{there}");
    let summary = format!("interrupted: {there} of {count} jobs submitted");
    assert!(ended.stderr.contains(&summary), "{summary} in {}", ended.stderr);
    let id = ended.stderr.split("--id ").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(home.ok(&["list", "-o", "name"]).lines().count(), there, "what was told is what is there");
    let rest = home.windlass(&["submit", "--id", id, "-f", file]);
    assert_eq!((rest.code, rest.stdout.lines().count()), (Some(0), count), "{}", rest.stderr);
    assert!(rest.stderr.contains(&format!("({there} of them before)")), "{}", rest.stderr);
}

#[test]
fn a_file_with_one_mistake_among_many_jobs_submits_none() {
    let home = Home::new();
    let text = many(50).replacen("  image: none\n", "  image: none\n  retries: often\n", 1);
    let file = home.write("many.yaml", &text);
    let ended = home.windlass(&["submit", "-f", file.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
    assert!(
        ended.stderr.contains("many.yaml:6:") && ended.stderr.contains("nothing was submitted"),
        "{ended:?}"
    );
    let long = "x".repeat(62);
    let good = home.write("good.yaml", &many(20));
    let ended = home.windlass(&["submit", "--id", &long, "-f", good.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
    assert!(ended.stderr.contains("--id: "), "{}", ended.stderr);
}
