#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Builds the fuzz targets of build-fuzz and runs each for SECONDS, beginning with the corpus beside
# its source.
# What it finds new stays in build-fuzz/corpus; an input that fails, in build-fuzz/findings.
#
#   tools/fuzz.sh SECONDS
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=$1
passed=0
failed=0
mkdir -p build-fuzz/findings

targets=$(ninja -C build-fuzz -t targets all | sed -n 's|^\(tests/.*/fuzz[-_][^/.]*\): .*|\1|p')
# shellcheck disable=SC2086 # a list of names
ninja -C build-fuzz $targets || exit 1

for path in $targets; do
  target=build-fuzz/$path
  name=$(basename "$path")
  source=$(dirname "$path")
  new=build-fuzz/corpus/$name
  mkdir -p "$new"
  seeds=()
  [ ! -d "$source/corpus" ] || seeds+=("$source/corpus")
  echo "$name: $seconds s"
  if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build-fuzz/findings/$name-" "$new" "${seeds[@]}" >"$new.log" 2>&1; then
    grep -E 'number_of_executed_units|new_units_added' "$new.log"
    passed=$((passed + 1))
  else
    tail -n 60 "$new.log"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
