#!/usr/bin/env bash
# bench/load.sh [--quick] [--rounds N]: measure hourbell beside nginx and Fastify, and write bench/results.md. About 20 minutes; with
# --quick 2 minutes on a tenth of the devices, into build/bench/results-quick.md. Wants a machine with nothing else to do.
set -euo pipefail
cd "$(dirname "$0")/.."
unset MAKEFLAGS MFLAGS
export MODE=release CC=gcc
script/deps run bench
make -j"$(nproc)" --no-print-directory bench-build
peers=$(bench/peers/install) # NAME=PATH, one per line
mapfile -t peers <<< "$peers"
built=$(make -s --no-print-directory where)
exec python3 bench/load.py --built "$built" "${peers[@]/#/--peer=}" "$@"
