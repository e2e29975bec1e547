//! libFuzzer's entry to [`tripline_fuzz::endpoint`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tripline_fuzz::endpoint(data));
