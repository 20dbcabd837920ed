//! `windlass_store::fuzz::records` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_store::fuzz::records(data));
