//! The JSON schema of job files is the one in `docs/`. `WINDLASS_BLESS=1` writes it.

use std::path::Path;

use serde_json::Value;
use windlass_manifest::formats::job_file;

#[test]
fn the_schema_in_the_manual_is_the_readers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/job-file.schema.json");
    let made = job_file::schema();
    #[expect(clippy::disallowed_methods, reason = "only whoever writes the expected files sets it")]
    if std::env::var("WINDLASS_BLESS").is_ok() {
        std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let kept: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default()).unwrap_or_default();
    assert_eq!(kept, made, "docs/job-file.schema.json is of another time; WINDLASS_BLESS=1 writes it");
}
