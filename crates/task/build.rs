//! Builds the helper of an array's tasks for the target that this crate is built for, with the same compiler.
//!
//! The helper has no library but `core`, which every target comes with; so it needs no target of its own to be
//! installed. For targets that it does not know the file stays empty.
#![expect(clippy::disallowed_methods, reason = "a build script is told everything in its environment")]

use std::env;
use std::path::Path;
use std::process::Command;

const SOURCE: &str = "src/helper/main.rs";

fn main() -> Result<(), String> {
    for path in ["build.rs", "src/helper", "src/items.rs", "src/words.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let output = Path::new(&variable("OUT_DIR")?).join("windlass-task");
    let (os, arch) = (variable("CARGO_CFG_TARGET_OS")?, variable("CARGO_CFG_TARGET_ARCH")?);
    if os != "linux" || !["x86_64", "aarch64"].contains(&arch.as_str()) {
        return std::fs::write(&output, "").map_err(|error| format!("{}: {error}", output.display()));
    }
    let mut compiler = Command::new(variable("RUSTC")?);
    compiler.args(["--crate-name", "windlass_task_helper", "--crate-type", "bin", "--edition", "2024"]);
    compiler.args(["--target", &variable("TARGET")?, "--cap-lints", "allow", "-o"]).arg(&output);
    for option in ["opt-level=s", "panic=abort", "lto=fat", "codegen-units=1", "strip=symbols"] {
        compiler.args(["-C", option]);
    }
    compiler.args(["-C", "relocation-model=static", "-C", "force-unwind-tables=no"]);
    for option in ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"] {
        compiler.args(["-C", &format!("link-arg={option}")]);
    }
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        compiler.args(["-C", &format!("linker={linker}")]);
    }
    let status = compiler.arg(SOURCE).status().map_err(|error| format!("rustc: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{SOURCE} cannot be built: rustc ended with {status}"))
    }
}
