#!/bin/sh
# The comparison in one command: builds both programs, runs every workload with every peer, prints the
# tables. Arguments are those of the program, `tests/bench/run.sh bulk --rounds 7` for example.
set -eu
cd "$(dirname "$0")"
cargo build --locked --release --bin tripline-bench --bin counted
exec "${CARGO_TARGET_DIR:-target}/release/tripline-bench" "$@"
