//! Whatever comes in whatever pieces, each side is whole and the row is in order.

use jiff::Timestamp;
use proptest::prelude::*;

use super::Merger;
use crate::logs::line::split;

/// A side's lines with rising times; the last one may lack its end.
fn side() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec((0i64..50, "[a-c ]{0,9}"), 0..12);
    (lines, any::<bool>()).prop_map(|(lines, is_ended)| {
        let (mut bytes, mut time) = (Vec::new(), 1_700_000_000_000);
        for (step, text) in lines {
            time += step;
            let time = Timestamp::from_millisecond(time).unwrap();
            bytes.extend_from_slice(format!("{time} {text}\n").as_bytes());
        }
        if !is_ended {
            bytes.pop();
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_side_is_whole_and_the_row_in_order(sides in [side(), side()], chunk in 1usize..40) {
        let mut parts = sides.each_ref().map(|side| side.chunks(chunk));
        let mut merger = Merger::new(true);
        let (mut out, mut times) = ([Vec::new(), Vec::new()], Vec::new());
        loop {
            while let Some((side, bytes)) = merger.next() {
                times.extend(bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| split(line).0));
                out[side].extend(bytes);
            }
            let Some(side) = merger.wants() else { break };
            match parts[side].next() {
                Some(bytes) => merger.push(side, bytes),
                None => merger.close(side),
            }
        }
        prop_assert_eq!(&out, &sides);
        prop_assert!(times.is_sorted(), "{:?}", times);
    }
}
