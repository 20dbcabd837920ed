//! Chores of the project that are no part of the product: `cargo xtask <chore>`.

mod bench;
mod conformance;
mod order;
mod schema;
mod sim;
mod tidy;
mod upstream;

use std::path::Path;

use anyhow::{Context, Result, bail};

const CHORES: &str = "tidy (checks of the house), schema (the table of served types, from upstream's facts), \
                      bench [--quick | --rows GROUP,... | --upstream] (figures beside their yardsticks), \
                      order [--check] (what commands run, laid out side by side by the linker), \
                      sim --seed N [--seeds COUNT] (histories of the simulated engine), \
                      conformance [--upstream | --cluster] (upstream's end-to-end cases, and their matrix), \
                      upstream up|restart|down|env|diff|record (a real Kubernetes to compare with)";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    match arguments.next().as_deref() {
        Some("tidy") => tidy::tidy(root),
        Some("schema") => schema::run(),
        Some("bench") => bench::bench(root, arguments),
        Some("sim") => sim::sim(root, arguments),
        Some("order") => order::order(root, arguments),
        Some("conformance") => conformance::run(root, arguments),
        Some("upstream") => upstream::run(root, arguments),
        Some(other) => bail!("no chore {other:?}; there is: {CHORES}"),
        None => bail!("name a chore: {CHORES}"),
    }
}
