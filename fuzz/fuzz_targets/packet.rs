//! libFuzzer's entry to [`tripline_fuzz::packet`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tripline_fuzz::packet(data));
