//! libFuzzer's door to `pptp_fuzz_targets::socks5::target`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pptp_fuzz_targets::socks5::target(data));
