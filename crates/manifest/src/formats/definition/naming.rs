//! Names of Jobs as k8s-jobs makes them: 38 characters of the template's name, and 24 hexadecimal digits.

use serde_json::Value;
use windlass_model::{JobName, Problem, SubmissionId, digest};

/// Characters of the template's name that are kept.
const KEPT: usize = 38;
/// Hexadecimal digits behind it.
const DIGITS: usize = 24;

/// The beginning of a name: the template's own name, what it would have generated one from, or the definition's name.
///
/// # Errors
/// A name that no Job may have.
pub fn stem(job: &Value, definition: &str) -> Result<String, Problem> {
    let text = |field: &str| job["metadata"][field].as_str().filter(|text| !text.is_empty());
    if let Some(name) = text("name") {
        return JobName::parse(name).map(|name| name.as_str().to_owned());
    }
    let chosen = text("generateName").unwrap_or(definition);
    Ok(windlass_model::Stem::of(chosen).as_str().to_owned())
}

/// The name of a submission's Job. It depends on the stem and the id alone, so that who submits again meets it.
///
/// # Errors
/// A stem with which no name can begin.
pub fn long_name(stem: &str, id: &SubmissionId) -> Result<JobName, Problem> {
    let kept: String = stem.chars().take(KEPT).collect();
    let digits = digest::short(format!("{id}/{stem}").as_bytes());
    let digits = digits.get(..DIGITS).unwrap_or(&digits);
    JobName::parse(&format!("{}-{digits}", kept.trim_end_matches(['-', '.'])))
}

/// Leaves the rest of a Job's name to its submission: what it is called becomes the beginning of it.
///
/// # Errors
/// A name that no Job may have.
pub fn derive_name(job: &mut Value, definition: &str) -> Result<(), Problem> {
    let stem = stem(job, definition)?;
    if job["metadata"].is_null() {
        job["metadata"] = Value::Object(serde_json::Map::new());
    }
    // Anything else than a mapping is refused when the Job is made.
    if let Some(metadata) = job["metadata"].as_object_mut() {
        metadata.remove("name");
        metadata.insert("generateName".to_owned(), format!("{stem}-").into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_cut_to_a_valid_one_and_the_same_id_meets_it_again() {
        let id = SubmissionId::from_random([7; 16]);
        let long = format!("{}-{}", "a".repeat(37), "b".repeat(20));
        let name = long_name(&long, &id).unwrap();
        assert!(name.as_str().starts_with(&format!("{}-", "a".repeat(37))), "{name}");
        assert_eq!(name.as_str().len(), 37 + 1 + 24);
        assert_eq!(long_name(&"x".repeat(63), &id).unwrap().as_str().len(), 63);
        assert_eq!(name, long_name(&long, &id).unwrap());
        assert_ne!(name, long_name(&long, &SubmissionId::from_random([8; 16])).unwrap());
    }

    #[test]
    fn a_template_without_a_name_is_called_as_its_definition() {
        assert_eq!(stem(&json!({}), "Nightly_Report").unwrap(), "nightly-report");
        assert_eq!(stem(&json!({ "metadata": { "generateName": "fit-" } }), "x").unwrap(), "fit");
        assert_eq!(stem(&json!({ "metadata": { "name": "fit" } }), "x").unwrap(), "fit");
        assert!(stem(&json!({ "metadata": { "name": "No Name" } }), "x").is_err());
    }
}
