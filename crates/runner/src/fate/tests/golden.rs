//! Ledgers of played runs as engines have written them. What stands in `runner/tests/golden/fates/` is never changed.

use super::super::ledger;
use super::*;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/fates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn ledger_is_read_with_and_without_its_format_and_written_as_it_always_was() {
    for name in ["format-1", "format-1-first"] {
        let (counts, plays) = ledger::understand(&golden(name));
        let entries: Vec<_> = plays.iter().flat_map(Play::entries).collect();
        let text = ledger::text(&counts, &entries).unwrap();
        assert_eq!(String::from_utf8(text), String::from_utf8(golden("format-1")), "{name}");
    }
}

#[test]
fn ledger_of_another_format_is_put_aside_whole() {
    let mut stage = Stage::new();
    let path = stage.folder.path().join("fates");
    let tomorrow = b"{\"Format\":2}\n{\"New\":1}\n";
    std::fs::write(&path, tomorrow).unwrap();
    assert_eq!(stage.again(), []);
    assert_eq!(std::fs::read(path.with_extension("format-2")).unwrap(), tomorrow);
    stage.start("a", "run: forever");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("{\"Format\":1}\n"));
    assert_eq!(stage.again(), [started("a", 100)]);
}
