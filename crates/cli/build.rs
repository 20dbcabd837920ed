//! How the binary is linked.

#[expect(clippy::disallowed_methods, reason = "a build script is told by its environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        // At a fixed address, as kubectl is: otherwise each start of a command rewrites tens of thousands of addresses,
        // which is half of what a start costs. Heap, stacks and libraries lie at random addresses all the same.
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
