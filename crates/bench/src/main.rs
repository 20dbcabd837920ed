//! Measures a `windlass` binary from outside, each figure beside a yardstick taken in alternation in the same run:
//! absolute times mean nothing on a shared machine. `cargo xtask bench` builds both and runs this.

mod cpu;
mod rows;
mod stats;
mod subject;
mod yardstick;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::rows::Sizes;
use crate::subject::Subject;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let binary = PathBuf::from(arguments.next().context("usage: windlass-bench BINARY [--quick]")?);
    let sizes = match arguments.next() {
        None => Sizes::whole(),
        Some(flag) if flag == "--quick" => Sizes::quick(),
        Some(other) => bail!("{}: there is only --quick", other.display()),
    };
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("another TLS provider is installed");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let subject = Subject::start(binary).await?;
        let measured = rows::measure(&subject, &sizes).await;
        subject.stop()?;
        for table in measured? {
            print(&table);
        }
        Ok(())
    })
}

#[expect(clippy::print_stdout, reason = "the tables are this program's output")]
fn print(table: &str) {
    println!("{table}");
}
