//! libFuzzer's door to `pptp_fuzz_targets::knxnetip::target`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pptp_fuzz_targets::knxnetip::target(data));
