//! `windlass_fate::fuzz::fates` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_fate::fuzz::fates(data));
