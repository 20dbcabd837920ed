//! How much of what containers write the engine keeps, how many processes they may have, and which devices are its own,
//! as the environment of the engine's process says. Knows no log, no process and no device.

use std::collections::BTreeMap;

use windlass_engine::LogLimits;

use crate::env::Env;

/// Of one attempt of a container: the oldest output goes past it.
pub(crate) const OF_AN_ATTEMPT: &str = "WINDLASS_LOG_LIMIT";
/// Of all containers that have ended: the logs that ended first go past it.
pub(crate) const OF_ALL: &str = "WINDLASS_LOG_TOTAL";

/// How many processes and threads a container may have.
pub(crate) const PIDS: &str = "WINDLASS_PIDS_LIMIT";

const UNITS: [(&str, u64); 4] = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40)];

/// The limits; the usual ones where nothing is said.
///
/// # Errors
/// The variable's value is no size.
pub(super) fn of_logs(env: &Env) -> Result<LogLimits, String> {
    let usual = LogLimits::default();
    Ok(LogLimits {
        attempt_bytes: size(env, OF_AN_ATTEMPT)?.unwrap_or(usual.attempt_bytes),
        total_bytes: size(env, OF_ALL)?.unwrap_or(usual.total_bytes),
    })
}

/// How many processes and threads a container may have, if that is limited.
///
/// # Errors
/// The variable's value is no number, or 0.
pub(super) fn of_pids(env: &Env) -> Result<Option<u64>, String> {
    let Some(text) = env.get(PIDS) else { return Ok(None) };
    let wrong =
        || format!("{PIDS}: {text:?} is no number of processes; write one from 1 on, or leave it out");
    text.parse().ok().filter(|count| *count > 0).ok_or_else(wrong).map(Some)
}

fn size(env: &Env, name: &str) -> Result<Option<u64>, String> {
    let Some(text) = env.get(name) else { return Ok(None) };
    let unit = UNITS.into_iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)));
    let (amount, unit) = unit.unwrap_or((text, 1));
    let bytes = amount.parse::<u64>().ok().and_then(|amount| amount.checked_mul(unit));
    let wrong = || format!("{name}: {text:?} is no size; write it in bytes or like 64Mi");
    bytes.ok_or_else(wrong).map(Some)
}

/// What this process was told of the devices that are its own. Set to nothing, a variable means none.
pub(crate) fn allotted(env: &Env) -> BTreeMap<String, String> {
    let told = |name: &'static str| Some((name.to_owned(), env.vars.get(name)?.clone()));
    windlass_engine::allotting().filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_counted_from_one() {
        let env = |text: &str| Env { vars: [(PIDS.to_owned(), text.to_owned())].into(), ..Env::default() };
        assert_eq!([of_pids(&env("")), of_pids(&env("4096"))], [Ok(None), Ok(Some(4096))]);
        for text in ["0", "-1", "many", "1.5"] {
            assert!(of_pids(&env(text)).unwrap_err().contains("WINDLASS_PIDS_LIMIT: "), "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        let env = |text: &str| Env { vars: [(OF_ALL.to_owned(), text.to_owned())].into(), ..Env::default() };
        for (text, bytes) in [("", 4 << 30), ("1000", 1000), ("3Mi", 3 << 20), ("1Ti", 1 << 40)] {
            assert_eq!(of_logs(&env(text)).map(|limits| limits.total_bytes), Ok(bytes), "{text}");
        }
        for text in ["x", "-1", "1.5Gi", "1 Gi", "99999999999Ti"] {
            assert!(of_logs(&env(text)).unwrap_err().contains("WINDLASS_LOG_TOTAL: "), "{text}");
        }
    }
}
