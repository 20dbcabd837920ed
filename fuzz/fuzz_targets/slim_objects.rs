//! `windlass::fuzz::slim_objects` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass::fuzz::slim_objects(data));
