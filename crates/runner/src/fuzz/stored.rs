//! What lies on the disk between two engines: the ledger of played runs, and packed logs.

use crate::fate::fuzz::kept;
use crate::log::segments::unpacked;

/// What is kept of a ledger is kept for ever: written anew it says the same, and every run has a line of its own.
pub fn fate_ledgers(data: &[u8]) {
    let (keys, written) = kept(data);
    let lines = data.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count();
    assert!(keys.len() <= lines, "{} runs of {lines} lines", keys.len());
    let mut once = keys.clone();
    once.sort();
    once.dedup();
    // A run that was asked for twice is one, of which the signals are the first one's.
    if once.len() == keys.len() {
        assert_eq!(kept(&written), (keys, written.clone()));
    }
    // A torn line takes nothing else with it.
    let torn = [data, b"\n{\"Forgotten\":[\xc3"].concat();
    assert_eq!(kept(&torn).1, written);
}

/// A packed part of a log is read piece by piece as it is read in one go, and then from any place on.
pub fn packed_logs(data: &[u8]) {
    let Some((&place, packed)) = data.split_first() else { return };
    let [whole, pieces, rest] = unpacked(packed, u64::from(place)).expect("a file in memory");
    let Ok(whole) = whole else {
        assert!(pieces.is_err(), "what is damaged is so for all readers");
        return;
    };
    assert_eq!(pieces.expect("it is whole"), whole);
    // What stands behind the end is never asked for.
    if let Some(tail) = whole.get(usize::from(place)..).filter(|tail| !tail.is_empty()) {
        assert_eq!(rest.expect("it is whole"), tail);
    }
}
