//! `windlass_control::fuzz::grants` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_control::fuzz::grants(data));
