//! The store's row: taken by a program of the store's own, since this one knows nothing of ours.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Row, Sizes};

/// The program's first two figures are commits a second, and appends with fdatasync a second; it is asked for one round.
pub(super) fn measure(program: &Path, sizes: &Sizes) -> Result<Vec<Row>> {
    let mut row = Row::new("store commits of 2 KB, 32 writers", "/s", "≥ 3");
    let place = tempfile::tempdir()?;
    for run in 0..sizes.runs {
        let output = Command::new(program).arg(place.path().join(run.to_string())).arg("1").output()?;
        ensure!(output.status.success(), "{}: {}", program.display(), output.status);
        let text = String::from_utf8(output.stdout)?;
        let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [commits, appends, ..] = figures[..] else {
            return Err(anyhow::anyhow!("not two figures: {text:?}")).context(program.display().to_string());
        };
        row.push(commits, appends);
    }
    Ok(vec![row])
}
