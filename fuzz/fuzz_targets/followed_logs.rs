//! `windlass::fuzz::followed_logs` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass::fuzz::followed_logs(data));
