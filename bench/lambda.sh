#!/usr/bin/env bash
# bench/lambda.sh [STARTS]: the Lambda function beside Rust and Python (bench/lambda/bench_lambda.py), into build/bench/lambda.md.
# Needs cargo (the peer, some minutes the first time) and boto3 (build/rig, tests/aws/rig install).
set -euo pipefail
cd "$(dirname "$0")/.."
script/lambda x86_64
tests/aws/rig install
command -v cargo > /dev/null || script/deps cargo
CARGO_TARGET_DIR=build/deps-lambda/peer cargo build --quiet --locked --release --manifest-path bench/lambda/rust/Cargo.toml
exec build/rig/py/bin/python bench/lambda/bench_lambda.py build/deps-lambda/peer/release/bootstrap build/rig/py/bin/python "$@"
