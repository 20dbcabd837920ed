//! `windlass_apiserver::fuzz::managers` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_apiserver::fuzz::managers(data));
