//! What is said at the shim's door: questions of guests, and the answers to them.

use super::pieces;
use crate::shim::fuzz::{answered, heard, question};

/// More than a fuzzer makes; what is longer does not fit into a socket at once.
const LONGEST: usize = 64 << 10;

/// A guest's question is its first line, however it is cut on its way, and means the same when it is written again; who
/// says more is shown out. An answer is the first line of what comes, and nothing of what follows it is lost.
pub fn guests(data: &[u8]) {
    let Some((size, said)) = pieces(data).filter(|(_, said)| said.len() <= LONGEST) else { return };
    let (whole, cut) = (heard(said, said.len().max(1)), heard(said, size));
    let line = said.iter().position(|&byte| byte == b'\n').map(|end| said.split_at(end + 1));
    match line {
        None => assert_eq!((&whole, &cut), (&(None, false), &(None, false))),
        Some((line, [])) => {
            assert_eq!(whole, cut);
            assert_eq!(whole.0, question(line), "{:?}", String::from_utf8_lossy(line));
            assert_eq!(whole.1, whole.0.is_none());
        }
        Some((line, _)) => {
            assert!(whole.1 && cut.1, "who says more is shown out");
            assert!(cut.0.is_none() || cut.0 == question(line));
        }
    }
    for asked in [whole.0, cut.0].into_iter().flatten() {
        assert_eq!(question(&asked), Some(asked));
    }
    if let Some((answer, more)) = answered(said) {
        let (_, rest) = line.expect("an answer is a line");
        assert!(rest.starts_with(&more), "{:?}", String::from_utf8_lossy(&more));
        assert_eq!(answered(&answer), Some((answer.clone(), Vec::new())));
    }
}
