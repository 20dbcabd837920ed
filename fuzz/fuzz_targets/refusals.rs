//! `windlass::fuzz::refusals` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass::fuzz::refusals(data));
