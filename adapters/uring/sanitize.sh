#!/usr/bin/env bash
# The tests of this crate, the one with unsafe in it, under AddressSanitizer (row H07): a use of freed
# memory, a byte beyond a buffer and memory left behind each fail the run. The sanitizer needs a
# nightly compiler; without one this says so and succeeds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! rustc +nightly --version >/dev/null 2>&1; then
    echo "skipped: no nightly compiler is installed"
    exit 0
fi
host=$(rustc -vV | sed -n 's/^host: //p')
# --target keeps the flags away from build scripts; a directory of its own keeps ours as it is.
RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitize" \
    cargo +nightly test --locked -p tripline-uring --lib --target "$host"
