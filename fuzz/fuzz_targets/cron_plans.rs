//! `windlass_control::fuzz::cron_plans` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass_control::fuzz::cron_plans(data));
