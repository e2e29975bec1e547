//! libFuzzer's entry to [`tripline_fuzz::parameters`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tripline_fuzz::parameters(data));
