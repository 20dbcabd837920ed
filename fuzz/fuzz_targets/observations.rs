//! `windlass_manifest::fuzz::observations` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_manifest::fuzz::observations(data));
