//! `windlass_runner::fuzz::fate_ledgers` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_runner::fuzz::fate_ledgers(data));
