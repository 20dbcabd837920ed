//! `windlass::fuzz::watches` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass::fuzz::watches(data));
