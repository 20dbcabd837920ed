//! `windlass::fuzz::kubeconfigs` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| windlass::fuzz::kubeconfigs(data));
