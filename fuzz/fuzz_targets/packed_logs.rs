//! `windlass_runner::fuzz::packed_logs` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_runner::fuzz::packed_logs(data));
