//! `windlass_schedule::fuzz::schedules` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_schedule::fuzz::schedules(data));
