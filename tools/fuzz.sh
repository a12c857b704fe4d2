#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Builds fuzz targets in build-fuzz (clang, libFuzzer, ASan, UBSan) and runs them one after the other.
# The target NAME is tests/DIR/fuzz_NAME.c; it begins with tests/DIR/corpus-NAME and knows the words of
# tests/DIR/fuzz_NAME.dict. Inputs that reach something new stay in build-fuzz/corpus/NAME, those that
# fail go to build-fuzz/findings.
#
#   tools/fuzz.sh build [TARGET...]
#   tools/fuzz.sh each SECONDS [TARGET...]     every target (all when none is named) for SECONDS
#   tools/fuzz.sh in-all SECONDS [TARGET...]   SECONDS shared by the targets
#   tools/fuzz.sh merge [TARGET...]            adds to the corpora in the tree the fewest inputs that reach all code reached
#
# A run prints a line for each target, "ok NAME ..." or "not ok NAME ...", and a sum at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
build=build-fuzz
rss_mb=2048      # of a target
input_seconds=10 # longest time for one input
merged_bytes=1024 # of an input that a merge adds to the tree

configure() { # anew where there is a tree of another kind
  grep -qs '^build tests/fuzz-' $build/build.ninja && return
  rm -rf $build/meson-* $build/build.ninja
  # shellcheck disable=SC2086 # words
  CC=clang CXX=clang++ meson setup $build -Dfuzz=true \
    -Dc_args=-fsanitize=fuzzer-no-link -Dcpp_args=-fsanitize=fuzzer-no-link \
    -Db_sanitize=address,undefined -Db_lundef=false ${MESON_FLAGS:-}
}

all_targets() {
  find tests -name 'fuzz_*.c' | sed 's|.*/fuzz_||; s|\.c$||' | sort
}

folder_of() { # of a target's source
  dirname "$(find tests -name "fuzz_$1.c")"
}

build_targets() {
  # shellcheck disable=SC2046 # a list of names
  ninja -C $build $(printf 'tests/fuzz-%s\n' "$@")
}

figure() { # of the statistics in a log, by name
  sed -n "s/^stat::$1: *//p" "$2"
}

run_one() { # NAME SECONDS
  local name=$1 folder log=$build/logs/$1.log new=$build/corpus/$1 options=()
  folder=$(folder_of "$name")
  mkdir -p "$new" "$build/findings" "$build/logs"
  [ ! -e "$folder/fuzz_$name.dict" ] || options+=("-dict=$folder/fuzz_$name.dict")
  if $build/tests/fuzz-"$name" -max_total_time="$2" -timeout=$input_seconds -rss_limit_mb=$rss_mb \
    -print_final_stats=1 -artifact_prefix="$build/findings/$name-" "${options[@]}" \
    "$new" "$folder/corpus-$name" >"$log" 2>&1; then
    echo "ok $name $2 s, $(figure number_of_executed_units "$log") runs," \
      "$(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1), $(figure new_units_added "$log") new inputs"
  else
    echo "not ok $name"
    tail -n 80 "$log"
    return 1
  fi
}

run_all() { # SECONDS NAME...
  local seconds=$1 passed=0 failed=0
  shift
  for name in "$@"; do
    if run_one "$name" "$seconds"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  done
  echo "$passed passed, $failed failed"
  [ $failed = 0 ] && [ $passed != 0 ]
}

merge_one() { # NAME
  local name=$1 folder old=$build/corpus/$1 new=$build/merged/$1
  folder=$(folder_of "$name")
  rm -rf "$new"
  mkdir -p "$new" "$old"
  $build/tests/fuzz-"$name" -merge=1 -use_counters=0 -max_len=$merged_bytes "$new" "$folder/corpus-$name" "$old" >"$new.log" 2>&1 || {
    tail -n 40 "$new.log"
    return 1
  }
  # libFuzzer renames what it keeps; names that people gave stay.
  for file in "$folder/corpus-$name"/*; do
    copy=$new/$(sha1sum "$file" | cut -d' ' -f1)
    if [ -e "$copy" ]; then rm "$copy"; elif [[ $(basename "$file") =~ ^[0-9a-f]{12}$ ]]; then rm "$file"; fi
  done
  for file in "$new"/*; do
    [ ! -e "$file" ] || cp "$file" "$folder/corpus-$name/$(basename "$file" | cut -c1-12)"
  done
  echo "$name: $(find "$folder/corpus-$name" -type f | wc -l) inputs, $(du -sb "$folder/corpus-$name" | cut -f1) bytes"
}

command=${1-}
shift || :
case $command in
each | in-all)
  seconds=${1:?seconds are missing}
  shift
  ;;
build | merge) ;;
*)
  sed -n 's/^#   //p' "$0"
  exit 2
  ;;
esac
# shellcheck disable=SC2046
[ $# != 0 ] || set -- $(all_targets)
configure && build_targets "$@" || exit 1
case $command in
each) run_all "$seconds" "$@" ;;
in-all) run_all $(((seconds + $# - 1) / $#)) "$@" ;;
merge) for name in "$@"; do merge_one "$name" || exit 1; done ;;
esac
