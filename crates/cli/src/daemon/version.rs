//! Whether a command line and an engine of different versions understand each other: pure.
//!
//! What they say to each other is Kubernetes, the state file and four signals. The rule: of the same major and minor
//! version nothing is said; of the same major version the engine serves, and is told of once; of another major
//! version it is refused. A store's format is the store's own to judge.

/// How an engine's version stands to a command line's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// They are as good as one.
    Same,
    /// The engine is of an earlier minor version.
    Older,
    /// The engine is of a later minor version.
    Newer,
    /// They may not understand each other.
    Apart,
}

/// Compares versions; one that cannot be read fits nothing.
pub(crate) fn fit(own: &str, engine: &str) -> Fit {
    match (minor(own), minor(engine)) {
        (Some((major, _)), Some((other, _))) if major != other => Fit::Apart,
        (Some((_, minor)), Some((_, other))) if other < minor => Fit::Older,
        (Some((_, minor)), Some((_, other))) if other > minor => Fit::Newer,
        (Some(_), Some(_)) => Fit::Same,
        _ => Fit::Apart,
    }
}

/// The first two numbers of `1.2.3-rc.1`.
fn minor(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.splitn(3, '.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.split(['-', '+']).next()?.parse().ok()?;
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_by_cases() {
        for (own, engine, expected) in [
            ("0.1.0", "0.1.0", Fit::Same),
            ("0.1.0", "0.1.9", Fit::Same),
            ("0.2.0-rc.1", "0.2.3+build", Fit::Same),
            ("0.2.0", "0.1.7", Fit::Older),
            ("1.9.0", "1.10.0", Fit::Newer),
            ("0.9.0", "1.0.0", Fit::Apart),
            ("2.0.0", "1.9.9", Fit::Apart),
            ("1.0.0", "", Fit::Apart),
            ("1.0.0", "one", Fit::Apart),
        ] {
            assert_eq!(fit(own, engine), expected, "{own} and {engine}");
        }
    }
}
