//! Chores of the project that are no part of the product: `cargo xtask <chore>`.
mod schema;

use anyhow::bail;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("schema") => schema::run(),
        Some(other) => bail!("no chore {other:?}; there is: schema"),
        None => bail!("name a chore: schema"),
    }
}
