//! Kubernetes quantities: `500m`, `2`, `512Mi`, `1e3` (apimachinery `pkg/api/resource`).

use crate::Problem;

/// Checks a quantity that is sent as it was written.
///
/// # Errors
/// A [`Problem`] without a path that says what was expected.
pub fn check(text: &str) -> Result<(), Problem> {
    todo!("{text}")
}
