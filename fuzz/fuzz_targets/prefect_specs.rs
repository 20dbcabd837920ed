//! `windlass_manifest::fuzz::prefect_specs` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_manifest::fuzz::prefect_specs(data));
