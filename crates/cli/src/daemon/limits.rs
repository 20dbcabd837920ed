//! How much of what containers write the engine keeps, as the environment of its process says. Knows no log.

use windlass_engine::LogLimits;

use crate::env::Env;

/// Of one attempt of a container: the oldest output goes past it.
pub(crate) const OF_AN_ATTEMPT: &str = "WINDLASS_LOG_LIMIT";
/// Of all containers that have ended: the logs that ended first go past it.
pub(crate) const OF_ALL: &str = "WINDLASS_LOG_TOTAL";

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

fn size(env: &Env, name: &str) -> Result<Option<u64>, String> {
    let Some(text) = env.get(name) else { return Ok(None) };
    let unit = UNITS.into_iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)));
    let (amount, unit) = unit.unwrap_or((text, 1));
    let bytes = amount.parse::<u64>().ok().and_then(|amount| amount.checked_mul(unit));
    let wrong = || format!("{name}: {text:?} is no size; write it in bytes or like 64Mi");
    bytes.ok_or_else(wrong).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

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
