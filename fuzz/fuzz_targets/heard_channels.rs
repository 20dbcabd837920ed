//! `windlass::fuzz::heard_channels` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass::fuzz::heard_channels(data));
