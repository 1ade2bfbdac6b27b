//! libFuzzer's door to `pptp_fuzz_targets::dns::target`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pptp_fuzz_targets::dns::target(data));
