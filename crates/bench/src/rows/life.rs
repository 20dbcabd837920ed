//! An engine without jobs: how soon it is ready, and what it holds.

use anyhow::Result;

use super::{Row, Sizes};
use crate::subject::Subject;
use crate::yardstick;

pub(super) fn measure(subject: &Subject, sizes: &Sizes) -> Result<Vec<Row>> {
    let mut fresh = Row::new("`windlass up` on a new home, whole process", "ms", "≤ 100 ms");
    let mut again = Row::new("`windlass up` on an empty engine's home, whole process", "ms", "≤ 100 ms");
    let mut idle = Row::new("anonymous resident memory of an idle engine", "MB", "≤ 20 MB");
    idle.alone(subject.memory()?.anonymous / 1e6);
    for _ in 0..sizes.runs {
        let other = subject.elsewhere()?;
        let spawn = yardstick::seconds_per_spawn(sizes.yardstick / 10)?;
        fresh.push(other.up()? * 1e3, spawn * 1e3);
        idle.alone(other.memory()?.anonymous / 1e6);
        other.stop()?;
        again.push(other.up()? * 1e3, spawn * 1e3);
        other.stop()?;
    }
    Ok(vec![fresh, again, idle])
}
