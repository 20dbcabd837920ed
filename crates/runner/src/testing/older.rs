//! A shim as it was before shims said what they can do, for tests: it speaks the frames of then, starts nothing, and says
//! of everything that it runs until it is told otherwise. It knows neither limits nor programs beside runs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::runtime::{Ended, Key};
use crate::world;

/// Such a shim, on threads of the test's process. It leaves when it is asked to and runs nothing.
pub struct OlderShim {
    state: Arc<Mutex<State>>,
    thread: JoinHandle<()>,
}

struct State {
    directory: PathBuf,
    stream: Option<UnixStream>,
    /// When the runs began.
    runs: BTreeMap<Key, String>,
    /// Those that no signal ends.
    held: BTreeSet<Key>,
}

impl OlderShim {
    /// Listens in a shim's directory, which is made.
    ///
    /// # Errors
    /// The system's.
    pub fn listen(directory: &Path) -> std::io::Result<OlderShim> {
        std::fs::create_dir_all(directory)?;
        let listener = UnixListener::bind(directory.join("shim.sock"))?;
        let door = UnixListener::bind(directory.join("input.sock"))?;
        let state = State {
            directory: directory.to_owned(),
            stream: None,
            runs: BTreeMap::new(),
            held: BTreeSet::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if !converse(&shared, &stream).unwrap_or(true) {
                    return;
                }
            }
        });
        // Whoever asks what it does not know is shown out.
        std::thread::spawn(move || {
            for stream in door.incoming().map_while(Result::ok) {
                let _ = BufReader::new(stream).read_line(&mut String::new());
            }
        });
        Ok(OlderShim { state, thread })
    }

    /// It runs this since before anybody came, and no signal ends it.
    pub fn has_run(&self, key: &Key) {
        change(&self.state, |state| {
            state.runs.insert(key.clone(), world::now().to_string());
            state.held.insert(key.clone());
        });
    }

    /// Waits until it has left, because it was asked to.
    pub fn wait_until_left(self) {
        // That it ended by a panic is as good.
        let _ = self.thread.join();
    }

    /// All that it runs ends with 0.
    pub fn end_all(&self) {
        change(&self.state, |state| {
            let keys: Vec<Key> = state.runs.keys().cloned().collect();
            keys.iter().for_each(|key| state.end(key, Ended::Code(0)));
        });
    }
}

fn change<R>(state: &Mutex<State>, act: impl FnOnce(&mut State) -> R) -> R {
    act(&mut state.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Speaks with one engine until it goes. `false`: it was asked to leave, and has left.
fn converse(state: &Mutex<State>, stream: &UnixStream) -> std::io::Result<bool> {
    let clone = stream.try_clone()?;
    change(state, |state| {
        state.stream = Some(clone);
        state.say(&json!({"Hello": {"protocol": 1, "pid": std::process::id()}}));
    });
    for line in BufReader::new(stream).lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let is_leaving = change(state, |state| state.hear(&request));
        if is_leaving {
            return Ok(false);
        }
    }
    Ok(true)
}

impl State {
    fn say(&mut self, frame: &Value) {
        if let Some(stream) = &mut self.stream {
            // Who does not hear it has gone.
            let _ = stream.write_all(format!("{frame}\n").as_bytes());
        }
    }

    /// `true`: it leaves.
    fn hear(&mut self, request: &Value) -> bool {
        let key = |value: &Value| serde_json::from_value::<Key>(value["key"].clone()).ok();
        if !request["Hello"].is_null() {
            let runs: Vec<Key> = self.runs.keys().cloned().collect();
            runs.iter().for_each(|key| self.tell_of(key));
            self.say(&json!("Synced"));
        } else if let Some(key) = key(&request["Start"]) {
            self.runs.entry(key.clone()).or_insert_with(|| world::now().to_string());
            self.tell_of(&key);
        } else if let Some(key) = key(&request["Signal"]).filter(|key| !self.held.contains(key)) {
            let signal = request["Signal"]["signal"].as_i64().and_then(|signal| i32::try_from(signal).ok());
            self.end(&key, Ended::Signal(signal.unwrap_or_default()));
        } else if !request["Shutdown"].is_null() && self.runs.is_empty() {
            for socket in ["shim.sock", "input.sock"] {
                let _ = std::fs::remove_file(self.directory.join(socket));
            }
            self.stream = None;
            return true;
        }
        false
    }

    fn tell_of(&mut self, key: &Key) {
        let at = self.runs.get(key).cloned();
        self.say(&json!({"Event": {"Started": {"key": key, "pid": std::process::id(), "at": at}}}));
    }

    fn end(&mut self, key: &Key, ended: Ended) {
        let Some(at) = self.runs.remove(key) else { return };
        let now = world::now().to_string();
        let exited = json!({
            "key": key, "ended": ended, "started_at": at, "finished_at": now, "cpu_us": 1, "peak_bytes": 1,
        });
        self.say(&json!({"Event": {"Exited": exited}}));
    }
}
