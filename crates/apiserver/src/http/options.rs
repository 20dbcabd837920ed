//! The options of requests that write, from the query or from a body: all that is wrong with them is told at once.
//!
//! Source: upstream apimachinery, `pkg/apis/meta/v1/validation/validation.go`.

use super::request::Query;
use crate::error::{ApiError, Subject};
use crate::field::{Errors, FieldError};

/// What a create, an update or a patch says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WriteOptions {
    /// Say what would happen, do nothing.
    pub(crate) dry_run: bool,
    /// How fields that no schema knows are treated.
    pub(crate) validation: FieldValidation,
}

/// How fields that no schema knows are treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FieldValidation {
    /// Refused.
    Strict,
    /// Dropped, with a warning.
    Warn,
    /// Dropped.
    Ignore,
}

/// `CreateOptions` or `UpdateOptions`.
pub(crate) fn of_write(kind: &'static str, query: &Query) -> Result<WriteOptions, ApiError> {
    read(kind, query, Errors::new())
}

/// `PatchOptions`: an apply is somebody's, and only an apply may be forced.
pub(crate) fn of_patch(query: &Query, is_apply: bool) -> Result<WriteOptions, ApiError> {
    let mut errors = Errors::new();
    if is_apply && query.text("fieldManager").is_empty() {
        errors.push(FieldError::required("fieldManager", "is required for apply patch"));
    }
    if !is_apply && query.flag("force")?.is_some() {
        errors.push(FieldError::forbidden("force", "may not be specified for non-apply patch"));
    }
    read("PatchOptions", query, errors)
}

fn read(kind: &'static str, query: &Query, mut errors: Errors) -> Result<WriteOptions, ApiError> {
    manager(query.text("fieldManager"), &mut errors);
    let dry_run = dry_run(query.all("dryRun"), &mut errors);
    let validation = match query.text("fieldValidation") {
        "" | "Warn" => FieldValidation::Warn,
        "Strict" => FieldValidation::Strict,
        "Ignore" => FieldValidation::Ignore,
        other => {
            let supported = ["", "Ignore", "Strict", "Warn"];
            errors.push(FieldError::not_supported("fieldValidation", other, &supported));
            FieldValidation::Strict
        }
    };
    checked(kind, &errors)?;
    Ok(WriteOptions { dry_run, validation })
}

/// Whether a write is only tried. Anything but `All` is refused, nothing at all included: whoever says `dryRun=` does
/// not mean that it be done.
pub(super) fn dry_run<'a>(mut values: impl Iterator<Item = &'a str> + Clone, errors: &mut Errors) -> bool {
    if values.clone().any(|value| value != "All") {
        errors.push(FieldError::not_supported("dryRun", values.clone().collect::<Vec<_>>(), &["All"]));
    }
    values.next().is_some()
}

/// The name under which the writer would own its fields (`ValidateFieldManager`).
fn manager(name: &str, errors: &mut Errors) {
    if name.len() > 128 {
        errors.push(FieldError::too_long("fieldManager", 128));
    }
    for (at, c) in name.char_indices().filter(|(_, c)| !is_printable(*c)) {
        let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
        errors.push(FieldError::invalid("fieldManager", name, detail));
    }
}

/// Go's `unicode.IsPrint`: of white space only the blank.
fn is_printable(c: char) -> bool {
    // In the middle of a text only what is not printed is escaped, but for these.
    c.is_ascii_graphic() || format!("a{c}").escape_debug().eq(['a', c])
}

/// 422 if anything is wrong with the options of this kind, e.g. `ListOptions`.
pub(super) fn checked(kind: &'static str, errors: &Errors) -> Result<(), ApiError> {
    if errors.is_empty() {
        return Ok(());
    }
    let subject = Subject { group: "meta.k8s.io", resource: "", kind, name: String::new() };
    Err(ApiError::invalid(&subject, errors))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(query: &str) -> String {
        of_write("CreateOptions", &Query::parse(query)).map_or_else(|e| e.message, |o| format!("{o:?}"))
    }

    #[test]
    fn a_dry_run_is_meant_by_all_and_by_nothing_else() {
        let taken = |query| of_write("CreateOptions", &Query::parse(query)).map(|options| options.dry_run);
        assert_eq!(taken("").ok(), Some(false));
        assert_eq!(taken("dryRun=All").ok(), Some(true));
        assert_eq!(taken("dryRun=All&dryRun=All").ok(), Some(true));
        for (query, shown) in [
            ("dryRun", r#"[""]"#),
            ("dryRun=", r#"[""]"#),
            ("dryRun=all", r#"["all"]"#),
            ("dryRun=All&dryRun=", r#"["All",""]"#),
        ] {
            let wanted = format!(
                "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: {shown}: supported values: \"All\""
            );
            assert_eq!(refusal(query), wanted, "{query}");
        }
    }

    #[test]
    fn all_that_is_wrong_with_options_is_told_at_once() {
        let error = of_write("CreateOptions", &Query::parse("dryRun=&fieldValidation=x&fieldManager=%01%02"));
        let details = error.unwrap_err().details.unwrap();
        let causes = details["causes"].as_array().unwrap();
        let fields: Vec<&str> = causes.iter().filter_map(|cause| cause["field"].as_str()).collect();
        assert_eq!(fields, ["fieldManager", "fieldManager", "dryRun", "fieldValidation"]);
    }

    #[test]
    fn an_apply_is_somebodys_and_nothing_else_is_forced() {
        let fields = |query, is_apply| match of_patch(&Query::parse(query), is_apply) {
            Ok(_) => Vec::new(),
            Err(error) => {
                let details = error.details.unwrap();
                let causes = details["causes"].as_array().unwrap().iter();
                causes.map(|cause| cause["field"].as_str().unwrap().to_owned()).collect()
            }
        };
        assert_eq!(fields("dryRun=&force=1", true), ["fieldManager", "dryRun"]);
        assert_eq!(fields("dryRun=x&force=", false), ["force", "dryRun"]);
        assert_eq!(fields("fieldManager=&fieldManager=a", true), ["fieldManager"]);
        assert!(fields("fieldManager=a&force=false&dryRun=All", true).is_empty());
        assert!(fields("dryRun=All", false).is_empty());
    }

    #[test]
    fn the_name_of_a_manager_can_be_printed() {
        for name in ["kubectl", "a%20b", "%C3%A9", "a%27b%5C", "a%CC%81"] {
            assert!(refusal(&format!("fieldManager={name}")).starts_with("WriteOptions"), "{name}");
        }
        for (name, at) in [("%E2%80%8Bx", "U+200B (at position 0)"), ("a%C2%A0b", "U+00A0 (at position 1)")] {
            assert!(refusal(&format!("fieldManager={name}")).contains(at), "{name}");
        }
    }
}
