//! `windlass_control::fuzz::claims` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_control::fuzz::claims(data));
