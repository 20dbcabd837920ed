//! `windlass_manifest::fuzz::env_files` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_manifest::fuzz::env_files(data));
