//! The comparison; [`tripline_bench`] says what it does.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tripline_bench::main()
}
