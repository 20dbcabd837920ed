//! What tests of other crates need of this one: the shim's program, and a shim of former days.

mod older;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

pub use self::older::OlderShim;

/// The command line of the shim: `windlass-shim` beside the test executable's `deps` folder. It is built once per
/// process if it is missing or older than its sources.
///
/// # Panics
///
/// If it is not there and cannot be built; the message says what was tried.
#[must_use]
pub fn shim_argv() -> Vec<OsString> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    vec![PROGRAM.get_or_init(find).clone().into_os_string()]
}

fn find() -> PathBuf {
    #[expect(clippy::panic, reason = "a test cannot go on without it")]
    let fail = |why: String| -> ! { panic!("the shim's program for tests: {why}") };
    let Ok(test) = std::env::current_exe() else { fail("this test has no path".to_owned()) };
    let mut folder = test.parent().unwrap_or(Path::new("/"));
    // A documentation's test is compiled into a folder of its own; cargo names its target folder for the linker.
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo tells tests by this variable where their libraries are"
    )]
    let libraries = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let libraries: Vec<PathBuf> = std::env::split_paths(&libraries).collect();
    if !folder.ancestors().any(|folder| folder.join("CACHEDIR.TAG").exists())
        && let Some(deps) = libraries.iter().find(|path| path.ends_with("deps"))
    {
        folder = deps;
    }
    if folder.file_name().is_some_and(|name| name == "deps" || name == "examples") {
        folder = folder.parent().unwrap_or(folder);
    }
    let program = folder.join("windlass-shim");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let built = modified(&program);
    if built.is_some() && built > newest(&sources) {
        return program;
    }
    let (Some(target), Some(profile)) = (folder.parent(), folder.file_name()) else {
        fail(format!("{} is in no target folder", test.display()))
    };
    let profile = if profile == "debug" { "dev".into() } else { profile.to_owned() };
    #[expect(clippy::disallowed_methods, reason = "cargo tells tests by this variable where it is")]
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "windlass-runner", "--bin", "windlass-shim", "--profile"]);
    command.arg(profile).arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    match command.output() {
        Ok(output) if output.status.success() && program.exists() => {
            // Cargo leaves a program untouched that it finds fresh; the next test shall not ask again. It is not opened
            // for writing: another test may start it at this moment.
            if let Ok(file) = std::fs::File::open(&program) {
                let _ = file.set_modified(
                    newest(&sources).unwrap_or(SystemTime::UNIX_EPOCH) + std::time::Duration::from_secs(1),
                );
            }
            program
        }
        Ok(output) => fail(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => fail(format!("{command:?} cannot be started: {error}")),
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|path| if path.is_dir() { newest(&path) } else { modified(&path) })
        .max()
}
