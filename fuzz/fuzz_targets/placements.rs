//! `windlass_control::fuzz::placements` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_control::fuzz::placements(data));
