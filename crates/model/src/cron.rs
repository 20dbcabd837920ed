//! What is said of a CronJob beside its schedule: its name, and what is to be done when a run takes too long.

use crate::Problem;

/// The longest name of a CronJob: its jobs' names are eleven characters longer (upstream
/// `pkg/apis/batch/validation`).
pub const MAX_NAME: usize = 52;

/// The concurrency policies of Kubernetes, by the words of the command line.
pub const CONCURRENCY: [(&str, &str); 3] = [("allow", "Allow"), ("forbid", "Forbid"), ("replace", "Replace")];

/// Adds what is wrong with a CronJob's name.
///
/// # Errors
/// A [`Problem`] at `metadata.name`.
pub fn check_name(name: &str) -> Result<(), Problem> {
    crate::JobName::parse(name)?;
    if name.len() > MAX_NAME {
        let message = format!(
            "{name:?} has {} characters; a CronJob's name has at most {MAX_NAME}, its jobs' names are longer",
            name.len()
        );
        return Err(Problem::new("metadata.name", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_room_for_what_their_jobs_names_add() {
        assert!(check_name(&"a".repeat(52)).is_ok());
        assert!(check_name(&"a".repeat(53)).unwrap_err().message.contains("at most 52"));
        assert!(check_name("A").is_err());
    }
}
