//! `windlass_apiserver::fuzz::channels` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_apiserver::fuzz::channels(data));
